"""Crossover law and noise floor in one: matched where both are the leading law."""

from __future__ import annotations

import math

from sde_grok.checks import number
from sde_grok.dual import sqrt, value_of
from sde_grok.laws.crossover import direction_averaged_steps
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.limits import leading_law
from sde_grok.laws.passage import mean_passage_time

__all__ = ["matched_steps"]


@elementwise
def matched_steps(
    rho2_start: float,
    rho2_core: float,
    *,
    dim: float,
    eta: float,
    lam: float,
    sigma: float,
    batch_size: float,
) -> float:
    """Mean steps from V₀ to V* under coupled shrinkage, in all regimes of (η, b, λ).

    k = k_crossover + (E T − T_leading)/η: the crossover law averaged over directions, which leaves
    out noise, plus the exact mean of the radial rung with s = σ/√b, which leaves out the pull λθ in
    √v, minus the leading law that both tend to. Noise-dominated, sign-like and floor-limited
    passages are its limits.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ >= V* > 0: inward.
    dim, eta, lam, sigma, batch_size : float
        As for `direction_averaged_steps`; λ and σ > 0.

    Returns
    -------
    float
        Number of optimizer steps; infinite beyond the range of floats. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claims `b-test` and `regimes`. Provenance: derived (matched asymptotics). Describes the reduced
    rung; the memory of Adam's moments is left out (`mean_field_steps` has it).
    """
    rho2_core = number("rho2_core", rho2_core, low=0, open_low=True)
    rho2_start = number("rho2_start", rho2_start, low=value_of(rho2_core))
    crossover = direction_averaged_steps(
        rho2_start, rho2_core, dim=dim, eta=eta, lam=lam, sigma=sigma, batch_size=batch_size
    )
    if not 0 < crossover < math.inf:
        return crossover
    gamma = lam * sqrt(batch_size) / sigma if sigma > 0 else math.inf
    if gamma == math.inf:
        return crossover
    exact = mean_passage_time(rho2_start, rho2_core, dim=dim, gamma=gamma, q2=eta)
    return crossover + (exact - leading_law(rho2_start, rho2_core, gamma=gamma)) / eta
