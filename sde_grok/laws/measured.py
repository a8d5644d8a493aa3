"""Laws that this project measured on real networks, with the signature of the literature's.

Power laws in optimizer steps, fitted to the delays of two-layer networks on Z₁₂₇ addition and S₅
composition. No derivation is known.
"""

from __future__ import annotations

import math
from typing import Final

from sde_grok.dual import exp_or_inf, log
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.exponents import Exponents
from sde_grok.laws.limits import leading_law
from sde_grok.laws.signature import checked_point, positive

__all__ = [
    "COLLAPSE",
    "FALL",
    "MEMORIZATION",
    "RISE",
    "collapse_law",
    "memorization_law",
    "stagewise_law",
]

COLLAPSE: Final = Exponents(eta=-1.0, batch_size=-0.25, lam=-0.5)
"""Exponents of the delay over ln(ρ_M²/ρ_G²), on Z₁₂₇ addition and S₅ composition."""

MEMORIZATION: Final = Exponents(eta=-0.78, batch_size=-0.52, lam=0.04)
"""Exponents of the steps until memorization, on Z₁₂₇ addition (60 runs, λ <= 3e-4)."""

RISE: Final = Exponents(eta=-1.5, batch_size=-0.3, lam=-0.6)
"""Exponents of the steps from memorization to the largest norm, on the same runs."""

FALL: Final = Exponents(eta=-0.64, batch_size=-0.19, lam=-0.40)
"""Exponents of the steps from the largest norm to grokking, on the same runs."""


@elementwise
def collapse_law(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    constant: float,
) -> float:
    """Delay C ln(ρ_M²/ρ_G²) η⁻¹ λ^−½ b^−¼, of the measured radii.

    Parameters
    ----------
    rho2_start, rho2_core, eta, lam, batch_size
        As for `constant_law`, in Adam with coupled decay.
    constant : float
        C > 0, to be fitted.

    Returns
    -------
    float
        Delay in optimizer steps; infinite for λ = 0, ρ_G = 0 or ρ_M < ρ_G. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claims `collapse`, `two-circuits`. Provenance: measured here, on Z₁₂₇ addition and S₅ composition; no derivation
    is known. With C from one cell the others are off by 12 % and 18 % on average. Within the data
    the exponent of b is nearer −.2 below b = 400 and −.4 above.
    """
    start, core, _ = checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    log_of_radii = leading_law(start, core, gamma=0.5)
    if log_of_radii == 0:
        return 0.0
    return log_of_radii * _power_law(constant, COLLAPSE, eta=eta, lam=lam, batch_size=batch_size)


@elementwise
def stagewise_law(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    rise_constant: float,
    fall_constant: float,
) -> float:
    """Delay C₁ η^−1.5 λ^−0.6 b^−0.3 + C₂ η^−0.64 λ^−0.40 b^−0.19: the norm rises, then falls.

    The exponents are `RISE` and `FALL`.

    Parameters
    ----------
    rho2_start, rho2_core, eta, lam, batch_size
        As for `constant_law`, in Adam with coupled decay. The radii are ignored: both, and the
        largest, depend on λ alone.
    rise_constant, fall_constant : float
        C₁ > 0 and C₂ > 0, to be fitted.

    Returns
    -------
    float
        Delay in optimizer steps; infinite for λ = 0. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: measured here, on Z₁₂₇ addition (60 runs, λ <= 3e-4; R² = .97 and .93). No
    derivation is known. The steps before memorization are `memorization_law`.
    """
    checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    at = {"eta": eta, "lam": lam, "batch_size": batch_size}
    return _power_law(rise_constant, RISE, **at) + _power_law(fall_constant, FALL, **at)


@elementwise
def memorization_law(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    constant: float,
) -> float:
    """Steps C η^−0.78 λ^0.04 b^−0.52 until memorization: no delay, but what precedes it.

    The exponents are `MEMORIZATION`.

    Parameters
    ----------
    rho2_start, rho2_core, eta, lam, batch_size
        As for `constant_law`, in Adam with coupled decay, but λ > 0. The radii are ignored.
    constant : float
        C > 0, to be fitted.

    Returns
    -------
    float
        Optimizer steps. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: measured here, on Z₁₂₇ addition (60 runs, λ <= 3e-4; R² = .99). Noise-dominated
    Adam has b^−½; the exponent of λ is hardly different from 0.
    """
    checked_point(rho2_start, rho2_core, eta, positive("lam", lam), batch_size)
    return _power_law(constant, MEMORIZATION, eta=eta, lam=lam, batch_size=batch_size)


def _power_law(
    constant: float, power: Exponents, *, eta: float, lam: float, batch_size: float
) -> float:
    """C η^p λ^q b^r; infinite for λ = 0 (all with q < 0), or beyond the range of floats."""
    constant = positive("constant", constant)
    if lam == 0:
        return math.inf
    log_steps = power.eta * log(eta) + power.lam * log(lam) + power.batch_size * log(batch_size)
    return constant * exp_or_inf(log_steps)
