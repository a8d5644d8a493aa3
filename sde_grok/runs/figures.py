"""Figures of training runs; Dataset in, figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sde_grok.datasets import each_run, escape_times

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sde_grok.escape_times import EscapeTimes

__all__ = ["balance_figure", "draw_survival", "runs_figure"]

MEAN_FIELD = ("loss_push", "shrinkage_pull")  # they nearly cancel
STOPS = {"t_mem": "^", "t_grok": "o"}


def runs_figure(runs: xr.Dataset) -> Figure:
    """Accuracy and squared norm of every run, and the survival of the escape, by λ."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7.2, 2.6))
    accuracy, norm, survival = figure.subplots(1, 3)
    for index, lam in enumerate(runs["lam"].to_numpy()):
        of_lam = runs.sel(lam=[lam])
        for run in each_run(of_lam):
            _trajectory(accuracy, norm, run, f"C{index}")
        draw_survival(survival, escape_times(of_lam), rf"$\lambda$ = {lam:g}", f"C{index}")
    for axes, label in ((accuracy, "accuracy"), (norm, r"squared norm $\rho^2$")):
        axes.set(xscale="log", xlabel="step", ylabel=label)
    accuracy.set_title("train (dashed), test", loc="left")
    norm.set_title(r"$T_\mathrm{mem}$ (triangles), $T_\mathrm{grok}$ (dots)", loc="left")
    survival.legend(loc="upper right")
    return figure


def _trajectory(accuracy: Axes, norm: Axes, run: xr.Dataset, color: str) -> None:
    step = run["step"].to_numpy()
    if step.size < 2:  # it diverged at once
        return
    step = np.maximum(step, step[1] / 2)  # 0 has no logarithm
    faint: dict[str, Any] = {"color": color, "lw": 0.7, "alpha": 0.6}
    accuracy.plot(step, run["test_accuracy"], **faint)
    accuracy.plot(step, run["train_accuracy"], ls="--", **faint)
    norm.plot(step, run["rho2"], **faint)
    for stop, marker in STOPS.items():
        name = stop.replace("t_", "rho2_")
        norm.plot(run[stop], run[name], marker, color=color, mfc="white", ms=3.5, mew=0.8)


def draw_survival(axes: Axes, times: EscapeTimes, label: str, color: str) -> None:
    """Draw the Kaplan–Meier curve of escape times, simulated or measured, with 95 % limits."""
    curve = times.survival()
    steps, probability = np.append(0.0, curve.steps), np.append(1.0, curve.probability)
    axes.step(steps, probability, where="post", color=color, label=label)
    shade: dict[str, Any] = {"step": "post", "color": color, "alpha": 0.2, "lw": 0}
    axes.fill_between(curve.steps, curve.low, curve.high, **shade)
    axes.set(xlabel="steps since memorization", ylabel="not yet escaped", ylim=(0, 1.03))


def balance_figure(run: xr.Dataset) -> Figure:
    """One run: what moves ρ², and how far Adam's moments are from their mean field."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 2.8))
    balance, moments = figure.subplots(1, 2)
    step = run["step"].to_numpy()
    terms = {"loss_push": "loss", "noise_push": "noise", "shrinkage_pull": "shrinkage"}
    for name, label in terms.items():
        balance.plot(step, run[name], label=label)
    seen = np.diff(run["rho2"].to_numpy()) / np.diff(step)
    balance.plot((step[1:] + step[:-1]) / 2, seen, color="0.6", lw=2.4, label="seen")
    total = sum(run[name] for name in terms)
    balance.plot(step, total, color="0.1", lw=0.8, label="sum")
    largest = max(float(np.nanmax(np.abs(run[name])[step > 0])) for name in MEAN_FIELD)
    balance.set(xlabel="step", ylabel=r"$\rho^2$ per step", ylim=(-1.2 * largest, 1.2 * largest))
    balance.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    moments.plot(step, run["m_deviation"], label=r"$\|m - h\|/\|h\|$")
    moments.plot(step, run["v_deviation"], label=r"$\|v - \mathrm{E}g^2\|/\|\mathrm{E}g^2\|$")
    moments.set(xlabel="step", ylabel="relative deviation", yscale="log")
    for axes in (balance, moments):
        for stop in STOPS:
            if np.isfinite(run[stop]):
                axes.axvline(float(run[stop]), color="0.5", lw=0.8, ls=":")
    moments.yaxis.set_major_formatter("{x:g}")
    moments.yaxis.set_minor_formatter("{x:g}")
    moments.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure
