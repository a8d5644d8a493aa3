"""A loss landscape: what Numba has compiled of it, and the numbers that it takes."""

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
from sde_grok.kernels.jit import inlined, pointer
from sde_grok.kernels.outcome import MEASURES

__all__ = ["Landscape", "lanes_pointer", "radial_pointer"]


@dataclass(frozen=True, eq=False)
class Landscape:
    """A loss landscape L(θ), known by its gradient, and by its losses if they end a path.

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
    measure : callable, optional
        ``measure(theta, parameters, out)``, compiled likewise: writes three numbers, a factor f >= 0
        of the gradient noise, whose covariance is then f²Σ at θ, the loss of training and that of
        the test. Without it f = 1, and no loss can end a path.
    in_lanes : callable, optional
        In place of both, many paths at a time: ``in_lanes(S, n, parameters, scratch, measured)``
        reads θᵢ of path j < n in S[i, 0, j], and writes its gradient into S[i, 1, j] and the three
        numbers into measured[:, j].
    dim : int, optional
        The dimension d that it is for; by default any.
    radial : callable, optional
        Where θ·∇L and f are functions of ρ² = ‖θ‖² alone: ``radial(rho2, parameters)``, compiled
        likewise, returns the two numbers θ·∇L and f. The radial rung needs it unless the landscape
        is flat. A path whose `radial` raises an exception or returns no f >= 0 fails.

    Raises
    ------
    ParameterError
        If a function is not compiled, or `parameters` is not a finite one-dimensional array.

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
    measure: Callable[..., Any] | None = None
    in_lanes: Callable[..., Any] | None = None
    dim: int | None = None
    radial: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        for name in ("gradient", "measure", "radial"):
            function = getattr(self, name)
            if function is not None and not _is_compiled(function):
                raise ParameterError(name, function, "a function compiled with numba.njit")
        if self.measure is not None and self.gradient is None:
            raise ParameterError("measure", self.measure, "left out without a gradient")
        if self.radial is not None and self.is_flat:
            raise ParameterError("radial", self.radial, "left out without a gradient")
        allowed = "a one-dimensional array of finite numbers"
        try:
            numbers = np.array(self.parameters, dtype=np.float64)
        except (TypeError, ValueError):
            raise ParameterError("parameters", self.parameters, allowed) from None
        if numbers.ndim != 1 or not np.all(np.isfinite(numbers)):
            raise ParameterError("parameters", self.parameters, allowed)
        numbers.flags.writeable = False
        object.__setattr__(self, "parameters", numbers)

    @property
    def is_flat(self) -> bool:
        """Whether ∇L = 0."""
        return self.gradient is None and self.in_lanes is None

    @property
    def has_losses(self) -> bool:
        """Whether losses can end a path."""
        return self.measure is not None or self.in_lanes is not None


def _is_compiled(function: Callable[..., Any]) -> bool:
    if config.DISABLE_JIT:  # type: ignore[attr-defined]  # then njit returns the function
        return callable(function)
    return bool(extending.is_jitted(function))


def _flat_in_lanes(S, n, parameters, scratch, measured):  # type: ignore[no-untyped-def]
    for i in range(S.shape[0]):
        for lane in range(n):
            S[i, 1, lane] = 0.0


@inlined
def _unmeasured(theta, parameters, out):  # type: ignore[no-untyped-def]
    out[:] = 1.0  # f; no path ends by the losses


def _in_lanes(gradient: Callable[..., Any], measure: Callable[..., Any]) -> Any:
    def in_lanes(S, n, parameters, scratch, measured):  # type: ignore[no-untyped-def]
        theta, out = scratch[0], scratch[1]
        three = np.empty(MEASURES, S.dtype)
        for lane in range(n):
            three[:] = np.nan
            for i in range(S.shape[0]):
                theta[i], out[i] = S[i, 0, lane], np.nan
            try:
                gradient(theta, parameters, out)
                measure(theta, parameters, three)
            except Exception:  # noqa: BLE001 (all that Numba catches)
                out[:] = np.nan
            for i in range(S.shape[0]):
                S[i, 1, lane] = out[i]
            for k in range(MEASURES):
                measured[k, lane] = three[k]

    return in_lanes


def lanes_pointer(landscape: Landscape, single: bool) -> Any:
    """Compile a landscape for all lanes of a kernel's state, to what the kernel takes."""
    return _pointer(landscape.gradient, landscape.measure, landscape.in_lanes, single)


@lru_cache(maxsize=64)
def _pointer(gradient: Any, measure: Any, in_lanes: Any, single: bool) -> Any:
    number = types.float32 if single else types.float64
    state, vector, matrix = (types.Array(number, ndim, "C") for ndim in (3, 1, 2))
    signature = types.void(state, types.int64, vector, matrix, matrix)
    made, ours = in_lanes, getattr(in_lanes, "__module__", "").startswith("sde_grok.")
    if made is None and gradient is None:
        made, ours = _flat_in_lanes, True
    elif made is None:
        made = _in_lanes(gradient, measure or _unmeasured)
    try:
        return pointer(signature, made, cache=ours)
    except NumbaError as error:
        allowed = "compilable for (theta (d,), parameters (n,), out (d,))"
        name = getattr(gradient, "__name__", gradient)
        raise ParameterError("gradient", name, allowed) from error


def _forces(radial: Callable[..., Any]) -> Any:
    def forces(rho2, n, parameters, pull, f):  # type: ignore[no-untyped-def]
        for lane in range(n):
            one, other = np.nan, np.nan
            try:
                one, other = radial(rho2[lane], parameters)
            except Exception:  # noqa: BLE001 (all that Numba catches)
                one = np.nan
            pull[lane], f[lane] = one, other if other >= 0 else np.nan

    return forces


def radial_pointer(landscape: Landscape, single: bool) -> Any:
    """Compile what a landscape is as a function of ρ², to what the radial kernel takes."""
    return _radial_pointer(landscape.radial, single)


@lru_cache(maxsize=64)
def _radial_pointer(radial: Any, single: bool) -> Any:
    number = types.float32 if single else types.float64
    vector = types.Array(number, 1, "C")
    signature = types.void(vector, types.int64, vector, vector, vector)
    try:
        return pointer(signature, _forces(radial), cache=False)
    except NumbaError as error:
        allowed = "compilable for (rho2, parameters (n,)), and return two numbers"
        name = getattr(radial, "__name__", radial)
        raise ParameterError("radial", name, allowed) from error
