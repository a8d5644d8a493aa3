"""Where cells go as they end: a Zarr group on disk, a chunk of each variable a cell, checksummed.

A cell is wholly there or not at all: chunks appear by rename, that of `status` last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sde_grok.checks import MissingExtra, ParameterError
from sde_grok.escape_times import Status
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
from sde_grok.scans.cell import ESCAPES
from sde_grok.scans.kind import Kind, Paths
from sde_grok.scans.landscape_cell import STAGES
from sde_grok.scans.landscapes import LandscapeScan
from sde_grok.scans.plan import Scan
from sde_grok.versions import revision, versions

try:
    import xarray as xr
    import zarr
    from zarr.storage import LocalStore
except ImportError:
    raise MissingExtra("scan", ["xarray", "zarr"]) from None

__all__ = ["Place", "Store", "each_cell", "open_cells"]

FORMAT = 1
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

    def __init__(self, scan: Scan | LandscapeScan, out: Path) -> None:
        refuse_kinds(out, NETWORKS, RUNS)
        fresh = not (out / SCAN).exists()
        if fresh:
            make_whole(out, SCAN, lambda path: create(LocalStore(path), scan))
        self.out = out
        self.kind = scan.kind
        self.arrays = per_path(existing(out, scan), self.kind)
        for leftover in (out / SCAN).rglob("*.partial"):  # of a write that was killed
            leftover.unlink(missing_ok=True)
        found = {
            p: False if fresh else look(self.arrays, self.kind, p) for p in np.ndindex(scan.shape)
        }
        self.missing = {place for place, seen in found.items() if seen is not True}
        self.damaged = [place for place, seen in found.items() if seen is None]

    def put(self, place: Place, paths: Paths) -> None:
        """Write a cell; its status comes last, so that a cell without one is not there."""
        values = paths._asdict()
        for name in sorted(values, key="status".__eq__):
            whole_chunk = np.full(self.arrays[name].shape[-1], self.arrays[name].fill_value)
            whole_chunk[: len(values[name])] = values[name]
            self.arrays[name][place] = whole_chunk  # nothing of a damaged one is read
        self.missing.remove(place)


def kind_in(group: zarr.Group) -> Kind:
    """Kind of the cells in a store."""
    return STAGES if "landscape" in json.loads(str(group.attrs["provenance"]))["scan"] else ESCAPES


def per_path(group: zarr.Group, kind: Kind) -> Arrays:
    """Arrays with an entry a path: opened once, for each opening reads a file.

    A chunk is written also where all is nan: else one that is lost could not be told from it.
    """
    with zarr.config.set({"array.write_empty_chunks": True}):
        return {name: array(group, name) for name in kind.variables}


def read(arrays: Arrays, kind: Kind, place: Place) -> Paths | None:
    """What was kept of a cell's paths, those of it that were run; None if its chunks are damaged."""
    try:
        status = np.asarray(arrays["status"][place])
        ran = status != PENDING
        if not ran.any():
            nothing: Paths = kind.paths(*(np.empty(0, a.dtype) for a in arrays.values()))
            return nothing
        others = arrays.keys() - {"status"}
        values = {"status": status} | {name: np.asarray(arrays[name][place]) for name in others}
        empty = [arrays[name] for name, x in values.items() if np.isnan(x).all()]
        if not all(is_there(variable, place) for variable in empty):
            return None
    except DAMAGE:
        return None
    paths: Paths = kind.paths(**{name: x[ran] for name, x in values.items()})
    known = np.isfinite(paths.escape_steps) | (paths.status == Status.FAILED)
    return paths if np.all(known) else None


def is_there(variable: Any, place: Place) -> bool:
    """Whether the chunk of a cell is on the disk: one that is lost reads as if it were empty."""
    key = variable.metadata.encode_chunk_key((*place, 0))
    return bool((variable.store.root / variable.path / key).exists())


