"""Which cells calibrate, and which are predicted: the folds of a protocol.

Folds are of settings alone; no outcome decides them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.fits.relative import determined
from sde_grok.predictions.cells import POINT, Run
from sde_grok.runs.cells import Point

__all__ = ["SAME", "Fold", "axis_values", "every_cell", "middle", "nothing", "one_cell"]

SAME: Final = Point(1e-3, 1e-4, 100.0)
"""A cell that the packaged tasks share; of Z127 and S5 it is the middle one."""


class Fold(NamedTuple):
    """Cells that calibrate, and cells that are predicted."""

    train: tuple[Point, ...]
    test: tuple[Point, ...]


def points(runs: Iterable[Run]) -> list[Point]:
    """(η, λ, b) of each run."""
    return [Point(*(run[name] for name in POINT)) for run in runs]


def middle(runs: Sequence[Run]) -> Point:
    """The cell that ranks nearest to the median of each axis, as in `sde_grok.fits.compete`."""
    at = points(runs)
    distance = np.sum([ranks(column) ** 2 for column in np.array(at).T], axis=0)
    return at[np.argmin(distance)]


def ranks(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of runs among the values of an axis; 0 is the (upper) median of the runs."""
    rank = np.unique(column, return_inverse=True)[1]
    return np.asarray(rank - np.sort(rank)[rank.size // 2], np.float64)


def one_cell(runs: Sequence[Run], at: Point) -> list[Fold]:
    """One cell calibrates, the others are predicted: how arXiv 2605.18845 judges laws."""
    return [Fold((at,), tuple(other for other in sorted(set(points(runs))) if other != at))]


def every_cell(runs: Sequence[Run]) -> list[Fold]:
    """Each cell in turn calibrates alone."""
    return [fold for at in sorted(set(points(runs))) for fold in one_cell(runs, at)]


def axis_values(runs: Sequence[Run]) -> list[Fold]:
    """Each value of each axis that has three or more is predicted from the cells without it.

    Values without which the rest no longer tells the axes apart are not left out, for any law.
    """
    cells = sorted(set(points(runs)))
    x = np.log(np.array(cells))
    whole = np.column_stack([np.ones(len(cells)), x[:, np.ptp(x, axis=0) > 0]])
    folds = []
    for column in x.T:
        values = np.unique(column)
        for value in values if values.size >= 3 else ():
            out = column == value
            if determined(whole[~out]):
                folds.append(Fold(chosen(cells, ~out), chosen(cells, out)))
    return folds


def chosen(cells: Sequence[Point], those: NDArray[np.bool_]) -> tuple[Point, ...]:
    """Cells by a mask."""
    return tuple(cells[i] for i in np.flatnonzero(those).tolist())


def nothing(runs: Sequence[Run]) -> list[Fold]:
    """No cell calibrates, all are predicted."""
    return [Fold((), tuple(sorted(set(points(runs)))))]
