r"""Predicted against measured delays of networks, each law calibrated on one cell of a task.

Delays τ, T_grok − T_mem in steps, of the cells (η, λ, b) of three tasks: means over seeds, with their
range. Each law has its constants from the middle cell of the task alone (filled), and predicts the others:

- collapse: C ln(ρ_M²/ρ_G²) η⁻¹ λ^−½ b^−¼ with ρ_G² measured in the predicted runs, known at the end
  (`sde_grok.laws.collapse_law`),
- forecast: the same with ρ_G² = ρ²_ref (λ/λ_ref)^(−1/7) from the calibration cell
  (`sde_grok.laws.core_radius_law`), so that nothing later than memorization is used,
- Theorem 3, leading term: σ/(ηλ√b) ½ ln(ρ_M²/ρ_G²) with ρ_G² measured (`sde_grok.laws.transition_time`).

Percentages are the mean of |predicted − measured|/measured over the runs of the other cells; the band is
±20 %. The exponents of the collapse are from Z127 and S5; that of ρ_G² was chosen on all three tasks.

Data: the packaged runs with coupled shrinkage, the cells in which all runs generalize after they memorize.

    sde-grok figures predicted --out DIR
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.predictions import LAWS, Fold, Law, forecast, packaged, protocols, scored
from sde_grok.predictions.cells import Run, of_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {
    "collapse, measured core": LAWS["collapse_law", "measured"],
    "forecast, predicted core": LAWS["collapse_law", "predicted"],
    "Theorem 3, measured core": LAWS["theorem_3_leading", "measured"],
}
MARKERS = {"Z127": "s", "S5": "o", "Z59": "^"}
BAND = 0.2

Array = NDArray[np.float64]


class Cells(NamedTuple):
    """Measured delays of the cells of a task, predicted ones, and the mean error of the others.

    The first cell is the one that calibrates.
    """

    measured: list[Array]
    predicted: Array
    error: float


def load(folder: Path | None = None) -> dict[str, dict[str, Cells]]:
    """Predict the packaged tasks with each law."""
    del folder  # only what is packaged
    tasks = packaged()
    return {
        name: {task: cells(law, runs) for task, runs in tasks.items()}
        for name, law in PANELS.items()
    }


def cells(law: Law, runs: list[Run]) -> Cells:
    """Predict all cells of a task from its middle one."""
    folds = protocols(runs)["middle cell"]
    fold = folds[0]
    others = forecast(law, runs, fold)
    found = forecast(law, runs, Fold(fold.train, fold.train)) | others
    measured = [
        np.array([run["T_grok"] - run["T_mem"] for run in of_points(runs, {at})]) for at in found
    ]
    error = scored(law, runs, folds, [others]).mape
    return Cells(measured, np.array(list(found.values())), error)


def draw(data: dict[str, dict[str, Cells]]) -> Figure:
    """One panel a law, on the same axes."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.8, 3.4))
    panels = figure.subplots(1, len(data), sharex=True, sharey=True)
    limits = bounds(data)
    for letter, axes, (name, tasks) in zip("abc", panels, data.items(), strict=True):
        draw_band(axes, limits)
        for n, (task, found) in enumerate(tasks.items()):
            draw_task(axes, found, color=f"C{n}", marker=MARKERS[task])
        text = "\n".join(f"{task} {100 * found.error:.0f} %" for task, found in tasks.items())
        axes.text(0.05, 0.97, text, transform=axes.transAxes, va="top", fontsize=8)
        axes.set_title(f"({letter}) {name}", loc="left", fontsize=8.5)
        axes.set_box_aspect(1)
    panels[0].set_ylabel("predicted delay, steps")
    panels[1].set_xlabel("measured delay, steps")
    panels[0].set(xscale="log", yscale="log", xlim=limits, ylim=limits)
    add_keys(figure, list(next(iter(data.values()))))
    return figure


def bounds(data: dict[str, dict[str, Cells]]) -> tuple[float, float]:
    """Limits of both axes: all that is drawn, and some room."""
    every = [
        np.concatenate([*found.measured, found.predicted])
        for tasks in data.values()
        for found in tasks.values()
    ]
    return float(np.concatenate(every).min() / 1.3), float(np.concatenate(every).max() * 1.3)


def draw_band(axes: Axes, limits: tuple[float, float]) -> None:
    """The diagonal, and a band about it."""
    x = np.array(limits)
    axes.fill_between(x, (1 - BAND) * x, (1 + BAND) * x, color="0.9", lw=0)
    axes.plot(x, x, color="0.5", lw=0.8)


def draw_task(axes: Axes, found: Cells, *, color: str, marker: str) -> None:
    """Cells of a task, with the range of the seeds; the first is filled."""
    mean = np.array([delays.mean() for delays in found.measured])
    low = mean - [delays.min() for delays in found.measured]
    high = [delays.max() for delays in found.measured] - mean
    style: dict[str, Any] = {"color": color, "fmt": marker, "ms": 4, "lw": 0.7, "capsize": 0}
    axes.errorbar(mean[1:], found.predicted[1:], xerr=[low[1:], high[1:]], mfc="w", **style)
    first = {**style, "ms": 6, "zorder": 3, "mec": "k"}
    axes.errorbar(mean[:1], found.predicted[:1], xerr=[low[:1], high[:1]], **first)


def add_keys(figure: Figure, tasks: list[str]) -> None:
    """What markers, line and band are."""
    from matplotlib.lines import Line2D  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    points: dict[str, Any] = {"ls": "none", "ms": 4}
    keys: list[Any] = [
        Line2D([], [], color=f"C{n}", marker=MARKERS[task], mfc="w", label=task, **points)
        for n, task in enumerate(tasks)
    ]
    filled: dict[str, Any] = {"marker": "o", "mec": "k", "color": "0.5", "ls": "none", "ms": 6}
    keys.append(Line2D([], [], label="calibration cell", **filled))
    keys.append(Patch(color="0.9", label=f"±{100 * BAND:.0f} %"))
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
