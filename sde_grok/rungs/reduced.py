"""Reduced SDE of Adam for θ, with m and v at their mean-field values, in time t = kη.

    P = √(h² + diag Σ/b) + ε,   h = ∇L [+ λθ if coupled]
    dθ = −P⁻¹h dt − [λθ dt if decoupled] + √(η/b) P⁻¹ Σ^{1/2} dW

Observation 1 ("slow manifold") of arXiv 2606.30388, as reported second-hand.
"""

from math import sqrt

from sde_grok.kernels.jit import inlined, inverse
from sde_grok.kernels.sweeps import sde_of_theta

__all__ = ["sweep"]


@inlined
def inverse_preconditioner(h, variance, c):
    """P⁻¹; `variance` is diag Σ/b."""
    return inverse(sqrt(h * h + variance) + c.eps)


@inlined
def drift(theta, h, variance, c):
    """Drift of θ."""
    return -(inverse_preconditioner(h, variance, c) * h) - c.decoupled * theta


@inlined
def diffusion(h, variance, c):
    """Factor of (Σ/b)^{1/2} dW in dθ."""
    return c.root_eta * inverse_preconditioner(h, variance, c)


sweep = sde_of_theta(drift, diffusion)
