"""Claim crossover: coupled shrinkage goes from exponential to linear as the batch grows.

On a flat landscape Adam divides the pull λx by √v = r = √(s² + λ²x²), s = σ/√b, so that per step

    dx/dk = −ηλx/r,    k = [F(x₀) − F(x₁)]/η,    F(x) = (1/λ)[r − s artanh(s/r)].

For λx ≪ s this is (s/ηλ) ln(x₀/x₁), the leading law, ∝ b^{−½}; for λx ≫ s it is (x₀ − x₁)/η,
free of λ and b. From a random direction V = Σ xᵢ² passes V* when the average over normal starts
does. The law describes the reduced rung, but for the noise in θ (the matched law adds it) and for
fluctuations of order 1/d; Adam itself is later still at large b, by the memory of v.

Provenance: derived.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import (
    direction_averaged_steps,
    leading_law,
    matched_steps,
    mean_field_steps,
)
from sde_grok.results import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "crossover"
FLAT = {"eta": 1e-3, "lam": 0.01, "sigma": 1.0}
DIM, SMALL = 128, 8
BATCHES = (30, 100, 400, 2_500, 10_000, 50_000, 400_000)
COMPARED = {2_500: 256, 10_000: 512, 400_000: 1_024}  # paths: 4 standard errors are some 0.5 %
NOISY, FEW = 100, 32  # b where the floor counts, and paths for the figure
ORDER_PATHS = 1_024


def algebra() -> list[Residual]:
    """F′ = 1/(−dx/dk) in units of 1/η, and its limits: small and large pull λx/s."""
    x, s, lam, e = sp.symbols("x s lambda e", positive=True)
    r = sp.sqrt(s**2 + lam**2 * x**2)
    slope = sp.diff((r - s * sp.atanh(s / r)) / lam, x)

    def expanded(pull: sp.Expr, noise: sp.Expr) -> sp.Expr:
        # F′ with λ and s scaled, to second order in e
        root = sp.sqrt(noise**2 + pull**2 * x**2)
        return sp.series(root / (pull * x), e, 0, 3).removeO()

    small = s / (e * lam * x) + e * lam * x / (2 * s)
    large = 1 + (e * s / (lam * x)) ** 2 / 2
    return [
        Residual("F′ = √(s² + λ²x²)/λx", sp.simplify(slope - r / (lam * x))),
        Residual("λx ≪ s: F′ = s/λx + λx/2s", sp.simplify(expanded(e * lam, s) - small)),
        Residual("λx ≫ s: F′ = 1 + s²/2λ²x²", sp.simplify(expanded(lam, e * s) - large)),
    ]


def simulated(system: str, b: int, dim: int, n_paths: int, seed: int) -> Estimate:
    """Simulate mean steps from ρ² = d to d/4, which is the same for each coordinate at any d."""
    return simulate_escape(
        Optimizer(eta=FLAT["eta"], lam=FLAT["lam"], batch_size=b),
        Geometry(rho_start=math.sqrt(dim), rho_core=math.sqrt(dim / 4), dim=dim),
        IsotropicNoise(FLAT["sigma"]),
        system=system,
        n_paths=n_paths,
        max_steps=100_000,
        seed=seed,
    ).mean


def steps_by(law, b: float, dim: int = DIM, **more: float) -> float:
    """Steps by `law` for the example at batch size b."""
    return law(dim, dim / 4, dim=dim, batch_size=b, **FLAT, **more)


def order_in_d(law, b: int, seed: int) -> Comparison:
    """Exponent of the law's error in d, from d = 8 to 32; allowed is the next term, 1/8."""
    off = []
    for d in (SMALL, 4 * SMALL):
        mean, expected = simulated("reduced", b, d, ORDER_PATHS, seed), steps_by(law, b, d)
        off.append(Estimate(mean.value / expected - 1, mean.stderr / expected))
    (low, low_error), (high, high_error) = off
    slope = math.log(high / low) / math.log(4) if low * high > 0 else math.nan
    stderr = math.hypot(low_error / low, high_error / high) / math.log(4)
    what = f"exponent of the error in d, b = {b}"
    return Comparison(what, Estimate(slope, stderr), Estimate(-1.0), 1 / SMALL)


