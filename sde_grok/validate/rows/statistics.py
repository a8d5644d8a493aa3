"""Fits and tests over cells: least squares with constants, and whether runs agree by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc
from scipy.stats import rankdata

from sde_grok.claims import FALSE_ALARM
from sde_grok.fits.relative import determined
from sde_grok.results import Estimate
from sde_grok.runs.powers import least_squares

__all__ = ["regression", "told_apart"]

Array = NDArray[np.float64]


def regression(
    y: Any, columns: Mapping[str, Any], constants: Sequence[Any]
) -> tuple[dict[str, Estimate], int]:
    """Fit the columns that y tells apart, with a constant for each label, by least squares.

    Parameters
    ----------
    y : (n,) array_like
        Numbers of cells.
    columns : mapping of str to (n,) array_like
        What they depend on; a column is left out if those before it and the constants give it.
    constants : (n,) sequence
        Labels.

    Returns
    -------
    found : dict of str to Estimate
        Coefficients, with errors of the scatter; none if there are too few numbers for it.
    freedom : int
        Degrees of freedom of the errors.
    """
    given = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    response = np.asarray(y, np.float64)
    finite = np.all(np.isfinite([response, *given.values()]), axis=0)
    labels = [label for label, kept in zip(constants, finite, strict=True) if kept]
    size = {name: float(np.abs(x[finite]).max(initial=0.0)) or 1.0 for name, x in given.items()}
    design = [[float(label == other) for label in labels] for other in dict.fromkeys(labels)]
    n = len(design)
    names: list[str] = []
    for name, column in given.items():
        more = [*design, list(column[finite] / size[name])]  # columns may be of any size
        if labels and determined(np.column_stack(more)):
            design, names = more, [*names, name]
    freedom = len(labels) - len(design)
    if not names or freedom < 1:
        return {}, 0
    values, covariance, _ = least_squares(np.column_stack(design), response[finite])
    errors = np.sqrt(np.diag(covariance))
    found = {
        name: Estimate(float(values[n + i] / size[name]), float(errors[n + i] / size[name]))
        for i, name in enumerate(names)
    }
    return found, freedom


def told_apart(values: Array, cells: NDArray[np.int64]) -> bool:
    """Whether values differ between cells by more than within them, by their ranks.

    Parameters
    ----------
    values : (n,) array
        Numbers of runs.
    cells : (n,) array of int
        Label of the cell of each.

    Returns
    -------
    bool
        Whether the F test of one-way variance says so, at the rate FALSE_ALARM. False if there are no
        two runs of a cell, or all values are the same.
    """
    labels, place_of = np.unique(cells, return_inverse=True)
    between, within = labels.size - 1, values.size - labels.size
    if between < 1 or within < 1:
        return False
    ranks = rankdata(values)
    means = np.bincount(place_of, ranks) / np.bincount(place_of)
    inside = float(np.sum((ranks - means[place_of]) ** 2))
    outside = float(np.sum((means[place_of] - ranks.mean()) ** 2))
    if inside == 0:
        return outside > 0
    return bool(fdtrc(between, within, outside / between / (inside / within)) < FALSE_ALARM)
