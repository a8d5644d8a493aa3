"""Zarr groups in folders: there wholly or not at all, and a line where they are damaged."""

from __future__ import annotations

import hashlib
import json
import os
import sys
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
    "alone",
    "array",
    "check_labels",
    "compressors",
    "label",
    "make_whole",
    "plain",
    "refuse_kinds",
    "refuse_others",
    "whole",
]

# What a folder may hold: runs, the cells of a scan of simulations, what a scan of networks is.
RUNS, SCAN, NETWORKS = "runs.zarr", "scan.zarr", "networks.json"


# What Zarr, its codecs, and readers of its metadata raise.
DAMAGE = (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def make_whole(out: Path, name: str, make: Callable[[Path], object]) -> None:
    """Make `out`/`name` under another name, then rename it: it is wholly there or not at all.

    Raises
    ------
    ParameterError
        If the folder cannot be written to.
    """
    with (
        writable(out),
        TemporaryDirectory(dir=out, prefix=f".{name}-", ignore_cleanup_errors=True) as folder,
    ):
        made = Path(folder) / name
        make(made)
        for path in made.rglob("*"):
            if path.is_file():
                _sync(path)
        if not (out / name).exists():  # another process may have been quicker
            made.rename(out / name)


@contextmanager
def writable(out: Path) -> Iterator[None]:
    """Make a folder if need be, and say in a line that it cannot be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
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
    except DAMAGE as error:
        allowed = f"a folder whose {name} is whole ({error})"
        raise ParameterError("out", str(out), allowed) from None


def refuse_kinds(out: Path, *kinds: str) -> None:
    """Raise `ParameterError` if a folder holds something of another kind."""
    if there := [kind for kind in kinds if (out / kind).exists()]:
        raise ParameterError("out", str(out), f"a folder without {there[0]}")


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Let no other process of this kind at a folder, which is made if need be.

    The system lets go of it when the process ends, however it does.

    Raises
    ------
    ParameterError
        If another is at it, or it cannot be made.
    """
    with writable(out):
        pass  # what fails within is not the folder's
    if sys.platform == "win32":  # which locks no folders
        yield
        return
    folder = os.open(out, os.O_RDONLY)
    try:
        lock(folder, out)
        yield
    finally:
        os.close(folder)


def lock(folder: int, out: Path) -> None:
    """Lock an open folder, where the file system can; raise `ParameterError` if it is locked."""
    import fcntl  # noqa: PLC0415

    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        allowed = "a folder that no other process is at work in"
        raise ParameterError("out", str(out), allowed) from None
    except OSError:  # no locks there: then it is as without them, twice the work
        return


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


def label(group: zarr.Group, coordinates: Mapping[str, tuple[tuple[str, ...], Any]]) -> None:
    """Write coordinates, each its dimensions and values, to a group that has its variables.

    And what shows if a label is damaged or lost later, or the metadata of a variable are.
    """
    for name, (dims, values) in coordinates.items():
        group.create_array(name, data=plain(values), dimension_names=dims)
    group.attrs["arrays"] = {
        name: digest(group, name, values=name in coordinates) for name in sorted(group.array_keys())
    }
    group.attrs["labels"] = sorted(coordinates)


def check_labels(group: zarr.Group) -> None:
    """Raise `ValueError` if arrays are not labelled as they were written.

    Checksums of chunks do not do here: one that is lost reads as zeros.
    """
    written: Any = group.attrs["arrays"]
    labels: Any = group.attrs["labels"]
    for name, was in written.items():
        if digest(group, name, values=name in labels) != was:
            raise ValueError(f"{name} is not what was written")


def digest(group: zarr.Group, name: str, *, values: bool) -> str:
    """What tells the metadata of an array, and its values if asked for, from others."""
    found = array(group, name)
    parts = [found.metadata.to_dict(), np.asarray(found[...]).tolist() if values else None]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(values: Any) -> Any:
    """Return an array; strings of any length, the kind that Zarr specifies."""
    found = np.asarray(values)
    return found.astype(np.dtypes.StringDType()) if found.dtype.kind == "U" else found
