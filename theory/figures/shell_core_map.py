r"""Real trajectories from init through the memorization shell to the core, on a map of distances.

Left, multidimensional scaling of snapshots of θ of several runs about the centre θ = 0. The distance
from the centre is ρ; angles φ are those of the least stress

    S² = Σ_{i<j} (|x_i − x_j| − δ_ij)² / Σ_{i<j} δ_ij²,    x = ρ (cos φ, sin φ),

δ the distances in parameter space, found by descent from one angle a run. Runs from different seeds
have nearly orthogonal θ, for which no plane has room; S says how much that bends. Marks are init (where
a run began), memorization and generalization; circles are at the median ρ of each.

Right, ρ against the step; step 0 is drawn at half the first evaluation. Memorization is outside the init shell, the core within the memorization
shell.

Data: runs with snapshots. If sketches were kept, δ is off by 1/√(2n), 4 % for n = 256; ρ is exact. Any
training of `--snapshot-every N --sketch n` will do, and presets have none unless told to:

    sde-grok train --preset tiny --seeds 6 --snapshot-every 20 --sketch 256 --out DIR
    sde-grok figures shell_core_map --data DIR --out DIR
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.distance import pdist

from sde_grok.checks import ParameterError
from sde_grok.cli.figures import runs_with
from sde_grok.datasets import each_run

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS = "sde-grok train --preset tiny --seeds 6 --snapshot-every 20 --sketch 256 --out DIR"
POINTS = 240  # on the map, of all runs
STAGES = {"init": ("s", "0.45"), "memorization": ("^", "C0"), "generalization": ("o", "C1")}
PARTS = {"init": "until memorization", "memorization": "until generalization"}
DASHED: dict[str, Any] = {"ls": (0, (4, 2)), "lw": 0.8, "zorder": 1}
HOLLOW: dict[str, Any] = {"mfc": "w", "mew": 0.8, "ms": 4, "ls": "none", "zorder": 4}

Array = NDArray[np.float64]


class Track(NamedTuple):
    """One run: norms at its evaluations, its snapshots, and when its stages began (nan: never)."""

    step: Array
    rho: Array
    snapshot: Array
    theta: Array
    began: dict[str, float]

    @property
    def rho_of_snapshots(self) -> Array:
        """ρ where there is a snapshot."""
        return self.rho[np.searchsorted(self.step, self.snapshot)]


class Data(NamedTuple):
    """Runs, positions of their snapshots on the map, and its stress."""

    tracks: list[Track]
    positions: list[Array]
    stress: float


def load(folder: Path | None = None) -> Data:
    """Read runs with snapshots, and lay out the map."""
    runs = list(each_run(runs_with(folder, "theta", NEEDS)))
    n = max(8, POINTS // max(1, len(runs)))
    tracks = [track(run, n) for run in runs if run.sizes["step"] > 1]
    if not tracks:
        raise ParameterError("data", str(folder), f"a folder with runs that were trained: {NEEDS}")
    theta = np.concatenate([t.theta for t in tracks])
    rho = np.concatenate([t.rho_of_snapshots for t in tracks])
    sizes = [len(t.theta) for t in tracks]
    # A hair apart, for two points at one angle have no slope to part by.
    spokes = np.repeat(np.arange(len(tracks)), sizes) + 1e-3 * np.linspace(0, 1, len(theta))
    where, stress = radial_map(pdist(theta), rho, 2 * np.pi / len(tracks) * spokes)
    return Data(tracks, np.split(where, np.cumsum(sizes)[:-1]), stress)


def track(run: xr.Dataset, n: int) -> Track:
    """Take about n snapshots, evenly along the path, and those of its stages."""
    theta = run["theta"].to_numpy().astype(np.float64)
    known = np.flatnonzero(np.isfinite(theta).all(axis=-1))
    theta, every = theta[known], run["snapshot"].to_numpy()[known]
    names = dict(zip(STAGES, (None, "t_mem", "t_grok"), strict=True))
    began = {stage: float(run[name]) if name else 0.0 for stage, name in names.items()}
    path = np.append(0.0, np.linalg.norm(np.diff(theta, axis=0), axis=1).cumsum())
    at = np.searchsorted(path, np.linspace(0, path[-1], n))
    of_stages = np.searchsorted(every, [t for t in began.values() if np.isfinite(t)])
    kept = np.unique(np.minimum(np.concatenate([at, of_stages]), every.size - 1))
    step, rho = run["step"].to_numpy(), np.sqrt(run["rho2"].to_numpy())
    return Track(step, rho, every[kept], theta[kept], began)


def radial_map(distances: Array, rho: Array, start: Array) -> tuple[Array, float]:
    """Positions (n, 2) at the distances ρ from the centre, and the stress of the others.

    Parameters
    ----------
    distances : (n(n−1)/2,) array
        δ, as of `scipy.spatial.distance.pdist`.
    rho, start : (n,) array
        Distances from the centre, and the angles to begin with.
    """
    i, j = np.triu_indices(rho.size, 1)

    def stress(phi: Array) -> tuple[float, Array]:
        """S² Σδ², and its gradient."""
        square = rho[i] ** 2 + rho[j] ** 2 - 2 * rho[i] * rho[j] * np.cos(phi[i] - phi[j])
        apart = np.sqrt(np.maximum(square, 1e-12 * rho[i] * rho[j]))
        off = apart - distances
        slope = 2 * off / apart * rho[i] * rho[j] * np.sin(phi[i] - phi[j])
        gradient = np.bincount(i, slope, rho.size) - np.bincount(j, slope, rho.size)
        return float(off @ off), gradient

    found = minimize(stress, start, jac=True, method="L-BFGS-B")
    x = rho[:, None] * np.column_stack([np.cos(found.x), np.sin(found.x)])
    return x, float(np.sqrt(found.fun / (distances @ distances)))


def draw(data: Data) -> Figure:
    """The map, and norms against the step."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.8, 3.5))
    left, right = figure.subplots(1, 2)
    shells = {stage: shell(data.tracks, stage) for stage in STAGES}
    draw_map(left, data, shells)
    draw_norms(right, data.tracks, shells)
    handles = left.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3)
    return figure


