"""Claim radial-rung: with isotropic noise the reduced SDE closes on the squared radius.

If Σ = σ²I and P ≈ sI, then dθ = −γθ dt + q dW with γ = λ/s (coupled) or λ (decoupled) and
q² = (η/b) σ²/s², and Itô's formula for V = ‖θ‖² and ρ = ‖θ‖ gives

    dV = (d q² − 2γV) dt + 2q √V dB,      dρ = [(d−1) q²/(2ρ) − γρ] dt + q dB.

With decoupled shrinkage P = sI is exact. With coupled shrinkage √v = √(s² + λ²xᵢ²) in each
coordinate: for a random direction the passage takes longer by ¾p²(1 − V*/V₀)/γ to leading order
in the pull p = λρ₀/(s√d), so that the radial rung needs p ≪ 1.

Provenance: claimed by arXiv 2606.30388 (as reported second-hand), Lemma 2 and Observation 2; the
correction for the pull is derived.
"""

from __future__ import annotations

import math

import sympy as sp

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import mean_passage_time, monitored_core
from sde_grok.results import Estimate
from sde_grok.rungs.radial import radial_rates

CLAIM = "radial-rung"
SIGMA = 1.0
LARGE = Geometry(rho_start=math.sqrt(128.0), rho_core=math.sqrt(32.0), dim=128)
# to 1.4 times the floor, in steps of noise of a twentieth of the radius: looked at each step
NOISY = Geometry(rho_start=0.8, rho_core=0.45, dim=3)
CASES = [
    (LARGE, Optimizer(eta=1e-3, batch_size=100, lam=0.1, decay="decoupled"), 64),
    (LARGE, Optimizer(eta=1e-3, batch_size=10_000, lam=0.1, decay="decoupled"), 64),
    (NOISY, Optimizer(eta=0.02, batch_size=400, lam=0.2, decay="decoupled"), 16_000),
    (LARGE, Optimizer(eta=1e-3, batch_size=100, lam=0.01), 128),
]
PULLED = (25, 400, 2_500, 10_000)  # batch sizes of the coupled example with a growing pull


def ito(dim: int) -> list[Residual]:
    """Drift and squared diffusion of V and ρ, from dθᵢ = −γθᵢ dt + q dWᵢ."""
    gamma, q = sp.symbols("gamma q", positive=True)
    theta = sp.symbols(f"theta1:{dim + 1}", positive=True)
    V = sum(x**2 for x in theta)
    rho = sp.sqrt(V)

    def drift(f: sp.Expr) -> sp.Expr:
        return sum(-gamma * x * sp.diff(f, x) + q**2 / 2 * sp.diff(f, x, 2) for x in theta)

    def squared_diffusion(f: sp.Expr) -> sp.Expr:
        return sum((q * sp.diff(f, x)) ** 2 for x in theta)

    left = {
        "drift of V": drift(V) - (dim * q**2 - 2 * gamma * V),
        "squared diffusion of V": squared_diffusion(V) - 4 * q**2 * V,
        "drift of ρ": drift(rho) - ((dim - 1) * q**2 / (2 * rho) - gamma * rho),
        "squared diffusion of ρ": squared_diffusion(rho) - q**2,
    }
    return [Residual(f"{what}, d = {dim}", sp.simplify(rest)) for what, rest in left.items()]


def pull() -> list[Residual]:
    """Check the delay ¾p²(1 − V*/V₀), with x(τ) = x₀e^{−τ} + p²x₁ and τ = γt.

    In units of the root-mean-square start, dx/dτ = −x/√(1 + p²x²) = −x + ½p²x³ + …, and the mean
    of V over a normal start z, with E z² = 1 and E z⁴ = 3, is e^{−2τ} + p²V₁(τ) = V*/V₀.
    """
    tau, z, p = sp.symbols("tau z p", positive=True)
    x1 = z**3 * sp.exp(-tau) * (1 - sp.exp(-2 * tau)) / 4
    x = z * sp.exp(-tau) + p**2 * x1
    left = sp.series(sp.diff(x, tau) + x / sp.sqrt(1 + p**2 * x**2), p, 0, 4).removeO()
    v1 = sp.expand(2 * z * sp.exp(-tau) * x1).subs(z**4, 3)
    delay = v1 / (2 * sp.exp(-2 * tau))  # dV/dτ = −2V
    stated = sp.Rational(3, 4) * (1 - sp.exp(-2 * tau))
    return [
        Residual("x₀e^{−τ} + p²x₁ under the pull", sp.simplify(left)),
        Residual("delay by the pull", sp.simplify(delay - stated)),
    ]


def expected(law, geometry: Geometry, optimizer: Optimizer) -> float:
    """Mean steps by `law`, for a chain that is looked at every step."""
    rates = radial_rates(optimizer, SIGMA)
    core = monitored_core(
        geometry.rho_core, q=math.sqrt(rates.q2), dt=optimizer.eta, inward=geometry.inward
    )
    V = geometry.rho_start**2, core**2
    return law(*V, dim=geometry.dim, gamma=rates.gamma, q2=rates.q2) / optimizer.eta


def left_out(geometry: Geometry, optimizer: Optimizer, steps: float) -> float:
    """Relative size of what the radial rung leaves out: the pull, and steps that are not small.

    A chain shrinks by 1 − γη a step, not e^{−γη}: a rate higher by γη/2. Beyond the shift of the
    core, looks at steps only make it later by a quarter of a step (claim `monitoring`).
    """
    rate = optimizer.eta * radial_rates(optimizer, SIGMA).gamma
    s = SIGMA / math.sqrt(optimizer.batch_size)
    p2 = (optimizer.coupled * geometry.rho_start / s) ** 2 / geometry.dim
    by_pull = 0.75 * p2 * (1 - (geometry.rho_core / geometry.rho_start) ** 2)
    return by_pull / (rate * steps) + rate / 2 + 0.25 / steps


def simulated(geometry: Geometry, optimizer: Optimizer, n_paths: int, seed: int) -> Estimate:
    """Mean steps of the reduced rung."""
    return simulate_escape(
        optimizer,
        geometry,
        IsotropicNoise(SIGMA),
        system="reduced",
        n_paths=n_paths,
        max_steps=100_000,
        seed=seed,
    ).mean


def check(law=mean_passage_time, *, seed: int = 0) -> Verdict:
    """Check Itô's formula, and `law` at the rates of the radial rung against the reduced rung."""
    symbolic = [residual for dim in (1, 2, 3, 5) for residual in ito(dim)] + pull()
    numeric = []
    for i, (geometry, optimizer, n_paths) in enumerate(CASES):
        steps = expected(law, geometry, optimizer)
        numeric.append(
            Comparison(
                f"{optimizer.decay}, d = {geometry.dim}, b = {optimizer.batch_size}",
                simulated(geometry, optimizer, n_paths, seed + i),
                Estimate(steps),
                left_out(geometry, optimizer, steps),
                claimed=optimizer.decay == "coupled",
            )
        )
    off = []
    for i, b in enumerate(PULLED):
        optimizer = Optimizer(eta=1e-3, batch_size=b, lam=0.01)
        mean = simulated(LARGE, optimizer, 32, seed + len(CASES) + i)
        ratio = expected(law, LARGE, optimizer) / mean.value
        off.append(Estimate(ratio - 1, ratio * mean.stderr / mean.value))
    validity = "coupled, pull p = 0.01 √b: " + within("b", PULLED, off)
    return Verdict(CLAIM, "claimed", symbolic, numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
