"""The two figures of `sde-grok validate`; data in, figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sde_grok.laws.limits import law_limit
from sde_grok.laws.matched import matched_steps
from sde_grok.laws.mean_field import mean_field_steps
from sde_grok.validate.ladder import GEOMETRY, NOISE, RungResult, example
from sde_grok.validate.networks import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ladder_figure", "network_figure"]

RUNG_MARKERS = {"discrete": "o", "joint": "x", "reduced": "s", "radial": "^"}
TASK_MARKERS = {"s5": "s", "z127": "o"}
TASK_NAMES = {"s5": "S₅ composition", "z127": "Z₁₂₇ addition"}


def ladder_figure(results: Sequence[RungResult]) -> Figure:
    """Mean escape steps against batch size, rung by rung, with the laws; one panel a decay."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 3.2))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, decay in zip(panels, ("coupled", "decoupled"), strict=True):
        _rungs(axes, [r for r in results if r.decay == decay])
        axes.set(xscale="log", yscale="log", xlabel="batch size $b$")
        axes.set_title(f"{decay} shrinkage", loc="left")
    panels[0].set_ylabel("mean escape time (steps)")
    panels[0].legend(loc="lower left")
    return figure


def _rungs(axes: Axes, results: Sequence[RungResult]) -> None:
    decay, lam = results[0].decay, results[0].lam
    batches = np.geomspace(30, 1e6, 30)
    start, core = GEOMETRY.rho_start**2, GEOMETRY.rho_core**2
    s = NOISE.sigma / np.sqrt(batches)
    gamma = lam / s if decay == "coupled" else np.full_like(s, lam)
    eta = example("coupled", lam, 1).eta
    limit = law_limit(start, core, dim=GEOMETRY.dim, gamma=gamma, q2=eta) / eta
    axes.plot(batches, limit, color="0.35", ls="--", label="law limit with floor")
    if decay == "coupled":
        coupled = example("coupled", lam, 1)
        point = {"dim": GEOMETRY.dim, "eta": eta, "lam": lam, "sigma": NOISE.sigma}
        matched = matched_steps(start, core, batch_size=batches, **point)
        axes.plot(batches, matched, color="0.35", label="matched law")
        memory = {"beta1": coupled.beta1, "beta2": coupled.beta2}
        field = mean_field_steps(start, core, batch_size=batches, **point, **memory)
        axes.plot(batches, field, color="0.35", ls=":", label="mean-field law")
    for rung, marker in RUNG_MARKERS.items():
        mine = [r for r in results if r.rung == rung]
        axes.errorbar(
            [r.batch_size for r in mine],
            [r.mean for r in mine],
            yerr=[r.stderr for r in mine],
            fmt=marker,
            mfc="none",
            label=f"{rung} rung" if rung != "discrete" else "discrete Adam",
        )


def network_figure(predictions: Sequence[Prediction]) -> Figure:
    """Measured transition time against the flat annulus' prediction from the measured radii."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(4.6, 4.2))
    axes = figure.subplots()
    comparable = [p for p in predictions if p.comparable]
    lams = sorted({p.cell.lam for p in comparable})
    for task, marker in TASK_MARKERS.items():
        for index, lam in enumerate(lams):
            _cells(
                axes,
                [p for p in comparable if p.cell.task == task and p.cell.lam == lam],
                marker=marker,
                color=f"C{index}",
            )
    for index, lam in enumerate(lams):
        axes.plot([], [], "o", color=f"C{index}", label=rf"$\lambda$ = {lam:g}")
    for task, marker in TASK_MARKERS.items():
        axes.plot([], [], marker, color="0.4", mfc="none", label=TASK_NAMES[task])
    every = [x for p in comparable if p.flat for x in (p.measured, p.flat.exact_mean)]
    span = np.array([min(every) / 1.6, max(every) * 1.6])
    for factor in (1, 10, 100):
        axes.plot(span, factor * span, color="0.6", lw=0.8, ls="-" if factor == 1 else ":")
        label = "equal" if factor == 1 else f"×{factor}"
        axes.annotate(
            label,
            (span[1] / factor, span[1]),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right" if factor == 1 else "center",
            va="bottom",
            color="0.4",
            fontsize=8,
        )
    axes.set(xscale="log", yscale="log", xlim=span, ylim=span)
    axes.set_xlabel("predicted by the flat annulus (steps)")
    axes.set_ylabel(r"measured $T_\mathrm{grok} - T_\mathrm{mem}$ (steps)")
    axes.legend(loc="lower right")
    return figure


def _cells(axes: Axes, predictions: Sequence[Prediction], *, marker: str, color: str) -> None:
    axes.errorbar(
        [p.flat.exact_mean for p in predictions if p.flat],
        [p.measured for p in predictions],
        yerr=[p.spread for p in predictions],
        fmt=marker,
        color=color,
        mfc="none",
    )
