"""Phase portrait of a network of two circuits: shells, drift and paths in the plane of two norms.

θ is two blocks, of the circuit m that memorizes and of g that generalizes, with norms ρ_m and ρ_g;
ρ² = ρ_m² + ρ_g², and ρ_g²/ρ² is the share of g. Times t = kη are those of the SDEs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sde_grok.checks import ParameterError, integer, number
from sde_grok.grokking import GrokkingResult
from sde_grok.landscapes.evaluate import evaluate
from sde_grok.landscapes.landscape import Landscape
from sde_grok.noise import Noise
from sde_grok.optimizer import Optimizer
from sde_grok.trajectories import Trajectories

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "TwoCircuits",
    "block_norms",
    "escape_sequence",
    "norm_drift",
    "phase_portrait",
    "spread",
]

Array = NDArray[np.float64]
Entries = tuple[NDArray[np.intp], NDArray[np.intp]]  # of states: which steps, and which paths

GRID = 121  # points to a side of a panel
MARGIN = 1.12  # of the panels, beyond the paths
DRAWN = {"init": ("0.25", "--"), "train": ("C0", "-"), "test": ("C2", "-")}  # color and style
MARKS = {"memorized": "^", "generalized": "o"}
STAGES = {"not yet memorized": "0.55", "memorized": "C0", "generalized": "C1"}


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoCircuits:
    """A problem of two circuits, and the shells between which its paths are.

    Parameters
    ----------
    landscape : Landscape
        With losses.
    optimizer : Optimizer
        Learning rate, batch size, shrinkage and Adam's constants.
    noise : IsotropicNoise, DiagonalNoise or DenseNoise
        Covariance Σ of one example's gradient where the landscape's factor f is 1.
    dims : pair of int
        Coordinates of the blocks m and g.
    rho_start : float
        Radius of the init shell, > 0.
    train_loss, test_loss : float
        Losses at which a path has memorized, and generalized.
    rest : pair of float, optional
        ρ_m and ρ_g where the mean flow rests, as by `sde_grok.laws.logistic_radius`.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or the landscape has no losses.
    """

    landscape: Landscape
    optimizer: Optimizer
    noise: Noise
    dims: tuple[int, int]
    rho_start: float
    train_loss: float
    test_loss: float
    rest: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.dims, (tuple, list)) or len(self.dims) != 2:
            raise ParameterError("dims", self.dims, "two, those of the blocks m and g")
        for size in self.dims:
            integer("dims", size, low=1)
        if not self.landscape.has_losses:
            raise ParameterError("landscape", self.landscape.name, "one with losses")
        if self.landscape.dim not in (None, sum(self.dims)):
            allowed = f"such that their sum is {self.landscape.dim}, that of the landscape"
            raise ParameterError("dims", self.dims, allowed)
        number("rho_start", self.rho_start, low=0, open_low=True)
        for name in ("train_loss", "test_loss"):
            number(name, getattr(self, name), low=0, open_low=True)


def block_norms(theta: ArrayLike, dims: tuple[int, int]) -> tuple[Array, Array]:
    """ρ_m and ρ_g of (…, d) points."""
    points = np.asarray(theta, np.float64)
    if points.shape[-1:] != (sum(dims),):
        raise ParameterError("theta", points, f"points of {sum(dims)} coordinates each")
    m, g = np.split(points, [dims[0]], axis=-1)
    return np.linalg.norm(m, axis=-1), np.linalg.norm(g, axis=-1)


def spread(rho_m: ArrayLike, rho_g: ArrayLike, dims: tuple[int, int]) -> Array:
    """θ whose norms are spread evenly over the coordinates of a block, θᵢ = ρ_c/√d_c."""
    norms = np.stack(np.broadcast_arrays(rho_m, rho_g), axis=-1)
    return np.repeat(norms / np.sqrt(dims), dims, axis=-1)


def norm_drift(problem: TwoCircuits, rho_m: ArrayLike, rho_g: ArrayLike) -> tuple[Array, Array]:
    """Drift of ρ_m and ρ_g on the reduced rung, in norm per unit of t = kη.

    At the points θᵢ = ρ_c/√d_c, the root mean square of a coordinate that is uniform on the sphere
    of its block, and with

        dθᵢ/dt = −hᵢ/Pᵢ [− λθᵢ if decoupled],   P = √(h² + f² diag Σ/b) + ε,   h = ∇L [+ λθ if coupled],

    dρ_c/dt = Σᵢ θᵢ (dθᵢ/dt)/ρ_c over the block. What noise adds to the norms of paths, in the mean
    (η/2ρ_c) Σᵢ f²Σᵢᵢ/(b Pᵢ²), is not part of the drift of θ, and left out.

    Parameters
    ----------
    problem : TwoCircuits
    rho_m, rho_g : array_like
        Norms; arrays broadcast.

    Returns
    -------
    pair of arrays
        dρ_m/dt and dρ_g/dt.
    """
    optimizer, dims = problem.optimizer, problem.dims
    theta = spread(rho_m, rho_g, dims)
    here = evaluate(problem.landscape, theta)
    h = here.gradient + optimizer.coupled * theta
    deviations = problem.noise.deviations(sum(dims))
    P = np.hypot(h, here.noise[..., None] * deviations / optimizer.batch_size**0.5) + optimizer.eps
    pull = np.divide(h, P, out=np.zeros_like(h), where=P > 0)
    drift = -pull - optimizer.decoupled * theta
    m, g = np.split(drift, [dims[0]], axis=-1)
    return m.sum(axis=-1) / dims[0] ** 0.5, g.sum(axis=-1) / dims[1] ** 0.5


class Mesh(NamedTuple):
    """A panel's coordinates on a grid, and the norms there."""

    x: Array
    y: Array
    rho_m: Array
    rho_g: Array


