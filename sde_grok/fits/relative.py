"""Least squares of relative errors: Σ ((prediction − y)/y)² is least.

Large and small values count the same, and no logarithm of a prediction is taken, which may be
negative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["determined", "fit_linear", "fit_power", "predict_linear", "predict_power"]

Array = NDArray[np.float64]


def fit_linear(x: Array, y: Array, lower: tuple[float, ...]) -> Array:
    """Constants c of y ≈ x c, none below its bound.

    Parameters
    ----------
    x : (n, k) array
        Design.
    y : (n,) array
        Measured, > 0.
    lower : tuple of k floats
        Bounds, 0 or −∞; () for a law without constants, whose predictions are x itself.

    Returns
    -------
    (k,) array
        The constants; those of least norm, in units of their columns, if the rows leave them open.
    """
    if not lower:
        return np.ones(1)
    relative = x / y[:, None]
    scale = np.sqrt(np.sum(relative**2, axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    relative, target, bound = relative / scale, np.ones(y.size), np.array(lower)
    found = np.linalg.lstsq(relative, target, rcond=None)[0]
    if np.any(np.less(found, bound)):
        from scipy.optimize import lsq_linear  # noqa: PLC0415

        found = lsq_linear(relative, target, (bound, np.inf), method="bvls").x
    return np.asarray(found / scale, np.float64)


def predict_linear(x: Array, constants: Array) -> Array:
    """Predictions x c; infinite where a column is."""
    never = np.asarray(np.isinf(x).any(axis=1))
    return np.where(never, np.inf, np.where(never[:, None], 0.0, x) @ constants)


def fit_power(x: Array, y: Array, lower: tuple[float, ...]) -> Array:
    """Constants c of y ≈ exp(x c), from the least squares of the logarithms on.

    Parameters
    ----------
    x : (n, k) array
        Design: a column of ones and the logarithms.
    y : (n,) array
        Measured, > 0.
    lower : tuple of float
        Ignored: any exponent will do.

    Returns
    -------
    (k,) array
        ln C and the exponents; 0 for a column that is the same in all rows.
    """
    from scipy.optimize import least_squares  # noqa: PLC0415

    del lower
    varies = np.asarray(np.ptp(x, axis=0) > 0)
    varies[0] = True
    z, log_y = x[:, varies], np.log(y)

    def residuals(c: Array) -> Array:
        return np.expm1(z @ c - log_y)

    def slopes(c: Array) -> Array:
        return np.exp(z @ c - log_y)[:, None] * z

    start = np.linalg.lstsq(z, log_y, rcond=None)[0]
    constants = np.zeros(x.shape[1])
    constants[varies] = least_squares(residuals, start, slopes, x_scale="jac").x
    return constants


def predict_power(x: Array, constants: Array) -> Array:
    """Predictions exp(x c)."""
    return np.asarray(np.exp(x @ constants), np.float64)


def determined(x: Array) -> bool:
    """Whether the columns of a design, of whatever size, tell their constants apart."""
    size = np.linalg.norm(x, axis=0)
    scaled = x / np.where(size > 0, size, 1.0)
    return bool(np.linalg.matrix_rank(scaled, tol=1e-9) == x.shape[1])
