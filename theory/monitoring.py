"""Claim monitoring: a chain looked at every Δt passes as a continuous path with a shifted barrier.

A chain with Gaussian steps passes late, by its overshoot. To leading order it behaves like the
continuous path with the barrier moved away by −ζ(½)/√(2π) q√Δt = 0.5826 q√Δt (Siegmund; Broadie,
Glasserman, Kou). Whence the constant: the maximum of n steps of a random walk has, by Spitzer's
identity, the mean Σ_{k<=n} E S_k⁺/k = (1/√2π) Σ k^{−½}, and Brownian motion the mean √(2n/π), so that

    E max B − E max S = (1/√2π) (2√n − Σ_{k<=n} k^{−½}) → −ζ(½)/√(2π)

by Euler and Maclaurin, but for (1/√2π)/2√n. On the radial rung q is constant, so the shift holds
for ρ as it stands; the drift μ adds |μ|Δt/4 to it (Siegmund). A passage that is noticed only by an
evaluation every m steps is noticed m/2 later on average.

Provenance: derived by D. Siegmund (Sequential Analysis, 1985) and others.
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import BARRIER_SHIFT, evaluated_steps, mean_passage_time, monitored_core
from sde_grok.results import EscapeResult, Estimate

CLAIM = "monitoring"
N_PATHS = 30_000
DIM = 10  # with γ = q = 1 the floor is at V = 5
INWARD, OUTWARD = (20.0, 7.5), (2.0, 4.0)  # V₀, V*
LOOKS = ((INWARD, 0.0025), (INWARD, 0.01), (INWARD, 0.04), (OUTWARD, 0.01))  # and Δt
EVERY = 40  # looks between two evaluations, for passages of 300 ± 140 looks


def algebra() -> list[Residual]:
    """The constant, E S_k⁺, E max B, and the first terms of Euler and Maclaurin."""
    x, k, n = sp.symbols("x k n", positive=True)
    density = sp.exp(-(x**2) / (2 * k)) / sp.sqrt(2 * sp.pi * k)
    positive_part = sp.integrate(x * density, (x, 0, sp.oo))
    maximum = sp.integrate(x * 2 * density.subs(k, n), (x, 0, sp.oo))  # |B_n|, by reflection
    # Σ_{k<=n} k^{−½} = c + 2√n + 1/(2√n) − …: differences in n match to O(n^{−5/2})
    series = 2 * sp.sqrt(n) + 1 / (2 * sp.sqrt(n))
    left = sp.limit((series - series.subs(n, n - 1) - 1 / sp.sqrt(n)) * n**2, n, sp.oo)
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
    ]


def shift_of_walk(law) -> Comparison:
    """Compare the shift by `law`, for q = Δt = 1, with the maxima of n steps; allowed is 1/n."""
    n = 100_000
    total = math.fsum(1 / math.sqrt(k) for k in range(1, n + 1))
    lost = (2 * math.sqrt(n) + 1 / (2 * math.sqrt(n)) - total) / math.sqrt(2 * math.pi)
    shift = law(0.0, q=1.0, dt=1.0, inward=False)
    return Comparison(f"E max B − E max S, n = {n}", Estimate(lost), Estimate(shift), 1 / n)


def simulated(start: float, core: float, dt: float, seed: int) -> EscapeResult:
    """Simulate passages of the radial rung, γ = q = η = 1, seen every Δt only."""
    return simulate_escape(
        Optimizer(eta=1.0, batch_size=1, lam=1.0, eps=0.0, decay="decoupled"),
        Geometry(
            rho_start=math.sqrt(start),
            rho_core=math.sqrt(core),
            dim=DIM,
            direction="inward" if start > core else "outward",
        ),
        IsotropicNoise(1.0),
        system="radial",
        n_paths=N_PATHS,
        max_steps=1_000,
        seed=seed,
        dt=dt,
        discrete_monitoring=True,
    )


def passage(start: float, rho_core: float) -> float:
    """Mean of the continuous law, to the core at ρ = `rho_core`."""
    return mean_passage_time(start, rho_core**2, dim=DIM, gamma=1.0, q2=1.0)


def mean_passage(law, start: float, core: float, dt: float, result: EscapeResult) -> Comparison:
    """Compare the mean at the core shifted by `law`.

    Allowed is the drift's share |μ|Δt/4 of the shift, as a time, and Δt² for the splitting of the
    radial rung, whose steps are of second order.
    """
    rho, inward = math.sqrt(core), start > core
    drift = (DIM - 1) / (2 * rho) - rho
    shifted = law(rho, q=1.0, dt=dt, inward=inward)
    expected = passage(start, shifted)
    further = passage(start, shifted + math.copysign(drift * dt / 4, -1 if inward else 1))
    allowed = abs(further / expected - 1) + dt**2
    what = f"mean, V {start:g} → {core:g}, Δt = {dt:g}"
    return Comparison(what, result.mean, Estimate(expected), allowed)


def noticed(dt: float, result: EscapeResult) -> Comparison:
    """Compare the delay by evaluations every m looks with m/2.

    A chain ends at a look, where it is m/2 − ½ on average to the next evaluation: allowed is 1/m.
    """
    looks = np.rint(result.steps / dt)
    late = np.ceil(looks / EVERY) * EVERY - looks
    delay = Estimate(float(late.mean()), float(late.std() / math.sqrt(late.size)))
    expected = Estimate(evaluated_steps(0.0, every=EVERY))
    return Comparison(f"delay in looks, evaluated every {EVERY}", delay, expected, 1 / EVERY)


def check(law=monitored_core, *, seed: int = 0) -> Verdict:
    """Check the constant, and `law` on the radial rung seen at discrete times."""
    runs = [simulated(*V, dt, seed + i) for i, (V, dt) in enumerate(LOOKS)]
    numeric = [shift_of_walk(law)]
    numeric += [mean_passage(law, *V, dt, run) for (V, dt), run in zip(LOOKS, runs, strict=True)]
    numeric.append(noticed(LOOKS[0][1], runs[0]))
    inward = [(dt, run.mean.value) for (V, dt), run in zip(LOOKS, runs, strict=True) if V == INWARD]
    start, rho = INWARD[0], math.sqrt(INWARD[1])
    steps = [dt for dt, _ in inward]
    plain = [passage(start, rho) / mean - 1 for _, mean in inward]
    off = [passage(start, law(rho, q=1.0, dt=dt, inward=True)) / mean - 1 for dt, mean in inward]
    validity = f"shifted: {within('Δt', steps, off)}; not shifted: {within('Δt', steps, plain)}"
    return Verdict(CLAIM, "derived", algebra(), numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
