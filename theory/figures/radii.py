r"""Squared radii of the memorization shell and of the core of networks against η, b and λ, with laws.

ρ_M² at memorization and ρ_G² at generalization, against one of η, b and λ: means over the settings of
the other two that were run at all of its values, so that nothing else changes along a line, with the
error of their scatter (none for one setting). Against η (a, d) and b (b, e) one line a λ.

Laws in (a, b, d, e): ρ_G² is a constant of each λ, the mean of its cells. In (c): ρ_G² is the rest of a
margin of degree 3 (`sde_grok.laws.margin_radius`), with two constants a task; ρ_M² ∝ e^{−cλ}, as
Theorem 1 claims of λ, with c the least-squares slope of ln ρ_M². (f) Theorem 2's lift of the medians of
cells on Z59, where tr Σ was measured,

    ρ_G² − ρ_0²(λ) = (η/λ) c_G,    c_G = c/√b,

c and ρ_0² for each λ by least squares over all cells (line), and c = dσ/2, dσ² = tr Σ at
generalization, as the isotropic model has it (dotted, one a λ).

Data: the packaged runs on Z127 and Z59, coupled shrinkage. Runs in `--data` that sweep η, b and λ are
drawn as further tasks in (c).

    sde-grok figures radii --out DIR
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares as minimum

from sde_grok.cli.figures import network_cells
from sde_grok.laws import isotropic_c_g, margin_radius
from sde_grok.results import Estimate
from sde_grok.runs.cells import cell_medians
from sde_grok.runs.powers import least_squares
from sde_grok.runs.reference import Cell, load_cells, load_z59_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {"eta": r"$\eta$ / 10$^{-3}$", "batch_size": "$b$", "lam": r"$\lambda$ / 10$^{-3}$"}
UNITS = {"eta": 1e-3, "batch_size": 1.0, "lam": 1e-3}
DEGREE = 3.0  # embedding, hidden layer, readout
BY_LAM = ("Z127", "Z59")  # tasks that have panels of their own
LIFTED = "Z59"  # tr Σ was measured there
MARKERS = {"rho2_mem": "^", "rho2_grok": "o"}
COLORS = ("C5", "C0", "C2", "C1")  # of λ, from small to large

Array = NDArray[np.float64]


class Lift(NamedTuple):
    """Lever (η/λ)/√b of cells, their ρ_G² beyond ρ_0²(λ), c by fit, and c of the model by λ."""

    lever: Array
    rho2: Array
    lam: Array
    fitted: Estimate
    model: dict[float, float]


class Data(NamedTuple):
    """Cells by task, and the lift of one."""

    tasks: dict[str, list[Cell]]
    lift: Lift


def load(folder: Path | None = None) -> Data:
    """Gather the cells that grokked."""
    tasks = {
        name: [c for c in cells if math.isfinite(c.rho2_grok)]
        for name, cells in network_cells(folder).items()
    }
    runs = [run for run in load_z59_runs() if run["weight_decay"] == "coupled"]
    return Data({name: cells for name, cells in tasks.items() if cells}, lift(runs))


def balanced(cells: Sequence[Cell], axis: str) -> dict[float, list[Cell]]:
    """Cells by their value on an axis; of the settings of the others, those there for each value."""
    others = [name for name in AXES if name != axis]
    values = sorted({getattr(c, axis) for c in cells})
    seen: dict[tuple[float, ...], dict[float, Cell]] = {}
    for c in cells:
        seen.setdefault(tuple(getattr(c, n) for n in others), {})[getattr(c, axis)] = c
    whole = [of for of in seen.values() if len(of) == len(values)]
    return {value: [of[value] for of in whole] for value in values} if whole else {}


def over(values: Iterable[float]) -> Estimate:
    """Mean with the error of the scatter, 0 for one number."""
    x = np.array(list(values))
    return Estimate(
        float(x.mean()), float(x.std(ddof=1)) / math.sqrt(x.size) if x.size > 1 else 0.0
    )


def means(cells: Sequence[Cell], axis: str, radius: str) -> tuple[Array, Array, Array]:
    """Values on an axis, means of a squared radius, and their errors."""
    found = [(x, over(getattr(c, radius) for c in of)) for x, of in balanced(cells, axis).items()]
    return (
        np.array([x for x, _ in found]),
        np.array([estimate.value for _, estimate in found]),
        np.array([estimate.stderr for _, estimate in found]),
    )


def lift(runs: Sequence[Mapping[str, Any]]) -> Lift:
    """Fit ρ_G² = ρ_0²(λ) + c (η/λ)/√b to the medians of cells; the isotropic model has c = dσ/2."""
    medians = cell_medians(runs, lambda run: run["rho2_grok"])
    lam = np.array([at.lam for at in medians])
    lever = np.array([at.eta / at.lam / math.sqrt(at.batch_size) for at in medians])
    rho2 = np.array(list(medians.values()))
    groups = (lam[:, None] == np.unique(lam)).astype(float)
    fit, covariance, _ = least_squares(np.column_stack([groups, lever]), rho2)
    c = Estimate(float(fit[-1]), math.sqrt(covariance[-1, -1]))
    model = {x: isotropic([run for run in runs if run["lambda"] == x]) for x in sorted(set(lam))}
    return Lift(lever, rho2 - groups @ fit[:-1], lam, c, model)


def isotropic(runs: Sequence[Mapping[str, Any]]) -> float:
    """Coefficient √b c_G of the isotropic model, from the mean tr Σ at generalization."""
    dim = load_cells(runs)[0].dim
    trace = np.nanmean([run["noise_trace_grok"] for run in runs])
    return isotropic_c_g(dim=dim, sigma=math.sqrt(trace / dim), batch_size=1)


def margin_fit(lam: Array, rho2: Array) -> Callable[[Array], Array]:
    """Fit a and c of a margin's rest to the logarithms, by ρ² and u of the largest λ."""
    p = (DEGREE - 2) / DEGREE

    def law(x: Array, at: Array) -> Array:
        u = p + math.exp(x[1])
        rate = u / math.exp(x[0] * DEGREE / 2)
        scale = lam[-1] / (DEGREE * rate ** (2 / DEGREE)) * math.exp(u - p * math.log(u))
        # The largest λ is at rest by construction: more by rounding may have no rest.
        inside = np.minimum(at, lam[-1] * (1 - 1e-12))
        return np.asarray(margin_radius(inside, rate=rate, degree=DEGREE, scale=scale))

    start = [math.log(rho2[-1]), 1.0]
    best = minimum(lambda x: np.log(law(x, lam)) - np.log(rho2), start).x
    return lambda at: law(best, at)


