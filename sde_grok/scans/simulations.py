"""The cells of a scan of simulations, as work to be done."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sde_grok.scans.kind import Paths
from sde_grok.scans.landscapes import LandscapeScan
from sde_grok.scans.plan import Scan
from sde_grok.scans.store import Place, Store, open_cells, summary_of
from sde_grok.versions import versions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Simulations", "costs"]


class Simulations:
    """The cells of a scan in a folder; see `sde_grok.scans.execute.Work`."""

    setup = staticmethod(versions)

    def __init__(self, plan: Scan | LandscapeScan, out: Path) -> None:
        self.plan, self.out = plan, out
        self.store = Store(plan, out)
        self.cells = dict(zip(np.ndindex(plan.shape), plan.cells(), strict=True))
        self.costs = costs(plan)
        self.numbers: dict[Place, dict[str, float]] = {}

    @property
    def missing(self) -> set[Place]:
        """Cells that are not there."""
        return self.store.missing

    @property
    def damaged(self) -> list[Place]:
        """Cells that were found damaged."""
        return self.store.damaged

    def task(self, place: Place, threads: int) -> tuple[Callable[..., Paths], dict[str, Any]]:
        """What simulates a cell, to be sent to another process."""
        plan, cell = self.plan, self.cells[place]
        one = {"parameters": dict(cell), "seed": plan.seed_of(cell), "threads": threads}
        return plan.kind.simulate, {**one, **plan.how}

    def put(self, place: Place, paths: Paths) -> None:
        """Keep a cell."""
        self.store.put(place, paths)
        self.numbers[place] = summary_of(self.plan.kind, paths)

    def finish(self) -> xr.Dataset:
        """Read all cells."""
        return open_cells(self.out, self.numbers)


def costs(plan: Scan | LandscapeScan) -> dict[Place, float]:
    """Normals that each cell is expected to draw."""
    each = zip(np.ndindex(plan.shape), plan.cells(), strict=True)
    return {place: math.prod(plan.kind.expected_cost(cell, **plan.how)) for place, cell in each}
