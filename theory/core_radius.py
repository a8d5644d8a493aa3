"""Claim core-radius: the core's squared radius is a function of λ alone, as a balance would have it.

Measured networks (Z₅₉ addition, 27 712 parameters) reach test accuracy .95 at ρ_G². With coupled
shrinkage its median over the seeds of a cell (η, λ, b) should be free of η and b, and no larger than

    ρ² = h f(L)/λ,   f(L) = (1 − e^{−L}) ln[(n−1)/(e^L − 1)],

at which a loss L of n classes balances shrinkage: the logits are homogeneous of degree h = 3, Euler's
identity gives −θ·∇L <= h f(L), and at rest that is λρ² (`sde_grok.laws.balance`). For L = c e^{−aρ^h} it
is λρ² = h L ln(c/L): L/λ is a logarithm of λ, and ρ² a function of λ alone.

Theorem 2 lifts ρ_G² by (η/λ) c_G, with c_G = c/√b: c is fitted, and should be 0. In the isotropic
model it is dσ/2, dσ² = tr Σ. Exponents and c are fitted to the cells' medians, with a constant for each
λ and the errors of their scatter; the medians of a λ should spread (standard deviation) by 5 % at most.

Provenance: measured here; the balance is derived.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp
from scipy.optimize import minimize_scalar

from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.laws import balanced_radius, isotropic_c_g
from sde_grok.results import Estimate
from sde_grok.runs.cells import Point, cell_medians
from sde_grok.runs.delays import point
from sde_grok.runs.powers import PowerFit, fit_powers, least_squares
from sde_grok.runs.reference import classes, load_cells, load_z59_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "core-radius"
DEGREE, CLASSES = 3, classes("z59")  # embedding, hidden layer, readout
SPREAD = 0.05
EARLY = 1.25  # times the core's squared radius, far beyond the scatter of seeds

Medians = Mapping[Point, float]
Run = Mapping[str, Any]


class Spread(NamedTuple):
    """Mean of numbers, their standard deviation and the largest deviation as fractions of it."""

    mean: float
    deviation: float
    largest: float


def balance() -> list[Residual]:
    """Euler's identity, the balance of an exponential loss, and that of a cross-entropy."""
    w1, w2, w3, rho, a, c, h, lam = sp.symbols("w_1 w_2 w_3 rho a c h lambda", positive=True)
    loss = sp.Function("L")(w1 * w2 * w3)
    euler = (
        sum(w * loss.diff(w) for w in (w1, w2, w3))
        - loss.subs(w1, rho * w1).diff(rho).subs(rho, 1) * DEGREE
    )
    exponential = c * sp.exp(-a * rho**h)
    at_rest = sp.solve((exponential + lam * rho**2 / 2).diff(rho), lam)[0]
    radius = at_rest * rho**2 - h * exponential * sp.expand_log(sp.log(c / exponential))
    n, m, x = sp.symbols("n m x", positive=True)  # m the margin of all wrong classes, x = e^L
    of_margin = sp.log(1 + (n - 1) * sp.exp(-m))
    slope = -m * of_margin.diff(m) - (1 - 1 / x) * m
    f = (1 - 1 / x) * sp.log((n - 1) / (x - 1))  # and d/dL = x d/dx
    bend = x * (x * f.diff(x)).diff(x) + sp.log((n - 1) / (x - 1)) / x + 1 / (x - 1)
    return [
        Residual("θ·∇L = h dL/dln(scale of the logits), h = 3", sp.simplify(euler.doit())),
        Residual("λρ² = hL ln(c/L) of L = c e^{−aρ^h}", sp.simplify(radius)),
        Residual(
            "−m dL/dm = f(L) of equal margins m", sp.simplify(slope.subs(x, sp.exp(of_margin)))
        ),
        Residual("Σ p_k(z_y − z_k) = f(ℓ) − (1 − p_y)KL, n = 3", unequal_classes()),
        Residual("f″ = −e^{−L} ln[(n−1)/(e^L−1)] − 1/(e^L−1): concave", sp.simplify(bend)),
    ]


def unequal_classes() -> sp.Expr:
    """Residual of what wrong classes that are not alike take from f."""
    p1, p2 = sp.symbols("p_1 p_2", positive=True)
    right = 1 - p1 - p2
    wrong = p1 + p2
    found = sum(p * (sp.log(right) - sp.log(p)) for p in (p1, p2))  # z_y − z_k = ln(p_y/p_k)
    f = wrong * (sp.log(2) + sp.log(right) - sp.log(wrong))
    divergence = sum(p / wrong * (sp.log(2) + sp.log(p) - sp.log(wrong)) for p in (p1, p2))
    return sp.simplify(sp.expand(f - wrong * divergence - found))


