r"""Transition time from memorization to generalization against η, b and λ: networks, laws, simulation.

One row a task: delays τ, T_grok − T_mem in steps, over that of its middle cell, against one of η, b and
λ over that cell's; the other two are the cell's. Points are means, bars the standard deviation of seeds
or paths. Lines are laws at the measured radii ρ_M², ρ_G² of each cell, with one constant, from the
middle cell:

- Theorem 3, leading term: σ/(ηλ√b) ½ ln(ρ_M²/ρ_G²) (`sde_grok.laws.transition_time`),
- matched law: the same in all regimes of noise, with the floor (`sde_grok.laws.matched_steps`); where
  the floor is beyond the core the line leaves the panel, for there is no such escape,
- collapse: C ln(ρ_M²/ρ_G²) η⁻¹ λ^−½ b^−¼ (`sde_grok.laws.collapse_law`).

Errors are the mean of |predicted − measured|/measured over all other cells of a row, in the order of the
legend. Cells in which runs generalize no later than they memorize, or at a larger norm, have no such
delay and are left out.

Data: the packaged runs on Z127 and Z59, coupled shrinkage; runs in `--data` that sweep η, b and λ; and
its scans of two circuits over η, b and λ, as by `landscape = "two_circuits"` in `sde-grok scan --help`.

    sde-grok figures transition_time --out DIR
    sde-grok figures transition_time --data DIR --out DIR
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from sde_grok.checks import ParameterError
from sde_grok.cli.figures import network_cells, stores
from sde_grok.escape_times import Status
from sde_grok.folders import SCAN
from sde_grok.laws import collapse_law, matched_steps, transition_time
from sde_grok.runs.cells import Point
from sde_grok.runs.delays import point, with_delay
from sde_grok.runs.reference import Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {"eta": r"$\eta/\eta_0$", "batch_size": "$b/b_0$", "lam": r"$\lambda/\lambda_0$"}
LAWS: dict[str, dict[str, Any]] = {
    "Theorem 3": {"color": "C1", "ls": "--", "zorder": 2.5},  # over the collapse, where they agree
    "matched law": {"color": "C2", "ls": ":", "zorder": 2.5},
    "collapse": {"color": "C0"},
}
MOST = 10.0  # errors beyond are only said to be so
CIRCUITS = "two_circuits"

Array = NDArray[np.float64]
Law = Callable[[Cell], float]


class Task(NamedTuple):
    """Cells with a delay, the middle one, and what laws with its constant predict for each."""

    cells: list[Cell]
    middle: Cell
    predicted: dict[str, Array]

    def error(self, law: str) -> float:
        """Mean of |predicted − measured|/measured over the other cells."""
        off = [
            abs(steps / c.delays.mean() - 1)
            for c, steps in zip(self.cells, self.predicted[law], strict=True)
            if c is not self.middle
        ]
        return float(np.mean(off))


def load(folder: Path | None = None) -> dict[str, Task]:
    """Gather tasks, and what laws predict of them."""
    tasks = network_cells(folder)
    for place in stores(folder, SCAN):
        cells = circuits(place)
        tasks |= {"two circuits": cells} if cells else {}
    delayed = {name: with_delay(cells) for name, cells in tasks.items()}
    return {name: predicted(cells) for name, cells in delayed.items() if len(cells) > 1}


def circuits(place: Path) -> list[Cell]:
    """Cells of a scan of two circuits; none of another scan."""
    from sde_grok.scans.store import each_cell  # noqa: PLC0415  (an extra)

    try:
        found = [
            as_cell(labels, paths)
            for labels, paths in each_cell(place)
            if labels.get("landscape") == CIRCUITS
        ]
    except ParameterError as error:
        raise ParameterError("data", error.value, error.allowed) from None
    if len({point(c) for c in found}) < len(found):
        allowed = "a folder whose scan of two circuits sweeps eta, lam and batch_size alone"
        raise ParameterError("data", str(place), allowed)
    return found


def as_cell(labels: Mapping[str, Any], paths: Any) -> Cell:
    """A cell of paths as one of runs."""
    escaped = paths.status == Status.HIT
    return Cell(
        task=CIRCUITS,
        decay=str(labels["decay"]),  # type: ignore[arg-type]
        **{n: float(labels[n]) for n in ("eta", "lam", "batch_size", "beta1", "beta2")},
        dim=int(labels["dim_memorizing"] + labels["dim_generalizing"]),
        rho2_mem=mean(paths.rho2_mem[escaped]),
        rho2_grok=mean(paths.rho2_grok[escaped]),
        sqrt_v=mean(paths.mean_sqrt_v_grok[escaped]),
        delays=paths.escape_steps[escaped],
        n_runs=paths.status.size,
    )


def mean(values: Array) -> float:
    """Mean; nan of nothing."""
    return float(values.mean()) if values.size else math.nan


def predicted(cells: Sequence[Cell]) -> Task:
    """Take the constant of each law from the middle cell, and predict all."""
    middle = middle_of(cells)
    found = {}
    for name, law in laws(middle).items():
        steps = np.array([law(c) for c in cells])
        found[name] = steps / law(middle) * middle.delays.mean()
    return Task(list(cells), middle, found)


def middle_of(cells: Sequence[Cell]) -> Cell:
    """The cell nearest to the medians of η, λ and b, in their logarithms."""
    at = np.log([point(c) for c in cells])
    centre = [sorted(set(column))[(len(set(column)) - 1) // 2] for column in at.T]
    return cells[int(np.abs(at - centre).sum(axis=1).argmin())]


def laws(middle: Cell) -> dict[str, Law]:
    """Laws, up to a factor but for the matched law, whose σ is that of the middle cell."""
    sigma = sigma_of(middle)
    with_constant = {
        "Theorem 3": (transition_time, {"sigma": 1.0}),
        "matched law": (matched_steps, {"sigma": sigma, "dim": middle.dim}),
        "collapse": (collapse_law, {"constant": 1.0}),
    }

    def at(law: Callable[..., float], constants: Mapping[str, float]) -> Law:
        return lambda c: law(c.rho2_mem, c.rho2_grok, **point(c)._asdict(), **constants)

    return {name: at(*law) for name, law in with_constant.items()}


def sigma_of(middle: Cell) -> float:
    """Gradient noise σ with which the matched law takes as long as was measured."""
    at = {**point(middle)._asdict(), "dim": middle.dim}

    def longer(log_sigma: float) -> float:
        steps = matched_steps(middle.rho2_mem, middle.rho2_grok, sigma=math.exp(log_sigma), **at)
        # Below the floor the time is exponential in d: far beyond what was measured is enough.
        return min(math.log(steps), 100.0) - math.log(middle.delays.mean())

    return math.exp(brentq(longer, math.log(1e-6), math.log(1e3), xtol=1e-10))


def draw(data: dict[str, Task]) -> Figure:
    """One row a task, one column each for η, b and λ."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.8, 0.9 + 1.75 * len(data)))
    panels = figure.subplots(len(data), len(AXES), sharex="col", sharey=True, squeeze=False)
    for row, (name, task) in zip(panels, data.items(), strict=True):
        for axes, axis in zip(row, AXES, strict=True):
            draw_task(axes, task, axis)
        row[0].set_title(f"{name}, {unit(task)}", loc="left", fontsize=8)
        row[1].set_title(origin(task.middle), loc="left", fontsize=8)
        row[2].set_title(f"errors {errors(task)}", loc="left", fontsize=8)
        row[0].set_ylabel(r"$\tau/\tau_0$")
    for axes, text in zip(panels[-1], AXES.values(), strict=True):
        axes.set_xlabel(text)
    spans(panels, data)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def errors(task: Task) -> str:
    """Errors of the laws, in their order."""
    found = [task.error(name) for name in LAWS]
    return ", ".join(f"{100 * e:.0f} %" if e < MOST else f"> {100 * MOST:.0f} %" for e in found)


