"""The result of an escape simulation: one time and one status a path, and what follows from them."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import number
from sde_grok.kernels.outcome import CENSORED, FAILED, HIT

__all__ = ["EscapeResult", "Estimate", "Status", "Survival"]

Array = NDArray[np.float64]


class Status(IntEnum):
    """How a path ended.

    HIT: it reached the core. CENSORED: it had not after `max_steps`. FAILED: it became non-finite.
    """

    HIT = HIT
    CENSORED = CENSORED
    FAILED = FAILED


class Estimate(NamedTuple):
    """A number with its standard error, 0 if there is no chance in it."""

    value: float
    stderr: float = 0.0

    def __str__(self) -> str:
        """Show two digits of the error, and the number to the same place."""
        if not (math.isfinite(self.value) and 0 < self.stderr < math.inf):
            return f"{self.value:.6g}"
        places = max(0, 1 - math.floor(math.log10(self.stderr)))
        return f"{self.value:.{places}f} ± {self.stderr:.{places}f}"


class Survival(NamedTuple):
    """Kaplan–Meier estimate of P(T > steps), with pointwise confidence limits."""

    steps: Array
    probability: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class EscapeResult:
    """Escape times of independent paths.

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
    steps: Array
    status: NDArray[np.int8]
    rho2_end: Array
    end_state: dict[str, Array]
    max_steps: float
    dt: float
    path_steps: int
    exact_mean_steps: float | None
    wall_seconds: float
    provenance: dict[str, Any] = field(repr=False)

    @property
    def n_paths(self) -> int:
        """Number of paths."""
        return self.steps.size

    @property
    def hit_fraction(self) -> float:
        """Fraction of paths that reached the core."""
        return self._fraction(Status.HIT)

    @property
    def censored_fraction(self) -> float:
        """Fraction of paths that were still outside the core after `max_steps`."""
        return self._fraction(Status.CENSORED)

    @property
    def failed_fraction(self) -> float:
        """Fraction of paths that became non-finite; they take no part in any estimate."""
        return self._fraction(Status.FAILED)

    def _fraction(self, status: Status) -> float:
        return float(np.mean(self.status == status))

    def _valid(self) -> Array:
        return np.asarray(self.steps[self.status != Status.FAILED])

    @property
    def mean(self) -> Estimate:
        """Mean of min(T, max_steps): the mean escape time if no path was censored, in steps.

        With censored paths it is the restricted mean, the area under the Kaplan–Meier curve. nan if
        no path reached the core, for then nothing but `max_steps` would be in it.
        """
        times = self._valid()
        if self.hit_fraction == 0:
            return Estimate(math.nan, math.nan)
        stderr = (
            float(np.std(times, ddof=1)) / math.sqrt(times.size) if times.size > 1 else math.nan
        )
        return Estimate(float(np.mean(times)), stderr)

    @property
    def median(self) -> float:
        """Median escape time in steps; nan if more than half of the paths were censored."""
        return self.quantile(0.5)

    def quantile(self, level: float) -> float:
        """Escape time below which a fraction `level` of the paths ends (Kaplan–Meier).

        Paths are censored at one time only, so that the product-limit estimate is the order
        statistic; nan where it lies beyond the censoring time.
        """
        level = number("level", level, low=0, high=1, open_low=True)
        times = np.sort(
            np.where(self.status == Status.HIT, self.steps, np.inf)[self.status != FAILED]
        )
        rank = math.ceil(level * times.size * (1 - 1e-12)) - 1  # 0.07 · 100 is not above 7
        return float(times[rank]) if rank >= 0 and math.isfinite(times[rank]) else math.nan

    def survival(self, confidence: float = 0.95) -> Survival:
        """Kaplan–Meier survival function, with log–log confidence limits (Greenwood)."""
        from scipy.stats import CensoredData, ecdf  # noqa: PLC0415  (half a second)

        times = self._valid()
        censored = self.status[self.status != Status.FAILED] == Status.CENSORED
        curve: Any = ecdf(CensoredData.right_censored(times, censored)).sf
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nan at probabilities 0 and 1
            limits: Any = curve.confidence_interval(confidence, method="log-log")
        low, high = limits.low.probabilities, limits.high.probabilities
        return Survival(curve.quantiles, curve.probabilities, low, high)

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
