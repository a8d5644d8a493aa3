"""Power laws fitted to measured numbers: exponents by least squares of the logarithms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sde_grok.checks import ParameterError
from sde_grok.results import Estimate

__all__ = ["PowerFit", "fit_powers", "least_squares"]


class PowerFit(NamedTuple):
    """Exponents by name, their covariance in the same order, and its degrees of freedom."""

    names: tuple[str, ...]
    exponents: NDArray[np.float64]
    covariance: NDArray[np.float64]
    freedom: int

    def exponent(self, name: str) -> Estimate:
        """One exponent and its standard error."""
        return self.combination(**{name: 1.0})

    def combination(self, **weights: float) -> Estimate:
        """Sum of exponents with weights; one that was not fitted counts as 0."""
        w = np.array([weights.get(name, 0.0) for name in self.names])
        return Estimate(float(w @ self.exponents), math.sqrt(w @ self.covariance @ w))


def fit_powers(
    values: ArrayLike,
    factors: Mapping[str, ArrayLike],
    groups: Sequence[object] | None = None,
) -> PowerFit:
    """Fit values = C_group Π factor^exponent by least squares of ln(values).

    Parameters
    ----------
    values : (n,) array_like
        Measured numbers > 0.
    factors : mapping of str to (n,) array_like
        What they depend on, > 0; one that does not vary has no exponent.
    groups : (n,) sequence, optional
        Labels of groups that have a constant each and share the exponents. By default one group.

    Returns
    -------
    PowerFit
        The covariance is that of the scatter about the fit, the same for all values.

    Raises
    ------
    ParameterError
        If lengths differ, a number is not > 0, or there are too few values for the error.
    """
    y = _logarithms("values", values)
    columns = {name: _logarithms(name, x, y.size) for name, x in factors.items()}
    varying = {name: x for name, x in columns.items() if np.ptp(x) > 0}
    labels = list(groups) if groups is not None else [None] * y.size
    if len(labels) != y.size:
        raise ParameterError("groups", labels, f"one label for each of {y.size} values")
    constants = [[float(label == group) for label in labels] for group in dict.fromkeys(labels)]
    x = np.column_stack([*constants, *varying.values()])
    if y.size <= x.shape[1]:
        raise ParameterError("values", y, f"more than {x.shape[1]} numbers")
    coefficients, covariance, freedom = least_squares(x, y)
    n = len(constants)
    return PowerFit(tuple(varying), coefficients[n:], covariance[n:, n:], freedom)


def least_squares(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Coefficients of the columns of x in y, their covariance by the scatter of y, its freedom."""
    coefficients = np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], np.float64)
    freedom = y.size - x.shape[1]
    variance = np.sum((y - x @ coefficients) ** 2) / freedom
    covariance: NDArray[np.float64] = variance * np.linalg.inv(x.T @ x)
    return coefficients, covariance, freedom


def _logarithms(field: str, values: ArrayLike, size: int | None = None) -> NDArray[np.float64]:
    column = np.asarray(values, float)
    if column.ndim != 1 or column.size != (size or max(column.size, 1)):
        raise ParameterError(field, column, f"{size or 'some'} numbers in a row")
    if not np.all((column > 0) & np.isfinite(column)):
        raise ParameterError(field, column.tolist(), "finite numbers > 0")
    logarithms: NDArray[np.float64] = np.log(column)
    return logarithms
