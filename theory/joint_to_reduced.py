"""Claim reduced-rung: as Adam's moments are fast, the joint SDE becomes the reduced SDE.

Observation 1: for κ₁, κ₂ → ∞ the joint state (θ, m, v) follows θ alone,

    dθ = −P⁻¹h dt + √(η/b) P⁻¹ Σ^{1/2} dW,   P = √(h² + diag Σ/b).

With h and √v = s held fixed, dm = κ₁(h − m) dt + κ₁a dW, a = √(η/b) σ, and dθ = −(m/s) dt are linear:
θ has drift −h/s and variance rate a²/s² but for O(1/κ₁t). With h moving, v = h² + s² − (h²)′/κ₂ + …
To first order in the memories 1/(1−βᵢ) a coordinate under coupled shrinkage needs, with r² = s² + λ²x²,

    k = [F(x₀) − F(x₁)]/η + ln(r₀/r₁)/(1−β₂) − ln(x₀/x₁)/(1−β₁)   optimizer steps,

so the reduced rung is right where both memories are short against the passage. The mean-field law
has the memory in full, the matched law has none.

Provenance: claimed by arXiv 2606.30388 (as reported second-hand), Observation 1; the corrections,
and both laws, are derived.
"""

from __future__ import annotations

import math

import sympy as sp

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import matched_steps, mean_field_steps
from sde_grok.results import Estimate

CLAIM = "reduced-rung"
BATCHES = (100, 2_500, 10_000, 400_000)
FLAT = {"eta": 1e-3, "lam": 0.01, "sigma": 1.0}
MEMORY = {"beta1": 0.9, "beta2": 0.999}
DIM, SMALL = 128, 8


def frozen_moments() -> list[Residual]:
    """Solve the linear SDE of (θ, m) at fixed h and s, from m = m₀, and let κ₁ grow."""
    t, u, kappa, s, a = sp.symbols("t u kappa_1 s a", positive=True)
    h, m0 = sp.symbols("h m_0", real=True)
    mean_m = h + (m0 - h) * sp.exp(-kappa * t)
    drift = -sp.integrate(mean_m.subs(t, u), (u, 0, t)) / s
    # dW at time u moves m by κ₁a e^{−κ₁(t−u)}, and θ by the integral of that
    by_dW = -a * (1 - sp.exp(-kappa * (t - u))) / s
    variance = sp.integrate(sp.expand(by_dW**2), (u, 0, t))
    kernel = sp.diff(by_dW, t) + kappa * a * sp.exp(-kappa * (t - u)) / s
    first = sp.limit(kappa * (variance - a**2 * t / s**2), kappa, sp.oo)
    return [
        Residual("E m solves its equation", sp.simplify(mean_m.diff(t) - kappa * (h - mean_m))),
        Residual("dW reaches θ through m", sp.simplify(kernel)),
        Residual("drift −h/s as κ₁ → ∞", sp.simplify(sp.limit(drift, kappa, sp.oo) + h * t / s)),
        Residual(
            "variance rate a²/s² as κ₁ → ∞",
            sp.simplify(sp.limit(variance, kappa, sp.oo) - a**2 * t / s**2),
        ),
        Residual(
            "variance rate 1 − 3/(2κ₁t) to first order",
            sp.simplify(first + sp.Rational(3, 2) * a**2 / s**2),
        ),
    ]


def slow_moments() -> list[Residual]:
    """First order of the memories μᵢ = 1/(1−βᵢ), on ẋ = −ηm/√v: v lags behind h², m behind h."""
    x, lam, s, eta, e, mu1, mu2 = sp.symbols("x lambda s eta e mu_1 mu_2", positive=True)
    h, r = lam * x, sp.sqrt(s**2 + lam**2 * x**2)
    speed = -eta * h / r  # of x, a step, at order 0
    v = h**2 + s**2 - e * mu2 * sp.diff(h**2, x) * speed
    m = h - e * mu1 * sp.diff(h, x) * speed
    dk_dx = -sp.diff(sp.sqrt(v) / (eta * m), e).subs(e, 0)
    claimed = -sp.diff(mu2 * sp.log(r) - mu1 * sp.log(x), x)
    lag = sp.diff(e * mu2 * sp.diff(v, x) * speed - (h**2 + s**2 - v), e).subs(e, 0)
    return [
        Residual("v = h² + s² − μ₂(h²)′ solves μ₂v′ = h² + s² − v", sp.simplify(lag)),
        Residual("delay ln(r₀/r₁)/(1−β₂) − ln(x₀/x₁)/(1−β₁)", sp.simplify(dk_dx - claimed)),
    ]


