"""Claim pinned-norm: held at ρ times the norm at which it groks, a network groks after a time ∝ e^{αρ}.

With the norm pinned at R = ρ ρ_G, arXiv 2606.13753 has T ∝ e^{αρ}, α = 7.5 (R² = .996), an exponent of
η between −.57 and −.25, and a coefficient of variation of .08 between seeds, where an escape over one
barrier, which has no memory, would have 1. Here the same is done to two circuits (see
`sde_grok.landscapes.circuits`) with L = e^{−z}, z = a_m ρ_m^h + a_g ρ_g^h, h = 2. On the sphere weight can
only rotate from m to g. Where the noise s = σ f/√b decides Adam's steps, shrinkage λ drops out, and the
angle φ, tan φ = ρ_g/ρ_m, diffuses by itself in t = kη, with r = e^{−z}:

    dφ = sin φ cos φ h (r/s) (a_g ρ_g^{h−2} − a_m ρ_m^{h−2}) dt
       + η/(2R²) [(d_g − 1) cot φ − (d_m − 1) tan φ] dt + √η/R dB.

Mean and variation of T follow by two integrations (`passage`). While the first term leads, s ∝ r^w has

    d ln T/d ln R = (1−w) h u − (h−2)    at fixed φ,    u = z there:

w = 0 is constant noise, ½ noise that follows the loss, 1 noise that follows the residual. α is set by u,
which can be chosen: for w = 0 it is −2/κ at ρ = 1, if the core goes as ρ_G² ∝ λ^κ (coupled shrinkage).
The second term, drag to where most coordinates are, ends this at about T = R²/(dη²) steps: from there on
the passage is over a barrier, without memory.

Both v and the loss fall on the way. While v lags behind, √v falls by κ₂/2 a step, κ₂ = 1 − β₂, and

    T = (2/κ₂) ln(1 + y),    y ∝ s/(ηr):

the exponent of η, and with it α, is smaller by the factor y/((1+y) ln(1+y)).

The three kinds share one landscape, and their noise where g rests, at the margin u₀ of the free path with
constant noise; shrinkage is decoupled, as in the paper. α is fitted to the medians of all η with one
constant each, where half of the paths or more grok, the exponent of η with one constant for each ρ. The
variation is that of d = 64: with R² ∝ d and the same steps it goes as d^−½.

Provenance: claimed by arXiv 2606.13753, as recomputed from its data, for networks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq

from sde_grok import IsotropicNoise, Optimizer, simulate_grokking
from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.escape_times import EscapeTimes
from sde_grok.landscapes import circuits
from sde_grok.laws import pinned_norm_law
from sde_grok.results import Estimate
from sde_grok.runs.powers import least_squares

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "pinned-norm"
DIMS, TRAIN, KAPPA, DEGREE = (32, 32), (1.0, 3.0), 10.0, 2.0
LOSSES = {"train_loss": 0.1, "test_loss": 0.1}
MARGIN, DEVIATION, BATCH = 4.0, 0.07, 100  # u₀, and s = σ/√b there
FALL = {"constant": 0.0, "loss": 0.5, "residual": 1.0}  # w
ETAS, RHOS = (3e-4, 1e-3, 3e-3), (1.0, 1.15, 1.3, 1.45, 1.6)
START, PATHS, LONGEST = 0.5, 64, 15.0  # of a free path; the longest in units of 1/η
LINE, ETA_EXPONENT, SPREAD = 0.996, (-0.57, -0.25), 0.08  # as published
CLOSE, CLOSE_LINE, CLOSE_SPREAD = 0.1, 0.01, 0.25
CLOSE_PASSAGE = 0.05
POINTS = 2000  # of the angle

Array = NDArray[np.float64]


class Cell(NamedTuple):
    """A kind of noise, a learning rate and a norm in units of ρ_G."""

    kind: str
    eta: float
    rho: float


class Line(NamedTuple):
    """What is fitted to the medians of one kind of noise."""

    alpha: Estimate
    alpha_freedom: int
    r2: float
    exponent: Estimate
    exponent_freedom: int


def optimizer(eta: float, *, beta2: float = 0.999) -> Optimizer:
    """AdamW whose shrinkage balances the loss where z = u₀, all of it in g, and s = DEVIATION."""
    lam = DEGREE * TRAIN[1] * math.exp(-MARGIN) / DEVIATION  # h = 2: whatever the radius
    return Optimizer(eta=eta, lam=lam, batch_size=BATCH, beta2=beta2, decay="decoupled")


def simulated(kind: str, rho_start: float, seed: int, with_: Optimizer, *, pinned: bool) -> Any:
    """Paths of the joint rung."""
    test = (-KAPPA, TRAIN[1])
    sigma = DEVIATION * math.sqrt(BATCH) * math.exp(FALL[kind] * MARGIN)
    return simulate_grokking(
        with_,
        IsotropicNoise(sigma),
        circuits(DIMS, TRAIN, test, degree=DEGREE, form="exponential", noise=kind),
        rho_start=rho_start,
        dim=sum(DIMS),
        system="joint",
        n_paths=PATHS,
        max_steps=int(LONGEST / with_.eta),
        seed=seed,
        pinned=pinned,
        **LOSSES,
    )


@cache
def critical_norm(seed: int) -> float:
    """ρ_G: the mean norm at which free paths with constant noise generalize."""
    free = simulated("constant", START, seed, optimizer(ETAS[1]), pinned=False)
    return float(np.sqrt(free.generalized.rho2).mean())


@cache
def pinned_times(norm: float, seed: int) -> dict[Cell, EscapeTimes]:
    """Times to generalization of all cells."""
    found = {}
    for at in itertools.starmap(Cell, itertools.product(FALL, ETAS, RHOS)):
        paths = simulated(at.kind, at.rho * norm, seed, optimizer(at.eta), pinned=True)
        found[at] = paths.times(paths.generalized)
    return found


def end_angle(radius: float) -> float:
    """Angle φ at which the test loss is low enough."""

    def missing(angle: float) -> float:
        m, g = radius * math.cos(angle), radius * math.sin(angle)
        return TRAIN[1] * g**DEGREE - KAPPA * m**DEGREE + math.log(LOSSES["test_loss"])

    return float(brentq(missing, 0, math.pi / 2))


def turning(kind: str, radius: float, angle: Array) -> Array:
    """Rotation dφ/dt by the loss, with the mean of 1/P over normal coordinates of a block."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    squares, weights = nodes**2, weights / weights.sum()
    norms = radius * np.array([np.cos(angle), np.sin(angle)])
    rates, dims = np.array(TRAIN)[:, None], np.array(DIMS)[:, None]
    z = np.sum(rates * norms**DEGREE, axis=0)
    s = DEVIATION * np.exp(FALL[kind] * (MARGIN - z))
    pull = np.exp(-z) * DEGREE * rates * norms ** (DEGREE - 2) / s  # d ln ρ_c/dt where s decides
    signal = ((pull * norms) ** 2 / dims)[..., None] * squares  # h²/s² of each coordinate
    pull = pull * np.sum(weights * squares / np.sqrt(1 + signal), axis=-1)
    return np.asarray(np.sin(angle) * np.cos(angle) * (pull[1] - pull[0]))


