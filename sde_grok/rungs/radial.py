"""Radial SDE: the squared radius V = ρ² in time t = kη. On a flat landscape

    dV = (d q² − 2γV) dt + 2q √V dB,    dρ = [(d−1) q²/(2ρ) − γρ] dt + q dB,
    γ = λ/s (coupled) or λ (decoupled),    q² = (η/b) σ²/s².

Assumes isotropic noise Σ = σ²I and a preconditioner P ≈ s·I, by default noise-dominated,
s = σ/√b + ε. Where θ·∇L and the noise Σ = f²σ²I are functions of ρ alone, likewise

    dV = [d q² − 2γV − (2/s) θ·∇L] dt + 2q √V dB,
    dρ = [(d−1) q²/(2ρ) − γρ − θ·∇L/(sρ)] dt + q dB,    q² = (η/b) f²σ²/s²,

with s = fσ/√b + ε unless it is given as a constant. Observation 2 and Lemma 2 of arXiv 2606.30388, as reported second-hand.
"""

import math
from typing import NamedTuple

from sde_grok.kernels.radial import LocalStep
from sde_grok.optimizer import Optimizer

__all__ = ["Rates", "Split", "local_step", "radial_rates", "splitting"]


class Rates(NamedTuple):
    """Contraction rate γ and noise intensity q² (squared parameter units), per unit of t."""

    gamma: float
    q2: float


class Split(NamedTuple):
    """Half a step of flow, V ← shrink·V + grow, and the noise of a whole step, ρ ← ρ + noise·Z."""

    shrink: float
    grow: float
    noise: float


def radial_rates(optimizer: Optimizer, sigma: float, s: float | None = None) -> Rates | None:
    """γ and q² for the noise σ of one example; None if they are not finite, as for s = 0."""
    if s is None:
        s = sigma / math.sqrt(optimizer.batch_size) + optimizer.eps
    if s == 0:
        return None
    gamma = optimizer.coupled / s + optimizer.decoupled
    q2 = optimizer.eta / optimizer.batch_size * (sigma / s) * (sigma / s)
    return Rates(gamma, q2) if math.isfinite(gamma * optimizer.eta) and q2 < math.inf else None


def splitting(dt: float, *, dim: float, gamma: float, q2: float) -> Split:
    """Strang's splitting of dρ over Δt = `dt` into its flow and its noise.

    The flow dV = [(d−1)q² − 2γV] dt is solved exactly, and the noise is such that the mean of V is
    exact for every d, and the whole law for d = 1 (an Ornstein–Uhlenbeck process): its variance is
    q² sinh(γΔt)/γ.
    """
    x = gamma * dt
    decay = -math.expm1(-x) / x if x > 0 else 1.0  # (1 − e^{−γΔt})/(γΔt)
    noise = math.sqrt(q2 * dt * math.sinh(x) / x if x > 0 else q2 * dt) if q2 > 0 else 0.0
    return Split(shrink=math.exp(-x), grow=(dim - 1) * q2 * dt * decay / 2, noise=noise)


def local_step(
    dt: float,
    *,
    dim: float,
    optimizer: Optimizer,
    sigma: float,
    core: float,
    side: float,
    s: float | None = None,
) -> LocalStep:
    """One time step Δt = `dt` where θ·∇L and f are functions of ρ, up to V* = `core`."""
    root_batch = math.sqrt(optimizer.batch_size)
    return LocalStep(
        half=dt / 2,
        quarter=dt / 4,
        root=math.sqrt(dt),
        others=dim - 1,
        coupled=optimizer.coupled,
        decoupled=optimizer.decoupled,
        spread=math.sqrt(optimizer.eta) * sigma / root_batch,
        slope=sigma / root_batch if s is None else 0.0,
        offset=optimizer.eps if s is None else s,
        core=core,
        side=side,
    )