def simulated(system: str, batch_size: int, dim: int, n_paths: int, seed: int) -> Estimate:
    """Simulate mean steps from ρ² = d to d/4, which is the same for each coordinate at any d."""
    return simulate_escape(
        Optimizer(eta=FLAT["eta"], lam=FLAT["lam"], batch_size=batch_size, **MEMORY),
        Geometry(rho_start=math.sqrt(dim), rho_core=math.sqrt(dim / 4), dim=dim),
        IsotropicNoise(FLAT["sigma"]),
        system=system,
        n_paths=n_paths,
        max_steps=100_000,
        seed=seed,
    ).mean


def relative(measured: Estimate, expected: float) -> Estimate:
    """Error as a fraction of what is expected."""
    return Estimate(measured.value / expected - 1, measured.stderr / expected)


def exponent(low: Estimate, high: Estimate, ratio: float) -> Estimate:
    """Local exponent between two numbers whose arguments differ by `ratio`; nan if of two signs."""
    if low.value * high.value <= 0:
        return Estimate(math.nan, math.nan)
    stderr = math.hypot(low.stderr / low.value, high.stderr / high.value)
    return Estimate(math.log(high.value / low.value) / math.log(ratio), stderr / math.log(ratio))


def check(law=mean_field_steps, *, seed: int = 0) -> Verdict:
    """Check the algebra, `law` against the joint rung, and how far the reduced rung is from it.

    Both laws replace a random direction by its average, an error c/d: c is measured at d = 8, and
    allowed at d = 128. That the error does fall as 1/d is a check of its own.
    """

    def expected(b: float, dim: int = DIM, **memory: float) -> float:
        return law(dim, dim / 4, dim=dim, batch_size=b, **FLAT, **(MEMORY | memory))

    numeric, gaps = [], []
    for i, b in enumerate(BATCHES):
        n = 64 if b == BATCHES[0] else 256
        joint, reduced = (simulated(r, b, DIM, n, seed + i) for r in ("joint", "reduced"))
        matched = matched_steps(DIM, DIM / 4, dim=DIM, batch_size=b, **FLAT)
        c = {
            rung: SMALL * abs(relative(simulated(rung, b, SMALL, 2 * n, seed + i), value).value)
            for rung, value in (("joint", expected(b, SMALL)), ("reduced", matched))
        }
        numeric += [
            Comparison(f"joint, b = {b}", joint, Estimate(expected(b)), c["joint"] / DIM),
            Comparison(f"reduced, b = {b}", reduced, Estimate(matched), c["reduced"] / DIM),
        ]
        gaps.append(reduced.value / joint.value - 1)
    # |c| is largest at large b; at d = 8 the next order of the error is 1/d of the first
    errors = [
        relative(
            simulated("joint", BATCHES[-1], d, 16_384 // d, seed + 9), expected(BATCHES[-1], d)
        )
        for d in (SMALL, 4 * SMALL)
    ]
    numeric.append(
        Comparison(
            "exponent of the joint law's error in d",
            exponent(*errors, 4.0),
            Estimate(-1.0),
            1 / SMALL,
        )
    )
    # the delay by v, over 1/(1−β₂) = 1, the shortest memory of the SDE; next order: memory/passage
    none, short, long = (
        expected(BATCHES[-1], beta1=0.0, beta2=1 - 1 / memory) for memory in (1.0, 10.0, 20.0)
    )
    numeric.append(
        Comparison(
            "exponent of the delay in 1/(1−β₂)",
            exponent(Estimate(short - none), Estimate(long - none), 19 / 9),
            Estimate(1.0),
            20 / none,
        )
    )
    validity = "reduced from joint rung, β₂ = 0.999: " + within("b", BATCHES, gaps)
    return Verdict(CLAIM, "claimed", frozen_moments() + slow_moments(), numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
