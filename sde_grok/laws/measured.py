"""Laws that this project measured on real networks, with the signature of the literature's.

Power laws in optimizer steps, fitted to the delays of two-layer networks on Z₁₂₇ addition and S₅
composition; and of the squared radii, fitted to those on Z₅₉ addition, too. No derivation is known.
"""

from __future__ import annotations

import math
from typing import Final

from sde_grok.dual import exp_or_inf, log, sqrt
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.exponents import Exponents
from sde_grok.laws.limits import leading_law
from sde_grok.laws.signature import checked_point, positive

__all__ = [
    "COLLAPSE",
    "CORE_RADIUS",
    "FALL",
    "MEMORIZATION",
    "PEAK_RADIUS",
    "RISE",
    "TWO_STARTS",
    "collapse_law",
    "core_radius_law",
    "memorization_law",
    "peak_radius_law",
    "stagewise_law",
    "two_start_law",
]

COLLAPSE: Final = Exponents(eta=-1.0, batch_size=-0.25, lam=-0.5)
"""Exponents of the delay over ln(ρ_M²/ρ_G²), on Z₁₂₇ addition and S₅ composition."""

MEMORIZATION: Final = Exponents(eta=-0.78, batch_size=-0.52, lam=0.04)
"""Exponents of the steps until memorization, on Z₁₂₇ addition (60 runs, λ <= 3e-4)."""

RISE: Final = Exponents(eta=-1.5, batch_size=-0.3, lam=-0.6)
"""Exponents of the steps from memorization to the largest norm, on the same runs."""

FALL: Final = Exponents(eta=-0.64, batch_size=-0.19, lam=-0.40)
"""Exponents of the steps from the largest norm to grokking, on the same runs."""

CORE_RADIUS: Final = -1 / 7
"""Exponent of λ in ρ²_G, on Z₁₂₇ and Z₅₉ addition and S₅ composition."""

PEAK_RADIUS: Final = -1 / 5
"""Exponent of λ in the largest ρ², on the same runs."""

TWO_STARTS: Final = Exponents(eta=-7 / 8, batch_size=-1 / 4, lam=-3 / 8)
"""Exponents of the delay over √[ln(ρ_M²/ρ_G²) ln(V/ρ_G²)], on the same runs."""


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


@elementwise
def core_radius_law(lam: float, *, rho2_reference: float, lam_reference: float) -> float:
    """Squared radius ρ²_G = ρ²_ref (λ/λ_ref)^(−1/7) of the core, of the shrinkage alone.

    Parameters
    ----------
    lam : float
        Shrinkage λ > 0, coupled, in Adam.
    rho2_reference : float
        ρ²_ref > 0, measured at λ_ref.
    lam_reference : float
        Shrinkage λ_ref > 0 of the cell that it was measured in.

    Returns
    -------
    float
        ρ²_G in squared parameter units. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: measured here. Slopes of ln ρ²_G in ln λ over cells are −.16 on Z₁₂₇, −.13 on S₅ and
    −.15 on Z₅₉; the fraction between them is the second of several rules that were tried on the
    same runs.
    """
    return _radius(lam, rho2_reference, lam_reference, CORE_RADIUS)


@elementwise
def peak_radius_law(lam: float, *, rho2_reference: float, lam_reference: float) -> float:
    """Largest squared radius ρ²_P = ρ²_ref (λ/λ_ref)^(−1/5) on the way, of the shrinkage alone.

    Parameters
    ----------
    lam, rho2_reference, lam_reference
        As for `core_radius_law`, of the largest norm.

    Returns
    -------
    float
        ρ²_P in squared parameter units. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: measured here, exploratory, on the runs of `core_radius_law`: slopes over cells are
    −.20 on Z₁₂₇, −.17 on S₅ and −.25 on Z₅₉.
    """
    return _radius(lam, rho2_reference, lam_reference, PEAK_RADIUS)


def _radius(lam: float, rho2_reference: float, lam_reference: float, power: float) -> float:
    """ρ²_ref (λ/λ_ref)^power."""
    ratio = positive("lam", lam) / positive("lam_reference", lam_reference)
    return positive("rho2_reference", rho2_reference) * exp_or_inf(power * log(ratio))


@elementwise
def two_start_law(
    rho2_start: float,
    rho2_top: float,
    *,
    rho2_core: float,
    eta: float,
    lam: float,
    batch_size: float,
    constant: float,
) -> float:
    """Delay C √[ln(ρ_M²/ρ_G²) ln(V/ρ_G²)] η^−7/8 λ^−3/8 b^−¼, V where the norm turns.

    Parameters
    ----------
    rho2_start : float
        Squared norm ρ_M² >= 0 at memorization.
    rho2_top : float
        V >= 0: the largest squared norm if it is still to come, ρ_M² if the norm falls at once.
    rho2_core : float
        Squared norm ρ_G² >= 0 at generalization.
    eta, lam, batch_size
        As for `collapse_law`.
    constant : float
        C > 0, to be fitted.

    Returns
    -------
    float
        Delay in optimizer steps; infinite for λ = 0, ρ_G = 0, or a norm below ρ_G. Arrays
        broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: measured here, exploratory: the form and the exponents (`TWO_STARTS`) were found on
    the runs on Z₁₂₇, S₅ and Z₅₉ that it is judged by, late among some 600 configurations. No
    derivation is known. With V = ρ_M² it is a collapse with other exponents.
    """
    checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    logs = [leading_law(v, rho2_core, gamma=0.5) for v in (rho2_start, rho2_top)]
    if 0 in logs:
        return 0.0
    steps = _power_law(constant, TWO_STARTS, eta=eta, lam=lam, batch_size=batch_size)
    return sqrt(logs[0] * logs[1]) * steps


def _power_law(
    constant: float, power: Exponents, *, eta: float, lam: float, batch_size: float
) -> float:
    """C η^p λ^q b^r; infinite for λ = 0 (all with q < 0), or beyond the range of floats."""
    constant = positive("constant", constant)
    if lam == 0:
        return math.inf
    log_steps = power.eta * log(eta) + power.lam * log(lam) + power.batch_size * log(batch_size)
    return constant * exp_or_inf(log_steps)
