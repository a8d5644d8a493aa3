"""Distributions of the noise of ln y = location + scale · z, and limits that outlive a wrong one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr

__all__ = ["DISTRIBUTIONS", "Distribution", "sandwich", "scores"]

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


def scores(distribution: Distribution, z: Array, event: Events, x: Array, scale: float) -> Array:
    """Slopes of each row's log-likelihood in the coefficients of x and the model's other parameter.

    Parameters
    ----------
    distribution : Distribution
        Of the noise.
    z, event : (n,) arrays
        Residuals in units of the scale, and whether rows are seen.
    x : (n, k) array
        Covariates.
    scale : float
        Of the noise.

    Returns
    -------
    (n, k + 1) array
    """
    push = distribution.push(z, event)
    return np.column_stack([push[:, None] * x / scale, distribution.sign * (z * push - event)])


def sandwich(covariance: Array, scores: Array) -> Array:
    """Covariance of estimates where rows differ in spread, or the noise is of another kind.

    Parameters
    ----------
    covariance : (p, p) array
        Inverse of the log-likelihood's Hessian, with the other sign.
    scores : (n, p) array
        Slopes of each row's log-likelihood at its maximum.

    Notes
    -----
    Huber's V SᵀS V (1967), for many rows.
    """
    return covariance @ (scores.T @ scores) @ covariance
