"""Claim eta-over-b: the memorization radius depends on η and b by η/b alone, and falls as e^{−O(λ)}.

Theorem 1 expands ρ_M² in η/b. In t = kη the reduced rung is dθ = −P⁻¹h dt + √(η/b) P⁻¹Σ^{1/2} dW,
P = √(h² + diag Σ/b): b stands in P, too. Where noise makes all of P, P = σ/√b, time in units of 1/P
leaves

    dθ = −h dt′ + √(ησ/√b) dW′,

so that η/√b is the only combination, ε in the expansion

    ρ_M² = (ρ_M⁽⁰⁾)² + ε c₁ + ε² c₂ + …,   ε = ησ/√b.

Here n of d directions have the loss ½|x|², d − n have none, and a path has memorized at |x|² = X_M
(`sde_grok.laws.quadratic_memorization_radius`, averaged over starts that are uniform on a sphere).
Discrete Adam and its joint SDE are held against it over η/b, in one landscape with a U and in one
without. Pairs with equal η/b and with equal η/√b say which of them matters.

On two circuits that share a margin, with noise that follows the loss, ρ_M² is fitted as a power of η
and of b over four decades of b: by η/b alone, the exponents would add up to 0. There is no U in b: ρ_M²
grows from noise-dominated to sign-like steps, which is P, and no diffusion. The slope of ln ρ_M² in λ
is compared between three decades of λ. Measured networks (Z59) are fitted likewise.

Provenance: claimed by arXiv 2606.30388 (as reported second-hand); η/√b is derived.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sde_grok import (
    Geometry,
    IsotropicNoise,
    LongEscapeWarning,
    Optimizer,
    simulate_escape,
    simulate_grokking,
)
from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.landscapes import circuits, quadratic
from sde_grok.laws import quadratic_memorization_radius
from sde_grok.results import Estimate
from sde_grok.runs.powers import PowerFit, fit_powers
from sde_grok.runs.reference import load_cells, load_z59_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "eta-over-b"
SIGMA, PATHS = 100.0, 128
LONGEST = 400.0  # in units of the contraction time s/η


class Bowl(NamedTuple):
    """Loss ½|x|² in n of d directions, memorized at |x|² = `x2_core`; starts have ρ² = `rho2`."""

    n: int
    d: int
    x2_core: float
    rho2: float
    lam: float


class Point(NamedTuple):
    """Where to simulate."""

    eta: float
    batch_size: int


BOWLS = {
    "monotone": Bowl(n=16, d=64, x2_core=1.0, rho2=64.0, lam=0.1),
    "U-shaped": Bowl(n=56, d=64, x2_core=2.0, rho2=73.0, lam=0.3),
}
POINTS = [
    *(Point(1e-2, 36), Point(1e-2, 100), Point(2e-3, 4), Point(2e-3, 16), Point(2e-3, 100)),
    *(Point(1e-3, 10),),
]
SAME_RATIO = [(Point(1e-2, 100), Point(1e-3, 10))]
SAME_EPS = [(Point(1e-2, 100), Point(2e-3, 4))]

# Two circuits, degree h, noise as the loss.
DIMS, RATES, DEGREE = (56, 8), (0.32, 9.3), 2.5
ETAS, BATCHES = (3e-4, 1e-3, 3e-3), (1, 10, 100, 1000, 10_000)
LITTLE = 0.11  # of ησ/√b, for the series
LAMS = (1e-4, 1e-3, 1e-2, 1e-1)
LINEAR = (
    0.1  # part by which slopes of ln ρ_M² in λ may differ: λ up to a tenth of the residual's pull
)

Array = NDArray[np.float64]


def preconditioner(point: Point) -> float:
    """S = σ/√b."""
    return SIGMA / math.sqrt(point.batch_size)


@cache
def starts(bowl: Bowl, seed: int) -> Array:
    """|x|² of each path at its start, which is a function of the seed alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LongEscapeWarning)  # one step, of a length of nothing
        paths = simulate_escape(
            Optimizer(eta=1e-12, batch_size=1, lam=0.0),
            Geometry(rho_start=math.sqrt(bowl.rho2), rho_core=1e-6, dim=bowl.d),
            IsotropicNoise(1.0),
            system="discrete",
            n_paths=PATHS,
            max_steps=1,
            seed=seed,
            keep_end_state=True,
        )
    return np.asarray((paths.end_state["theta"][:, : bowl.n] ** 2).sum(axis=1))


