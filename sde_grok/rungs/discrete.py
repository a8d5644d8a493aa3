"""Discrete Adam (coupled decay) and AdamW (decoupled), arXiv 1412.6980 and 1711.05101.

With g = h + ξ, h = ∇L [+ λθ if coupled] and Cov ξ = Σ/b, at step k

    m ← β₁m + (1−β₁)g
    v ← β₂v + (1−β₂)g²
    θ ← θ − η (m/B₁)/(√(v/B₂) + ε) − [ηλθ if decoupled],    Bᵢ = 1 − βᵢᵏ (1 without correction).
"""

from math import sqrt

from sde_grok.kernels.jit import inlined
from sde_grok.kernels.sweeps import chain

__all__ = ["sweep"]


@inlined
def update(theta, m, v, h, xi, ratio, eps, c):
    """One step of one coordinate; `ratio` = √B₂/B₁ and `eps` = ε√B₂ hold the bias correction."""
    g = h + xi
    m = c.beta1 * m + c.alpha1 * g
    v = c.beta2 * v + c.alpha2 * (g * g)
    theta -= c.eta * (ratio * m / (sqrt(v) + eps) + c.decoupled * theta)
    return theta, m, v


sweep = chain(update)
