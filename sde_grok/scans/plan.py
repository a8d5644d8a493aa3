"""What a scan is: base parameters, swept axes, and how many paths a cell gets; read from TOML."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sde_grok.checks import ParameterError, choice, file_bytes, integer, number
from sde_grok.scans.axes import axes_of, base_of, combinations, plain_values
from sde_grok.scans.cell import NAMES, Parameters, checked

if TYPE_CHECKING:
    from sde_grok.scans.networks import NetworkScan

__all__ = ["Scan", "read_scan"]

MOST_PATHS = 10**8  # of a cell, which is in memory as a whole
# Fewer stop too often where the error is underestimated by chance: from 2 on, of exponential times to
# 3 %, the error that is left was 5.4 times that which was asked for; from 16 on, 1.0.
FIRST_PATHS = 16


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
        Paths of each cell, at most 10⁸; of its first batch, at least 16, if there is a `precision`.
    precision : float, optional
        Relative standard error of the mean escape time, 0 … 1. Paths are added until it is met;
        none to a cell of whose first batch none escapes.
    max_paths : int, optional
        Most paths of a cell with a `precision`; by default 1000 `paths`, but at
        most 10⁶ or ten times `paths`: each cell has room for so many in memory.
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
        base = base_of(self.base, NAMES)
        low = FIRST_PATHS if self.precision is not None else 1
        paths = integer("paths", self.paths, low=low, high=MOST_PATHS)
        found: dict[str, Any] = {
            "base": base,
            "axes": axes_of(self.axes, NAMES, base, self.combine),
            "paths": paths,
            "max_paths": self._most(paths),
            "seed": integer("seed", self.seed, low=0, high=2**64 - 1),
        }
        if self.precision is not None:
            found["precision"] = number("precision", self.precision, low=0, high=1, open_low=True)
        for name, value in found.items():
            object.__setattr__(self, name, value)
        for cell in self.cells():
            checked(cell)

    def _most(self, paths: int) -> int | None:
        if self.precision is None:
            if self.max_paths is not None:
                raise ParameterError("max_paths", self.max_paths, "left out without a precision")
            return None
        usual = min(1000 * paths, max(10 * paths, 10**6), MOST_PATHS)
        most = usual if self.max_paths is None else self.max_paths
        return integer("max_paths", most, low=paths, high=MOST_PATHS)

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

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def cells(self) -> list[Parameters]:
        """Parameters of all cells, the last axis fastest."""
        return [{**self.base, **cell} for cell in combinations(self.axes, self.combine)]

    def seed_of(self, cell: Parameters) -> int:
        """Seed of a cell, by what it is rather than where."""
        text = json.dumps([self.seed, sorted(cell.items())], ensure_ascii=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, by parameter; what `Scan` takes."""
        return plain_values(self)


def read_scan(path: Path) -> Scan | NetworkScan:
    """Read a scan from a TOML file: its keys are the parameters of `Scan`.

    With a `preset`, they are those of `NetworkScan`.

    Raises
    ------
    ParameterError
        If there is no such file, it is no TOML, or what it says is no scan.
    MissingExtra
        If there is a preset, and what networks need is not installed.
    """
    try:
        found = tomllib.loads(file_bytes("file", path).decode())
    except ValueError as error:  # no UTF-8, no TOML, or an integer of too many digits
        raise ParameterError("file", str(path), f"a TOML file ({error})") from None
    kind: type[Scan | NetworkScan] = Scan
    if "preset" in found:
        from sde_grok.scans.networks import NetworkScan as kind  # noqa: PLC0415
    names = tuple(f.name for f in fields(kind))
    for name in found:
        choice("file", name, names)
    return kind(**found)
