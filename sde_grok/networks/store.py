"""Where runs go as they end: a Zarr group, on disk or in memory, one chunk of each variable a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
import zarr
from zarr.storage import LocalStore, MemoryStore

from sde_grok.datasets import CELL, VARIABLES, attributes
from sde_grok.folders import (
    RUNS,
    SCAN,
    array,
    check_labels,
    compressors,
    label,
    make_whole,
    refuse_kinds,
    refuse_others,
    whole,
)
from sde_grok.kernels.outcome import PENDING
from sde_grok.networks.checkpoint import batch_sizes
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.lanes import Cell
from sde_grok.runs.stored import labelled, present
from sde_grok.versions import revision, versions

__all__ = ["Store", "setup"]

SNAPSHOTS_A_CHUNK = 64


class Store:
    """The runs of an experiment, each wholly there or not at all.

    Parameters
    ----------
    experiment : Experiment
        What the runs are of.
    out : Path or None
        Folder; memory if None.
    lanes : int
        Runs that are trained side by side, which may matter to their bits.

    Raises
    ------
    ParameterError
        If the folder holds runs of something else, or cannot be written to.
    """

    def __init__(self, experiment: Experiment, out: Path | None, lanes: int) -> None:
        record = provenance(experiment, lanes)
        if out is None:
            self.group = created(MemoryStore(), experiment, record)
        else:
            refuse_kinds(out, SCAN)
            if not (out / RUNS).exists():
                make_whole(out, RUNS, lambda path: created(LocalStore(path), experiment, record))
            self.group = existing(out, record)
        with whole(out, RUNS):
            status = present(array(self.group, "status")[...], array(self.group, "rho2")[...])
        self.n_runs = status.size
        self.missing: set[Cell] = {c for c in np.ndindex(status.shape) if status[c] == PENDING}

    def put(self, cell: Cell, values: Mapping[str, Any]) -> None:
        """Write a run; its status comes last, so that a run without one is not there."""
        for name in sorted(values, key="status".__eq__):
            value = np.asarray(values[name])
            array(self.group, name)[(*cell, *map(slice, value.shape))] = value
        self.missing.remove(cell)

    def finish(self) -> xr.Dataset:
        """Read all runs; once they are all there, keep what follows from them together."""
        runs = labelled(self.group)
        if not self.missing:
            for name in ("t_core", "rho2_core"):
                array(self.group, name)[...] = runs[name].to_numpy()
        return runs


def existing(out: Path, record: Mapping[str, Any]) -> zarr.Group:
    """Open runs that are there, if they are of the same experiment, made by the same versions."""
    with whole(out, RUNS):
        group = zarr.open_group(LocalStore(out / RUNS), mode="r+")
        check_labels(group)
        found = settings(json.loads(str(group.attrs["provenance"])))
    refuse_others(out, "runs of", found, settings(json.loads(json.dumps(record))))
    return group


def settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for runs to be kept together, in the order of the names."""
    made_by = {name: record.get(name) for name in ("lanes", "device", "versions")}
    return dict(sorted({**record.get("experiment", {}), **made_by}.items()))


def created(
    store: LocalStore | MemoryStore, experiment: Experiment, record: Mapping[str, Any]
) -> zarr.Group:
    """Make the empty arrays of all runs; chunks that were never written take no room."""
    along = dimensions(experiment)
    sizes = {name: len(values) for name, values in along.items()}
    group = zarr.create_group(
        store, attributes={"provenance": json.dumps(record, ensure_ascii=False)}
    )
    measured = {name: v.dims for name, v in VARIABLES.items() if set(v.dims) <= set(along)}
    for name, dims in measured.items():
        chunk = [min(sizes[d], SNAPSHOTS_A_CHUNK if d == "snapshot" else sizes[d]) for d in dims]
        group.create_array(
            name,
            shape=tuple(sizes[d] for d in (*CELL, *dims)),
            chunks=(1, 1, 1, 1, *chunk),
            dtype=kind(name, experiment),
            compressors=compressors(),
            fill_value=PENDING if name == "status" else np.nan,
            dimension_names=(*CELL, *dims),
            attributes=attributes(name),
        )
    label(group, {name: ((name,), values) for name, values in along.items()})
    return group


def dimensions(experiment: Experiment) -> dict[str, Any]:
    """Coordinates of all dimensions."""
    along: dict[str, Any] = {
        "eta": experiment.eta,
        "batch_size": experiment.batch_size,
        "lam": experiment.lam,
        "seed": list(experiment.all_seeds),
        "step": np.arange(0, experiment.max_steps + 1, experiment.eval_every),
        "layer": list(experiment.shapes),
    }
    if experiment.noise_at:
        along |= {"checkpoint": experiment.noise_at, "rank": range(experiment.noise_rank)}
        along["examples"] = batch_sizes(experiment)
    if every := experiment.snapshot_every:
        along["snapshot"] = np.arange(0, experiment.max_steps + 1, every)
        along["parameter"] = np.arange(experiment.sketch or experiment.n_parameters)
    return along


def kind(name: str, experiment: Experiment) -> str:
    """Number type of a variable."""
    if name == "theta":
        return "float32" if experiment.sketch else "float16"
    return "int8" if name == "status" else "float64"


def provenance(experiment: Experiment, lanes: int) -> dict[str, Any]:
    """What is needed to make the same runs again."""
    return {
        "experiment": experiment.as_dict(),
        "layers": {name: list(w.shape) for name, w in experiment.shapes.items()},
        "lanes": lanes,
        "revision": revision(),
        **setup(),
    }


def setup() -> dict[str, Any]:
    """What the bits of runs hang on, beside what they are of."""
    device = jax.devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "versions": versions("jax", "jaxlib", "optax"),
    }
