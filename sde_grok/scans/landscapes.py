"""Scans of landscapes: paths that memorize and generalize, for each combination of what is swept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sde_grok.checks import choice, integer
from sde_grok.landscapes import OF_SCALARS
from sde_grok.scans.axes import axes_of, base_of
from sde_grok.scans.grid import MOST_PATHS, Grid, Parameters
from sde_grok.scans.landscape_cell import STAGES, checked, names_of

__all__ = ["LandscapeScan"]


@dataclass(frozen=True, kw_only=True)
class LandscapeScan(Grid):
    """Paths on a landscape: one `simulate_grokking` for each combination of the swept parameters.

    Parameters
    ----------
    landscape : str
        "two_circuits", "margin" or "linear_student": one of `sde_grok.landscapes.OF_SCALARS`.
    base : mapping
        Parameters by name that all cells share: those of the landscape and of `Optimizer`; of
        `simulate_grokking`, `rho_start`, `train_loss`, `test_loss`, `system`, `max_steps` and `dt`;
        and of `broad_noise`, `sigma`, and `sigma_spread` for its spread. What has a default there
        may be left out; `system` is "joint", `sigma_spread` 0 and `max_steps` 100 000 by default.
    axes : mapping
        Swept parameters by name, each a sequence of distinct values.
    combine : {"grid", "paired"}
        All combinations of the axes, or their first values together, their second, and so on.
    paths : int
        Paths of each cell, at most 10⁸.
    seed : int
        0 … 2⁶⁴ − 1, of which and of a cell's own parameters its seed is made.

    Raises
    ------
    ParameterError
        If a parameter is unknown, missing or out of range in any of the cells.
    """

    landscape: str
    base: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, Any] = field(default_factory=dict)
    combine: str = "grid"
    paths: int = 64
    seed: int = 0

    kind: ClassVar = STAGES

    def __post_init__(self) -> None:
        names = names_of(choice("landscape", self.landscape, tuple(OF_SCALARS)))
        base = base_of(self.base, names)
        found = {
            "base": base,
            "axes": axes_of(self.axes, names, base, self.combine),
            "paths": integer("paths", self.paths, low=1, high=MOST_PATHS),
            "seed": integer("seed", self.seed, low=0, high=2**64 - 1),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)
        for cell in self.cells():
            checked(cell)

    @property
    def how(self) -> dict[str, Any]:
        """How many paths a cell gets; what `STAGES.simulate` takes."""
        return {"paths": self.paths}

    def cells(self) -> list[Parameters]:
        """Parameters of all cells, that of the landscape among them; the last axis fastest."""
        return [{"landscape": self.landscape, **cell} for cell in super().cells()]
