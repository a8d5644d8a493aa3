"""One time step of one coordinate in all lanes, for the three kinds of dynamics in θ.

A sweep takes row i of the state, S[i, field, lane], and the row of standard normals z, and adds the
new θ² to ρ². With ξ = f Σ^{1/2}z/√b the gradient noise of one minibatch, f(θ) `noise` of the lane,
and h = ∇L [+ λθ if coupled], the makers below close over a rung's formulas; LLVM inlines them.

Fields: 0 θ, 1 ∇L, 2 m, 3 v; a rung without moments has the first two alone.
"""

from typing import NamedTuple

from sde_grok.kernels.jit import inlined

__all__ = ["Coefficients", "chain", "sde_of_theta", "sde_with_moments"]


class Coefficients(NamedTuple):
    """Constants of the optimizer and of the time step, all of one float type.

    Attributes
    ----------
    eta, beta1, beta2, eps : float
        Of the optimizer.
    coupled, decoupled : float
        λ in its place, 0 in the other.
    alpha1, alpha2 : float
        1 − β₁ and 1 − β₂.
    kappa1, kappa2 : float
        (1 − βᵢ)/η.
    root_eta : float
        √η.
    dt, root_dt : float
        Time step Δt, in units of t = kη, and its root.
    stride : float
        Δt/η, optimizer steps in a time step.
    """

    eta: float
    beta1: float
    beta2: float
    eps: float
    coupled: float
    decoupled: float
    alpha1: float
    alpha2: float
    kappa1: float
    kappa2: float
    root_eta: float
    dt: float
    root_dt: float
    stride: float


def chain(update):
    """Sweep of a discrete chain: (θ, m, v) ← update(θ, m, v, h, ξ, …)."""

    @inlined
    def sweep(S, i, width, z, noise, amplitude, variance, ratio, eps, rho2, c):
        for lane in range(width):
            theta, m, v = S[i, 0, lane], S[i, 2, lane], S[i, 3, lane]
            h = S[i, 1, lane] + c.coupled * theta
            xi = amplitude * (noise[lane] * z[lane])
            theta, m, v = update(theta, m, v, h, xi, ratio[lane], eps[lane], c)
            S[i, 0, lane], S[i, 2, lane], S[i, 3, lane] = theta, m, v
            rho2[lane] += theta * theta

    return sweep


def sde_with_moments(drift, diffusion):
    """Sweep of Euler–Maruyama for (θ, m, v) with noise in m alone."""

    @inlined
    def sweep(S, i, width, z, noise, amplitude, variance, ratio, eps, rho2, c):
        spread = diffusion(c) * c.root_dt * amplitude
        for lane in range(width):
            theta, m, v = S[i, 0, lane], S[i, 2, lane], S[i, 3, lane]
            h = S[i, 1, lane] + c.coupled * theta
            square = variance * (noise[lane] * noise[lane])
            d_theta, d_m, d_v = drift(theta, m, v, h, square, ratio[lane], eps[lane], c)
            theta += d_theta * c.dt
            S[i, 0, lane] = theta
            S[i, 2, lane] = m + d_m * c.dt + spread * (noise[lane] * z[lane])
            S[i, 3, lane] = v + d_v * c.dt
            rho2[lane] += theta * theta

    return sweep


def sde_of_theta(drift, diffusion):
    """Sweep of Euler–Maruyama for θ alone."""

    @inlined
    def sweep(S, i, width, z, noise, amplitude, variance, ratio, eps, rho2, c):
        spread = c.root_dt * amplitude
        for lane in range(width):
            theta = S[i, 0, lane]
            h = S[i, 1, lane] + c.coupled * theta
            square = variance * (noise[lane] * noise[lane])
            kick = diffusion(h, square, c) * spread * (noise[lane] * z[lane])
            theta += drift(theta, h, square, c) * c.dt + kick
            S[i, 0, lane] = theta
            rho2[lane] += theta * theta

    return sweep
