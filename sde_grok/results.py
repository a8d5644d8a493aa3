"""The result of an escape simulation: one time and one status a path, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from sde_grok.escape_times import Array, EscapeTimes, Estimate, Status

__all__ = ["EscapeResult", "Estimate", "Status"]


@dataclass(frozen=True, eq=False)
class EscapeResult(EscapeTimes):
    """Escape times of independent simulated paths, all watched up to `max_steps`.

    `mean` is then that of min(T, max_steps).

    Attributes
    ----------
    system : str
        Rung of the ladder.
    steps : (n_paths,) array
        Optimizer steps to the core; the censoring time if censored, nan if failed.
    status : (n_paths,) int8 array
        A `Status` for each path.
    rho2_end : (n_paths,) array
        Squared radius, in squared parameter units: that of the core, if a bridge found the
        passage, else at the last grid point; nan if failed.
    end_state : dict of (n_paths, d) arrays
        θ, m and v where the path ended, under "theta", "m", "v"; empty unless asked for.
    max_steps : float
        Censoring time in optimizer steps.
    dt : float
        Time step in optimizer steps.
    path_steps : int
        Time steps simulated on all paths up to their end.
    exact_mean_steps : float or None
        Mean of the radial process in closed form, on the radial rung; the process is watched
        continuously, also where the simulation is not.
    wall_seconds : float
        Time that the simulation took, compilation included.
    provenance : dict
        Seed, parameters and versions.
    """

    system: str
    rho2_end: Array
    end_state: dict[str, Array]
    max_steps: float
    dt: float
    path_steps: int
    exact_mean_steps: float | None
    wall_seconds: float
    provenance: dict[str, Any] = field(repr=False)

    def summary(self) -> dict[str, Any]:
        """Everything but the paths, as plain numbers; None where there is no number."""
        exact = self.exact_mean_steps
        numbers: dict[str, float | None] = {
            "hit_fraction": self.hit_fraction,
            "censored_fraction": self.censored_fraction,
            "failed_fraction": self.failed_fraction,
            "mean_steps": self.mean.value,
            "stderr_steps": self.mean.stderr,
            "median_steps": self.median,
            "exact_mean_steps": exact,
            "max_steps": self.max_steps,
            "dt": self.dt,
            "wall_seconds": self.wall_seconds,
        }
        finite = {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in numbers.items()
        }
        return {
            "system": self.system,
            "n_paths": self.n_paths,
            **finite,
            "mean_is_restricted": self.censored_fraction > 0,
            "path_steps": self.path_steps,
            **self.provenance,
        }