def expected(law, bowl: Bowl, point: Point, x2: Array) -> Array:
    """E ρ_M² of each path, given its start."""
    s = preconditioner(point)
    return np.asarray(
        law(
            x2,
            bowl.x2_core,
            y2_start=bowl.rho2 - x2,
            fitted_dim=bowl.n,
            dim=bowl.d,
            fitted_rate=(1 + bowl.lam) / s,
            gamma=bowl.lam / s,
            noise=(SIGMA / s) ** 2,
            eta=point.eta,
            batch_size=point.batch_size,
        )
    )


def coefficients(law, bowl: Bowl, seen: Mapping[Point, Array], x2: Array) -> str:
    """c₁ and c₂ fitted to what noise adds to ρ_M², beside those of the same fit to the law."""
    points = [p for p in seen if eps(p) <= LITTLE]
    free = expected(law, bowl, Point(1e-9, 1), x2)  # as good as no noise
    added = [mean(seen[p] - free) for p in points]
    of_law = np.array([expected(law, bowl, p, x2).mean() - free.mean() for p in points])
    x = np.array([[eps(p), eps(p) ** 2] for p in points])
    weight = 1 / np.array([a.stderr for a in added])
    fit = np.linalg.pinv(weight[:, None] * x) * weight
    error = np.sqrt(np.diag(np.linalg.inv((weight[:, None] * x).T @ (weight[:, None] * x))))
    found = zip(fit @ np.array([a.value for a in added]), error, fit @ of_law, strict=True)
    return ", ".join(
        f"{name} {Estimate(float(value), float(stderr))} ({float(of):.3g} by the law)"
        for name, (value, stderr, of) in zip(("c₁", "c₂"), found, strict=True)
    )


def curve(law, bowl: Bowl, x2: Array) -> dict[str, Array]:
    """The law by ησ/√b, averaged over every eighth start by size, in units of time in which s = 1."""
    x2 = np.sort(x2)[4::8]
    noise = np.array([0.0, *np.geomspace(2e-3, 0.25, 24)])
    rho2 = law(
        x2[:, None],
        bowl.x2_core,
        y2_start=bowl.rho2 - x2[:, None],
        fitted_dim=bowl.n,
        dim=bowl.d,
        fitted_rate=1 + bowl.lam,
        gamma=bowl.lam,
        noise=1.0,
        eta=noise,
        batch_size=1,
    )
    return {"eps": noise, "rho2": np.asarray(rho2).mean(axis=0)}


@cache
def simulated(bowl: Bowl, point: Point, system: Any, seed: int) -> Array:
    """ρ_M² of each path."""
    threshold = bowl.x2_core / 2
    found = simulate_grokking(
        Optimizer(eta=point.eta, batch_size=point.batch_size, lam=bowl.lam),
        IsotropicNoise(SIGMA),
        quadratic([1.0] * bowl.n + [0.0] * (bowl.d - bowl.n)),
        rho_start=math.sqrt(bowl.rho2),
        dim=bowl.d,
        train_loss=threshold,
        test_loss=threshold,
        system=system,
        n_paths=PATHS,
        max_steps=int(LONGEST * preconditioner(point) / point.eta),
        seed=seed,
    )
    return found.memorized.rho2


def mean(values: Array) -> Estimate:
    """Mean over paths with its error."""
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size))


def momentum(bowl: Bowl, point: Point) -> float:
    """Part of the contraction that momentum remembers, which the law leaves out."""
    return 1.5 * point.eta * (1 + bowl.lam) / preconditioner(point) / (1 - 0.9)


