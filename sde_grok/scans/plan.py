"""What a scan is: base parameters, swept axes, and how many paths a cell gets; read from TOML."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from sde_grok.checks import ParameterError, choice, file_bytes, integer, number
from sde_grok.scans.cell import NAMES, Parameters, checked

__all__ = ["Scan", "read_scan"]

COMBINE = ("grid", "paired")
MOST_CELLS = 10**6
RANGE = "a list of distinct values, or a table with log or linear = [first, last] and n >= 2"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Escapes to simulate: one cell for each combination of the swept parameters.

    Parameters
    ----------
    base : mapping
        Parameters by name that all cells share: those of `Optimizer` and `Geometry`, `sigma`,
        `system`, `max_steps`, and, if need be, `dt`. What has a default there may be left out;
        `system` is "radial", `sigma` 1 and `max_steps` 100 000 by default.
    axes : mapping
        Swept parameters by name, each a sequence of distinct values.
    combine : {"grid", "paired"}
        All combinations of the axes, or their first values together, their second, and so on.
    paths : int
        Paths of each cell; of its first batch, if there is a `precision`.
    precision : float, optional
        Relative standard error of the mean escape time, 0 … 1. Paths are added until it is met.
    max_paths : int, optional
        Most paths of a cell with a `precision`; by default 1000 `paths`.
    seed : int
        0 … 2⁶⁴ − 1. The seed of a cell is made of this and of the cell's own parameters, so that
        cells are independent and the other cells of a scan do not matter to it.

    Raises
    ------
    ParameterError
        If a parameter is unknown, missing or out of range in any of the cells.
    """

    base: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, Any] = field(default_factory=dict)
    combine: str = "grid"
    paths: int = 1000
    precision: float | None = None
    max_paths: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for where, given in (("base", self.base), ("axes", self.axes)):
            if not isinstance(given, Mapping):
                raise ParameterError(where, given, "a table of parameters")
            for name in given:
                choice(where, name, NAMES)
        if both := sorted(set(self.base) & set(self.axes)):
            raise ParameterError("axes", both[0], "in one of base and axes, not in both")
        paths = integer("paths", self.paths, low=2 if self.precision is not None else 1)
        found: dict[str, Any] = {
            "base": {name: self.base[name] for name in sorted(self.base)},
            "axes": {name: axis(name, values) for name, values in self.axes.items()},
            "combine": choice("combine", self.combine, COMBINE),
            "paths": paths,
            "max_paths": self._most(paths),
            "seed": integer("seed", self.seed, low=0, high=2**64 - 1),
        }
        if self.precision is not None:
            found["precision"] = number("precision", self.precision, low=0, high=1, open_low=True)
        for name, value in found.items():
            object.__setattr__(self, name, value)
        self._check_axes()
        for cell in self.cells():
            checked(cell)

    def _most(self, paths: int) -> int | None:
        if self.precision is None:
            if self.max_paths is not None:
                raise ParameterError("max_paths", self.max_paths, "left out without a precision")
            return None
        most = 1000 * paths if self.max_paths is None else self.max_paths
        return integer("max_paths", most, low=paths, high=2**32)

    def _check_axes(self) -> None:
        sizes = [len(values) for values in self.axes.values()]
        if self.combine == "paired" and len(set(sizes)) > 1:
            raise ParameterError("axes", sizes, "of one length if they are paired")
        if (n := math.prod(self.shape)) > MOST_CELLS:
            raise ParameterError("axes", sizes, f"at most {MOST_CELLS} cells, not {n}")

    @property
    def most_paths(self) -> int:
        """Most paths of a cell."""
        return self.paths if self.max_paths is None else self.max_paths

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each dimension."""
        sizes = tuple(len(values) for values in self.axes.values())
        return sizes[:1] if self.combine == "paired" else sizes

    @property
    def dims(self) -> tuple[str, ...]:
        """Dimensions of the cells: the axes, or "cell" if they are paired."""
        paired = self.combine == "paired" and len(self.axes) > 0
        return ("cell",) if paired else tuple(self.axes)

    def cells(self) -> list[Parameters]:
        """Parameters of all cells, the last axis fastest."""
        together = zip if self.combine == "paired" and self.axes else itertools.product
        combinations = together(*self.axes.values())
        return [{**self.base, **dict(zip(self.axes, c, strict=True))} for c in combinations]

    def seed_of(self, cell: Parameters) -> int:
        """Seed of a cell, by what it is rather than where."""
        text = json.dumps([self.seed, sorted(cell.items())], ensure_ascii=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, by parameter; what `Scan` takes."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**found, "axes": {name: list(values) for name, values in self.axes.items()}}


def axis(name: str, values: Any) -> tuple[Any, ...]:
    """Return the distinct values of an axis: a list, or a range on a log or linear scale."""
    if isinstance(values, Mapping):
        values = spaced(name, values)
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, (list, tuple, range)) or len(values) == 0:
        raise ParameterError(name, values, RANGE)
    found = tuple(value.item() if isinstance(value, np.generic) else value for value in values)
    if any(isinstance(value, (list, tuple, dict)) for value in found):
        raise ParameterError(name, values, RANGE)
    if len(set(found)) < len(found) or len({isinstance(value, str) for value in found}) > 1:
        raise ParameterError(name, values, RANGE)
    return found


def spaced(name: str, values: Mapping[str, Any]) -> list[Any]:
    """Return n values from the first to the last; whole numbers if the parameter is one."""
    kinds = sorted(set(values) - {"n"})
    if kinds not in (["log"], ["linear"]) or np.shape(values[kinds[0]]) != (2,):
        raise ParameterError(name, dict(values), RANGE)
    n = integer(name, values.get("n", 0), low=2, high=MOST_CELLS)
    low = 0 if kinds == ["log"] else -math.inf
    ends = [number(name, end, low=low, open_low=low == 0) for end in values[kinds[0]]]
    make: Any = np.geomspace if kinds == ["log"] else np.linspace
    found = [float(x) for x in make(*ends, n)]
    if name in {"batch_size", "dim", "max_steps"}:
        return [round(x) for x in found]
    return [float(f"{x:.12g}") for x in found]  # 1e-3, not 0.0010000000000000002


def read_scan(path: Path) -> Scan:
    """Read a scan from a TOML file: its keys are the parameters of `Scan`.

    Raises
    ------
    ParameterError
        If there is no such file, it is no TOML, or what it says is no scan.
    """
    try:
        found = tomllib.loads(file_bytes("file", path).decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParameterError("file", str(path), f"a TOML file ({error})") from None
    names = tuple(f.name for f in fields(Scan))
    for name in found:
        choice("file", name, names)
    return Scan(**found)