def unit(task: Task) -> str:
    """The delay of the middle cell."""
    return rf"$\tau_0$ = {task.middle.delays.mean():.4g} steps"


def origin(middle: Cell) -> str:
    """Where the middle cell is."""
    names = (r"\eta_0", "b_0", r"\lambda_0")
    values = (getattr(middle, axis) for axis in AXES)
    return ", ".join(f"${name}$ = {x:g}" for name, x in zip(names, values, strict=True))


def along(task: Task, axis: str) -> list[int]:
    """Cells that differ from the middle one in an axis alone, along it."""
    here = point(task.middle)
    found = [
        n
        for n, c in enumerate(task.cells)
        if all(getattr(c, name) == getattr(here, name) for name in Point._fields if name != axis)
    ]
    return sorted(found, key=lambda n: getattr(task.cells[n], axis))


def draw_task(axes: Axes, task: Task, axis: str) -> None:
    """Delays along an axis, and the laws."""
    places = along(task, axis)
    cells = [task.cells[n] for n in places]
    x = np.array([getattr(c, axis) for c in cells]) / getattr(task.middle, axis)
    first = task.middle.delays.mean()
    for name, style in LAWS.items():
        steps = np.where(np.isfinite(task.predicted[name]), task.predicted[name], np.nan)
        axes.plot(x, steps[places] / first, label=name, **style)
    y, error = np.array([[c.delays.mean(), c.delays.std(ddof=1)] for c in cells]).T / first
    points: dict[str, Any] = {"color": "0.15", "mfc": "w", "ms": 4, "elinewidth": 0.8, "zorder": 3}
    axes.errorbar(x, y, yerr=error, fmt="o", label="measured, simulated", **points)


def spans(panels: Any, data: Mapping[str, Task]) -> None:
    """Common axes, about the points, with ticks that one can read."""
    corner = panels[0, 0]
    for axes, axis in zip(panels[0], AXES, strict=True):
        of_axis = [
            x for t in data.values() for x in relative(t, axis, lambda c, a=axis: getattr(c, a))
        ]
        axes.set_xscale("log")
        ticks(axes.xaxis, of_axis, (1, 3))
    every = [
        x for t in data.values() for a in AXES for x in relative(t, a, lambda c: c.delays.mean())
    ]
    corner.set(yscale="log", ylim=(min(every) / 1.6, max(every) * 1.6))
    ticks(corner.yaxis, every, (1, 2, 5))


def relative(task: Task, axis: str, value: Callable[[Cell], float]) -> list[float]:
    """Numbers of the cells along an axis over that of the middle one."""
    return [value(task.cells[n]) / value(task.middle) for n in along(task, axis)]


def ticks(axis: Any, values: Sequence[float], digits: Sequence[int]) -> None:
    """Ticks of a logarithmic axis at these leading digits, within the values."""
    known = [m * 10.0**e for e in range(-3, 4) for m in digits]
    shown = [t for t in known if min(values) / 1.3 <= t <= max(values) * 1.3]
    axis.set_ticks(shown, [f"{t:g}" for t in shown])
    axis.set_ticks([], minor=True)
