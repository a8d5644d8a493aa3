"""Zarr groups in folders: there wholly or not at all, and a line where they are damaged."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from sde_grok.checks import ParameterError

if TYPE_CHECKING:
    import zarr

__all__ = [
    "NETWORKS",
    "RUNS",
    "SCAN",
    "array",
    "check_coordinates",
    "compressors",
    "coordinates_of",
    "make_whole",
    "plain",
    "refuse_others",
    "whole",
]

# What a folder may hold: runs, the cells of a scan of simulations, what a scan of networks is.
RUNS, SCAN, NETWORKS = "runs.zarr", "scan.zarr", "networks.json"


def make_whole(out: Path, name: str, make: Callable[[Path], object]) -> None:
    """Make `out`/`name` under another name, then rename it: it is wholly there or not at all.

    Raises
    ------
    ParameterError
        If the folder cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out, prefix=f".{name}-", ignore_cleanup_errors=True) as folder:
            made = Path(folder) / name
            make(made)
            for path in made.rglob("*"):
                if path.is_file():
                    _sync(path)
            if not (out / name).exists():  # another process may have been quicker
                made.rename(out / name)
    except OSError as error:
        allowed = f"a folder that can be written to ({error.strerror})"
        raise ParameterError("out", str(out), allowed) from None


def _sync(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def whole(out: Path | None, name: str) -> Iterator[None]:
    """Say that a group is damaged in a line."""
    try:
        yield
    except (OSError, KeyError, ValueError, RuntimeError) as error:  # Zarr's and its codecs'
        allowed = f"a folder whose {name} is whole ({error})"
        raise ParameterError("out", str(out), allowed) from None


def refuse_others(
    out: Path, kind: str, found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Raise `ParameterError` if what is there was made with other values than those wanted."""
    if others := [name for name, value in wanted.items() if found.get(name) != value]:
        allowed = f"a folder without {kind} another {', '.join(others)}"
        raise ParameterError("out", str(out), allowed)


def compressors() -> list[Any]:
    """Codecs of chunks whose damage is seen when they are read."""
    from zarr.codecs import Crc32cCodec, ZstdCodec  # noqa: PLC0415

    return [ZstdCodec(level=-1), Crc32cCodec()]  # times hardly compress; what is empty does


def array(group: zarr.Group, name: str) -> Any:
    """Array of a group."""
    return group[name]


def coordinates_of(group: zarr.Group, found: Mapping[str, tuple[tuple[str, ...], Any]]) -> None:
    """Write coordinates, each its dimensions and values, and what shows if one is damaged or lost."""
    for name, (dims, values) in found.items():
        group.create_array(name, data=plain(values), dimension_names=dims)
    group.attrs["coordinates"] = {name: digest(group, name) for name in sorted(found)}


def check_coordinates(group: zarr.Group) -> None:
    """Raise `ValueError` if coordinates are not what was written.

    Checksums of chunks do not do here: one that is lost reads as zeros.
    """
    written: Any = group.attrs["coordinates"]
    for name, was in written.items():
        if digest(group, name) != was:
            raise ValueError(f"{name} is not what was written")


def digest(group: zarr.Group, name: str) -> str:
    """What tells the values of an array from others."""
    values = np.asarray(array(group, name)[...])
    return hashlib.sha256(json.dumps(values.tolist(), ensure_ascii=True).encode()).hexdigest()


def plain(values: Any) -> Any:
    """Return an array; strings of any length, the kind that Zarr specifies."""
    found = np.asarray(values)
    return found.astype(np.dtypes.StringDType()) if found.dtype.kind == "U" else found