def passage(kind: str, eta: float, radius: float) -> tuple[float, float]:
    """Mean of T in steps and its coefficient of variation, where P has no memory.

    φ starts as a random direction has it, and diffuses: D T'' /2 + μ T' = −1, D = η²/R² a step.
    """
    edges = np.linspace(0, end_angle(radius), POINTS + 1)
    angle, width = (edges[1:] + edges[:-1]) / 2, edges[1]
    variance = (eta / radius) ** 2
    drag = (DIMS[1] - 1) / np.tan(angle) - (DIMS[0] - 1) * np.tan(angle)
    drift = eta * turning(kind, radius, angle) + variance / 2 * drag
    start = np.sin(angle) ** (DIMS[1] - 1) * np.cos(angle) ** (DIMS[0] - 1)
    start = start / start.sum()  # what starts beyond the end is rare
    mean = remaining(drift, variance, np.ones(POINTS), width)
    square = remaining(drift, variance, 2 * mean, width)
    first = float(start @ mean)
    return first, math.sqrt(float(start @ square) / first**2 - 1)


def remaining(drift: Array, variance: float, source: Array, width: float) -> Array:
    """Solve D T''/2 + μ T' = −source, T' = 0 at the first point, T = 0 at the last."""
    decay = np.exp(-2 * drift * width / variance)
    falls, fall = np.empty_like(drift), 0.0  # −T', exact for μ and source that are steps
    for n, (kept, push) in enumerate(zip(decay, drift, strict=True)):
        fall = fall * kept + source[n] * (1 - kept) / push
        falls[n] = fall
    return np.asarray(np.cumsum(falls[::-1])[::-1] * width)


def rotation() -> list[Residual]:
    """Shrinkage drops out of the angle; growth of T with the radius, and of the core's balance."""
    lam, a_m, a_g, h, s, w = sp.symbols("lambda a_m a_g h s w", positive=True)
    R, phi, r = sp.symbols("R phi r", positive=True)
    m, g = R * sp.cos(phi), R * sp.sin(phi)
    dm, dg = ((r * h * a * x ** (h - 2) - lam) * x / s for a, x in ((a_m, m), (a_g, g)))
    turn = sp.cos(phi) * sp.sin(phi) * h * r / s * (a_g * g ** (h - 2) - a_m * m ** (h - 2))
    z = a_m * m**h + a_g * g**h
    time = 1 / turn.subs({s: s * sp.exp(-w * z), r: sp.exp(-z)})
    growth = sp.expand_log(sp.log(time), force=True).diff(R) * R - ((1 - w) * h * z - (h - 2))
    core = sp.log(h * a_g * R ** (h - 2) * sp.exp(-a_g * R**h))  # ln λ at rest
    kappa = 2 / (R * core.diff(R))
    return [
        Residual("dφ/dt is free of λ", sp.simplify((m * dg - g * dm) / R**2 - turn)),
        Residual("d ln T/d ln R = (1−w) h u − (h−2)", sp.simplify(growth)),
        Residual("it is −2/κ for w = 0", sp.simplify(h * a_g * R**h - (h - 2) + 2 / kappa)),
    ]


def drag() -> list[Residual]:
    """Drift and variance of φ by isotropic noise q, from those of X = ρ_g² and Y = ρ_m²."""
    q, d_m, d_g, X, Y = sp.symbols("q d_m d_g X Y", positive=True)
    phi = sp.atan(sp.sqrt(X / Y))
    first = d_g * phi.diff(X) + d_m * phi.diff(Y)
    drift = q**2 * (first + 2 * (X * phi.diff(X, 2) + Y * phi.diff(Y, 2)))
    variance = 4 * q**2 * (X * phi.diff(X) ** 2 + Y * phi.diff(Y) ** 2)
    tangent = sp.sqrt(X / Y)
    known = q**2 / (2 * (X + Y)) * ((d_g - 1) / tangent - (d_m - 1) * tangent)
    return [
        Residual("drag on φ", sp.simplify(drift - known)),
        Residual("variance of φ", sp.simplify(variance - q**2 / (X + Y))),
    ]


def lag() -> list[Residual]:
    """Time in which a speed that grows as e^{κ₂k/2} has gone a given way; limits of its exponent."""
    eta, kappa, way, k, y = sp.symbols("eta kappa Theta k y", positive=True)  # way is Θs/r
    steps = 2 / kappa * sp.log(1 + kappa * way / (2 * eta))
    gone = sp.integrate(eta * sp.exp(kappa * k / 2), (k, 0, steps))
    factor = y / ((1 + y) * sp.log(1 + y))
    exponent = -eta * steps.diff(eta) / steps - factor.subs(y, kappa * way / (2 * eta))
    return [
        Residual("T = (2/κ₂) ln(1 + y)", sp.simplify(gone - way)),
        Residual("−∂ ln T/∂ ln η = y/((1+y) ln(1+y))", sp.simplify(exponent)),
        Residual("it is 1 for y → 0", sp.limit(factor, y, 0) - 1),
        Residual("it is 0 for y → ∞", sp.limit(factor, y, sp.oo)),
    ]


def line(medians: Mapping[Cell, float]) -> Line:
    """α with a constant for each η, R² at the middle η, and the exponent of η, one for each ρ."""
    kept = [at for at, t in medians.items() if math.isfinite(t)]
    y = np.log([medians[at] for at in kept])
    rho, eta = np.array([at.rho for at in kept]), np.array([at.eta for at in kept])
    middle = eta == ETAS[1]
    r2 = float(np.corrcoef(rho[middle], y[middle])[0, 1] ** 2)
    return Line(*slope(rho, y, eta), r2, *slope(np.log(eta), y, rho))


def slope(x: Array, y: Array, labels: Array) -> tuple[Estimate, int]:
    """Slope with a constant for each label, its error by the scatter, and degrees of freedom."""
    constants = labels[:, None] == np.unique(labels)
    found, covariance, freedom = least_squares(np.column_stack([constants, x]), y)
    return Estimate(float(found[-1]), math.sqrt(covariance[-1, -1])), freedom


def spread(times: EscapeTimes) -> Estimate:
    """Coefficient of variation, nan if a path is censored."""
    if times.hit_fraction < 1:
        return Estimate(math.nan)
    value = float(times.steps.std(ddof=1) / times.steps.mean())
    return Estimate(value, value / math.sqrt(2 * times.n_paths))


def of_kind(cells: Mapping[Cell, Any], kind: str) -> dict[Cell, Any]:
    """Cells of one kind of noise."""
    return {at: value for at, value in cells.items() if at.kind == kind}


def compared(law, kind: str, times: Mapping[Cell, EscapeTimes]) -> list[Comparison]:
    """Numbers of one kind of noise beside the published ones."""
    found = line({at: t.median for at, t in times.items()})
    point = {"eta": 1.0, "lam": 0.0, "batch_size": 1.0, "constant": 1.0}
    first, last = (float(law(rho**2, 1.0, **point)) for rho in (RHOS[0], RHOS[-1]))
    alpha = math.log(last / first) / (RHOS[-1] - RHOS[0])
    low, high = ETA_EXPONENT
    wide = (high - low) / abs(low + high)
    middle = spread(times[Cell(kind, ETAS[1], RHOS[len(RHOS) // 2])])
    cases = [
        ("α", chance(found.alpha, times), alpha, CLOSE, math.inf),
        ("R² of ln T", Estimate(found.r2), LINE, CLOSE_LINE, math.inf),
        ("exponent of η", found.exponent, (low + high) / 2, wide, found.exponent_freedom),
        ("variation of T", middle, SPREAD, CLOSE_SPREAD, math.inf),
    ]
    return [
        Comparison(f"{what}, {kind} noise", value, Estimate(expected), allowed, True, freedom)
        for what, value, expected, allowed, freedom in cases
    ]


def chance(alpha: Estimate, times: Mapping[Cell, EscapeTimes]) -> Estimate:
    """The slope with the error that medians of so many paths leave; a bent line is told by R²."""
    seen = {at: spread(t) for at, t in times.items() if t.hit_fraction == 1}
    rho = np.array([at.rho for at in seen])
    variation = np.array([x.value for x in seen.values()])
    error = 1.25 * math.sqrt(np.mean(variation**2) / PATHS)  # of ln of a median, nearly normal
    return Estimate(alpha.value, error / math.sqrt(np.sum((rho - rho.mean()) ** 2)))


def by_passage(times: Mapping[Cell, EscapeTimes], norm: float) -> list[Comparison]:
    """Mean and variation with constant noise and the smallest η, where Adam's memory is short."""
    found = []
    for at, t in of_kind(times, "constant").items():
        if at.eta == ETAS[0] and t.hit_fraction == 1:
            mean, variation = passage(at.kind, at.eta, at.rho * norm)
            what = f"constant noise, η = {at.eta:g}, ρ = {at.rho:g}"
            found += [
                Comparison(f"T in steps, {what}", t.mean, Estimate(mean), CLOSE_PASSAGE),
                Comparison(f"its variation, {what}", spread(t), Estimate(variation), CLOSE_PASSAGE),
            ]
    return found


def check(law=pinned_norm_law, *, seed: int = 0) -> Verdict:
    """Check the algebra, `law` by hand, the passage of φ, and paths beside what is published."""
    value = law(1.3**2, 1.0, eta=1e-3, lam=0.1, batch_size=100, constant=700.0)
    by_hand = Estimate(700 * math.exp(7.5 * 0.3))
    numeric = [Comparison("law, ρ = 1.3, C = 700 steps", Estimate(value), by_hand, allowed=1e-12)]
    norm = critical_norm(seed)
    times = pinned_times(norm, seed)
    numeric += by_passage(times, norm)
    for kind in FALL:
        numeric += compared(law, kind, of_kind(times, kind))
    found = [in_words(kind, of_kind(times, kind), norm) for kind in FALL]
    words = "; ".join([f"ρ_G = {norm:.3f}", *found, reach_of_lag(law)])
    algebra, data = [*rotation(), *drag(), *lag()], {"times": times, "norm": norm}
    return Verdict(CLAIM, "claimed", algebra, numeric, words, data, rows(times, norm))


def in_words(kind: str, times: Mapping[Cell, EscapeTimes], norm: float) -> str:
    """What is censored, and what the passage of φ has for all cells, without memory of v."""
    mean = {at: passage(*at[:2], at.rho * norm)[0] for at in times}
    alone, by_rho = line(mean), end_exponents(kind, mean.__getitem__)
    lost = sum(round(t.censored_fraction * t.n_paths) for t in times.values())
    return (
        f"{kind} noise: {lost} of {PATHS * len(times)} paths censored, without memory of v "
        f"α = {alone.alpha.value:.2f}, R² = {alone.r2:.3f}, exponents of η "
        + " ".join(f"{e:+.2f}" for e in by_rho)
    )


def reach_of_lag(law) -> str:
    """By how much T can grow while the lag of v keeps the exponent of η as published."""
    rate = (1 - optimizer(ETAS[1]).beta2) / 2

    def steps(size: float) -> float:
        y = brentq(lambda y: y / ((1 + y) * math.log1p(y)) - size, 1e-6, 1e6)
        return math.log1p(y) / rate

    short, long = (steps(-e) for e in ETA_EXPONENT)
    ends = [law(x**2, 1.0, eta=1.0, lam=0.0, batch_size=1.0, constant=1.0) for x in RHOS]
    return (
        f"by the lag of v the exponent of η is {ETA_EXPONENT[0]} at T = {short:.0f} and "
        f"{ETA_EXPONENT[1]} at {long:.0f} steps, {long / short:.1f} times more, while the law grows "
        f"{ends[-1] / ends[0]:.0f}-fold from ρ = {RHOS[0]:g} to {RHOS[-1]:g}"
    )


def rows(times: Mapping[Cell, EscapeTimes], norm: float) -> list[dict[str, float]]:
    """Median, fraction that groks and variation of T, and its mean and variation by `passage`."""
    found = []
    for at, t in times.items():
        mean, variation = passage(at.kind, at.eta, at.rho * norm)
        measured = {"median": t.median, "grokked": t.hit_fraction, "variation": spread(t).value}
        found.append(
            {"w": FALL[at.kind], "eta": at.eta, "rho": at.rho}
            | measured
            | {"by φ: mean": mean, "by φ: variation": variation}
        )
    return found


def end_exponents(kind: str, value: Callable[[Cell], float]) -> list[float]:
    """Exponent of η in a value, between the smallest and the largest, for each ρ."""
    ends = [[value(Cell(kind, eta, rho)) for rho in RHOS] for eta in (ETAS[0], ETAS[-1])]
    return list(np.log(np.divide(*ends)) / math.log(ETAS[0] / ETAS[-1]))


def figure(data: Mapping[str, Any]) -> Figure:
    """Medians against ρ with the published slope, and exponents of η by ρ."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    times, norm = data["times"], data["norm"]
    figure = Figure(figsize=(6.8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    rho = np.linspace(RHOS[0], RHOS[-1], 40)
    for n, kind in enumerate(FALL):
        left.plot(rho, [passage(kind, ETAS[0], x * norm)[0] for x in rho], color=f"C{n}")
        for eta, fill in ((ETAS[0], f"C{n}"), (ETAS[-1], "none")):
            medians = [times[Cell(kind, eta, x)].median for x in RHOS]
            left.plot(RHOS, medians, "o", color=f"C{n}", mfc=fill)
        measured = end_exponents(kind, lambda at: times[at].median)
        right.plot(RHOS, measured, "o", color=f"C{n}", label=f"{kind} noise")
        alone = end_exponents(kind, lambda at: passage(at.kind, at.eta, at.rho * norm)[0])
        right.plot(RHOS, alone, color=f"C{n}")
    law = pinned_norm_law(rho**2, 1.0, eta=1.0, lam=0.0, batch_size=1.0, constant=3000.0)
    left.plot(rho, law, ":", color="0.4", label=r"$\propto e^{7.5\rho}$")
    left.set(yscale="log", xlabel=r"$\rho$", ylabel="$T$, steps", ylim=(200, 3e5))
    left.set_title(rf"$\eta$ = {ETAS[0]:g} (full), {ETAS[-1]:g} (open)")
    left.legend()
    right.axhspan(*ETA_EXPONENT, color="0.9")
    right.text(1.0, sum(ETA_EXPONENT) / 2, "networks", va="center")
    right.set(xlabel=r"$\rho$", ylabel=r"exponent of $\eta$", ylim=(-1.05, 0.2))
    right.set_title(r"lines: $\varphi$ alone")
    right.legend()
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
