"""Runs as a table with one row a run: the layout of the measured runs that come with the package.

Columns beyond that layout: each series of `sde_grok.datasets.VARIABLES` at memorization, norm peak
and grokking (`v_deviation_mem`, …), and the gradient noise where it was measured.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sde_grok.datasets import CELL, VARIABLES

__all__ = ["at_event", "run_rows", "write_table"]

EVENTS = ("mem", "peak", "grok")
SAME = (
    *("task", "model", "train_fraction", "embedding", "width", "heads", "init", "init_scale"),
    *("optimizer", "sampling", "beta1", "beta2", "eps", "precision"),
    *("eval_every", "max_steps", "hold"),
)
SETTINGS = {
    **{name: name for name in SAME},
    "train_threshold": "train_accuracy",
    "test_threshold": "test_accuracy",
    "weight_decay": "decay",
}
TIMES = {"T_mem": "t_mem", "T_grok": "t_grok", "T_peak": "t_peak", "T_core": "t_core"}
PER_RUN = ("steps_run", "diverged_at", "t_grok_sustained", "rho2_init", "rho2_core", "rho2_end")
NOISE = [name for name, variable in VARIABLES.items() if variable.dims == ("checkpoint",)]
SERIES = [name for name, variable in VARIABLES.items() if variable.dims == ("step",)]


def at_event(runs: xr.Dataset, name: str, event: str) -> xr.DataArray:
    """Values of a series at "mem", "peak" or "grok", one a run; nan if that never happened."""
    time = runs[f"t_{event}"]
    values = runs[name].sel(step=time.fillna(runs["step"][0]))
    return values.where(time.notnull()).drop_vars("step")


def run_rows(runs: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Rows of the table, in the order of η, b, λ and seed; nan where something never happened.

    Of runs that were not trained here, what is not known about the network is left out.
    """
    settings = json.loads(runs.attrs["provenance"]).get("experiment", {})
    known = {name: settings[field] for name, field in SETTINGS.items() if field in settings}
    arrays = {name: column.transpose(*CELL).to_numpy() for name, column in columns(runs).items()}
    for place in np.ndindex(*(runs.sizes[axis] for axis in CELL)):
        at = {axis: runs[axis].to_numpy()[i].item() for axis, i in zip(CELL, place, strict=True)}
        yield {
            **known,
            **{"lambda" if axis == "lam" else axis: value for axis, value in at.items()},
            **{name: float(array[place]) for name, array in arrays.items()},
        }


def columns(runs: xr.Dataset) -> dict[str, xr.DataArray]:
    """What was measured: numbers of a run, series at its events, noise at its checkpoints."""
    found = {column: runs[name] for column, name in TIMES.items()}
    found |= {name: runs[name] for name in PER_RUN}
    series = [name for name in SERIES if name in runs]
    found |= {f"{name}_{e}": at_event(runs, name, e) for e in EVENTS for name in series}
    if "checkpoint" not in runs.dims:
        return found
    for e in runs["checkpoint"].to_numpy():
        noise = runs.sel(checkpoint=e)
        found |= {f"{name}_{e}": noise[name] for name in NOISE}
        found[f"noise_largest_{e}"] = noise["noise_eigenvalues"].isel(rank=0)
    return found


def write_table(runs: xr.Dataset, path: Path) -> None:
    """Write the table as CSV; empty where something never happened."""
    rows = list(run_rows(runs))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: shown(value) for name, value in row.items()} for row in rows)


def shown(value: Any) -> Any:
    """All digits of a whole number, six of another, none of nan."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else f"{value:.6g}"
