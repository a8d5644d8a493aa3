"""The cells of a plan: combinations of what is swept, with what they share, and a seed for each."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from sde_grok.scans.axes import combinations, plain_values

__all__ = ["MOST_PATHS", "Grid", "Parameters"]

MOST_PATHS = 10**8  # of a cell, which is in memory as a whole

Parameters = Mapping[str, Any]


class Grid:
    """What plans of simulations have in common; see `Scan` for the parameters."""

    base: Mapping[str, Any]
    axes: Mapping[str, Any]
    combine: str
    paths: int
    seed: int

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

    @property
    def most_paths(self) -> int:
        """Most paths of a cell."""
        return self.paths

    def cells(self) -> list[Parameters]:
        """Parameters of all cells, the last axis fastest."""
        return [{**self.base, **cell} for cell in combinations(self.axes, self.combine)]

    def seed_of(self, cell: Parameters) -> int:
        """Seed of a cell, by what it is rather than where."""
        text = json.dumps([self.seed, sorted(cell.items())], ensure_ascii=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, by parameter; what the plan takes."""
        return plain_values(self)
