"""Claim margin-rest: the core's squared radius follows λ as the rest of a margin of the network's degree.

The logits of a network of h layers without biases are homogeneous of degree h, and a loss that is an
exponential of their margin, L = c e^{−aρ^h}, rests under coupled shrinkage where

    h a c ρ^{h−2} e^{−aρ^h} = λ,    or    ψ(u) = u − p ln u = ln(h c a^{2/h}/λ),    u = aρ^h,    p = (h−2)/h

(`sde_grok.laws.margin_radius`). It is no power of λ: the exponent of ρ² is −(2/h)/(u − p), so that it
steepens as the margin u falls.

Simulated paths on that landscape, with gradient noise that falls with the residual, should rest there
whatever η and b. The cores of the measured networks (embedding, hidden layer, readout: h = 3) should
follow it with two constants a task, a and c, fitted by least squares to the logarithms of the means
over the cells (η, b) of each λ: within 5 %. A power law has two constants, too, and is fitted beside it.

Provenance: measured here, for networks; the rest is derived.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import least_squares

from sde_grok import Geometry, IsotropicNoise, LongEscapeWarning, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.landscapes import margin
from sde_grok.laws import margin_radius
from sde_grok.results import Estimate
from sde_grok.runs.reference import load_cells, load_z59_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "margin-rest"
DEGREE = 3.0
CLOSE = 0.05
DIM, PATHS, RELAXED = 64, 64, 20.0  # in units of 1/η, after which paths are at rest
TASKS = {"z127": "Z127", "s5": "S5", "z59": "Z59"}

Array = NDArray[np.float64]


class Core(NamedTuple):
    """Mean ρ_G² over the cells of each λ, with its error, and the laws fitted to them."""

    lam: Array
    rho2: list[Estimate]
    rate: float
    scale: float
    of_margin: Array
    of_power: Array


def rest() -> list[Residual]:
    """Stationarity in terms of u, where ψ is least, and the loss at rest."""
    rho, a, c, h, u = sp.symbols("rho a c h u", positive=True)
    loss = c * sp.exp(-a * rho**h)
    lam = -loss.diff(rho) / rho
    p = (h - 2) / h
    psi = u - p * sp.log(u)
    at = {rho: (u / a) ** (1 / h)}
    balance = sp.expand_log(sp.log(lam.subs(at)), force=True) - sp.expand_log(
        sp.log(h * c * a ** (2 / h)), force=True
    )
    slope = sp.log(lam).diff(rho) * rho / 2 + h * (u - p) / 2
    return [
        Residual("ln λ = ln(h c a^{2/h}) − ψ(u) at rest", sp.simplify(sp.expand(balance + psi))),
        Residual("ψ is least at u = p", sp.simplify(psi.diff(u).subs(u, p))),
        Residual("∂ ln λ/∂ ln ρ² = −(h/2)(u − p)", sp.simplify(slope.subs(u, a * rho**h))),
        Residual("λρ² = h u L at rest", sp.simplify(lam * rho**2 - h * a * rho**h * loss)),
    ]


def simulated(law, seed: int) -> list[Comparison]:
    """ρ² of paths at rest on the landscape itself, beside the law."""
    found = []
    for lam in (1e-3, 1e-2, 1e-1):
        expected = float(law(lam, rate=1.0, degree=DEGREE, scale=1.0))
        for eta, batch_size in ((1e-3, 100), (1e-3, 400), (3e-4, 100)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LongEscapeWarning)  # no path shall escape
                paths = simulate_escape(
                    Optimizer(eta=eta, batch_size=batch_size, lam=lam),
                    Geometry(rho_start=1.1 * math.sqrt(expected), rho_core=1e-3, dim=DIM),
                    IsotropicNoise(1.0),
                    margin(DIM, 1.0),
                    system="joint",
                    n_paths=PATHS,
                    max_steps=int(RELAXED / eta),
                    seed=seed,
                )
            rho2 = paths.rho2_end
            measured = Estimate(float(rho2.mean()), float(rho2.std(ddof=1)) / math.sqrt(PATHS))
            what = f"ρ² at rest, joint rung, λ = {lam:g}, η = {eta:g}, b = {batch_size}"
            found.append(Comparison(what, measured, Estimate(expected), allowed=2e-3))
    return found


def cores(law) -> dict[str, Core]:
    """Cores of the networks with coupled shrinkage, by task."""
    every = [*load_cells(), *load_cells(load_z59_runs())]
    found = {}
    for task, name in TASKS.items():
        cells = [c for c in every if c.task == task and c.decay == "coupled"]
        lams = sorted({c.lam for c in cells if np.isfinite(c.rho2_grok)})
        rho2 = [over([c.rho2_grok for c in cells if c.lam == lam]) for lam in lams]
        found[name] = fitted(law, np.array(lams), rho2)
    return found


def over(values: list[float]) -> Estimate:
    """Mean over cells, with the error of their scatter."""
    x = np.array([value for value in values if math.isfinite(value)])
    return Estimate(float(x.mean()), float(x.std(ddof=1)) / math.sqrt(x.size))


def fitted(law, lam: Array, rho2: list[Estimate]) -> Core:
    """Fit a and c; by ρ² and u of the largest λ, below which there always is a rest."""
    y = np.log([estimate.value for estimate in rho2])
    p = (DEGREE - 2) / DEGREE

    def constants(x: Array) -> tuple[float, float]:
        u = p + math.exp(x[1])
        rate = u / math.exp(x[0] * DEGREE / 2)
        return rate, lam[-1] / (DEGREE * rate ** (2 / DEGREE)) * math.exp(u - p * math.log(u))

    def radii(x: Array) -> Array:
        rate, scale = constants(x)
        # The largest λ is at rest by construction: less by rounding is no other law.
        at = np.minimum(lam, lam[-1] * (1 - 1e-12))
        return np.asarray(law(at, rate=rate, degree=DEGREE, scale=scale))

    best = least_squares(lambda x: np.log(radii(x)) - y, [y[-1], 1.0]).x
    power = np.polyfit(np.log(lam), y, 1)
    return Core(lam, rho2, *constants(best), radii(best), np.exp(np.polyval(power, np.log(lam))))


def check(law=margin_radius, *, seed: int = 0) -> Verdict:
    """Check the algebra, `law` on its landscape by simulation, and on networks."""
    found = cores(law)
    numeric = simulated(law, seed)
    for name, core in found.items():
        for lam, rho2, expected in zip(core.lam, core.rho2, core.of_margin, strict=True):
            what = f"ρ_G² on {name}, λ = {lam:g}"
            limit = Estimate(float(expected))
            numeric.append(Comparison(what, rho2, limit, allowed=CLOSE, claimed=True))
    words = "; ".join(in_words(name, core) for name, core in found.items())
    return Verdict(CLAIM, "measured", rest(), numeric, words, {"cores": found})


def in_words(name: str, core: Core) -> str:
    """Constants, and how far off both laws are."""
    y = np.log([estimate.value for estimate in core.rho2])
    off = [float(np.sqrt(np.mean((np.log(x) - y) ** 2))) for x in (core.of_margin, core.of_power)]
    return (
        f"{name} ({core.lam.size} values of λ): a = {core.rate:.3g}, c = {core.scale:.3g}, "
        f"off by {off[0]:.1%} (r.m.s.), a power of λ by {off[1]:.1%}"
    )


def figure(data: Mapping[str, Any]) -> Figure:
    """Measured cores against λ, and the rest of a margin."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure()
    axes = figure.subplots()
    for n, (marker, (name, core)) in enumerate(zip("so^", data["cores"].items(), strict=True)):
        lam = np.geomspace(core.lam[0] / 1.5, core.lam[-1] * (1 - 1e-12), 100)
        law = margin_radius(lam, rate=core.rate, degree=DEGREE, scale=core.scale)
        axes.plot(lam, law, color=f"C{n}", lw=1.0)
        means, errors = zip(*core.rho2, strict=True)
        axes.errorbar(
            core.lam, means, yerr=errors, fmt=marker, mfc="none", color=f"C{n}", label=name
        )
    axes.set(xscale="log", yscale="log", xlabel=r"shrinkage $\lambda$", ylabel=r"$\rho_G^2$")
    axes.set_yticks([2000, 3000, 5000], ["2000", "3000", "5000"])
    axes.minorticks_off()
    axes.legend(title=r"curves: $-L'(\rho) = \lambda\rho$, $h = 3$")
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
