"""What a scan is: base parameters, swept axes, and how many paths a cell gets; read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sde_grok.checks import ParameterError, choice, file_bytes, integer, number
from sde_grok.scans.axes import axes_of, base_of
from sde_grok.scans.cell import ESCAPES, NAMES, checked
from sde_grok.scans.grid import MOST_PATHS, Grid
from sde_grok.scans.landscapes import LandscapeScan

if TYPE_CHECKING:
    from sde_grok.scans.networks import NetworkScan

__all__ = ["Scan", "read_scan"]

# Fewer stop too often where the error is underestimated by chance: from 2 on, of exponential times to
# 3 %, the error that is left was 5.4 times that which was asked for; from 16 on, 1.0.
FIRST_PATHS = 16


@dataclass(frozen=True, kw_only=True)
class Scan(Grid):
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

    kind: ClassVar = ESCAPES

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
    def how(self) -> dict[str, Any]:
        """How many paths a cell gets; what `ESCAPES.simulate` takes."""
        return {"paths": self.paths, "precision": self.precision, "max_paths": self.most_paths}


def read_scan(path: Path) -> Scan | LandscapeScan | NetworkScan:
    """Read a scan from a TOML file: its keys are the parameters of `Scan`.

    With a `landscape`, they are those of `LandscapeScan`, with a `preset` those of `NetworkScan`.

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
    kind: type[Scan | LandscapeScan | NetworkScan] = LandscapeScan if "landscape" in found else Scan
    if "preset" in found:
        from sde_grok.scans.networks import NetworkScan as kind  # noqa: PLC0415
    names = tuple(f.name for f in fields(kind))
    for name in found:
        choice("file", name, names)
    return kind(**found)
