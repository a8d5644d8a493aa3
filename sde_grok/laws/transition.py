"""The transition time from the memorization shell to the generalization core (Theorem 3).

In optimizer steps, with the effective scale s̄ = σ/√b of the noise-dominated regime,

    T = (s̄/ηλ) ½ ln(V_M/V_G) + c_τ/(bλ) + c_τ⁽²⁾/λ² + O(η/λ³).

The form, the orders and s̄ = O(1/√b) are claimed by arXiv 2606.30388, as reported second-hand, for
coupled decay. The constants are derived here, in the isotropic model, by expanding the exact mean
of the radial rung: with κ = d/2, γ = λ/s̄, q² = η and x = γV/q², far above the floor,

    E T = (1/2γη) [ln(x₀/x*) + (κ−1)(1/x* − 1/x₀) + ½(κ−1)(κ−2)(1/x*² − 1/x₀²) + …].
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sde_grok.checks import number
from sde_grok.dual import sqrt
from sde_grok.laws.elementwise import elementwise, elementwise_fields
from sde_grok.laws.limits import leading_law

__all__ = ["TransitionConstants", "isotropic_constants", "transition_time"]


class TransitionConstants(NamedTuple):
    """c_τ and c_τ⁽²⁾ of Theorem 3: c_τ/(bλ) and c_τ⁽²⁾/λ² are optimizer steps."""

    c_tau: float
    c_tau2: float


@elementwise
def transition_time(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    sigma: float,
    c_tau: float = 0.0,
    c_tau2: float = 0.0,
) -> float:
    """Theorem 3: mean steps (s̄/ηλ) ½ ln(V_M/V_G) + c_τ/(bλ) + c_τ⁽²⁾/λ², s̄ = σ/√b.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V_M = (ρ_M⁽⁰⁾)² and V_G = (ρ_G⁽⁰⁾)² without noise, >= 0.
    eta : float
        Learning rate η > 0.
    lam : float
        Coupled shrinkage λ >= 0.
    batch_size : float
        Batch size b > 0.
    sigma : float
        Standard deviation σ > 0 of one example's gradient, per coordinate.
    c_tau, c_tau2 : float
        Constants c_τ and c_τ⁽²⁾, of either sign: fitted, or from `isotropic_constants`.

    Returns
    -------
    float
        Optimizer steps; infinite for λ = 0 or if the core is never reached; where the expansion
        does not hold, it may be negative. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claims `theorem-3` and `leading-exponents`. Provenance: claimed by arXiv 2606.30388, as reported
    second-hand. s̄ is the noise-dominated scale; the claim is s̄ = O(1/√b).
    """
    eta = number("eta", eta, low=0, open_low=True)
    lam = number("lam", lam, low=0)
    b = number("batch_size", batch_size, low=0, open_low=True)
    s = number("sigma", sigma, low=0, open_low=True) / sqrt(b)
    c_tau, c_tau2 = number("c_tau", c_tau), number("c_tau2", c_tau2)
    leading = leading_law(rho2_start, rho2_core, gamma=lam / s) / eta
    return leading + c_tau / b / lam + c_tau2 / lam / lam if lam > 0 else math.inf


@elementwise_fields
def isotropic_constants(
    rho2_start: float,
    rho2_core: float,
    *,
    dim: float,
    sigma: float,
    batch_size: float,
    c_m: float = 0.0,
    c_g: float = 0.0,
) -> TransitionConstants:
    """Constants of Theorem 3 on the radial rung, with the radii of Theorems 1 and 2.

    c_τ = s̄ c_M/(2V_M),   c_τ⁽²⁾ = s̄² (d−2)/4 (1/V_G − 1/V_M) − s̄ c_G/(2V_G).

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V_M and V_G without noise, > 0.
    dim : float
        Dimension d > 0.
    sigma, batch_size : float
        Standard deviation σ > 0 of one example's gradient, per coordinate, and batch size b > 0.
    c_m : float
        Coefficient c_M of Theorem 1: the start is at V_M + (η/b) c_M.
    c_g : float
        Coefficient c_G of Theorem 2: the core is at V_G + (η/λ) c_G; 0 for a fixed core.

    Returns
    -------
    TransitionConstants
        (c_tau, c_tau2), which depend on b through s̄. Arrays broadcast, and make them arrays.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived, from the small-noise expansion of `mean_passage_time`; in this model c_τ is
    O(b^−½) and not constant if c_M is. What is left for c_M = c_G = 0 is

        s̄³ (η/λ³) (κ−1)(κ−2)/4 (1/V_G² − 1/V_M²) + O(η²/λ⁴),   κ = d/2,

    as claimed; c_M and c_G add terms of order η/b²λ, η/bλ² and η/λ³. If c_G is the floor's,
    dσ/(2√b), it outweighs the noise: c_τ⁽²⁾ = −s̄² [1/(2V_G) + (d−2)/(4V_M)] < 0 for d >= 2.
    """
    start = number("rho2_start", rho2_start, low=0, open_low=True)
    core = number("rho2_core", rho2_core, low=0, open_low=True)
    dim = number("dim", dim, low=0, open_low=True)
    b = number("batch_size", batch_size, low=0, open_low=True)
    s = number("sigma", sigma, low=0, open_low=True) / sqrt(b)
    c_m, c_g = number("c_m", c_m), number("c_g", c_g)
    noise = s * s * (dim - 2) / 4 * (1 / core - 1 / start)
    return TransitionConstants(s * c_m / (2 * start), noise - s * c_g / (2 * core))
