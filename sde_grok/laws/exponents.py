"""Local exponents of a transition-time law in learning rate, batch size and shrinkage."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, number
from sde_grok.dual import Dual
from sde_grok.laws.elementwise import elementwise_fields

__all__ = ["Exponents", "exponents", "regime"]


class Exponents(NamedTuple):
    """∂ln T/∂ln η, ∂ln T/∂ln b and ∂ln T/∂ln λ."""

    eta: float
    batch_size: float
    lam: float


def exponents(law: Callable[..., float], at: Mapping[str, Any]) -> Exponents:
    """Local log–log exponents of `law` in η, b and λ at the point `at`.

    The law is differentiated exactly, by running it on dual numbers: no step size, no truncation
    error. A power law T ∝ η^p b^q λ^r has (p, q, r) everywhere; the noise-dominated coupled law has
    (−1, −½, −1), the sign-like one (−1, 0, 0).

    Parameters
    ----------
    law : callable
        Function of keyword arguments, among them `eta`, `batch_size` and `lam`, that returns a
        time: a law of a mean time, of a radius or of a delay, or any composition of such laws,
        arithmetic, and the functions of `sde_grok.dual`. Not differentiable are the laws that solve
        a differential equation or invert a transform (`mean_field_steps`, `survival_function`),
        `laplace_transform`, `passage_time_variance` and `quadratic_memorization_radius`.
    at : mapping of str to number or array
        The keyword arguments. η, b and λ must be > 0.

    Returns
    -------
    Exponents
        (eta, batch_size, lam); nan where the time is 0, infinite or nan. Arrays broadcast, and make
        them arrays.

    Raises
    ------
    ParameterError
        If η, b or λ is not > 0 (or missing), or the law refuses a parameter.
    TypeError
        If the law is not made of differentiable parts.

    Examples
    --------
    >>> from sde_grok.laws import exponents
    >>> exponents(lambda eta, batch_size, lam: 3 / eta / lam**0.5, {"eta": 1, "batch_size": 9, "lam": 2})
    Exponents(eta=-1.0, batch_size=0.0, lam=-0.5)
    """
    for name in Exponents._fields:
        if name not in at:
            raise ParameterError("at", sorted(at), f"a point with a value of {name}")
    return _local(law, **at)


@elementwise_fields
def _local(law: Callable[..., float], **at: Any) -> Exponents:
    varied = {}
    for name, unit in zip(Exponents._fields, np.eye(3), strict=True):
        value = number(name, at[name], low=0, open_low=True)
        varied[name] = Dual(value, value * unit)  # derivatives in the logarithm
    try:
        with np.errstate(all="ignore"):  # gradients of infinite times
            time: Any = law(**{**at, **varied})
    except TypeError as error:
        name = getattr(law, "__name__", repr(law))
        message = f"{name} is not made of differentiable parts: {error}"
        raise TypeError(message) from error
    if not isinstance(time, Dual):
        same = 0.0 if 0 < time < math.inf else math.nan
        return Exponents(same, same, same)
    if not 0 < time.value < math.inf:
        return Exponents(math.nan, math.nan, math.nan)
    return Exponents(*(time.gradient / time.value).tolist())


def regime(local: Exponents, *, tolerance: float = 0.1) -> str | NDArray[np.str_]:
    """Name the regime of coupled shrinkage that local exponents belong to.

    Parameters
    ----------
    local : Exponents
        Of the mean escape time with coupled shrinkage, as that of `matched_steps`.
    tolerance : float
        Distance from an exponent of a regime that still counts as it, in (0, 0.5).

    Returns
    -------
    str, or array of str
        "floor-limited" where η speeds up by less than its first power, since it lifts the floor, or
        where there is no time at all; else, by the exponent of λ, "noise-dominated" (−1),
        "sign-like" (0) or "crossover" (in between).

    Raises
    ------
    ParameterError
        If `tolerance` is out of range.

    Notes
    -----
    Provenance: derived. With coupled shrinkage the exponent of b is half that of λ in all regimes
    without floor: only λ/s = λ√b/σ matters.
    """
    tolerance = number("tolerance", tolerance, low=0, high=0.5, open_low=True)
    if np.ndim(local.eta):
        each = zip(np.ravel(local.eta), np.ravel(local.lam), strict=True)
        names = [_regime(eta, lam, tolerance) for eta, lam in each]
        return np.reshape(np.array(names), np.shape(local.eta))
    return _regime(local.eta, local.lam, tolerance)


def _regime(eta: float, lam: float, tolerance: float) -> str:
    if not eta < tolerance - 1:
        return "floor-limited"
    if lam < tolerance - 1:
        return "noise-dominated"
    return "sign-like" if lam > -tolerance else "crossover"
