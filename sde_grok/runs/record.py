"""Training runs as a Dataset: what follows from the series of a run, and a grid of such runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import number
from sde_grok.datasets import attributes
from sde_grok.escape_times import Status
from sde_grok.runs.stopping import Thresholds, core_entry, first, stopping_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["run_record", "with_core_entries"]

Array = NDArray[np.float64]
Series = Mapping[str, Array]


def run_record(
    step: Array, series: Series, thresholds: Thresholds, diverged_at: float = np.nan
) -> dict[str, float]:
    """What a run's evaluations say: its stopping times, what was seen there, and how it ended.

    The escape is from t_mem to t_grok. A run that never grokked is censored at its end, at 0 if it
    had not even memorized; one that diverged before has failed. One that grokked and had not
    memorized by its end escaped before 0; its time is given as t_grok − steps_run, the latest that
    it can be.

    Parameters
    ----------
    step : (n,) array
        Steps of the evaluations, ascending; none if the loss was never finite.
    series : mapping of (n,) arrays
        "train_accuracy", "test_accuracy", "rho2" (finite), and as many of "train_loss",
        "mean_sqrt_v" as there are.
    thresholds : Thresholds
        What counts as memorized and as grokked.
    diverged_at : float
        First step with a non-finite loss; nan if none.

    Returns
    -------
    dict
        Variables of `sde_grok.datasets.VARIABLES` without dimensions; nan for what never happened.
    """
    stops = stopping_times(
        series["train_accuracy"], series["test_accuracy"], series["rho2"], thresholds
    )

    def seen(name: str, at: int | None) -> float:
        return np.nan if at is None or name not in series else float(series[name][at])

    def time(at: int | None) -> float:
        return np.nan if at is None else float(step[at])

    t_mem, t_grok = time(stops.mem), time(stops.grok)
    diverged = bool(np.isfinite(diverged_at))
    steps_run = float(diverged_at) if diverged else float(step[-1])
    status, escape = Status.CENSORED, steps_run - t_mem if stops.mem is not None else 0.0
    if stops.grok is not None:
        status, escape = Status.HIT, t_grok - (steps_run if stops.mem is None else t_mem)
    elif diverged:
        status, escape = Status.FAILED, np.nan
    return {
        "escape_steps": escape,
        "status": status,
        "rho2_end": seen("rho2", len(step) - 1 if len(step) else None),
        "t_mem": t_mem,
        "t_grok": t_grok,
        "t_grok_sustained": time(stops.sustained),
        "t_peak": time(stops.peak),
        "steps_run": steps_run,
        "diverged_at": float(diverged_at),
        "rho2_init": seen("rho2", first(np.asarray(step) == 0)),
        "rho2_mem": seen("rho2", stops.mem),
        "rho2_grok": seen("rho2", stops.grok),
        "rho2_peak": seen("rho2", stops.peak),
        "train_loss_mem": seen("train_loss", stops.mem),
        "train_loss_grok": seen("train_loss", stops.grok),
        "train_loss_peak": seen("train_loss", stops.peak),
        "mean_sqrt_v_grok": seen("mean_sqrt_v", stops.grok),
    }


def with_core_entries(runs: xr.Dataset, rho2_core: float | None = None) -> xr.Dataset:
    """Add t_core, the entry into the core by norm, and the rho2_core that it is about.

    Parameters
    ----------
    runs : Dataset
        Runs with their series of rho2, nan where one was not evaluated; all, or some selected.
    rho2_core : float, optional
        Squared radius of the core, > 0. By default, for each λ, the median of rho2_grok over all
        runs with it that grokked: measured radii depend on λ alone.

    Raises
    ------
    ParameterError
        If the radius is not > 0.
    """
    grok = runs["rho2_grok"]
    if rho2_core is None:
        core = grok.median([dim for dim in grok.dims if dim != "lam"])
    else:
        core = grok.copy(
            data=np.full(grok.shape, number("rho2_core", rho2_core, low=0, open_low=True))
        )
    core = core.broadcast_like(grok).transpose(*grok.dims)
    entry = np.full(core.shape, np.nan)
    rho2 = runs["rho2"].transpose(*grok.dims, "step").to_numpy()
    step, peak = runs["step"].to_numpy(), runs["t_peak"].transpose(*grok.dims).to_numpy()
    for cell in np.ndindex(core.shape):
        if np.isfinite(peak[cell]):
            at = core_entry(rho2[cell], float(core[cell]), int(np.searchsorted(step, peak[cell])))
            entry[cell] = np.nan if at is None else step[at]
    return runs.assign(
        t_core=(grok.dims, entry, attributes("t_core")),
        rho2_core=(grok.dims, core.to_numpy(), attributes("rho2_core")),
    )
