"""Claim lifted-core: on a margin, too, gradient noise lifts the core's squared radius by (η/λ) c_G, c_G ∝ 1/√b.

On L = c e^{−u}, u = aρ^h, with noise of the covariance e^{−2wu} σ²I and the preconditioner
s = e^{−wu} σ/√b that it makes, the radius has the potential Φ with Φ′ = (λρ + L′)/s, and rests with
the density ρ^{d−1} e^{−2Φ/η} (`sde_grok.laws.lifted_radius`). To first order in η

    E ρ² = ρ_G² + η d s/(hλ(u − p)) [1 + O(1/d)],    p = (h−2)/h
    (`sde_grok.laws.margin_c_g` has the term in 1/d, too),

so that c_G = (dσ/2√b) · 2/(h(u−p)) for constant noise (w = 0), the noise floor over the stiffness of
the rest. It depends on λ by its logarithm: u falls by about ln 10 a decade. Noise that falls with
the loss (w = ½) or the residual (w = 1) lifts the core as η λ^{w−1}, up to that logarithm: the
claimed η/λ is that of constant noise.

The discrete and joint rungs are held against the density for constant noise, from lifts of a part of
a per cent of ρ_G² up to the noise floor, which is what is left where noise outdoes the margin; the
reduced rung for all three. On the other rungs v remembers a thousand steps: where noise varies as ρ
does, it cannot follow, which is shown as found.

Provenance: the form is claimed by arXiv 2606.30388 (as reported second-hand), the density derived.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp

from sde_grok import Geometry, IsotropicNoise, LongEscapeWarning, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.landscapes import margin
from sde_grok.laws import lifted_radius, margin_c_g, margin_radius
from sde_grok.results import Estimate
from sde_grok.runs.powers import fit_powers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "lifted-core"
DEGREE, DIM, PATHS = 3.0, 256, 128
RELAXATION = 8.0  # what is left of the start, e^{−8}, is below the errors
POWERS = {"constant": 0.0, "loss": 0.5, "residual": 1.0}  # w
SIGMAS = {"constant": 1.0, "loss": 3.0, "residual": 30.0}
SLOW = ("joint", "discrete")


class Cell(NamedTuple):
    """Where to simulate."""

    eta: float
    lam: float
    batch_size: float


# η/λ over four decades, η/b over three; stiff rests, ηλh(u−p)/s beyond 0.3, are left out, as the
# joint rung's step of one optimizer step would not resolve them.
CELLS = [
    *(Cell(1e-2, 1e-3, 1e4), Cell(1e-2, 1e-2, 1e3), Cell(1e-2, 1e-2, 100)),
    *(Cell(2e-3, 1e-2, 1e3), Cell(1e-2, 1e-1, 25), Cell(1e-2, 1e-1, 100)),
    *(Cell(2e-3, 1e-1, 100), Cell(1e-2, 0.9, 25)),
]
# Small lifts, each axis over its range with the others fixed.
DESIGN = [
    *(Cell(1e-2, 1e-1, 100), Cell(1e-3, 1e-1, 100), Cell(1e-2, 1e-1, 25), Cell(3e-3, 1e-1, 400)),
    *(Cell(1e-3, 1e-2, 100), Cell(3e-3, 1e-2, 400), Cell(3e-3, 3e-2, 100), Cell(1e-3, 3e-2, 25)),
]


def of_margin(cell: Cell, noise: str) -> dict[str, float]:
    """Arguments of the law."""
    margin_of = {"rate": 1.0, "degree": DEGREE, "scale": 1.0, "dim": DIM}
    return {**margin_of, **cell._asdict(), "sigma": SIGMAS[noise], "noise_power": POWERS[noise]}


def rest(lam: float) -> float:
    """ρ_G² without noise."""
    return float(margin_radius(lam, rate=1.0, degree=DEGREE, scale=1.0))


def relaxation(cell: Cell, noise: str) -> int:
    """Steps in which a start is forgotten: by shrinkage alone where that decides, or by the rest."""
    rho2 = rest(cell.lam)
    s = SIGMAS[noise] / math.sqrt(cell.batch_size) * math.exp(-POWERS[noise] * rho2 ** (DEGREE / 2))
    floor = DIM * cell.eta * s / (2 * cell.lam)
    stiff = 1.0 if floor > 0.3 * rho2 else DEGREE * rho2 ** (DEGREE / 2) - (DEGREE - 2)
    return int(RELAXATION * s / (2 * cell.eta * cell.lam * min(stiff, 2.0)))


@cache
def lift(cell: Cell, noise: str, system: Any, seed: int) -> Estimate:
    """Mean ρ² at rest less ρ_G² without noise."""
    rho2 = rest(cell.lam)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LongEscapeWarning)  # no path shall escape
        paths = simulate_escape(
            Optimizer(**cell._asdict()),
            Geometry(rho_start=math.sqrt(rho2), rho_core=1e-3, dim=DIM),
            IsotropicNoise(SIGMAS[noise]),
            margin(DIM, 1.0, degree=DEGREE, noise=noise),
            system=system,
            n_paths=PATHS,
            max_steps=relaxation(cell, noise),
            seed=seed,
        )
    found = paths.rho2_end - rho2
    return Estimate(float(found.mean()), float(found.std(ddof=1)) / math.sqrt(PATHS))


def first_order() -> list[Residual]:
    """Slope of the lift from the balance of the mean flow, and its power of λ."""
    lam, a, c, h, eta, d, s, w, u = sp.symbols("lambda a c h eta d s w u", positive=True)
    V = sp.symbols("V", positive=True)
    loss = c * sp.exp(-a * V ** (h / 2))
    pull = 2 * V * (lam + 2 * loss.diff(V)) / s  # of dV/dt = dη − pull, to leading order in d
    balance = sp.solve(sp.expand(lam + 2 * loss.diff(V)), c)[0]
    slope = sp.simplify(pull.diff(V).subs(c, balance))
    p = (h - 2) / h
    stiffness = lam * h * (a * V ** (h / 2) - p) / s
    ell = lam * V / (c * h * u)  # of λρ² = c h u ℓ
    power = sp.log(eta * d * ell**w / lam)
    return [
        Residual("restoring rate of V at rest is λh(u − p)/s", sp.simplify(slope - stiffness)),
        Residual(
            "at fixed V and u the lift goes as λ^{w−1}",
            sp.simplify(lam * sp.expand_log(power).diff(lam) - (w - 1)),
        ),
        Residual(
            "c_G is that of the flat landscape over h(u−p)/2",
            sp.simplify(d * s / (h * (u - p)) - (d * s / 2) * 2 / (h * (u - p))),
        ),
    ]


def exponents_of_lift(noise: str, lifts: list[Estimate], system: str) -> list[Comparison]:
    """Fitted exponents of the lift, beside Theorem 2's."""
    factors = {name: [getattr(cell, name) for cell in DESIGN] for name in Cell._fields}
    fit = fit_powers([x.value for x in lifts], factors)
    claimed = {"eta": 1.0, "lam": -1.0, "batch_size": -0.5}
    return [
        Comparison(
            f"lift, noise {noise}, {system} rung: exponent of {axis}",
            fit.exponent(axis),
            Estimate(value),
            allowed=0.1 / abs(value),
            claimed=True,
            freedom=fit.freedom,
        )
        for axis, value in claimed.items()
    ]