def shell(tracks: list[Track], stage: str) -> float:
    """Median ρ where a stage began; nan if it never did."""
    found = [np.interp(t.began[stage], t.step, t.rho) for t in tracks]
    return float(np.nanmedian(found)) if np.isfinite(found).any() else np.nan


def draw_map(axes: Axes, data: Data, shells: dict[str, float]) -> None:
    """Tracks on the map, with the shells as circles."""
    around = np.linspace(0, 2 * np.pi, 361)
    for stage, rho in shells.items():
        axes.plot(rho * np.cos(around), rho * np.sin(around), color=STAGES[stage][1], **DASHED)
    for t, x in zip(data.tracks, data.positions, strict=True):
        draw_track(axes, x.T, t.snapshot, t.began)
    axes.plot(0, 0, "+", color="0.3", ms=5, mew=0.8)
    for stage, (marker, color) in STAGES.items():
        axes.plot([], [], marker, color=color, label=stage, **HOLLOW)
    for stage, label in {**PARTS, "generalization": "after generalization"}.items():
        axes.plot([], [], color=STAGES[stage][1], lw=1.0, label=label)
    axes.set(box_aspect=1, aspect="equal", xlabel=r"$\rho\,\cos\varphi$")
    axes.set_ylabel(r"$\rho\,\sin\varphi$")
    axes.set_title(f"(a) map of distances, stress {data.stress:.2f}", loc="left")
    axes.set(xticks=axes.get_yticks()[1:-1], xlim=axes.get_ylim())
    axes.grid(visible=False)


def draw_track(axes: Axes, xy: Any, step: Array, began: dict[str, float]) -> None:
    """A line colored by its stages, and a mark at the first state of each."""
    x, y = xy
    starts = [t if np.isfinite(t) else np.inf for t in began.values()]
    first = [int(np.searchsorted(step, t)) for t in [*starts, np.inf]]
    for (marker, color), start, end in zip(STAGES.values(), first[:-1], first[1:], strict=True):
        axes.plot(x[start : end + 1], y[start : end + 1], color=color, lw=0.9, zorder=3)
        axes.plot(x[start : start + 1], y[start : start + 1], marker, color=color, **HOLLOW)


def draw_norms(axes: Axes, tracks: list[Track], shells: dict[str, float]) -> None:
    """ρ against the step of all runs, with the shells as lines."""
    for stage, rho in shells.items():
        axes.axhline(rho, color=STAGES[stage][1], **DASHED)
    for t in tracks:
        step = np.maximum(t.step, t.step[1] / 2)  # 0 has no logarithm
        draw_track(axes, (step, t.rho), t.step, t.began)
    axes.set(xscale="log", xlabel="step", ylabel=r"norm $\rho$", box_aspect=1, ylim=(0, None))
    axes.set_title("(b) norm", loc="left")
