"""Checks of user input: one line that names the field, the value and the allowed range."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from sde_grok.dual import Dual, value_of

__all__ = ["MissingExtra", "ParameterError", "choice", "integer", "number"]


class ParameterError(ValueError):
    """A parameter outside its allowed range.

    Parameters
    ----------
    field : str
        Name of the parameter.
    value : object
        What was given.
    allowed : str
        The allowed range, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        shape = getattr(value, "shape", ())
        shown = f"array of shape {shape}" if shape else repr(value)
        super().__init__(f"{field} = {shown}: must be {allowed}")

    def __reduce__(self) -> tuple[type[ParameterError], tuple[str, object, str]]:
        return type(self), (self.field, self.value, self.allowed)


class MissingExtra(ImportError):
    """Packages of an optional part that are not installed.

    Parameters
    ----------
    extra : str
        Name of the extra that brings them.
    packages : sequence of str
        What is missing.
    """

    def __init__(self, extra: str, packages: Sequence[str]) -> None:
        names = ", ".join(packages)
        super().__init__(f"{names} is not installed: pip install 'sde-grok[{extra}]'")


def number(
    field: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = True,
) -> float:
    """Return `value` as a finite float within the range, or raise `ParameterError`.

    Floats throughout: a kernel compiled for a float is not compiled again for an integer. A dual
    number stays one.
    """
    left = f"> {low:g}" if open_low else f">= {low:g}"
    right = f"< {high:g}" if open_high else f"<= {high:g}"
    bounds = ([left] if low > -math.inf else []) + ([right] if high < math.inf else [])
    allowed = f"a finite number {' and '.join(bounds)}".strip()
    try:
        x = float(value_of(value))
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(field, value, allowed) from None
    inside = (x > low if open_low else x >= low) and (x < high if open_high else x <= high)
    if isinstance(value, bool) or not math.isfinite(x) or not inside:
        raise ParameterError(field, value, allowed)
    return value if isinstance(value, Dual) else x  # type: ignore[return-value]


def integer(field: str, value: Any, *, low: int, high: int = 2**63 - 1) -> int:
    """Return `value` as an int within [low, high], or raise `ParameterError`."""
    allowed = f"an integer >= {low}"
    if high < 2**63 - 1 or (isinstance(value, int) and value > high):
        allowed += f" and <= {high}"
    try:
        n = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    except (TypeError, ValueError):
        raise ParameterError(field, value, allowed) from None
    if isinstance(value, bool) or not low <= n <= high:
        raise ParameterError(field, value, allowed)
    return n


def choice(field: str, value: Any, options: tuple[str, ...]) -> str:
    """Return `value` if it is one of `options`, or raise `ParameterError`."""
    if value not in options:
        raise ParameterError(field, value, "one of " + ", ".join(options))
    return str(value)
