"""Delays of measured runs: their exponents, and the error of laws that have one constant.

Seeds of a cell share what a law misses, so fits are to the means of cells, and errors those of the
scatter of cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError
from sde_grok.runs.cells import Point
from sde_grok.runs.powers import PowerFit, fit_powers
from sde_grok.runs.reference import Cell

__all__ = ["delay_ratios", "fit_delays", "log_ratio", "mean_error", "point", "with_delay"]

Array = NDArray[np.float64]


def point(cell: Cell) -> Point:
    """(η, λ, b)."""
    return Point(cell.eta, cell.lam, cell.batch_size)


def log_ratio(cell: Cell) -> float:
    """ln(ρ_M²/ρ_G²)."""
    return math.log(cell.rho2_mem / cell.rho2_grok)


def with_delay(cells: Sequence[Cell]) -> list[Cell]:
    """Cells in which all runs grok later than they memorize, on average at a smaller norm."""
    delayed = [c for c in cells if np.sum(c.delays > 0) == c.n_runs]
    return [c for c in delayed if c.rho2_mem > c.rho2_grok]


def fit_delays(cells: Sequence[Cell], *, over_log: bool = True) -> PowerFit:
    """Fit exponents of (η, λ, b) to the delay in steps, by default over ln(ρ_M²/ρ_G²).

    Parameters
    ----------
    cells : sequence of Cell
        With positive delays. Tasks have a constant each and share the exponents.
    over_log : bool
        Whether to divide by the logarithm of the radii.

    Raises
    ------
    ParameterError
        If there are too few cells, or delays or logarithms that are not positive.
    """
    means = [math.exp(np.mean(np.log(c.delays))) / (log_ratio(c) if over_log else 1) for c in cells]
    columns = zip(*map(point, cells), strict=True)
    factors = dict(zip(Point._fields, columns, strict=True))
    return fit_powers(means, factors, [c.task for c in cells])


def delay_ratios(
    law: Callable[..., float], cells: Sequence[Cell], *, reference: Point, **constants: float
) -> list[Array]:
    """Measured over predicted delays of each cell, 1 on average in the cell `reference`.

    Parameters
    ----------
    law : callable
        Of the common signature (see `sde_grok.laws.signature`).
    cells : sequence of Cell
        Of one task, network and decay.
    reference : Point
        The cell that sets the law's constant.
    **constants : float
        What the law takes besides.

    Raises
    ------
    ParameterError
        If there is no cell `reference`.
    """
    predicted = [law(c.rho2_mem, c.rho2_grok, **point(c)._asdict(), **constants) for c in cells]
    raw = [c.delays / steps for c, steps in zip(cells, predicted, strict=True)]
    units = [np.mean(r) for c, r in zip(cells, raw, strict=True) if point(c) == reference]
    if not units:
        raise ParameterError("reference", reference, "(eta, lam, batch_size) of one of the cells")
    return [ratio / units[0] for ratio in raw]


def mean_error(cells: Sequence[Cell], ratios: Sequence[Array], *, reference: Point) -> float:
    """Mean of |predicted − measured|/measured over the runs of the cells but `reference`."""
    other = [r for c, r in zip(cells, ratios, strict=True) if point(c) != reference]
    return float(np.mean(np.abs(1 / np.concatenate(other) - 1)))
