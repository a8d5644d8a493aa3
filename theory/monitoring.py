"""Claim monitoring: a chain looked at every Δt passes as a continuous path with a shifted barrier.

A chain with Gaussian steps passes late, by its overshoot. To leading order it behaves like the
continuous path with the barrier moved away by −ζ(½)/√(2π) q√Δt = 0.5826 q√Δt (Siegmund; Broadie,
Glasserman, Kou). Whence the constant: the maximum of n steps of a random walk has, by Spitzer's
identity, the mean Σ_{k<=n} E S_k⁺/k = (1/√2π) Σ k^{−½}, and Brownian motion the mean √(2n/π), so that

    E max B − E max S = (1/√2π) (2√n − Σ_{k<=n} k^{−½}) → −ζ(½)/√(2π)

by Euler and Maclaurin, but for (1/√2π)/2√n. On the radial rung q is constant, so the shift δ holds
for ρ as it stands. To the next order the chain ends on average δ + μΔt/4 beyond ρ*, μ the drift, and
with the mean square δ² + q²Δt/4 (Siegmund). With f(ρ) the mean passage time, L f = −1, that makes it
later by another Δt/4 for any drift, since f(ρ₀) = E T + E f(ρ_T). A passage at a continuous time that
is noticed only by an evaluation every m is noticed m/2 later on average.

Provenance: derived; known from the literature (D. Siegmund, Sequential Analysis, 1985, and others).
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import BARRIER_SHIFT, evaluated_steps, mean_passage_time, monitored_core
from sde_grok.results import EscapeResult, Estimate
from sde_grok.unit_escape import unit_escape

CLAIM = "monitoring"
N_PATHS = 80_000
DIM = 10  # with γ = q = 1 the floor is at V = 5
INWARD, OUTWARD = (20.0, 7.5), (2.0, 4.0)  # V₀, V*
LOOKS = ((INWARD, 0.0025), (INWARD, 0.01), (INWARD, 0.04), (OUTWARD, 0.01))  # and Δt
EVERY = 0.0437  # between two evaluations, for passages at 0.7 ± 0.35


def algebra() -> list[Residual]:
    """The constant, E S_k⁺, E max B, the first terms of Euler and Maclaurin, and the next order."""
    x, k, n = sp.symbols("x k n", positive=True)
    density = sp.exp(-(x**2) / (2 * k)) / sp.sqrt(2 * sp.pi * k)
    positive_part = sp.integrate(x * density, (x, 0, sp.oo))
    maximum = sp.integrate(x * 2 * density.subs(k, n), (x, 0, sp.oo))  # |B_n|, by reflection
    # Σ_{k<=n} k^{−½} = c + 2√n + 1/(2√n) − …: differences in n match to O(n^{−5/2})
    series = 2 * sp.sqrt(n) + 1 / (2 * sp.sqrt(n))
    left = sp.limit((series - series.subs(n, n - 1) - 1 / sp.sqrt(n)) * n**2, n, sp.oo)
    slope, curvature, mu, q, delta, dt = sp.symbols("f' f'' mu q delta Delta_t")
    by_moments = slope * (delta + mu * dt / 4) + curvature * (delta**2 + q**2 * dt / 4) / 2
    by_shift = slope * delta + curvature * delta**2 / 2
    later = (by_shift - by_moments).subs(curvature, -2 * (1 + mu * slope) / q**2)  # L f = −1
    constant = float(sp.N(-sp.zeta(sp.Rational(1, 2)) / sp.sqrt(2 * sp.pi), 30))
    return [
        Residual(
            "0.5826 = −ζ(½)/√(2π), as floats", sp.Rational(BARRIER_SHIFT) - sp.Rational(constant)
        ),
        Residual(
            "E S_k⁺/k = 1/√(2πk)", sp.simplify(positive_part / k - 1 / sp.sqrt(2 * sp.pi * k))
        ),
        Residual("E max B = 2√n/√(2π)", sp.simplify(maximum - 2 * sp.sqrt(n) / sp.sqrt(2 * sp.pi))),
        Residual("Σ k^{−½} = c + 2√n + 1/(2√n) + …", left),
        Residual("later by Δt/4 than the shift", sp.simplify(later - dt / 4)),
    ]


def shift_of_walk(law) -> Comparison:
    """Compare the shift by `law`, for q = Δt = 1, with the maxima of n steps; allowed is 1/n."""
    n = 100_000
    total = math.fsum(1 / math.sqrt(k) for k in range(1, n + 1))
    lost = (2 * math.sqrt(n) + 1 / (2 * math.sqrt(n)) - total) / math.sqrt(2 * math.pi)
    shift = law(0.0, q=1.0, dt=1.0, inward=False)
    return Comparison(f"E max B − E max S, n = {n}", Estimate(lost), Estimate(shift), 1 / n)


def simulated(start: float, core: float, seed: int, dt: float | None = None) -> EscapeResult:
    """Simulate passages of the radial rung, γ = q = η = 1, seen at once, or every `dt` only."""
    return unit_escape(
        DIM,
        start,
        core,
        n_paths=N_PATHS,
        seed=seed,
        dt=dt,
        discrete_monitoring=dt is not None,
    )


def passage(start: float, rho_core: float) -> float:
    """Mean of the continuous law, to the core at ρ = `rho_core`."""
    return mean_passage_time(start, rho_core**2, dim=DIM, gamma=1.0, q2=1.0)


def mean_passage(law, start: float, core: float, dt: float, result: EscapeResult) -> Comparison:
    """Compare the mean with that to the core shifted by `law`, and Δt/4.

    Allowed is the next order, √Δt · Δt. The radial rung's splitting is off by some
    (γ + dq²/V*)²Δt²/12, which is 7e-4 at the largest Δt, and less than that.
    """
    shifted = law(math.sqrt(core), q=1.0, dt=dt, inward=start > core)
    expected = passage(start, shifted) + dt / 4
    what = f"mean, V {start:g} → {core:g}, Δt = {dt:g}"
    return Comparison(what, result.mean, Estimate(expected), dt**1.5 / expected)


def noticed(seed: int) -> Comparison:
    """Compare the delay of passages seen at once, rounded up to multiples of m, with m/2.

    Their phase T/m is uniform but for its Fourier coefficients E e^{2πiT/m}: allowed is the largest,
    e^{−(ρ₀−ρ*)√(2π/m)/q} as for Brownian motion.
    """
    times = simulated(*INWARD, seed).steps
    late = np.ceil(times / EVERY) * EVERY - times
    delay = Estimate(float(late.mean()), float(late.std() / math.sqrt(late.size)))
    expected = Estimate(evaluated_steps(0.0, every=EVERY))
    way = math.sqrt(INWARD[0]) - math.sqrt(INWARD[1])
    allowed = math.exp(-way * math.sqrt(2 * math.pi / EVERY))
    return Comparison(f"delay by evaluations every {EVERY}", delay, expected, allowed)


def check(law=monitored_core, *, seed: int = 0) -> Verdict:
    """Check the constant, and `law` on the radial rung seen at discrete times."""
    runs = [simulated(*V, seed + i, dt) for i, (V, dt) in enumerate(LOOKS)]
    numeric = [shift_of_walk(law)]
    numeric += [mean_passage(law, *V, dt, run) for (V, dt), run in zip(LOOKS, runs, strict=True)]
    numeric.append(noticed(seed + len(LOOKS)))
    start, rho = INWARD[0], math.sqrt(INWARD[1])
    steps = [dt for V, dt in LOOKS if V == INWARD]

    def off(dt: float, run: EscapeResult, *, shifted: bool) -> Estimate:
        core = law(rho, q=1.0, dt=dt, inward=True) if shifted else rho
        ratio = passage(start, core) / run.mean.value
        return Estimate(ratio - 1, ratio * run.mean.stderr / run.mean.value)

    validity = "; ".join(
        f"{what}: {within('Δt', steps, [off(*x, shifted=s) for x in zip(steps, runs, strict=False)])}"
        for what, s in (("shifted", True), ("not shifted", False))
    )
    return Verdict(CLAIM, "derived", algebra(), numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
