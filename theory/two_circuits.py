"""Claim two-circuits: a memorizing and a generalizing circuit, with noise that follows the residual, have the collapse.

The landscape is `sde_grok.landscapes.two_circuits`: blocks m and g of d_m and d_g coordinates share the
margin z = a_m ρ_m^h + a_g ρ_g^h of the training examples, a_m < a_g, and that of the test is
−κ ρ_m^h + a_g ρ_g^h; L = ln(1 + e^{−z}) and Σ = r(z)² diag(σᵢ²), r the residual, with σᵢ that are
lognormal within each block.
Paths of the joint rung start on a small sphere, in which g has few coordinates and so little weight;
they memorize, swell, and shrink to the core while the weight moves from m to g.

Once g rests, its residual is r = λ/(h a_g ρ_g^{h−2}), in proportion to λ. What is left of the
shrinkage on m is λΔθ, Δ = 1 − (a_m/a_g)(ρ_m/ρ_g)^{h−2}, and its coordinates shrink at the rate

    η λΔ/√(λ²Δ²θ² + v),

with v between that of now, r²σ²/b ∝ λ²/b, and that of a larger residual a memory 1/(1−β₂) ago. With
v = r²σ²/b λ drops out: the fall hardly depends on it, and goes as b^½ at most, less where steps are
sign-like. With a v that the loss has left behind, which λ does not enter, it goes as λ b^½. So the
exponent of the delay in λ lies between 0 and −1, and that in b between 0 and −½, each about half-way
here; as √v at the core lags the more the quicker the fall is, it grows with η, and less than as λ.

Exponents are fitted to a grid of (η, λ, b) as they are to networks: of the delay over the logarithm
within 0.1, of √v at the core and of the speed of the fall in λ within 0.2. The parameters of the
landscape were searched for, so that this shows that the law can come about so, not that it must; with
them the delays of cells of three tasks are predicted by one constant a task, for comparison.

Provenance: measured here, on the landscape; regularities of networks are from their runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sde_grok import DiagonalNoise, GrokkingResult, Landscape, Optimizer, simulate_grokking
from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.escape_times import Status
from sde_grok.landscapes import two_circuits
from sde_grok.laws import collapse_law, exponents
from sde_grok.noise import broad_noise
from sde_grok.results import Estimate
from sde_grok.runs.cells import Point
from sde_grok.runs.powers import PowerFit, fit_powers
from sde_grok.runs.reference import load_cells, load_z59_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "two-circuits"
DIMS, RHO_START = (52, 12), 0.521
TRAIN, KAPPA, DEGREE = (0.156, 3.44), 33.1, 2.546
SIGMAS, BREADTH = (4.02, 20.5), 2.25  # medians, and the deviation of ln σᵢ
LOSSES = {"train_loss": 0.0306, "test_loss": 0.392}
ETAS, LAMS, BATCHES = (3e-4, 1e-3, 3e-3), (0.00493, 0.01478, 0.0443), (100, 200, 400)
PATHS, LONGEST = 64, 60.0  # in units of 1/η
CLOSE = 0.1
CORE = {"eta": 0.0, "lam": -0.15, "batch_size": 0.0}  # exponents of ρ_G² of networks
CLOSE_CORE = 0.05

ROOT_V, FALL_SPEED = {"eta": 0.65, "lam": 0.8, "batch_size": -0.35}, {"lam": 0.13}  # of networks
ROUGH = 0.2
TASKS = {"z127": ("Z127", 1e-4), "z59": ("Z59", 3e-4), "s5": ("S5", 1e-4)}  # and the middle λ
FEW = 16  # paths of a cell of networks
STAGES = (
    *("T_mem", "delay", "delay/ln", "ρ² at the peak", "ρ_G²", "√v at the core"),
    "speed of the fall",
)
Array = NDArray[np.float64]
Cells = Mapping[Point, GrokkingResult]


class Fits(NamedTuple):
    """Exponents of what was simulated."""

    memorized: PowerFit
    delay: PowerFit
    over_log: PowerFit
    peak: PowerFit
    core: PowerFit
    root_v: PowerFit
    fall: PowerFit


def landscape() -> tuple[Landscape, DiagonalNoise]:
    """The circuits, and σᵢ."""
    each = broad_noise(sum(DIMS), sigma=1.0, spread=BREADTH).sigmas
    rates = {"rate_memorizing": TRAIN[0], "rate_generalizing": TRAIN[1], "mislead": KAPPA}
    circuits = two_circuits(*DIMS, **rates, degree=DEGREE, noise="residual")
    return circuits, DiagonalNoise(np.repeat(SIGMAS, DIMS) * each)


@cache
def simulated(system: Any, seed: int) -> Cells:
    """The grid of cells; every path of it generalizes."""
    field, noise = landscape()
    found = {}
    for at in itertools.starmap(Point, itertools.product(ETAS, LAMS, BATCHES)):
        found[at] = at_point(at, field, noise, system, PATHS, seed)
    return found


def at_point(at: Point, field: Landscape, noise: DiagonalNoise, system, paths: int, seed: int):
    """Simulate one cell."""
    return simulate_grokking(
        Optimizer(eta=at.eta, lam=at.lam, batch_size=int(at.batch_size)),
        noise,
        field,
        rho_start=RHO_START,
        dim=sum(DIMS),
        system=system,
        n_paths=paths,
        max_steps=int(LONGEST / at.eta),
        seed=seed,
        **LOSSES,
    )


@cache
def errors_on_networks(seed: int) -> dict[str, float]:
    """Mean relative error of the cells' delays, with one constant a task, and λ in units of its middle."""
    field, noise = landscape()
    found = {}
    for task, (name, middle) in TASKS.items():
        ratios = []
        for cell in [*load_cells(), *load_cells(load_z59_runs())]:
            within = cell.lam <= middle * LAMS[-1] / LAMS[1] * 1.1
            if cell.task != task or cell.decay != "coupled" or not within:
                continue
            at = Point(cell.eta, cell.lam / middle * LAMS[1], cell.batch_size)
            paths = at_point(at, field, noise, "joint", FEW, seed)
            ratios.append(float(np.mean(cell.delays)) / paths.delay.mean.value)
        x = np.array(ratios)
        found[name] = float(np.mean(np.abs(np.median(x) / x - 1)))
    return found


