"""Joint-state SDE of Adam for (θ, m, v), in time t = kη.

With κᵢ = (1−βᵢ)/η, Bᵢ(t) = 1 − βᵢ^{t/η} and h = ∇L [+ λθ if coupled],

    dθ = −(√B₂/B₁) m/(√v + ε√B₂) dt − [λθ dt if decoupled]
    dm = κ₁(h − m) dt + κ₁ √(η/b) Σ^{1/2} dW
    dv = κ₂(h² + diag Σ/b − v) dt

Form claimed by arXiv 2606.30388, as reported second-hand; order-1 weak approximations of Adam:
arXiv 2205.10287 (in time kη²) and 2411.15958 (in time kη). The noise of v is left out.
"""

from math import sqrt

from sde_grok.kernels.jit import inlined
from sde_grok.kernels.sweeps import sde_with_moments

__all__ = ["sweep"]


@inlined
def drift(theta, m, v, h, variance, ratio, eps, c):
    """Drift of (θ, m, v); `variance` is diag Σ/b, `ratio` √B₂/B₁ and `eps` ε√B₂."""
    return (
        -ratio * m / (sqrt(v) + eps) - c.decoupled * theta,
        c.kappa1 * (h - m),
        c.kappa2 * (h * h + variance - v),
    )


@inlined
def diffusion(c):
    """Factor of (Σ/b)^{1/2} dW in dm."""
    return c.kappa1 * c.root_eta


sweep = sde_with_moments(drift, diffusion)