def _mesh_of_norms(side: float) -> Mesh:
    x, y = np.meshgrid(np.linspace(0, side, GRID), np.linspace(0, side, GRID))
    return Mesh(x, y, x, y)


def _mesh_of_share(top: float) -> Mesh:
    x, y = np.meshgrid(np.linspace(0, 1, GRID), np.linspace(0, top, GRID))
    return Mesh(x, y, y * np.sqrt(1 - x), y * np.sqrt(x))


def _to_share(rho_m: ArrayLike, rho_g: ArrayLike) -> tuple[Array, Array]:
    """ρ_g²/ρ² and ρ."""
    rho: Array = np.hypot(rho_m, rho_g)
    return (np.asarray(rho_g, np.float64) / rho) ** 2, rho


def _drift_of_share(mesh: Mesh, d_m: Array, d_g: Array) -> tuple[Array, Array]:
    """Drift of ρ_g²/ρ² and of ρ by that of the norms; nan in the centre."""
    rho = np.where(mesh.y > 0, mesh.y, np.nan)
    d_rho = (mesh.rho_m * d_m + mesh.rho_g * d_g) / rho
    return 2 * (mesh.rho_g * d_g - mesh.x * rho * d_rho) / rho**2, d_rho


def phase_portrait(
    problem: TwoCircuits, *, paths: Trajectories, stages: GrokkingResult | None = None
) -> Figure:
    """Draw drift, shells and paths over the share of g and the norm, and over both norms.

    Streamlines are those of `norm_drift`, the darker the faster. Paths of rungs with moments cross
    them, or are slower, where gradients change faster than v forgets. A path has a triangle where
    it memorizes, and a circle where it generalizes.

    Parameters
    ----------
    problem : TwoCircuits
    paths : Trajectories
        Sample paths.
    stages : GrokkingResult, optional
        Of the same paths, which must then have states at the steps of both stages. What had
        happened at the start has no mark.

    Returns
    -------
    Figure

    Raises
    ------
    ParameterError
        If `paths` has no state at the step of a mark.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    marks = {} if stages is None else _entries(paths, stages)
    rho_m, rho_g = block_norms(paths.theta, problem.dims)
    of_share = _mesh_of_share(MARGIN * float(np.nanmax(np.hypot(rho_m, rho_g))))
    of_norms = _mesh_of_norms(MARGIN * float(np.nanmax([rho_m, rho_g])))
    figure = Figure(figsize=(6.8, 3.5))
    left, right = figure.subplots(1, 2)
    drift = norm_drift(problem, of_share.rho_m, of_share.rho_g)
    _draw_drift(left, problem, of_share, _drift_of_share(of_share, *drift), drift)
    drift = norm_drift(problem, of_norms.rho_m, of_norms.rho_g)
    greys = _draw_drift(right, problem, of_norms, drift, drift)
    _draw_shells(left, problem, of_share)
    _draw_shells(right, problem, of_norms)
    _draw_paths(left, *_to_share(rho_m, rho_g), marks)
    _draw_paths(right, rho_m, rho_g, marks)
    if problem.rest is not None:
        _draw_rest(left, *_to_share(*problem.rest))
        _draw_rest(right, *problem.rest)
    left.set(xlabel=r"share of $g$, $\rho_g^2/\rho^2$", ylabel=r"norm $\rho$")
    right.set(xlabel=r"$\rho_m$, memorizing", ylabel=r"$\rho_g$, generalizing")
    _add_greys(figure, right, greys)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _entries(paths: Trajectories, stages: GrokkingResult) -> Mapping[str, Entries]:
    """Where in `paths` are the stages of those that came to them."""
    found = {}
    for name in MARKS:
        steps = getattr(stages, name).steps
        who = np.flatnonzero(steps >= 1)  # not if nan
        entry = np.minimum(np.searchsorted(paths.steps, steps[who]), len(paths.steps) - 1)
        if len(steps) != paths.theta.shape[1] or np.any(paths.steps[entry] != steps[who]):
            allowed = "with the states of the same paths at the steps of their stages"
            raise ParameterError("paths", paths.steps, allowed)
        found[name] = (entry, who)
    return found


def _draw_drift(
    axes: Axes,
    problem: TwoCircuits,
    mesh: Mesh,
    velocity: tuple[Array, Array],
    drift: tuple[Array, Array],
) -> Any:
    """Streamlines of a velocity, grey by the drift of the norms; return what has the greys."""
    from matplotlib.colors import ListedColormap, LogNorm  # noqa: PLC0415

    speed = 1000 * problem.optimizer.eta * np.hypot(*drift)
    low, high = np.quantile(speed[speed > 0], [0.02, 0.98])
    lines = axes.streamplot(
        mesh.x,
        mesh.y,
        *velocity,
        color=np.clip(speed, low, high),
        cmap=ListedColormap([str(grey) for grey in np.linspace(0.87, 0.5, 64)]),
        norm=LogNorm(low, high),
        density=1.1,
        linewidth=0.6,
        arrowsize=0.6,
        zorder=1,
    )
    axes.set(xlim=(0, mesh.x.max()), ylim=(0, mesh.y.max()), box_aspect=1)
    axes.locator_params(nbins=6)
    axes.grid(visible=False)
    return lines.lines


def _add_greys(figure: Figure, axes: Axes, greys: Any) -> None:
    """Add the key to the greys of streamlines, as high as the panel."""
    from matplotlib.ticker import LogLocator  # noqa: PLC0415

    beside = axes.inset_axes((1.04, 0, 0.035, 1))
    ticks = LogLocator(subs=(1, 2, 5))
    bar = figure.colorbar(greys, cax=beside, ticks=ticks, format="{x:g}")
    bar.ax.minorticks_off()
    bar.set_label(r"drift of $(\rho_m, \rho_g)$ in 1000 steps")


def _draw_shells(axes: Axes, problem: TwoCircuits, mesh: Mesh) -> None:
    """Draw the init shell, the lines where losses are just low enough, and a tint of the core."""
    here = evaluate(problem.landscape, spread(mesh.rho_m, mesh.rho_g, problem.dims))
    train, test = problem.train_loss, problem.test_loss
    shells = {
        "init": (np.hypot(mesh.rho_m, mesh.rho_g), problem.rho_start, "init shell"),
        "train": (here.train_loss, train, f"shell: train loss {train:g}"),
        "test": (here.test_loss, test, f"core: test loss {test:g}"),
    }
    for gid, (values, level, label) in shells.items():
        color, style = DRAWN[gid]
        z = np.log(np.maximum(values, np.finfo(float).tiny)) - np.log(level)
        if not z.min() < 0 < z.max():
            continue
        line: dict[str, Any] = {"colors": color, "linestyles": style, "zorder": 2}
        axes.contour(mesh.x, mesh.y, z, levels=[0.0], linewidths=1.2, **line).set_gid(gid)
        axes.plot([], [], color=color, ls=style, label=label)
        if gid == "test":
            tint: dict[str, Any] = {"colors": color, "alpha": 0.12, "zorder": 0}
            axes.contourf(mesh.x, mesh.y, z, levels=[z.min(), 0.0], **tint)


def _draw_paths(axes: Axes, x: Array, y: Array, marks: Mapping[str, Entries]) -> None:
    axes.plot(x, y, color="C1", lw=0.7, zorder=3)
    axes.plot([], [], color="C1", lw=0.7, label="paths")
    for name, entries in marks.items():
        style: dict[str, Any] = {"color": "C1", "mfc": "w", "mew": 0.8, "ms": 4, "ls": "none"}
        points = axes.plot(x[entries], y[entries], MARKS[name], label=name, zorder=4, **style)
        points[0].set_gid(name)


def _draw_rest(axes: Axes, x: ArrayLike, y: ArrayLike) -> None:
    style: dict[str, Any] = {"color": "k", "mec": "w", "mew": 0.6, "ms": 8, "ls": "none"}
    axes.plot(x, y, "*", label="rest", gid="rest", clip_on=False, zorder=5, **style)


def escape_sequence(problem: TwoCircuits, *, paths: Trajectories, titles: Sequence[str]) -> Figure:
    """Draw the cloud of paths over both norms, one panel a time, with the shells.

    Points are grey with a train loss that is too high, then blue, and orange with both low enough:
    by where they are, not by where they have been.

    Parameters
    ----------
    problem : TwoCircuits
    paths : Trajectories
        Many paths, at few steps.
    titles : sequence of str
        One a step.

    Returns
    -------
    Figure

    Raises
    ------
    ParameterError
        If there are not as many titles as steps.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    if len(titles) != len(paths.steps):
        raise ParameterError("titles", titles, f"{len(paths.steps)}, one a step")
    rho_m, rho_g = block_norms(paths.theta, problem.dims)
    mesh = _mesh_of_norms(MARGIN * float(np.nanmax([rho_m, rho_g])))
    figure = Figure(figsize=(6.8, 2.3))
    panels = figure.subplots(1, len(titles), sharex=True, sharey=True, squeeze=False)[0]
    for k, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        _draw_shells(axes, problem, mesh)
        _draw_cloud(axes, problem, paths.theta[k])
        if problem.rest is not None:
            _draw_rest(axes, *problem.rest)
        axes.set_title(f"{title}\n$k$ = {paths.steps[k]}", fontsize=8)
        axes.set(xlabel=r"$\rho_m$", box_aspect=1)
        axes.locator_params(nbins=4)
        axes.grid(visible=False)
    panels[0].set_ylabel(r"$\rho_g$")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_cloud(axes: Axes, problem: TwoCircuits, theta: Array) -> None:
    """Draw points colored by their stage."""
    theta = theta[np.isfinite(theta).all(axis=-1)]
    here = evaluate(problem.landscape, theta)
    learned = here.train_loss <= problem.train_loss
    stage = learned.astype(int) + (learned & (here.test_loss <= problem.test_loss))
    x, y = block_norms(theta, problem.dims)
    for n, (name, color) in enumerate(STAGES.items()):
        who = stage == n
        axes.plot(x[who], y[who], ".", color=color, ms=2.2, mew=0, gid=name, zorder=3)
        axes.plot([], [], ".", color=color, ms=5, mew=0, label=name)
