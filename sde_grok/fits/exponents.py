"""Exponents of (η, λ, b) in a response, censored rows and all: y = C Π axis^exponent · noise.

An accelerated failure time model is that power law for times: the logarithm is linear in those of
the axes, and a censored row says that its time is longer. Least squares cannot use such rows, and
without them exponents come out too small: long times are the ones that go unseen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sde_grok.checks import ParameterError, choice, integer
from sde_grok.fits.competition import at_events, axis_folds, bootstrap
from sde_grok.fits.relative import determined
from sde_grok.fits.sample import Sample, subset, varying
from sde_grok.fits.survival import DISTRIBUTIONS, by_cell, by_row, regress
from sde_grok.runs.powers import least_squares

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Bootstrap",
    "ExponentFit",
    "bootstrap_exponents",
    "fit_exponents",
    "held_out",
    "mape",
]

Array = NDArray[np.float64]

METHODS = ("aft", "ols")
MOST_REDRAWN = 10  # bootstrap draws that may fail, for each that is wanted


@dataclass(frozen=True, eq=False)
class ExponentFit:
    """A power law y = C Π axis^exponent, fitted.

    Attributes
    ----------
    names : tuple of k str
        The axes that vary.
    estimate, low, high : (k,) arrays
        Exponents, and their 95 % confidence limits, which take rows as independent.
    low_by_cell, high_by_cell : (k,) arrays
        Limits that take cells as independent: the rows of one share what the power law misses, and
        more of them do not tell more about it. Infinite if there are no more cells than constants.
    constant : float
        C of the median, in units of the response.
    scale : float
        Scale of the noise of ln y: its standard deviation if it is normal (lognormal, "ols"),
        1/shape of a Weibull or log-logistic distribution.
    distribution : str
        "lognormal", "weibull" or "loglogistic"; "ols" by least squares.
    aic : float
        Of y in units of its geometric mean, censored rows and all; nan by least squares.
    """

    names: tuple[str, ...]
    estimate: Array
    low: Array
    high: Array
    low_by_cell: Array
    high_by_cell: Array
    constant: float
    scale: float
    distribution: str
    aic: float = math.nan

    def predict(self, frame: pd.DataFrame) -> Array:
        """Median response at each row of a frame with the axes."""
        log = np.full(len(frame), math.log(self.constant))
        for name, exponent in zip(self.names, self.estimate, strict=True):
            log += exponent * np.log(frame[name].to_numpy())
        return np.asarray(np.exp(log), np.float64)


class Bootstrap(NamedTuple):
    """95 % percentile limits (k,), the draws (n, k), and how many draws could not be fitted."""

    names: tuple[str, ...]
    low: Array
    high: Array
    draws: Array
    redrawn: int


def fit_exponents(sample: Sample, *, method: str = "aft") -> ExponentFit:
    """Fit the exponents of the axes that vary.

    Parameters
    ----------
    sample : Sample
        With more events than axes that vary, by at least two.
    method : {"aft", "ols"}
        Accelerated failure time, with the distribution of least AIC; or least squares of ln y over
        the rows that are not censored.

    Raises
    ------
    ParameterError
        If rows are too few, all censored, or do not tell the axes apart; or nothing converges.
    MissingExtra
        If lifelines is not installed, for "aft".

    Notes
    -----
    Limits are Student's t, with as many degrees of freedom as events less constants. For "ols" all
    rows have one spread; for "aft" the error is Huber's sandwich, with the same correction for few
    events, and holds where spread differs from row to row, as it does along the axes of a scan.
    Limits by cell are of the sandwich of cells, with as many degrees of freedom as cells that have
    an event, less constants. Without censoring the lognormal estimates are those of least squares.
    """
    if choice("method", method, METHODS) == "ols":
        return fit_least_squares(sample)
    found = [fit for name in DISTRIBUTIONS if (fit := fit_distribution(sample, name)) is not None]
    if not found:
        raise ParameterError("method", method, "ols: no survival model converges on these rows")
    return min(found, key=lambda fit: fit.aic)


def fit_least_squares(sample: Sample) -> ExponentFit:
    """Least squares of ln y over events, with limits of Student's t."""
    events = at_events(sample)
    axes = fitted_axes(events)
    x, log_y = design(events, axes), np.log(events.y)
    constants, covariance, freedom = least_squares(x, log_y)
    left = log_y - x @ constants
    variance = np.sum(left**2) / freedom
    wide = float(stdtrit(freedom, 0.975)) * np.sqrt(np.diag(covariance))[1:]
    scores = left[:, None] * x / (variance or 1.0)  # 0, of an exact fit
    cells = by_cell(covariance, scores, events.cell, events.event)[1:]
    return ExponentFit(
        axes,
        constants[1:],
        *limits(constants[1:], wide),
        *limits(constants[1:], cells),
        math.exp(constants[0]),
        math.sqrt(variance),
        "ols",
    )


