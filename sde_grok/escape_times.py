"""Escape times, some of them censored, and what follows from them: Kaplan–Meier throughout."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, number
from sde_grok.kernels.outcome import CENSORED, FAILED, HIT

__all__ = ["EscapeTimes", "Estimate", "Status", "Survival"]

Array = NDArray[np.float64]

ROUNDING = 1e-12  # of a survival probability: 0.93 of 100 paths is not below 1 − 0.07


class Status(IntEnum):
    """How a path ended.

    HIT: it escaped. CENSORED: it had not when it was last seen. FAILED: it became non-finite.
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
class EscapeTimes:
    """Escape times T of independent paths, each watched up to a censoring time of its own.

    A path is a simulated one or a training run. That a path is censored must say nothing about how
    much longer it would have taken. Times may be negative, as delays are.

    Attributes
    ----------
    steps : (n_paths,) array
        Optimizer steps to the escape; the censoring time if censored, nan if failed.
    status : (n_paths,) int8 array
        A `Status` for each path.

    Raises
    ------
    ParameterError
        If there is no path, the shapes differ, a status is none of `Status`, or a path that did not
        fail has no finite time.
    """

    steps: Array
    status: NDArray[np.int8]

    def __post_init__(self) -> None:
        steps, status = np.asarray(self.steps, np.float64), np.asarray(self.status)
        if steps.ndim != 1 or steps.size == 0:
            raise ParameterError("steps", self.steps, "one time a path, of one path or more")
        known = (status == HIT) | (status == CENSORED) | (status == FAILED)
        if status.shape != steps.shape or not np.all(known):
            raise ParameterError("status", self.status, f"a Status for each of {steps.size} paths")
        if not np.all(np.isfinite(steps) | (status == FAILED)):
            raise ParameterError("steps", self.steps, "finite, but for failed paths")
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "status", status.astype(np.int8, copy=False))

    @property
    def n_paths(self) -> int:
        """Number of paths."""
        return self.steps.size

    @property
    def hit_fraction(self) -> float:
        """Fraction of paths that escaped."""
        return self._fraction(HIT)

    @property
    def censored_fraction(self) -> float:
        """Fraction of paths that had not escaped when they were last seen."""
        return self._fraction(CENSORED)

    @property
    def failed_fraction(self) -> float:
        """Fraction of paths that became non-finite; they take no part in any estimate."""
        return self._fraction(FAILED)

    def _fraction(self, status: int) -> float:
        return float(np.count_nonzero(self.status == status) / self.n_paths)

    def _times(self, status: int) -> Array:
        return np.asarray(self.steps[self.status == status])

    def _curve(self) -> _Curve:
        return _product_limit(self._times(HIT), self._times(CENSORED))

    @property
    def mean(self) -> Estimate:
        """Mean of min(T, L), L the longest time observed, in steps: the area under Kaplan–Meier.

        It is the mean escape time if no path was censored; else the standard error is that for L
        held fixed. nan if no path escaped, for then nothing but L would be in it.

        Notes
        -----
        With nᵢ of n paths at risk of the escape at tᵢ, and the area Aᵢ from there to L, the variance
        is n/(n − 1) Σ Aᵢ²/(nᵢ(nᵢ − 1)): Greenwood's formula (Kaplan and Meier, J. Am. Stat. Assoc.
        53, 457, 1958), times what makes it the sample variance of min(T, L) over n if all paths
        were watched up to L.
        """
        if self.hit_fraction == 0:
            return Estimate(math.nan, math.nan)
        valid = self.steps[self.status != FAILED]
        n, longest = valid.size, float(np.max(valid))
        if np.min(self._times(CENSORED), initial=math.inf) >= longest:  # no need to sort
            spread = float(np.std(valid, ddof=1)) if n > 1 else math.nan
            return Estimate(float(np.mean(valid)), spread / math.sqrt(n))
        curve = self._curve()
        area = curve.areas(longest)
        pairs = np.maximum(curve.at_risk * (curve.at_risk - 1), 1)  # 0 at the last, as its area is
        greenwood = np.sum(area**2 / pairs)
        stderr = math.sqrt(n / (n - 1) * greenwood) if n > 1 else math.nan
        return Estimate(float(curve.times[0] + area[0]), stderr)

    @property
    def median(self) -> float:
        """Median escape time in steps; nan if the Kaplan–Meier curve stays above one half."""
        return self.quantile(0.5)

    def quantile(self, level: float) -> float:
        """First time at which P(T > steps) <= 1 − `level` (Kaplan–Meier), 0 < `level` < 1.

        nan where it lies beyond the times observed.
        """
        level = number("level", level, low=0, high=1, open_low=True)
        curve = self._curve()
        reached = curve.times[curve.survival <= 1 - level + ROUNDING]
        return float(reached[0]) if reached.size else math.nan

    def survival(self, confidence: float = 0.95) -> Survival:
        """Kaplan–Meier survival function, with log–log confidence limits (Greenwood)."""
        from scipy.stats import CensoredData, ecdf  # noqa: PLC0415  (half a second)

        valid = self.status != FAILED
        censored = self.status[valid] == CENSORED
        curve: Any = ecdf(CensoredData.right_censored(self.steps[valid], censored)).sf
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nan at probabilities 0 and 1
            limits: Any = curve.confidence_interval(confidence, method="log-log")
        low, high = limits.low.probabilities, limits.high.probabilities
        return Survival(curve.quantiles, curve.probabilities, low, high)


class _Curve(NamedTuple):
    """Times of the escapes in order, paths at risk at each, and P(T > time) after it."""

    times: Array
    at_risk: Array
    survival: Array

    def areas(self, end: float) -> Array:
        """Areas under the curve from each escape to `end`; 0 at the last path, if it escapes."""
        pieces = self.survival * np.diff(self.times, append=end)
        return np.cumsum(pieces[::-1])[::-1]


def _product_limit(escapes: Array, censored: Array) -> _Curve:
    """Kaplan–Meier estimate Sᵢ = Π (nⱼ − 1)/nⱼ over j <= i, escapes at the same time one by one.

    As Efron's redistribution to the right (Proc. 5th Berkeley Symp. 4, 831, 1967): of the nᵢ − 1
    paths left, each stands for 1/n, times (nⱼ₋₁ − 1)/nⱼ for those lost before j. That is 1 where
    none is lost, so that without censoring Sᵢ is a fraction of the paths, with no rounding adding
    up.
    """
    times = np.sort(escapes)
    # Who is censored at the time of an escape is at risk of it.
    lost = np.searchsorted(np.sort(censored), times, side="left")
    n = escapes.size + censored.size
    at_risk = n - np.arange(times.size, dtype=np.float64) - lost
    left_before = np.concatenate([[float(n)], at_risk[:-1] - 1])
    survival = (at_risk - 1) / n * np.cumprod(left_before / at_risk)
    return _Curve(times, at_risk, survival)