def check(law=direction_averaged_steps, *, seed: int = 0) -> Verdict:
    """Check F, and `law` against the reduced rung; the matched law where noise counts, too.

    Allowed are the floor, which is the matched law's part, and 1/d: fluctuations of the direction
    have a coefficient of order 1.
    """
    points = {
        system: [
            simulated(system, b, DIM, paths.get(b, FEW), seed + i) for i, b in enumerate(BATCHES)
        ]
        for system, paths in (("reduced", COMPARED), ("discrete", {}))
    }
    reduced = dict(zip(BATCHES, points["reduced"], strict=True))
    numeric = []
    for b in COMPARED:
        floor = abs(steps_by(matched_steps, b) / steps_by(direction_averaged_steps, b) - 1)
        expected = Estimate(steps_by(law, b))
        numeric.append(Comparison(f"reduced, b = {b}", reduced[b], expected, floor + 1 / DIM))
    matched = Estimate(steps_by(matched_steps, NOISY))
    what = f"matched law, reduced, b = {NOISY}"
    numeric.append(Comparison(what, reduced[NOISY], matched, 1 / DIM))
    numeric.append(order_in_d(law, 10_000, seed + 20))

    def off(b: int, mean: Estimate) -> Estimate:
        ratio = steps_by(law, b) / mean.value
        return Estimate(ratio - 1, ratio * mean.stderr / mean.value)

    validity = "; ".join(
        f"{system} rung {within('b', BATCHES, list(map(off, BATCHES, means)))}"
        for system, means in points.items()
    )
    return Verdict(CLAIM, "derived", algebra(), numeric, validity, {"law": law, "points": points})


def figure(data) -> Figure:
    """Mean steps over batch size, and the same over the matched law."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    b = np.geomspace(30, 1e6, 40)
    leading = [leading_law(DIM, DIM / 4, gamma=FLAT["lam"] * math.sqrt(x)) / FLAT["eta"] for x in b]
    matched = np.array([steps_by(matched_steps, x) for x in b])
    curves = {
        "leading law": (leading, ":"),
        "direction-averaged law": ([steps_by(data["law"], x) for x in b], "-"),
        "matched law": (matched, "--"),
        "mean-field law": (
            [steps_by(mean_field_steps, x, beta1=0.9, beta2=0.999) for x in b],
            "-.",
        ),
    }
    fig = Figure(figsize=(7.2, 3.2))
    left, right = fig.subplots(1, 2)
    for (name, (steps, line)), color in zip(curves.items(), ("0.5", "C0", "C2", "C1"), strict=True):
        left.plot(b, steps, line, color=color, label=name)
        right.plot(b, steps / matched, line, color=color)
    over = [steps_by(matched_steps, x) for x in BATCHES]
    for (name, means), (mark, color) in zip(
        data["points"].items(), (("o", "C0"), ("s", "C1")), strict=True
    ):
        value, stderr = np.array(means).T
        style = {"fmt": mark, "color": color, "mfc": "white", "zorder": 3}
        left.errorbar(BATCHES, value, stderr, label=f"simulated, {name}", **style)
        right.errorbar(BATCHES, value / over, stderr / over, **style)
    left.set(yscale="log", ylabel="mean passage time (steps)", ylim=(500, 2e4))
    right.set(ylabel="time / matched law", ylim=(0.8, 1.35))
    for axes in (left, right):
        axes.set(xscale="log", xlabel="batch size $b$ (examples)")
    left.legend()
    return fig


if __name__ == "__main__":
    raise SystemExit(report(check()))