def fits(cells: Cells) -> Fits:
    """Fit the exponents to means over paths."""
    factors = dict(zip(Point._fields, zip(*cells, strict=True), strict=True))

    def fit(value: Any) -> PowerFit:
        return fit_powers([value(result) for result in cells.values()], factors)

    return Fits(
        memorized=fit(lambda r: r.memorized.steps.mean()),
        delay=fit(lambda r: r.delay.steps.mean()),
        over_log=fit(lambda r: r.delay.steps.mean() / log_ratio(r)),
        peak=fit(lambda r: r.peak.rho2.mean()),
        core=fit(lambda r: r.generalized.rho2.mean()),
        root_v=fit(lambda r: r.generalized.root_v.mean()),
        fall=fit(speed_of_fall),
    )


def speed_of_fall(result: GrokkingResult) -> float:
    """Mean loss of ρ² a step from the peak of the norm to generalization."""
    peak, core = result.peak, result.generalized
    return float((peak.rho2 - core.rho2).mean() / (core.steps - peak.steps).mean())


def log_ratio(result: GrokkingResult) -> float:
    """ln(ρ_M²/ρ_G²) of the means."""
    return math.log(result.memorized.rho2.mean() / result.generalized.rho2.mean())


def in_between() -> list[Residual]:
    """Balance of g, and exponents of the rate at which m shrinks, for v of now and v of before."""
    lam, b, sigma, theta, h, a_m, a_g = sp.symbols("lambda b sigma theta h a_m a_g", positive=True)
    rho_m, rho_g, r, v = sp.symbols("rho_m rho_g r v", positive=True)
    balance = sp.solve(r * h * a_g * rho_g ** (h - 2) - lam, r)[0]
    left = lam - balance * h * a_m * rho_m ** (h - 2)
    delta = 1 - a_m / a_g * (rho_m / rho_g) ** (h - 2)
    share = sp.symbols("Delta", positive=True)
    rate = lam * share / sp.sqrt((lam * share * theta) ** 2 + v)
    now = rate.subs(v, balance**2 * sigma**2 / b)
    before = rate.subs(v, r**2 * sigma**2 / b)
    expanded = sp.expand_power_base(left / lam - delta, force=True)

    def exponent(of: sp.Expr, name: sp.Symbol) -> sp.Expr:
        return sp.simplify(name * sp.log(of).diff(name))

    return [
        Residual("what is left of the shrinkage of m is λΔ", sp.simplify(expanded)),
        Residual("with v of now λ drops out", exponent(now, lam)),
        Residual(
            "with much noise of now, b^½", sp.limit(exponent(now, b), b, 0) - sp.Rational(1, 2)
        ),
        Residual("with v of before, λ", sp.limit(exponent(before, lam), b, 0) - 1),
        Residual("and b^½", sp.limit(exponent(before, b), b, 0) - sp.Rational(1, 2)),
        Residual("sign-like steps see neither", sp.limit(exponent(before, lam), b, sp.oo)),
    ]


