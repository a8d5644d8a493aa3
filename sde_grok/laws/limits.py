"""Limits of the exact passage time, the leading law, and the noise floor they share.

Symbols as in `sde_grok.laws.passage`: V = ρ², γ the contraction rate, q² the noise intensity,
κ = d/2. Passage times are in units of t = kη; optimizer steps are T/η.
"""

from __future__ import annotations

import math

from sde_grok.checks import ParameterError, number
from sde_grok.dual import exp_or_inf, log, log1p
from sde_grok.laws.elementwise import elementwise

__all__ = ["kramers_limit", "law_limit", "leading_law", "log_kramers_limit", "noise_floor"]


@elementwise
def noise_floor(*, dim: float, gamma: float, q2: float) -> float:
    """Stationary mean V_∞ = d q²/(2γ) of the squared radius.

    Parameters
    ----------
    dim : float
        Dimension d > 0.
    gamma : float
        Contraction rate γ >= 0, per unit of time.
    q2 : float
        Noise intensity q² >= 0, squared parameter units per unit of time.

    Returns
    -------
    float
        V_∞ in squared parameter units; infinite for γ = 0 (0 if q² = 0 too). Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived. In the noise-dominated regime (s = σ/√b) it is dησ/(2λ√b), which gives
    the coefficient c_G = dσ/(2√b) to Theorem 2 of arXiv 2606.30388 (as reported second-hand).
    """
    dim = number("dim", dim, low=0, open_low=True)
    gamma = number("gamma", gamma, low=0)
    q2 = number("q2", q2, low=0)
    if gamma == 0:
        return math.inf if q2 > 0 else 0.0
    return dim * q2 / (2 * gamma)


@elementwise
def leading_law(rho2_start: float, rho2_core: float, *, gamma: float) -> float:
    """Noiseless passage time ln(V₀/V*)/(2γ) = ln(ρ₀/ρ*)/γ.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0.
    gamma : float
        Contraction rate γ >= 0, per unit of time.

    Returns
    -------
    float
        Time in units of t; infinite if V* is never reached. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: claimed by arXiv 2606.30388, as reported second-hand, as the leading term
    s̄ ln(ρ_M/ρ_G)/(ηλ) of Theorem 3, with γ = λ/s̄. Assumes V* far above the noise floor.
    """
    start = number("rho2_start", rho2_start, low=0)
    core = number("rho2_core", rho2_core, low=0)
    gamma = number("gamma", gamma, low=0)
    if start == core:
        return 0.0
    if core == 0 or gamma == 0 or start < core:
        return math.inf
    return log_ratio(start, core) / (2 * gamma)


def log_ratio(start: float, core: float) -> float:
    """ln(V₀/V*), exact for V₀ near V*, and for quotients beyond the range of floats."""
    excess = (start - core) / core
    return log1p(excess) if excess < math.inf else log(start) - log(core)


@elementwise
def law_limit(rho2_start: float, rho2_core: float, *, dim: float, gamma: float, q2: float) -> float:
    """Large-dimension passage time (1/2γ) ln[(V₀ − V_∞)/(V* − V_∞)].

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0.
    dim, gamma, q2 : float
        Dimension d > 0, contraction rate γ >= 0, noise intensity q² >= 0.

    Returns
    -------
    float
        Time in units of t, that of the mean path V_∞ + (V₀ − V_∞) e^{−2γt}; infinite if that path
        never reaches V*, so for V* at or beyond the floor V_∞. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `law-limit`. Provenance: derived; the limit d → ∞ of the exact mean at fixed V₀/V_∞ and
    V*/V_∞, with a relative error of order 1/d. Holds outward, too, for V₀ < V* < V_∞.
    """
    start = number("rho2_start", rho2_start, low=0)
    core = number("rho2_core", rho2_core, low=0)
    floor = noise_floor(dim=dim, gamma=gamma, q2=q2)
    if start == core:
        return 0.0
    if gamma == 0 or floor == math.inf:
        return (core - start) / dim / q2 if q2 > 0 and core > start else math.inf
    if not (start > core > floor or start < core < floor):
        return math.inf
    return log1p((start - core) / (core - floor)) / (2 * gamma)


@elementwise
def kramers_limit(rho2_core: float, *, dim: float, gamma: float, q2: float) -> float:
    """Large-dimension passage time from the floor down to V* = νV_∞, ν < 1.

    E T ≈ (1/2γ) √(2π/κ) (ν/(1−ν)) exp{κ[ν − 1 − ln ν]}: extensive in the dimension d = 2κ, so a
    purely radial escape below the floor does not happen at network dimension.

    Parameters
    ----------
    rho2_core : float
        Squared radius V* > 0.
    dim, gamma, q2 : float
        Dimension d > 0, contraction rate γ > 0, noise intensity q² >= 0.

    Returns
    -------
    float
        Time in units of t; nan unless V* < V_∞, inf beyond the range of floats (see
        `log_kramers_limit`). Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `kramers-limit`. Provenance: derived; Laplace's method on the exact mean, with a relative
    error of order 1/d at fixed ν. The start drops out: from anywhere at or above V_∞ relaxation
    costs O(ln d)/γ only.
    """
    log_time = log_kramers_limit(rho2_core, dim=dim, gamma=gamma, q2=q2)
    return exp_or_inf(log_time)


@elementwise
def log_kramers_limit(rho2_core: float, *, dim: float, gamma: float, q2: float) -> float:
    """Natural logarithm of `kramers_limit`, finite even where the time overflows.

    Parameters
    ----------
    rho2_core : float
        Squared radius V* > 0.
    dim, gamma, q2 : float
        Dimension d > 0, contraction rate γ > 0, noise intensity q² >= 0.

    Returns
    -------
    float
        ln E T, T in units of t; nan unless V* < V_∞. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived, as for `kramers_limit`.
    """
    core = number("rho2_core", rho2_core, low=0, open_low=True)
    gamma = number("gamma", gamma, low=0, open_low=True)
    floor = noise_floor(dim=dim, gamma=gamma, q2=q2)
    if core >= floor:
        return math.nan
    if floor == math.inf:
        raise ParameterError("gamma", gamma, "large enough for a finite floor d q2/(2 gamma)")
    kappa, nu, log_nu = dim / 2, core / floor, log(core) - log(floor)
    barrier = kappa * (nu - 1 - log_nu)
    log_prefactor = 0.5 * log(2 * math.pi / kappa) + log_nu - log1p(-nu)
    return barrier + log_prefactor - log(2 * gamma)
