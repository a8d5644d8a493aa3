"""Runs in a folder, as they were kept while they were trained: read without a network's libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import MissingExtra, ParameterError
from sde_grok.datasets import CELL
from sde_grok.escape_times import Status
from sde_grok.folders import RUNS, check_labels, whole
from sde_grok.kernels.outcome import PENDING
from sde_grok.runs.record import with_core_entries

try:
    import xarray as xr
    import zarr
    from zarr.storage import LocalStore
except ImportError:
    raise MissingExtra("networks", ["xarray", "zarr"]) from None

__all__ = ["labelled", "open_runs", "present"]


def open_runs(out: Path) -> xr.Dataset:
    """Read the runs that `train_networks` has kept in a folder, finished or not.

    Raises
    ------
    ParameterError
        If there are none.
    """
    if not (out / RUNS).exists():
        raise ParameterError("out", str(out), f"a folder with {RUNS}")
    with whole(out, RUNS):
        group = zarr.open_group(LocalStore(out / RUNS, read_only=True), mode="r")
        check_labels(group)
        return labelled(group)


def labelled(group: zarr.Group) -> xr.Dataset:
    """Load the runs as far as they go: no evaluation that none of them had."""
    runs = xr.open_zarr(group.store, consolidated=False, chunks=None).load()
    runs["status"].values = present(runs["status"].to_numpy(), runs["rho2"].to_numpy())
    seen = np.isfinite(runs["rho2"]).any(CELL).to_numpy()
    runs = runs.isel(step=slice(0, max(1, int(seen.sum()))))
    if "theta" in runs:
        kept = int((runs["snapshot"] <= runs["step"][-1]).sum())
        runs = runs.isel(snapshot=slice(0, kept))
    return with_core_entries(runs)


def present(status: NDArray[np.int8], rho2: NDArray[np.float64]) -> NDArray[np.int8]:
    """Status of the runs; those whose evaluations were lost are still to be done."""
    lost = (status != Status.FAILED) & ~np.isfinite(rho2).any(axis=-1)
    return np.where(lost, np.int8(PENDING), status)