def compared(system: str, found: Fits, expected: Mapping[str, float]) -> list[Comparison]:
    """Exponents of the delay over the logarithm, and of the core, beside those of networks."""
    cases: list[tuple[str, PowerFit, Mapping[str, float], float]] = [
        ("τ/ln(ρ_M²/ρ_G²)", found.over_log, expected, CLOSE),
        ("ρ_G²", found.core, CORE, CLOSE_CORE),
        ("√v at the core", found.root_v, ROOT_V, ROUGH),
        ("speed of the fall", found.fall, FALL_SPEED, ROUGH),
    ]
    return [
        Comparison(
            f"{what}, {system} rung: exponent of {axis}",
            fit.exponent(axis),
            Estimate(of[axis]),
            allowed=close / (abs(of[axis]) or 1.0),
            claimed=True,
            freedom=fit.freedom,
        )
        for what, fit, of, close in cases
        for axis in of
    ]


def check(law=collapse_law, *, seed: int = 0) -> Verdict:
    """Check the algebra, and the exponents of `law` on the landscape, by two rungs."""
    point = {"eta": 1e-3, "lam": 0.01478, "batch_size": 200, "constant": 1.0}
    radii = {"rho2_start": 2.0, "rho2_core": 1.0}
    expected = exponents(law, {**radii, **point})._asdict()
    value = law(*radii.values(), **point)
    by_hand = math.log(2) / (1e-3 * math.sqrt(0.01478 * math.sqrt(200)))
    what = "law, ρ² 2 → 1, C = 1, in steps"
    numeric = [Comparison(what, Estimate(value), Estimate(by_hand), allowed=1e-12)]
    cells = {system: simulated(system, seed) for system in ("joint", "discrete")}
    found = {system: fits(of) for system, of in cells.items()}
    for system, of in found.items():
        numeric += compared(system, of, expected)
    ended = [np.mean(r.status == Status.HIT) for of in cells.values() for r in of.values()]
    everyone = Estimate(float(np.mean(ended)))
    numeric.append(Comparison("paths that memorize and generalize", everyone, Estimate(1.0)))
    words = in_words(cells["joint"], found["joint"])
    off = ", ".join(f"{name} {error:.0%}" for name, error in errors_on_networks(seed).items())
    words += f"; mean error of networks' delays with one constant a task: {off}"
    return Verdict(CLAIM, "measured", in_between(), numeric, words, {"cells": cells["joint"]})


def in_words(cells: Cells, found: Fits) -> str:
    """How the stages go, and their exponents."""
    middle = cells[Point(ETAS[1], LAMS[1], BATCHES[1])]
    stages = [middle.memorized, middle.peak, middle.generalized]
    path = ", ".join(f"ρ² = {s.rho2.mean():.3g} at {s.steps.mean():.3g} steps" for s in stages)
    shown = "; ".join(
        f"{name} " + " ".join(f"{float(e):+.2f}" for e in fit.exponents)
        for name, fit in zip(
            STAGES,
            found,
            strict=True,
        )
    )
    return f"memorized, peak, generalized in the middle cell: {path}; exponents of η, λ, b: {shown}"


def figure(data: Mapping[str, Any]) -> Figure:
    """Radii of the stages by λ, and the delay over the law's by cell."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    cells: Cells = data["cells"]
    figure = Figure(figsize=(6.8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for n, lam in enumerate(LAMS):
        result = cells[Point(ETAS[1], lam, BATCHES[1])]
        stages = [result.memorized, result.peak, result.generalized]
        steps, rho2 = ([getattr(s, name).mean() for s in stages] for name in ("steps", "rho2"))
        left.plot(steps, rho2, "o-", color=f"C{n}", label=rf"$\lambda = {lam:g}$")
        law = [
            collapse_law(2.0, 1.0, **at._asdict(), constant=1.0) for at in cells if at.lam == lam
        ]
        seen = [r.delay.steps.mean() / log_ratio(r) for at, r in cells.items() if at.lam == lam]
        right.loglog(np.array(law) / math.log(2), seen, "o", color=f"C{n}", mfc="none")
    left.set(xlabel="steps", ylabel=r"$\rho^2$", title="memorized, largest, generalized")
    left.legend()
    ends = np.array(right.get_xlim())
    steps = np.array([r.delay.steps.mean() / log_ratio(r) for r in cells.values()])
    laws = np.array([collapse_law(math.e, 1.0, **at._asdict(), constant=1.0) for at in cells])
    right.plot(ends, ends * np.exp(np.mean(np.log(steps / laws))), color="0.6", lw=0.8)
    right.set(
        xlabel=r"$\eta^{-1}\lambda^{-1/2}b^{-1/4}$, steps",
        ylabel=r"$\tau/\ln(\rho_M^2/\rho_G^2)$, steps",
    )
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
