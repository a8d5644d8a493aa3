r"""How far Adam's moments are from their mean field, and the gradient noise: the theory's observations.

Observation 1 says that m and v are slaved to θ: (a) ‖m − h‖/‖h‖ and (b) ‖v − E g²‖/‖E g²‖ at
memorization, at the largest norm and at generalization. Dashes in (a) are what noise alone makes of it,
√((1−β₁)/(1+β₁) tr Σ/(b‖h‖²)). Points are medians over cells (η, λ) of the medians of their seeds, bars
reach from the smallest cell to the largest.

Observation 2 says that the noise is small and isotropic: (c) tr Σ/b, noise of a minibatch, against
‖∇L‖², one point a cell; at the largest norm, where ∇L was not measured, against ‖h‖² with h = ∇L + λθ.
On the line they are equal. (d) Eigenvalues of Σ over tr Σ, largest first: medians over the runs,
shades from the least to the largest run; all would be 1/d if Σ were isotropic.

Data: (a–c) the packaged runs on Z59, coupled shrinkage; (d) runs whose noise spectrum was measured,
which are those of `--noise-at`, with so many eigenvalues as `--noise-rank` says:

    sde-grok train --preset tiny --seeds 6 --noise-at init,mem,grok --noise-rank 64 --out DIR
    sde-grok figures moments --data DIR --out DIR
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.cli.figures import runs_with
from sde_grok.laws import momentum_noise
from sde_grok.runs.cells import cell_medians
from sde_grok.runs.reference import load_z59_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS = "sde-grok train --preset tiny --seeds 6 --noise-at init,mem,grok --noise-rank 64 --out DIR"
EVENTS = {
    "mem": ("memorization", "^", "C0"),
    "peak": ("largest norm", "D", "C2"),
    "grok": ("generalization", "o", "C1"),
}
CHECKPOINTS = {"init": "0.45", "mem": "C0", "grok": "C1", "end": "C3"}
NAMES = {"init": "init", "mem": "memorization", "grok": "generalization", "end": "end"}
TICKS = (0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 50, 100)  # of deviations
APART = 1.13  # factor in b between the events

Array = NDArray[np.float64]
Run = Mapping[str, Any]


class Spectrum(NamedTuple):
    """Eigenvalues over tr Σ, (runs, rank), by checkpoint, of networks on a task of so many dimensions."""

    shares: dict[str, Array]
    dim: int
    task: str


class Data(NamedTuple):
    """Runs whose moments were measured, and spectra of others."""

    runs: Sequence[Run]
    spectrum: Spectrum


def load(folder: Path | None = None) -> Data:
    """Read the packaged runs, and spectra in the folder."""
    runs = [run for run in load_z59_runs() if run["weight_decay"] == "coupled"]
    return Data(runs, spectrum(folder))


def spectrum(folder: Path | None) -> Spectrum:
    """Read the spectra of runs."""
    found = runs_with(folder, "noise_eigenvalues", NEEDS)
    record = json.loads(found.attrs["provenance"])
    shares = found["noise_eigenvalues"] / found["noise_total"]
    by_name = {}
    for name in found["checkpoint"].to_numpy():
        of_it = shares.sel(checkpoint=name).to_numpy().reshape(-1, found.sizes["rank"])
        by_name[str(name)] = of_it[np.isfinite(of_it).all(axis=1)]
    dim = sum(math.prod(shape) for shape in record["layers"].values())
    return Spectrum({k: x for k, x in by_name.items() if len(x)}, dim, record["experiment"]["task"])


def by_batch(
    runs: Sequence[Run], value: Callable[[Run], float]
) -> dict[float, tuple[float, float, float]]:
    """Median over the cells (η, λ) of each batch size, the smallest, and the largest."""
    medians = cell_medians(runs, value)
    cells: dict[float, list[float]] = {}
    for at, x in medians.items():
        cells.setdefault(at.batch_size, []).append(x)
    return {b: (float(np.median(x)), min(x), max(x)) for b, x in sorted(cells.items())}


def noise_alone(run: Run, event: str) -> float:
    """‖m − h‖/‖h‖ that noise makes; nan if the event never happened."""
    trace, square = run[f"noise_trace_{event}"], run[f"gradient_norm2_{event}"]
    if math.isnan(trace):
        return math.nan
    return momentum_noise(trace, square, batch_size=run["batch_size"], beta1=run["beta1"])


def gradient2(run: Run, event: str) -> float:
    """‖∇L‖², or at the largest norm ‖h‖²."""
    name = "gradient_norm2" if event == "peak" else "noise_signal"
    return float(run[f"{name}_{event}"])


def draw(data: Data) -> Figure:
    """Moments above, noise below."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.8, 5.2))
    (of_m, of_v), (noise, spectra) = figure.subplots(2, 2)
    draw_deviation(of_m, data.runs, "m_deviation")
    draw_noise_alone(of_m, data.runs)
    draw_deviation(of_v, data.runs, "v_deviation")
    for axes in (of_m, of_v):
        low, high = axes.get_ylim()
        ticks = [t for t in TICKS if low < t < high]
        axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
        axes.set_yticks([], minor=True)
    of_m.set_ylabel(r"$\|m - h\|/\|h\|$")
    of_v.set_ylabel(r"$\|v - \mathrm{E}g^2\|/\|\mathrm{E}g^2\|$")
    draw_noise(noise, data.runs)
    draw_spectra(spectra, data.spectrum)
    titles = ("Z59", "Z59", "Z59", data.spectrum.task.upper())
    for letter, title, axes in zip("abcd", titles, (of_m, of_v, noise, spectra), strict=True):
        axes.set_title(f"({letter})", loc="left")
        axes.set_title(title, loc="right")
    figure.legend(*of_m.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def draw_deviation(axes: Axes, runs: Sequence[Run], name: str) -> None:
    """Deviation of a moment against b, one series an event."""
    for n, (event, (label, marker, color)) in enumerate(EVENTS.items()):
        found = by_batch(runs, lambda run, e=event: run[f"{name}_{e}"])
        middle, low, high = np.array(list(found.values())).T
        axes.errorbar(
            np.array(list(found)) * APART ** (n - 1),
            middle,
            yerr=[middle - low, high - middle],
            fmt=marker,
            color=color,
            mfc="w",
            elinewidth=0.8,
            label=label,
        )
    at = sorted({run["batch_size"] for run in runs})
    axes.set(xscale="log", yscale="log", xlabel="batch size $b$")
    axes.set_xticks(at, [f"{b:g}" for b in at])
    axes.set_xticks([], minor=True)


def draw_noise_alone(axes: Axes, runs: Sequence[Run]) -> None:
    """What noise makes of m's deviation, as dashes beside the points."""
    for n, event in enumerate(EVENTS):
        found = by_batch(runs, lambda run, e=event: noise_alone(run, e))
        x = np.array(list(found)) * APART ** (n - 1)
        middle = [median for median, _, _ in found.values()]
        style: dict[str, Any] = {"ls": "none", "ms": 9, "mew": 1.4, "color": "0.2"}
        axes.plot(x, middle, "_", label="noise alone" if n == 0 else None, **style)


def draw_noise(axes: Axes, runs: Sequence[Run]) -> None:
    """Noise of a minibatch against the gradient, one point a cell."""
    every = []
    for event, (_, marker, color) in EVENTS.items():
        of_noise = cell_medians(runs, lambda r, e=event: r[f"noise_trace_{e}"] / r["batch_size"])
        gradient = cell_medians(runs, lambda r, e=event: gradient2(r, e))
        both = [(gradient[at], of_noise[at]) for at in of_noise if at in gradient]
        axes.plot(*zip(*both, strict=True), marker, color=color, mfc="w", mew=0.9, ms=4)
        every += [x for pair in both for x in pair]
    span = np.array([min(every) / 2, max(every) * 2])
    axes.plot(span, span, color="0.6", lw=0.8, zorder=1, label="equal")
    axes.legend(loc="lower right")
    axes.set(xscale="log", yscale="log", xlabel=r"$\|\nabla L\|^2$ (diamonds: $\|h\|^2$), nats$^2$")
    axes.set_ylabel(r"$\mathrm{tr}\,\Sigma/b$, nats$^2$")


def draw_spectra(axes: Axes, found: Spectrum) -> None:
    """Share of the noise in each direction."""
    for name, shares in found.shares.items():
        rank = np.arange(1, shares.shape[1] + 1)
        color = CHECKPOINTS[name]
        axes.plot(rank, np.median(shares, axis=0), color=color, label=NAMES[name])
        low, high = shares.min(axis=0), shares.max(axis=0)
        axes.fill_between(rank, low, high, color=color, alpha=0.2, lw=0)
    axes.axhline(1 / found.dim, color="0.3", ls="--", lw=0.8, label=f"isotropic, $d$ = {found.dim}")
    axes.set(xscale="log", yscale="log", xlabel="rank of the eigenvalue")
    axes.set_ylabel(r"eigenvalue of $\Sigma$ over $\mathrm{tr}\,\Sigma$")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.05))