def look(arrays: Arrays, kind: Kind, place: Place) -> bool | None:
    """Whether a cell is there; None if it is damaged."""
    paths = read(arrays, kind, place)
    return None if paths is None else len(paths.status) > 0


def existing(out: Path, scan: Scan | LandscapeScan) -> zarr.Group:
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


def create(store: LocalStore, scan: Scan | LandscapeScan) -> None:
    """Make the arrays of all cells; chunks that were never written take no room."""
    record = json.dumps(provenance(scan), ensure_ascii=False)
    group = zarr.create_group(store, attributes={"provenance": record})
    for name, variable in scan.kind.variables.items():
        group.create_array(
            name,
            shape=(*scan.shape, scan.most_paths),
            chunks=(*(1 for _ in scan.shape), scan.most_paths),
            dtype="int8" if name == "status" else "float64",
            compressors=compressors(),
            fill_value=PENDING if name == "status" else np.nan,
            dimension_names=(*scan.dims, "path"),
            attributes={"units": variable.units, "long_name": variable.description},
        )
    label(group, coordinates(scan))


def coordinates(scan: Scan | LandscapeScan) -> dict[str, tuple[tuple[str, ...], Any]]:
    """What cells are: swept values along their dimension, shared ones alone, seeds and time steps."""
    cells = scan.cells()
    along = {name: scan.dims if scan.combine == "paired" else (name,) for name in scan.axes}
    found: dict[str, tuple[tuple[str, ...], Any]] = {
        name: (along[name], values) for name, values in scan.axes.items()
    }
    shared = scan.kind.labels(cells[0])
    found |= {name: ((), value) for name, value in shared.items() if name not in scan.axes}
    seeds = np.array([scan.seed_of(cell) for cell in cells], np.uint64)
    found["seed"] = (scan.dims, seeds.reshape(scan.shape))
    if "dt" not in scan.axes:
        steps = np.array([scan.kind.checked(cell).dt for cell in cells])
        found["dt"] = (scan.dims, steps.reshape(scan.shape))
    return found


def provenance(scan: Scan | LandscapeScan) -> dict[str, Any]:
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
    kind = kind_in(group)
    data, arrays = labelled(group, kind), per_path(group, kind)
    dims = data["status"].dims[:-1]
    shape = data["status"].shape[:-1]
    summary = {name: np.full(shape, np.nan) for name in kind.summary}
    for place in np.ndindex(shape):
        numbers = known.get(place) or summary_of(kind, read(arrays, kind, place))
        for name, value in numbers.items():
            summary[name][place] = value
    labels = {
        name: dict(zip(("units", "long_name"), about, strict=True))
        for name, about in kind.summary.items()
    }
    return data.assign({n: (dims, v, labels[n]) for n, v in summary.items()})


def labelled(group: zarr.Group, kind: Kind) -> xr.Dataset:
    """Label what is in a store; nothing but what the cells are is read."""
    data: xr.Dataset = xr.open_zarr(group.store, consolidated=False, chunks=None)
    return data.set_coords([n for n in data.data_vars if n not in kind.variables])


def summary_of(kind: Kind, paths: Paths | None) -> dict[str, float]:
    """Numbers of a cell."""
    if paths is None or len(paths.status) == 0:
        return {"n_paths": 0}
    return kind.summarized(paths)


def each_cell(out: Path) -> Iterator[tuple[dict[str, Any], Paths]]:
    """Go through the cells in a folder that are there: what each is, and what was kept of its paths."""
    group = opened(out, "r")
    kind = kind_in(group)
    data, arrays = labelled(group, kind), per_path(group, kind)
    seeds = data["seed"]  # one a cell
    names = sorted({str(name) for name in data.coords} - {"path"})
    values = {name: data.coords[name].broadcast_like(seeds).to_numpy() for name in names}
    for place in np.ndindex(seeds.shape):
        paths = read(arrays, kind, place)
        if paths is not None and len(paths.status):
            yield {name: values[name][place] for name in names}, paths
