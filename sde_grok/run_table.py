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
SETTINGS = ("task", "model", "train_fraction", "embedding", "width", "init", "init_scale")
OPTIMIZER = ("optimizer", "sampling", "beta1", "beta2", "eps")
TIMES = {"T_mem": "t_mem", "T_grok": "t_grok", "T_peak": "t_peak", "T_core": "t_core"}
PER_RUN = ("steps_run", "diverged_at", "t_grok_sustained", "rho2_init", "rho2_core", "rho2_end")
SERIES = [name for name, variable in VARIABLES.items() if variable.dims == ("step",)]


def at_event(runs: xr.Dataset, name: str, event: str) -> xr.DataArray:
    """Values of a series at "mem", "peak" or "grok", one a run; nan if that never happened."""
    time = runs[f"t_{event}"]
    values = runs[name].sel(step=time.fillna(runs["step"][0]))
    return values.where(time.notnull()).drop_vars("step")


def run_rows(runs: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Rows of the table, in the order of η, b, λ and seed; nan where something never happened."""
    settings = json.loads(runs.attrs["provenance"])["experiment"]
    columns: dict[str, xr.DataArray] = {
        **{column: runs[name] for column, name in TIMES.items()},
        **{name: runs[name] for name in PER_RUN},
        **{
            f"{name}_{e}": at_event(runs, name, e)
            for e in EVENTS
            for name in SERIES
            if name in runs
        },
    }
    if "checkpoint" in runs.dims:
        for name in [name for name, v in VARIABLES.items() if v.dims == ("checkpoint",)]:
            for e in runs["checkpoint"].to_numpy():
                columns[f"{name}_{e}"] = runs[name].sel(checkpoint=e)
        for e in runs["checkpoint"].to_numpy():
            columns[f"noise_largest_{e}"] = runs["noise_eigenvalues"].sel(checkpoint=e, rank=0)
    arrays = {name: column.transpose(*CELL).to_numpy() for name, column in columns.items()}
    for place in np.ndindex(*(runs.sizes[axis] for axis in CELL)):
        at = {axis: runs[axis].to_numpy()[i].item() for axis, i in zip(CELL, place, strict=True)}
        yield {
            **{name: settings[name] for name in SETTINGS},
            "weight_decay": settings["decay"],
            "eta": at["eta"],
            "lambda": at["lam"],
            "batch_size": at["batch_size"],
            **{name: settings[name] for name in OPTIMIZER},
            "seed": at["seed"],
            "eval_every": settings["eval_every"],
            **{name: float(array[place]) for name, array in arrays.items()},
        }


def write_table(runs: xr.Dataset, path: Path) -> None:
    """Write the table as CSV with six digits; empty where something never happened."""
    rows = list(run_rows(runs))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: shown(value) for name, value in row.items()} for row in rows)


def shown(value: Any) -> Any:
    """Six digits of a float, empty for nan."""
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return value