def on_bowls(law, seed: int) -> tuple[list[Comparison], list[Mapping[str, float]], str]:
    """ρ_M² beside the law, and of pairs beside each other; rows, and the series in words."""
    numeric, table, words = [], [], []
    for name, bowl in BOWLS.items():
        x2 = starts(bowl, seed)
        seen = {}
        both = [*(("joint", p) for p in POINTS[::2]), *(("discrete", p) for p in POINTS)]
        for system, point in both:
            seen[system, point] = found = simulated(bowl, point, system, seed)
            of_law = expected(law, bowl, point, x2)
            scale = float(of_law.mean())
            off = mean(found - of_law)
            numeric.append(
                Comparison(
                    f"ρ_M², {name}, {system} rung, η = {point.eta:g}, b = {point.batch_size}",
                    Estimate(scale + off.value, off.stderr),
                    Estimate(scale),
                    allowed=momentum(bowl, point),
                )
            )
            if system == "discrete":
                row = {"n": bowl.n, "eta": point.eta, "batch_size": point.batch_size}
                table.append({**row, "rho2_mem": float(found.mean()), "law": scale})
        of_adam = {point: seen["discrete", point] for point in POINTS}
        words.append(f"{name} {coefficients(law, bowl, of_adam, x2)}")
        for what, pairs in (("η/b", SAME_RATIO), ("η/√b", SAME_EPS)):
            for one, other in pairs:
                ratio = mean(seen["discrete", one] - seen["discrete", other])
                base = float(seen["discrete", other].mean())
                where = " and ".join(f"({p.eta:g}, {p.batch_size})" for p in (one, other))
                numeric.append(
                    Comparison(
                        f"ρ_M², {name}, of (η, b) = {where} with the same {what}",
                        Estimate(ratio.value / base + 1, ratio.stderr / base),
                        Estimate(1.0),
                        allowed=momentum(bowl, one) + momentum(bowl, other),
                        claimed=what == "η/b",
                    )
                )
    return numeric, table, "; ".join(words)


@cache
def on_circuits(eta: float, batch_size: int, lam: float, seed: int) -> Array:
    """ρ_M² of paths of two circuits, from a small start, on the joint rung."""
    found = simulate_grokking(
        Optimizer(eta=eta, batch_size=batch_size, lam=lam),
        IsotropicNoise(5.0),
        circuits(DIMS, RATES, (-10.6, RATES[1]), degree=DEGREE, noise="loss"),
        rho_start=0.81,
        dim=sum(DIMS),
        train_loss=0.02,
        test_loss=1e9,  # met at once
        system="joint",
        n_paths=PATHS,
        max_steps=int(20 / eta),
        seed=seed,
    )
    return found.memorized.rho2


def together(what: str, fit: PowerFit, *, allowed: float) -> Comparison:
    """Sum of the exponents of η and b, which is 0 if η/b is all that matters."""
    both = fit.combination(eta=1.0, batch_size=1.0)
    name = f"ρ_M², {what}: exponents of η and b together"
    return Comparison(name, both, Estimate(0.0), allowed, claimed=True, freedom=fit.freedom)


def of_networks() -> PowerFit:
    """Exponents of ρ_M² of networks on Z59, coupled shrinkage."""
    cells = [c for c in load_cells(load_z59_runs()) if c.decay == "coupled"]
    cells = [c for c in cells if math.isfinite(c.rho2_mem)]
    names = ("eta", "lam", "batch_size")
    factors = {name: [getattr(c, name) for c in cells] for name in names}
    return fit_powers([c.rho2_mem for c in cells], factors)


def slopes(seed: int) -> list[Comparison]:
    """Slope of ln ρ_M² in λ of the same paths, decade by decade, beside that of the last."""
    logs = [np.log(on_circuits(1e-3, 200, lam, seed)) for lam in LAMS]
    found = [mean(np.diff(logs, axis=0)[k] / np.diff(LAMS)[k]) for k in range(len(LAMS) - 1)]
    return [
        Comparison(
            f"d ln ρ_M²/dλ, two circuits, λ = {low:g} … {10 * low:g}",
            slope,
            found[-1],
            allowed=LINEAR,
            claimed=True,
        )
        for low, slope in zip(LAMS, found[:-1], strict=False)
    ]


def slope_of_networks() -> Comparison:
    """The same of networks: below over above the middle λ, over cells (η, b) that have all three.

    A power of λ would have more than 3, as the intervals are 1e-4 … 3e-4 … 1e-3, or a third of it.
    """
    ratios = []
    for task, cells in (("z127", load_cells()), ("z59", load_cells(load_z59_runs()))):
        seen = {(c.eta, c.batch_size, c.lam): c.rho2_mem for c in cells if c.task == task}
        lams = [1e-4, 3e-4, 1e-3] if task == "z59" else [3e-5, 1e-4, 3e-4]
        for eta, b in sorted({key[:2] for key in seen}):
            logs = [math.log(seen.get((eta, b, lam), math.nan)) for lam in lams]
            below, above = np.diff(logs) / np.diff(lams)
            ratios.append(below / above)
    known = np.array([r for r in ratios if math.isfinite(r)])
    return Comparison(
        "d ln ρ_M²/dλ at small λ over that at larger, networks",
        mean(known),
        Estimate(1.0),
        allowed=LINEAR,
        claimed=True,
        freedom=known.size - 1,
    )


def scaling() -> list[Residual]:
    """What is left of η and b once time is in units of 1/P, for P = σ/√b."""
    h, eta, b, sigma = sp.symbols("h eta b sigma", positive=True)
    P = sigma / sp.sqrt(b)
    drift, diffusion = h / P, eta / b * sigma**2 / P**2  # per unit of t
    return [
        Residual("dt′ = dt/P: the drift is h", sp.simplify(drift * P - h)),
        Residual("the diffusion is ησ/√b", sp.simplify(diffusion * P - eta * sigma / sp.sqrt(b))),
        Residual(
            "with P of one of b, as SGD has it, it is ησ²/b",
            sp.simplify(eta / b * sigma**2 - (diffusion * P**2)),
        ),
    ]


def check(law=quadratic_memorization_radius, *, seed: int = 0) -> Verdict:
    """Check the algebra, ρ_M² on the bowls, on two circuits and of networks."""
    numeric, table, series = on_bowls(law, seed)
    grid = list(itertools.product(ETAS, BATCHES))
    rho2 = [float(on_circuits(eta, b, 0.0024, seed).mean()) for eta, b in grid]
    circuit = fit_powers(rho2, {"eta": [e for e, _ in grid], "batch_size": [b for _, b in grid]})
    networks = of_networks()
    numeric += [
        together("two circuits, joint rung", circuit, allowed=0.02),
        together("networks, Z59", networks, allowed=0.02),
        *slopes(seed),
        slope_of_networks(),
    ]
    words = f"{in_words(circuit, networks)}; ρ_M² by ησ/√b: {series}"
    data = {
        "table": table,
        "curves": {name: curve(law, of, starts(of, seed)) for name, of in BOWLS.items()},
    }
    return Verdict(CLAIM, "claimed", scaling(), numeric, words, data, table)


def in_words(circuit: PowerFit, networks: PowerFit) -> str:
    """Exponents of ρ_M²."""

    def shown(fit: PowerFit) -> str:
        each = ((name, fit.exponent(name)) for name in fit.names)
        return ", ".join(f"{name} {e.value:+.3f} ± {e.stderr:.3f}" for name, e in each)

    return (
        f"ησ/√b from {min(map(eps, POINTS)):.2g} to {max(map(eps, POINTS)):.2g}; exponents of "
        f"ρ_M², two circuits: {shown(circuit)}; networks on Z59: {shown(networks)}"
    )


def eps(point: Point) -> float:
    """The noise that is left, ησ/√b."""
    return point.eta * preconditioner(point)


def figure(data: Mapping[str, Any]) -> Figure:
    """ρ_M² of discrete Adam against η/b and against η/√b, with the law."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.8, 2.8), layout="constrained")
    by_ratio, by_eps = figure.subplots(1, 2, sharey=True)
    for n, (name, bowl) in enumerate(BOWLS.items()):
        rows = [row for row in data["table"] if row["n"] == bowl.n]
        law = data["curves"][name]
        by_eps.plot(law["eps"], law["rho2"] / law["rho2"][0], color=f"C{n}", lw=0.8)
        for row in rows:
            at = Point(row["eta"], int(row["batch_size"]))
            marker = dict(zip((1e-2, 2e-3, 1e-3), "os^", strict=True))[at.eta]
            label = rf"{name}, $\eta = {at.eta:g}$"
            for axes, x in ((by_ratio, at.eta / at.batch_size), (by_eps, eps(at))):
                known = label in axes.get_legend_handles_labels()[1]
                y = row["rho2_mem"] / law["rho2"][0]
                axes.plot(x, y, marker, color=f"C{n}", mfc="none", label=None if known else label)
    by_ratio.set(
        xlim=(1e-5, 1e-3),
        xscale="log",
        xlabel=r"$\eta/b$",
        ylabel=r"$\rho_M^2$ over that without noise",
    )
    by_eps.set(xscale="log", xlabel=r"$\eta\sigma/\sqrt{b}$ (line: law)")
    by_ratio.legend(fontsize="x-small", loc="upper left")
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
