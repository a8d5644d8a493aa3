"""Censored regression ln y = x c + scale · z by lifelines, and limits that outlive a wrong noise."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, stdtrit

from sde_grok.checks import MissingExtra

__all__ = ["DISTRIBUTIONS", "Distribution", "Regression", "by_cell", "by_row", "regress"]

Array = NDArray[np.float64]
Events = NDArray[np.bool_]


class Distribution(NamedTuple):
    """A distribution of z with density f and survival S, and what lifelines calls its model.

    Attributes
    ----------
    fitter, location : str
        The model, and its parameter e^location, which is linear in the covariates.
    sign : int
        Its other parameter, in its logarithm, is this times ln scale.
    median : callable
        Median of y over e^location, by the scale.
    push : callable
        −d ln f/dz of rows that are seen, −d ln S/dz of censored ones, by z and which are which.
    options : dict
        Of lifelines' search, where its own tolerance is a visible part of the errors.
    """

    fitter: str
    location: str
    sign: int
    median: Callable[[float], float]
    push: Callable[[Array, Events], Array]
    options: dict[str, Any]


def normal_push(z: Array, event: Events) -> Array:
    """Of f = exp(−z²/2)/√(2π)."""
    hazard = np.exp(-(z**2) / 2 - log_ndtr(-z)) / math.sqrt(2 * math.pi)
    return np.where(event, z, hazard)


def gumbel_push(z: Array, event: Events) -> Array:
    """Of S = exp(−eᶻ), f = eᶻ S."""
    return np.asarray(np.exp(z) - event, np.float64)


def logistic_push(z: Array, event: Events) -> Array:
    """Of S = 1/(1 + eᶻ), f = S (1 − S)."""
    return np.asarray((1 + event) * expit(z) - event, np.float64)


DISTRIBUTIONS = {
    "lognormal": Distribution("LogNormalAFTFitter", "mu_", 1, lambda _: 1.0, normal_push, {}),
    "weibull": Distribution(
        "WeibullAFTFitter", "lambda_", -1, lambda scale: math.log(2) ** scale, gumbel_push, {}
    ),
    "loglogistic": Distribution(
        "LogLogisticAFTFitter", "alpha_", -1, lambda _: 1.0, logistic_push, {"ftol": 1e-10}
    ),
}


class Regression(NamedTuple):
    """A regression of k columns, fitted.

    Attributes
    ----------
    coefficients : (k,) array
        c, of the location.
    scale : float
        Of the noise.
    covariance : (p, p) array
        Inverse of the log-likelihood's Hessian with the other sign, in c and what else was fitted.
    scores : (n, p) array
        Slopes of each row's log-likelihood in the same.
    aic : float
        2 p less twice the log-likelihood of y in units of its geometric mean.
    """

    coefficients: Array
    scale: float
    covariance: Array
    scores: Array
    aic: float


def regress(x: Array, log_y: Array, event: Events, name: str) -> Regression | None:
    """Fit a distribution to rows, censored ones and all; None if the search does not converge.

    Parameters
    ----------
    x : (n, k) array
        Columns, the first of ones.
    log_y : (n,) array
        ln y; a lower bound where censored.
    event : (n,) array of bool
        False where censored.
    name : str
        In `DISTRIBUTIONS`.

    Notes
    -----
    The search is for what least squares leaves, bounds taken as if they were seen, in units of its
    spread, by standardised columns. From there it is short, whatever the data.
    """
    distribution = DISTRIBUTIONS[name]
    first = np.linalg.lstsq(x, log_y)[0]
    left = log_y - x @ first
    unit = float(np.std(left)) or 1.0
    centre, spread = x[:, 1:].mean(axis=0), x[:, 1:].std(axis=0)
    standard = (x[:, 1:] - centre) / spread
    model = searched(distribution, standard, np.exp(left / unit), event)
    if model is None:
        return None
    names = [(distribution.location, n) for n in ("Intercept", *map(str, range(standard.shape[1])))]
    ((other, value),) = model.params_.drop(distribution.location, level=0).items()
    back = np.eye(len(first) + 1)  # to the coefficients of x
    back[1:-1, 1:-1] = np.diag(1 / spread)
    back[0, 1:-1] = -centre / spread
    back[:-1] *= unit
    fitted = [*names, other]
    covariance = back @ model.variance_matrix_.loc[fitted, fitted].to_numpy() @ back.T
    coefficients = first + back[:-1, :-1] @ model.params_[names].to_numpy()
    scale = unit * math.exp(distribution.sign * value)
    z = (log_y - x @ coefficients) / scale
    jacobian = left / unit - math.log(unit) - (log_y - log_y.mean())
    aic = float(model.AIC_ - 2 * np.sum(jacobian[event]))
    slopes = scores(distribution, z, event, x, scale)
    return Regression(coefficients, scale, covariance, slopes, aic)


def searched(distribution: Distribution, x: Array, y: Array, event: Events) -> Any | None:
    """A model of lifelines fitted to rows, or None; its columns are named by their numbers."""
    try:
        import lifelines  # noqa: PLC0415
        import pandas as pd  # noqa: PLC0415
        from lifelines import exceptions  # noqa: PLC0415
    except ImportError:
        raise MissingExtra("scan", ["lifelines"]) from None
    columns = {str(i): column for i, column in enumerate(x.T)}
    frame = pd.DataFrame({**columns, "y": y, "event": event})
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for category in (exceptions.ApproximationWarning, exceptions.StatisticalWarning):
            warnings.simplefilter("error", category)
        try:
            fitter = getattr(lifelines, distribution.fitter)()
            model = fitter.fit(frame, "y", "event", fit_options=distribution.options)
        except (exceptions.ConvergenceError, RuntimeWarning, np.linalg.LinAlgError):
            return None
    finite = np.isfinite(model.params_).all() and np.isfinite(model.standard_errors_).all()
    return model if finite else None


def scores(distribution: Distribution, z: Array, event: Events, x: Array, scale: float) -> Array:
    """Slopes of each row's log-likelihood in the coefficients of x and the model's other parameter.

    Parameters
    ----------
    distribution : Distribution
        Of the noise.
    z, event : (n,) arrays
        Residuals in units of the scale, and whether rows are seen.
    x : (n, k) array
        Columns.
    scale : float
        Of the noise.

    Returns
    -------
    (n, k + 1) array
    """
    push = distribution.push(z, event)
    return np.column_stack([push[:, None] * x / scale, distribution.sign * (z * push - event)])


def by_row(covariance: Array, scores: Array, events: int) -> Array:
    """Half widths of 95 % limits where rows differ in spread, or the noise is of another kind.

    Parameters
    ----------
    covariance, scores :
        As in `Regression`.
    events : int
        Rows that are not censored: the others say little of the spread.

    Notes
    -----
    Huber's sandwich V SᵀS V (1967), for as many degrees of freedom as events less constants.
    """
    sandwich = covariance @ (scores.T @ scores) @ covariance
    freedom = max(1, events - len(covariance))
    errors = np.sqrt(events / freedom * np.diag(sandwich))
    return np.asarray(stdtrit(freedom, 0.975) * errors, np.float64)


def by_cell(covariance: Array, scores: Array, cell: NDArray[np.int64], event: Events) -> Array:
    """Half widths of 95 % limits where rows of a cell share what is not fitted.

    They are `by_row` of whole cells; infinite if there are no more than constants.
    """
    labels, place = np.unique(cell, return_inverse=True)
    together = np.zeros((labels.size, scores.shape[1]))
    np.add.at(together, place, scores)
    cells = np.unique(cell[event]).size
    if cells <= len(covariance):
        return np.full(len(covariance), np.inf)
    return by_row(covariance, together, cells)