def fitted_axes(sample: Sample) -> tuple[str, ...]:
    """Axes that vary, if the events tell them apart."""
    axes, events = varying(sample), at_events(sample)
    if not axes:
        allowed = "rows in which eta, lam or batch_size varies"
        raise ParameterError("data", f"{sample.y.size} rows", allowed)
    if events.y.size < len(axes) + 2:
        allowed = f"rows of which at least {len(axes) + 2} are not censored, for {', '.join(axes)}"
        raise ParameterError("data", f"{events.y.size} events", allowed)
    x = design(events, axes)
    x[:, 1:] -= x[:, 1:].mean(axis=0)
    if not determined(x):
        allowed = f"rows whose events tell {', '.join(axes)} apart (they vary together, or not)"
        raise ParameterError("data", f"{events.y.size} events", allowed)
    return axes


def fit_distribution(sample: Sample, name: str) -> ExponentFit | None:
    """Fit the model of one distribution; None if it does not converge."""
    axes = fitted_axes(sample)
    x = design(sample, axes)
    found = regress(x, np.log(sample.y), sample.event, name)
    if found is None:
        return None
    estimate = found.coefficients[1:]
    rows = by_row(found.covariance, found.scores, int(sample.event.sum()))[1:-1]
    cells = by_cell(found.covariance, found.scores, sample.cell, sample.event)[1:-1]
    return ExponentFit(
        axes,
        estimate,
        *limits(estimate, rows),
        *limits(estimate, cells),
        math.exp(found.coefficients[0]) * DISTRIBUTIONS[name].median(found.scale),
        found.scale,
        name,
        found.aic,
    )


def design(sample: Sample, axes: tuple[str, ...]) -> Array:
    """Columns of the power law's logarithm."""
    logs = np.log(sample.frame[list(axes)].to_numpy(np.float64))
    return np.column_stack([np.ones(len(logs)), logs])


def limits(estimate: Array, wide: Array) -> tuple[Array, Array]:
    """Low and high."""
    return estimate - wide, estimate + wide


def refit(sample: Sample, distribution: str) -> ExponentFit | None:
    """Fit rows as others were fitted; None if they do not tell the axes apart."""
    try:
        if distribution == "ols":
            return fit_least_squares(sample)
        return fit_distribution(sample, distribution)
    except ParameterError:
        return None


def errors(fit: ExponentFit, sample: Sample) -> Array:
    """Relative errors |prediction − y|/y at events."""
    event = sample.event
    return np.abs(fit.predict(sample.frame)[event] / sample.y[event] - 1)


def mape(fit: ExponentFit, sample: Sample) -> float:
    """Mean of |median prediction − y|/y over the rows that are not censored; nan if all are."""
    found = errors(fit, sample)
    return float(np.mean(found)) if found.size else math.nan


def held_out(fit: ExponentFit, sample: Sample) -> float:
    """Mean relative error on one value of an axis after the other, fitted without it.

    Parameters
    ----------
    fit : ExponentFit
        Of all the rows: the others have its distribution.
    sample : Sample
        The rows.

    Returns
    -------
    float
        Over the left-out rows that are not censored. nan if no axis has three values, or rows that
        are left cannot be fitted. Values without which the rows no longer tell the axes apart are
        not left out.
    """
    found = []
    for rest, out in axis_folds(sample):
        again = refit(subset(sample, rest), fit.distribution)
        if again is None:
            return math.nan
        found.append(errors(again, subset(sample, out)))
    together = np.concatenate(found) if found else np.empty(0)
    return float(np.mean(together)) if together.size else math.nan


def bootstrap_exponents(
    fit: ExponentFit, sample: Sample, *, n: int = 200, seed: int = 0
) -> Bootstrap:
    """Confidence limits that let rows of a cell share what the fit misses.

    Parameters
    ----------
    fit : ExponentFit
        Of all the rows: the draws have its distribution.
    sample : Sample
        The rows.
    n : int
        Draws of whole cells, with replacement.
    seed : int
        Of the draws.

    Raises
    ------
    ParameterError
        If draws keep failing: those in which an axis no longer varies,
        or nothing converges, are drawn again.
    """
    integer("n", n, low=2)
    draws: list[Array] = []
    redrawn = 0
    for rows in bootstrap(sample.cell, seed):
        again = refit(subset(sample, rows), fit.distribution)
        if again is not None and again.names == fit.names:
            draws.append(again.estimate)
        elif (redrawn := redrawn + 1) > MOST_REDRAWN * n:
            cells = f"{np.unique(sample.cell).size} cells"
            allowed = "rows of which most draws can be fitted: more cells, or fewer axes"
            raise ParameterError("data", cells, allowed)
        if len(draws) == n:
            break
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return Bootstrap(fit.names, low, high, np.array(draws), redrawn)