def numerical_rest(lam: float, a: float = 1e-4) -> tuple[float, float]:
    """Loss and ρ² at the minimum of ln(1 + (n−1)e^{−aρ³}) + λρ²/2, found numerically."""

    def loss(rho: float) -> float:
        return math.log1p((CLASSES - 1) * math.exp(-a * rho**DEGREE))

    found = minimize_scalar(
        lambda rho: loss(rho) + lam * rho**2 / 2,
        bounds=(20, 100),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return loss(found.x), float(found.x**2)


def fit(medians: Medians, *, in_lam: bool = False) -> PowerFit:
    """Exponents of η and b, with a constant for each λ; or of all three."""
    factors = dict(zip(Point._fields, zip(*medians, strict=True), strict=True))
    values = list(medians.values())
    if in_lam:
        return fit_powers(values, factors)
    lams = factors.pop("lam")
    return fit_powers(values, factors, lams)


def spreads(medians: Medians) -> dict[float, Spread]:
    """Spread over the cells of each λ."""
    found = {}
    for lam in sorted({at.lam for at in medians}):
        x = np.array([value for at, value in medians.items() if at.lam == lam])
        off = x / x.mean() - 1
        found[lam] = Spread(
            float(x.mean()), float(off.std(ddof=1)), float(off[np.abs(off).argmax()])
        )
    return found


def lever(at: Point) -> float:
    """(η/λ)/√b, which Theorem 2 multiplies by c."""
    return at.eta / at.lam / math.sqrt(at.batch_size)


def lift(medians: Medians) -> tuple[Estimate, int]:
    """Fit c of ρ_G² = ρ_0²(λ) + (η/λ) c/√b by least squares; degrees of freedom."""
    lams = sorted({at.lam for at in medians})
    columns = [[float(at.lam == lam) for at in medians] for lam in lams]
    x = np.column_stack([*columns, [lever(at) for at in medians]])
    y = np.array(list(medians.values()))
    coefficients, covariance, freedom = least_squares(x, y)
    return Estimate(float(coefficients[-1]), math.sqrt(covariance[-1, -1])), freedom


def isotropic_lift(runs: Sequence[Run]) -> float:
    """Coefficient c = √b c_G of the isotropic model, from the mean tr Σ at grokking."""
    dim = load_cells(runs)[0].dim
    trace = np.nanmean([run["noise_trace_grok"] for run in runs])
    return isotropic_c_g(dim=dim, sigma=math.sqrt(trace / dim), batch_size=1)


def of_bound(runs: Sequence[Run], law) -> Medians:
    """ρ_G² over the law's, of the cells."""

    def ratio(run: Run) -> float:
        loss, lam = run["train_loss_grok"], run["lambda"]
        if math.isnan(loss):
            return math.nan
        return run["rho2_grok"] / law(loss, lam=lam, degree=DEGREE, classes=CLASSES)

    return cell_medians(runs, ratio)


def at_rest(law, lams: Iterable[float]) -> list[Comparison]:
    """Compare the law with minima found numerically."""
    found = []
    for lam in lams:
        loss, rho2 = numerical_rest(lam)
        expected = law(loss, lam=lam, degree=DEGREE, classes=CLASSES)
        what = f"ρ² at rest of ln(1 + (n−1)e^{{−aρ³}}) + λρ²/2, λ = {lam:g}"
        found.append(Comparison(what, Estimate(rho2), Estimate(expected), allowed=1e-5))
    return found


def regularities(medians: Medians, below: Medians) -> list[Comparison]:
    """Compare the radii with those of a core that λ alone decides, and with the balance."""
    exponents, (lifted, freedom) = fit(medians), lift(medians)
    share = float(np.mean([ratio <= 1 for ratio in below.values()]))
    fitted = [
        (f"exponent of ρ_G² in {axis}", exponents.exponent(axis), exponents.freedom)
        for axis in exponents.names
    ]
    nothing, all_of_them = Estimate(0.0), Estimate(1.0)
    return [
        *(
            Comparison(what, value, nothing, claimed=True, freedom=freedom)
            for what, value, freedom in [*fitted, ("lift c = √b c_G", lifted, freedom)]
        ),
        *(
            Comparison(
                f"spread of ρ_G² over cells, λ = {lam:g}",
                Estimate(spread.deviation),
                nothing,
                allowed=SPREAD,
                claimed=True,
            )
            for lam, spread in spreads(medians).items()
        ),
        Comparison(
            "share of cells with ρ_G² at most the balance's",
            Estimate(share),
            all_of_them,
            claimed=True,
        ),
    ]


def check(law=balanced_radius, *, seed: int = 0) -> Verdict:
    """Check the algebra, `law` at a numerical minimum, and the radii; nothing is drawn."""
    runs = {
        decay: [run for run in load_z59_runs() if run["weight_decay"] == decay]
        for decay in ("coupled", "decoupled")
    }
    medians = {d: cell_medians(of, lambda run: run["rho2_grok"]) for d, of in runs.items()}
    coupled, across = medians["coupled"], spreads(medians["coupled"])
    below = of_bound(runs["coupled"], law)
    numeric = [*at_rest(law, across), *regularities(coupled, below)]
    words = [
        *radii(across, below, runs["coupled"]),
        lifts(coupled, runs["coupled"]),
        f"exponent of ρ_G² in λ {fit(coupled, in_lam=True).exponent('lam')}",
        *(in_words(name, medians) for name, medians in others().items()),
        in_words("AdamW on Z59", medians["decoupled"]),
    ]
    return Verdict(CLAIM, "measured", balance(), numeric, "; ".join(words), {"medians": medians})


def others() -> dict[str, Medians]:
    """ρ_G² of the reference runs, other tasks and widths: means of the cells."""
    cells = [c for c in load_cells() if math.isfinite(c.rho2_grok)]
    return {
        f"reference runs on {task.upper()}": {
            point(c): c.rho2_grok for c in cells if c.task == task
        }
        for task in ("z127", "s5")
    }


def in_words(name: str, medians: Medians) -> str:
    """Exponents, and the spread over cells of a λ at its largest."""
    found, power = fit(medians), fit(medians, in_lam=True)
    exponents = ", ".join(f"{axis} {found.exponent(axis)}" for axis in found.names)
    spread, lam = max((spread.deviation, lam) for lam, spread in spreads(medians).items())
    return (
        f"{name}: exponents {exponents}, lam {power.exponent('lam')}, spread up to {spread:.1%} "
        f"(λ = {lam:g})"
    )


def radii(across: Mapping[float, Spread], below: Medians, runs: Sequence[Run]) -> list[str]:
    """What the radii are, how far medians are off their mean, and how far below the balance."""
    losses = cell_medians(runs, lambda run: run["train_loss_grok"] / run["lambda"])
    phrases = [
        f"λ = {lam:g}: ρ_G² {spread.mean:.0f}, medians up to {spread.largest:+.1%} off, L/λ "
        f"{span(x for at, x in losses.items() if at.lam == lam)}, ρ_G² over the balance's "
        f"{span(x for at, x in below.items() if at.lam == lam)}"
        for lam, spread in across.items()
    ]
    early = [run for run in runs if run["rho2_grok"] > EARLY * across[run["lambda"]].mean]
    at = [f" (η = {r['eta']:g}, λ = {r['lambda']:g}, b = {r['batch_size']:g})" for r in early]
    grokked = sum(math.isfinite(run["rho2_grok"]) for run in runs)
    beyond = f"beyond {EARLY:g} times the mean grok {len(early)} of {grokked} runs{''.join(at)}"
    return [*phrases, beyond]


def span(values) -> str:
    """Smallest and largest number."""
    x = list(values)
    return f"{min(x):.3g} to {max(x):.3g}"


def lifts(medians: Medians, runs: Sequence[Run]) -> str:
    """Theorem 2's coefficient, also without the cell that it moves most; the isotropic model's."""
    most = max(medians, key=lever)
    without, _ = lift({at: value for at, value in medians.items() if at != most})
    model = {
        lam: isotropic_lift([run for run in runs if run["lambda"] == lam])
        for lam in sorted({run["lambda"] for run in runs})
    }
    shown = ", ".join(f"{c:.0f} at λ = {lam:g}" for lam, c in model.items())
    return (
        f"lift c = {lift(medians)[0]}, {without} without the cell of the largest η/λ√b; "
        f"of the isotropic model {shown}"
    )


def figure(data: Mapping[str, Any]) -> Figure:
    """ρ_G² against η/√b, Theorem 2's variable at fixed λ: coupled and decoupled."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 3.0))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (decay, medians) in zip(panels, data["medians"].items(), strict=True):
        for lam in sorted({at.lam for at in medians}):
            shown = {at: value for at, value in medians.items() if at.lam == lam}
            x = [at.eta / math.sqrt(at.batch_size) for at in shown]
            axes.plot(x, shown.values(), "o", mfc="none", label=rf"$\lambda$ = {lam:g}")
        axes.set(title=decay, xscale="log", xlabel=r"$\eta/\sqrt{b}$")
        axes.legend(loc="lower left")
    panels[0].set(ylabel=r"$\rho_G^2$, median of the seeds", ylim=(0, None))
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