def draw(data: Data) -> Figure:
    """Radii of the tasks against η and b, of all against λ, and the lift."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.8, 5.0))
    panels = figure.subplots(2, 3)
    lams = sorted({c.lam for task in BY_LAM for c in data.tasks[task]})
    colors = dict(zip(lams, COLORS, strict=True))
    for row, task in zip(panels, BY_LAM, strict=True):
        for axes, axis in zip(row, ("eta", "batch_size"), strict=False):
            draw_by_lam(axes, data.tasks[task], axis, colors)
            axes.set_title(task, loc="right")
    for letter, axes in zip("abcdef", panels.flat, strict=True):
        axes.set_title(f"({letter})", loc="left")
    draw_shrinkage(panels[0, 2], data.tasks)
    draw_lift(panels[1, 2], data.lift, colors)
    add_keys(figure, colors)
    return figure


def draw_by_lam(axes: Axes, cells: Sequence[Cell], axis: str, colors: dict[float, str]) -> None:
    """Both radii against η or b, one line a λ, with the mean core of each λ."""
    for lam, color in colors.items():
        of_lam = [c for c in cells if c.lam == lam]
        for radius, marker in MARKERS.items():
            x, y, error = means(of_lam, axis, radius)
            if x.size < 2:
                continue
            line = "-" if radius == "rho2_mem" else "none"
            style: dict[str, Any] = {"color": color, "mfc": "w", "ms": 4, "lw": 0.8, "ls": line}
            axes.errorbar(x, y, yerr=error, fmt=marker, elinewidth=0.8, **style)
            if radius == "rho2_grok":
                mean = float(np.mean([c.rho2_grok for c in of_lam]))
                axes.hlines(mean, x[0] / 1.3, x[-1] * 1.3, color=color, lw=0.8, ls="--")
    label(axes, cells, axis)


def label(axes: Axes, cells: Sequence[Cell], axis: str) -> None:
    """Logarithmic axes of squared norms, with numbers that one can read."""
    axes.set(xscale="log", yscale="log", xlabel=AXES[axis])
    at = sorted({getattr(c, axis) for c in cells})
    axes.set_xticks(at, [f"{x / UNITS[axis]:g}" for x in at])
    low, high = axes.get_ylim()
    ticks = [y for y in (500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 10000) if low < y < high]
    axes.set_yticks(ticks, [f"{y / 1000:g}" for y in ticks])
    axes.minorticks_off()
    axes.set_ylabel(r"$\rho^2$ / 1000")


def draw_shrinkage(axes: Axes, tasks: dict[str, list[Cell]]) -> None:
    """Both radii of all tasks against λ, with the rest of a margin and e^{−cλ}."""
    for n, (task, cells) in enumerate(tasks.items()):
        color = f"C{n + 3}" if n else "0.3"
        for radius, marker in MARKERS.items():
            x, y, error = means(cells, "lam", radius)
            style: dict[str, Any] = {"color": color, "mfc": "w", "ms": 4, "elinewidth": 0.8}
            axes.errorbar(x, y, yerr=error, fmt=marker, **style)
            if x.size < 3:  # no law of two constants
                continue
            dense = np.geomspace(x[0], x[-1], 100)
            if radius == "rho2_grok":
                axes.plot(dense, margin_fit(x, y)(dense), color=color, ls="--", lw=0.8)
                continue
            slope, constant = np.polyfit(x, np.log(y), 1)
            axes.plot(dense, np.exp(constant + slope * dense), color=color, lw=0.8)
            axes.plot([], [], color=color, label=f"{task}, $c$ = {-slope:.0f}")
    axes.set_ylim(0.6 * axes.get_ylim()[0], None)  # room for the key
    label(axes, [c for cells in tasks.values() for c in cells], "lam")
    axes.legend(loc="lower left", handlelength=1.2)


def draw_lift(axes: Axes, found: Lift, colors: dict[float, str]) -> None:
    """ρ_G² beyond that of its λ against the lever, with c as fitted and of the isotropic model."""
    for lam in np.unique(found.lam):
        of_lam = found.lam == lam
        style: dict[str, Any] = {"color": colors[lam], "mfc": "w", "ms": 4}
        axes.plot(found.lever[of_lam], found.rho2[of_lam], "o", **style)
        dense = np.linspace(0, found.lever[of_lam].max(), 50)
        axes.plot(dense, found.model[lam] * dense, color=colors[lam], ls=":", lw=1.0)
    dense = np.linspace(0, found.lever.max(), 50)
    text = f"$c$ = {found.fitted.value:.0f} ± {found.fitted.stderr:.0f}"
    axes.plot(dense, found.fitted.value * dense, color="0.3", lw=1.0, label=text)
    axes.set_title(LIFTED, loc="right")
    axes.set(xlabel=r"$\eta/\lambda\sqrt{b}$", ylabel=r"$\rho_G^2 - \rho_0^2(\lambda)$")
    axes.legend(loc="lower right")


def add_keys(figure: Figure, colors: dict[float, str]) -> None:
    """What markers, lines and colors are."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    def line(text: str, **style: Any) -> Line2D:
        return Line2D(
            [], [], label=text, **{"color": "0.3", "lw": 0.8, "ms": 4, "mfc": "w"} | style
        )

    keys = [
        line(r"$\rho_M^2$ at memorization", marker="^"),
        line(r"$\rho_G^2$ at generalization", marker="o", ls="none"),
        line("law of the core", ls="--"),
        line("isotropic model", ls=":", lw=1.0),
        *(
            line(rf"$\lambda$ = {lam / 1e-3:g} · 10$^{{-3}}$", color=color, lw=2.0)
            for lam, color in colors.items()
        ),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=4)