def check(law=lifted_radius, *, seed: int = 0) -> Verdict:
    """Check the algebra, lifts beside the density's, and their exponents beside Theorem 2's."""
    numeric, table = [], []
    for cell in CELLS:
        expected = float(law(**of_margin(cell, "constant")))
        row = {**cell._asdict(), "without_noise": rest(cell.lam), "law": expected}
        for system in SLOW:
            seen = lift(cell, "constant", system, seed)
            where = f"η = {cell.eta:g}, λ = {cell.lam:g}, b = {cell.batch_size:g}"
            total = Estimate(seen.value + rest(cell.lam), seen.stderr)
            what = f"ρ² at rest, {system} rung, {where}"
            numeric.append(Comparison(what, total, Estimate(expected), allowed=5e-3))
            row[system], row[f"{system}_stderr"] = total
        table.append(row)
    for noise in ("loss", "residual"):
        for cell in CELLS[1::3]:
            seen = lift(cell, noise, "reduced", seed)
            total = Estimate(seen.value + rest(cell.lam), seen.stderr)
            where = f"η = {cell.eta:g}, λ = {cell.lam:g}, b = {cell.batch_size:g}"
            expected = Estimate(float(law(**of_margin(cell, noise))))
            what = f"ρ² at rest, noise {noise}, reduced rung, {where}"
            numeric.append(Comparison(what, total, expected, allowed=5e-3))
    small = Cell(1e-5, 0.1, 1e4)
    first = float(law(**of_margin(small, "constant"))) - rest(small.lam)
    given = {
        k: v for k, v in of_margin(small, "constant").items() if k not in ("eta", "noise_power")
    }
    linear = small.eta / small.lam * float(margin_c_g(**given))
    numeric.append(
        Comparison("lift of the density for little noise", Estimate(first), Estimate(linear), 1e-3)
    )
    lifts = {noise: [lift(cell, noise, "discrete", seed) for cell in DESIGN] for noise in POWERS}
    shown = {noise: exponents_of_lift(noise, found, "discrete") for noise, found in lifts.items()}
    numeric += [c for found in shown.values() for c in found]
    return Verdict(
        CLAIM,
        "claimed",
        first_order(),
        numeric,
        in_words(shown),
        {"lifts": lifts, "table": table},
        table,
    )


