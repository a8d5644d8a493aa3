"""A loss landscape: a gradient that Numba has compiled, and the numbers that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numba import config, extending, types
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from sde_grok.checks import ParameterError
from sde_grok.kernels.jit import pointer

__all__ = ["Landscape", "gradient_pointer"]


@dataclass(frozen=True, eq=False)
class Landscape:
    """A loss landscape L(θ), known by its gradient.

    Parameters
    ----------
    name : str
        What to call it in results.
    gradient : callable or None
        ``gradient(theta, parameters, out)``, compiled with ``numba.njit``: writes ∇L(θ) into the
        array `out` of shape (d,); `theta` (d,) and `parameters` (n,) are only read. It may run in
        several threads at once. `out` comes filled with nan, and a path whose gradient raises an
        exception or is not wholly written fails. None: ∇L = 0.
    parameters : (n,) array_like
        Numbers handed to `gradient`; other values need no new compilation.

    Raises
    ------
    ParameterError
        If `gradient` is not compiled, or `parameters` is not a finite one-dimensional array.

    Examples
    --------
    >>> import numba
    >>> @numba.njit
    ... def bowl(theta, parameters, out):
    ...     out[:] = parameters[0] * theta
    >>> quadratic = Landscape("quadratic", bowl, parameters=[0.5])
    """

    name: str
    gradient: Callable[..., Any] | None = None
    parameters: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if self.gradient is not None and not _is_compiled(self.gradient):
            raise ParameterError("gradient", self.gradient, "a function compiled with numba.njit")
        allowed = "a one-dimensional array of finite numbers"
        try:
            numbers = np.array(self.parameters, dtype=np.float64)
        except (TypeError, ValueError):
            raise ParameterError("parameters", self.parameters, allowed) from None
        if numbers.ndim != 1 or not np.all(np.isfinite(numbers)):
            raise ParameterError("parameters", self.parameters, allowed)
        numbers.flags.writeable = False
        object.__setattr__(self, "parameters", numbers)


def _is_compiled(gradient: Callable[..., Any]) -> bool:
    if config.DISABLE_JIT:  # type: ignore[attr-defined]  # then njit returns the function
        return callable(gradient)
    return bool(extending.is_jitted(gradient))


def _flat_in_lanes(S, n, parameters, scratch):  # type: ignore[no-untyped-def]
    for i in range(S.shape[0]):
        for lane in range(n):
            S[i, 1, lane] = 0.0


def _in_lanes(gradient: Callable[..., Any]) -> Callable[..., None]:
    def in_lanes(S, n, parameters, scratch):  # type: ignore[no-untyped-def]
        theta, out = scratch[0], scratch[1]
        for lane in range(n):
            for i in range(S.shape[0]):
                theta[i], out[i] = S[i, 0, lane], np.nan
            try:
                gradient(theta, parameters, out)
            except Exception:  # noqa: BLE001 (all that Numba catches)
                out[:] = np.nan
            for i in range(S.shape[0]):
                S[i, 1, lane] = out[i]

    return in_lanes


@lru_cache(maxsize=64)
def gradient_pointer(gradient: Callable[..., Any] | None, single: bool) -> Any:
    """Compile `gradient` for all lanes of a kernel's state, to what the kernel takes."""
    number = types.float32 if single else types.float64
    state, vector, matrix = (types.Array(number, ndim, "C") for ndim in (3, 1, 2))
    signature = types.void(state, types.int64, vector, matrix)
    if gradient is None:
        return pointer(signature, _flat_in_lanes, cache=True)
    try:
        return pointer(signature, _in_lanes(gradient), cache=False)
    except NumbaError as error:
        allowed = "compilable for (theta (d,), parameters (n,), out (d,))"
        name = getattr(gradient, "__name__", gradient)
        raise ParameterError("gradient", name, allowed) from error
