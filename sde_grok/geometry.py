"""The shell–core geometry: two concentric spheres and what passing from one to the other means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sde_grok.checks import ParameterError, choice, integer, number

__all__ = ["Direction", "Geometry"]

SMALLEST, LARGEST = 1e-150, 1e150  # squares of radii are normal floats in between

Direction = Literal["inward", "outward"]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Start on a sphere of radius `rho_start`, end at the first time on that of `rho_core`.

    Parameters
    ----------
    rho_start : float
        Radius ρ₀ of the shell, in parameter units; > 0, or >= 0 outward.
    rho_core : float
        Radius ρ* > 0 of the core; below `rho_start` inward, above it outward.
    dim : int
        Dimension d >= 1 of parameter space.
    direction : {"inward", "outward"}
        Whether the core is entered from outside or left from inside.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    rho_start: float
    rho_core: float
    dim: int
    direction: Direction = "inward"

    def __post_init__(self) -> None:
        choice("direction", self.direction, get_args(Direction))
        inward = self.direction == "inward"
        start = number("rho_start", self.rho_start, low=SMALLEST if inward else 0, high=LARGEST)
        core = number("rho_core", self.rho_core, low=SMALLEST, high=LARGEST)
        if inward and core >= start:
            allowed = f">= {SMALLEST:g} and < rho_start = {start:g} for an inward problem"
            raise ParameterError("rho_core", core, allowed)
        if not inward and core <= start:
            allowed = f"> rho_start = {start:g} for an outward problem"
            raise ParameterError("rho_core", core, allowed)
        object.__setattr__(self, "rho_start", start)
        object.__setattr__(self, "rho_core", core)
        object.__setattr__(self, "dim", integer("dim", self.dim, low=1, high=2**31))

    @property
    def inward(self) -> bool:
        """Whether the core is passed from outside."""
        return self.direction == "inward"

    @property
    def side(self) -> float:
        """+1 if the core is passed from outside, −1 from inside."""
        return 1.0 if self.inward else -1.0