def in_words(shown: Mapping[str, list[Comparison]]) -> str:
    """The exponents, by kind of noise."""
    kinds = "; ".join(
        f"{noise} " + " ".join(f"{c.measured.value:+.2f} ± {c.measured.stderr:.2f}" for c in found)
        for noise, found in shown.items()
    )
    return (
        f"d = {DIM}, h = {DEGREE:g}, η/λ from 0.01 to 10; exponents (η, λ, b) of the lift by kind of "
        f"noise: {kinds}"
    )


def figure(data: Mapping[str, Any]) -> Figure:
    """Lift with constant noise beside the density's, and lifts by λ for three kinds of noise."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    law, core, discrete, error = (
        np.array([row[name] for row in data["table"]])
        for name in ("law", "without_noise", "discrete", "discrete_stderr")
    )
    ends = np.array([0.5 * np.min(law - core), 2 * np.max(law - core)])
    left.loglog(ends, ends, color="0.6", lw=0.8)
    left.errorbar(law - core, discrete - core, error, fmt="o", color="C0", mfc="none")
    left.set(xlabel=r"lift of $\rho_G^2$, law", ylabel="discrete Adam, constant noise")
    for n, (noise, lifts) in enumerate(data["lifts"].items()):
        scaled = [
            x.value / (cell.eta * SIGMAS[noise] / math.sqrt(cell.batch_size))
            for x, cell in zip(lifts, DESIGN, strict=True)
        ]
        right.loglog([cell.lam for cell in DESIGN], scaled, "os^"[n], color=f"C{n}", mfc="none")
        lams = np.geomspace(8e-3, 0.12, 20)
        given = [of_margin(Cell(1e-4, lam, 100), noise) for lam in lams]
        unit = 1e-4 * SIGMAS[noise] / 10
        curve = [(lifted_radius(**of) - rest(of["lam"])) / unit for of in given]
        right.plot(lams, curve, color=f"C{n}", lw=0.8, label=f"noise {noise}")
    right.set(xlabel=r"$\lambda$", ylabel=r"lift over $\eta\sigma/\sqrt{b}$")
    right.legend()
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
