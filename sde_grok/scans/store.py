"""Where cells go as they end: a Zarr group on disk, a chunk of each variable a cell, checksummed.

A cell is wholly there or not at all: chunks appear by rename, that of `status` last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sde_grok.checks import MissingExtra, ParameterError
from sde_grok.datasets import attributes
from sde_grok.escape_times import EscapeTimes, Status
from sde_grok.folders import (
    DAMAGE,
    NETWORKS,
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
from sde_grok.scans.cell import Times, checked
from sde_grok.scans.plan import Scan
from sde_grok.versions import revision, versions

try:
    import xarray as xr
    import zarr
    from zarr.storage import LocalStore
except ImportError:
    raise MissingExtra("scan", ["xarray", "zarr"]) from None

__all__ = ["Place", "Store", "open_cells"]

FORMAT = 1
PER_PATH = {"escape_steps": "float64", "status": "int8"}
SUMMARY = {
    "n_paths": ("1", "number of paths; 0 if the cell is not there"),
    "mean_steps": ("steps", "mean escape time; restricted to what was seen, if paths are censored"),
    "stderr_steps": ("steps", "standard error of mean_steps"),
    "censored_fraction": ("1", "part of the paths that had not escaped"),
    "failed_fraction": ("1", "part of the paths that became non-finite"),
}

Place = tuple[int, ...]
Arrays = Mapping[str, Any]


class Store:
    """The cells of a scan in a folder.

    Attributes
    ----------
    missing : set of tuples
        Places of the cells that are not there.
    damaged : list of tuples
        Places of cells that were there and whose chunks are damaged; they are missing, too.

    Raises
    ------
    ParameterError
        If the folder holds another scan, or cannot be written to.
    """

    def __init__(self, scan: Scan, out: Path) -> None:
        refuse_kinds(out, NETWORKS, RUNS)
        fresh = not (out / SCAN).exists()
        if fresh:
            make_whole(out, SCAN, lambda path: create(LocalStore(path), scan))
        self.out = out
        self.arrays = per_path(existing(out, scan))
        for leftover in (out / SCAN).rglob("*.partial"):  # of a write that was killed
            leftover.unlink(missing_ok=True)
        found = {p: False if fresh else look(self.arrays, p) for p in np.ndindex(scan.shape)}
        self.missing = {place for place, seen in found.items() if seen is not True}
        self.damaged = [place for place, seen in found.items() if seen is None]

    def put(self, place: Place, times: Times) -> None:
        """Write a cell; its status comes last, so that a cell without one is not there."""
        n = len(times.steps)
        self.arrays["escape_steps"][(*place, slice(0, n))] = times.steps
        self.arrays["status"][(*place, slice(0, n))] = times.status
        self.missing.remove(place)


def per_path(group: zarr.Group) -> Arrays:
    """Arrays with an entry a path: opened once, for each opening reads a file."""
    return {name: array(group, name) for name in PER_PATH}


def read(arrays: Arrays, place: Place) -> Times | None:
    """Escape times of a cell, those of it that were run; None if its chunks are damaged."""
    try:
        status = np.asarray(arrays["status"][place])
        if np.all(status == PENDING):
            return Times(np.empty(0), np.empty(0, np.int8))
        steps = np.asarray(arrays["escape_steps"][place])
    except DAMAGE:
        return None
    ran = status != PENDING
    if not np.all(np.isfinite(steps[ran & (status != Status.FAILED)])):
        return None  # the chunk was lost
    return Times(steps[ran], status[ran])


def look(arrays: Arrays, place: Place) -> bool | None:
    """Whether a cell is there; None if it is damaged."""
    times = read(arrays, place)
    return None if times is None else len(times.status) > 0


def existing(out: Path, scan: Scan) -> zarr.Group:
    """Open a store, if it is of the same scan, made by the same versions."""
    group = opened(out, "r+")
    found = json.loads(str(group.attrs["provenance"]))
    wanted = json.loads(json.dumps(provenance(scan)))
    for part in ("format", "versions"):
        if found.get(part) != wanted[part]:
            allowed = f"a folder without a scan by other {part} ({found.get(part)})"
            raise ParameterError("out", str(out), allowed)
    refuse_others(out, "a scan with", found["scan"], wanted["scan"])
    return group


def opened(out: Path, mode: Any) -> zarr.Group:
    """Open what is in a folder."""
    if not (out / SCAN).exists():
        raise ParameterError("out", str(out), f"a folder with {SCAN}")
    with whole(out, SCAN):
        store = LocalStore(out / SCAN, read_only=mode == "r")
        group = zarr.open_group(store, mode=mode)
        json.loads(str(group.attrs["provenance"]))["scan"].items()
        check_labels(group)
        return group


def create(store: LocalStore, scan: Scan) -> None:
    """Make the arrays of all cells; chunks that were never written take no room."""
    record = json.dumps(provenance(scan), ensure_ascii=False)
    group = zarr.create_group(store, attributes={"provenance": record})
    for name, dtype in PER_PATH.items():
        group.create_array(
            name,
            shape=(*scan.shape, scan.most_paths),
            chunks=(*(1 for _ in scan.shape), scan.most_paths),
            dtype=dtype,
            compressors=compressors(),
            fill_value=PENDING if name == "status" else np.nan,
            dimension_names=(*scan.dims, "path"),
            attributes=attributes(name),
        )
    label(group, coordinates(scan))


def coordinates(scan: Scan) -> dict[str, tuple[tuple[str, ...], Any]]:
    """What cells are: swept values along their dimension, shared ones alone, seeds and time steps."""
    cells = scan.cells()
    along = {name: scan.dims if scan.combine == "paired" else (name,) for name in scan.axes}
    found: dict[str, tuple[tuple[str, ...], Any]] = {
        name: (along[name], values) for name, values in scan.axes.items()
    }
    first = checked(cells[0])
    optimizer, geometry = first.problem.optimizer, first.problem.geometry
    shared = {**vars(optimizer), **vars(geometry), "sigma": vars(first.problem.noise)["sigma"]}
    shared |= {"system": first.problem.system, "max_steps": first.max_steps}
    found |= {name: ((), value) for name, value in shared.items() if name not in scan.axes}
    seeds = np.array([scan.seed_of(cell) for cell in cells], np.uint64)
    found["seed"] = (scan.dims, seeds.reshape(scan.shape))
    if "dt" not in scan.axes:
        steps = np.array([checked(cell).dt for cell in cells])
        found["dt"] = (scan.dims, steps.reshape(scan.shape))
    return found


def provenance(scan: Scan) -> dict[str, Any]:
    """What is needed to make the same scan again."""
    return {
        "format": FORMAT,
        "scan": scan.as_dict(),
        "revision": revision(),
        "versions": versions(),
    }


def open_cells(out: Path, known: Mapping[Place, Mapping[str, float]] | None = None) -> xr.Dataset:
    """Read the simulations in a folder; see `sde_grok.scans.open_scan`.

    Numbers of cells that are `known`, as of `summary_of`, are not read again.
    """
    known = known or {}
    group = opened(out, "r")
    data, arrays = labelled(group), per_path(group)
    dims = data["escape_steps"].dims[:-1]
    shape = data["escape_steps"].shape[:-1]
    summary = {name: np.full(shape, np.nan) for name in SUMMARY}
    for place in np.ndindex(shape):
        numbers = known.get(place) or summary_of(read(arrays, place))
        for name, value in numbers.items():
            summary[name][place] = value
    labels = {
        name: dict(zip(("units", "long_name"), SUMMARY[name], strict=True)) for name in SUMMARY
    }
    return data.assign({n: (dims, v, labels[n]) for n, v in summary.items()})


def labelled(group: zarr.Group) -> xr.Dataset:
    """Label what is in a store; nothing but what the cells are is read."""
    data: xr.Dataset = xr.open_zarr(group.store, consolidated=False, chunks=None)
    return data.set_coords([n for n in data.data_vars if n not in PER_PATH])


def summary_of(times: Times | None) -> dict[str, float]:
    """Numbers of a cell."""
    if times is None or len(times.steps) == 0:
        return {"n_paths": 0}
    all_times = EscapeTimes(*times)
    mean = all_times.mean
    return {
        "n_paths": all_times.n_paths,
        "mean_steps": mean.value,
        "stderr_steps": mean.stderr,
        "censored_fraction": all_times.censored_fraction,
        "failed_fraction": all_times.failed_fraction,
    }
