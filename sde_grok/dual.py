"""Numbers that carry their derivatives: exact differentiation of laws (forward mode).

A `Dual` is a value and its gradient with respect to whatever is being varied. Arithmetic and the
functions below follow the chain rule; on plain floats they are those of `math`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Dual",
    "differentiable",
    "exp",
    "exp_or_inf",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "value_of",
]

Array = NDArray[np.float64]
Number = TypeVar("Number")


class Dual:
    """A float with its gradient.

    It has no conversion to float: what would drop the gradient fails instead.

    Parameters
    ----------
    value : float
        The number.
    gradient : (n,) array
        Its derivatives with respect to n variables.
    """

    __slots__ = ("gradient", "value")
    __array_ufunc__ = None  # NumPy floats leave arithmetic to this class

    def __init__(self, value: float, gradient: Array) -> None:
        self.value, self.gradient = value, gradient

    def __add__(self, other: Any) -> Dual:
        return _chain(self.value + value_of(other), (self, 1.0), (other, 1.0))

    def __sub__(self, other: Any) -> Dual:
        return _chain(self.value - value_of(other), (self, 1.0), (other, -1.0))

    def __rsub__(self, other: Any) -> Dual:
        return _chain(value_of(other) - self.value, (self, -1.0))

    def __mul__(self, other: Any) -> Dual:
        x, y = self.value, value_of(other)
        return _chain(x * y, (self, y), (other, x))

    def __truediv__(self, other: Any) -> Dual:
        x, y = self.value, value_of(other)
        return _chain(x / y, (self, 1 / y), (other, -x / y / y))

    def __rtruediv__(self, other: Any) -> Dual:
        quotient = value_of(other) / self.value
        return _chain(quotient, (self, -quotient / self.value))

    def __pow__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return exp(other * log(self))
        slope = other * self.value ** (other - 1) if other else 0.0
        return _chain(self.value**other, (self, slope))

    def __rpow__(self, other: Any) -> Dual:
        return exp(self * math.log(other))

    def __neg__(self) -> Dual:
        return _chain(-self.value, (self, -1.0))

    def __abs__(self) -> Dual:
        return -self if self.value < 0 else self

    def __bool__(self) -> bool:
        return bool(self.value)

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        return bool(self.value == value_of(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < value_of(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= value_of(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > value_of(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= value_of(other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.gradient!r})"


def value_of(x: Any) -> Any:
    """Return the value of a dual number, or x itself, if it is a number."""
    if isinstance(x, np.ndarray):
        message = "a dual number is a number and does not mix with arrays"
        raise TypeError(message)
    return x.value if isinstance(x, Dual) else x


def _chain(value: float, *parts: tuple[Any, float]) -> Dual:
    """Dual number of a value and of its partial derivatives in each dual argument."""
    gradients = [slope * x.gradient for x, slope in parts if isinstance(x, Dual)]
    return Dual(value, np.sum(gradients, axis=0))


def differentiable(
    function: Callable[..., float], slopes: Callable[..., tuple[float, ...]], *args: Any
) -> Any:
    """Return function(*args), with the gradient if arguments are dual numbers.

    For functions that are no composition of the others here: `slopes`, given the result and the
    arguments, returns the partial derivatives in the leading arguments; the others cannot be varied.
    """
    values = [value_of(x) for x in args]
    result = function(*values)
    if not any(isinstance(x, Dual) for x in args):
        return result
    partial = slopes(result, *values)
    if any(isinstance(x, Dual) for x in args[len(partial) :]):
        message = f"{function.__name__} has no derivative in one of its arguments"
        raise TypeError(message)
    return _chain(result, *zip(args, partial, strict=False))


def exp(x: Number) -> Number:
    """e^x."""
    return differentiable(math.exp, lambda e, _: (e,), x)  # type: ignore[no-any-return]


def exp_or_inf(x: float) -> float:
    """e^x; infinite beyond the range of floats."""
    return math.inf if x >= 709.0 else exp(x)


def expm1(x: Number) -> Number:
    """e^x − 1."""
    return differentiable(math.expm1, lambda e, _: (e + 1,), x)  # type: ignore[no-any-return]


def log(x: Number) -> Number:
    """Natural logarithm."""
    return differentiable(math.log, lambda _, v: (1 / v,), x)  # type: ignore[no-any-return]


def log1p(x: Number) -> Number:
    """ln(1 + x)."""
    return differentiable(math.log1p, lambda _, v: (1 / (1 + v),), x)  # type: ignore[no-any-return]


def sqrt(x: Number) -> Number:
    """Square root."""
    return differentiable(math.sqrt, lambda root, _: (0.5 / root,), x)  # type: ignore[no-any-return]
