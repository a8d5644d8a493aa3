"""Measured runs gathered by (η, λ, b): one number a cell, and the mean over cells with its error.

Runs of a cell differ in the seed alone; those of a seed share initialisation and data in all cells.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from sde_grok.results import Estimate

__all__ = ["Point", "by_cell", "cell_medians", "over_cells"]

Run = Mapping[str, Any]


class Point(NamedTuple):
    """Learning rate, shrinkage and batch size of a cell."""

    eta: float
    lam: float
    batch_size: float


def by_cell(runs: Iterable[Run]) -> dict[Point, list[Run]]:
    """Gather runs of one task, network and decay by (η, λ, b), in that order."""
    cells = defaultdict(list)
    for run in runs:
        cells[Point(run["eta"], run["lambda"], run["batch_size"])].append(run)
    return {point: cells[point] for point in sorted(cells)}


def cell_medians(runs: Iterable[Run], value: Callable[[Run], float]) -> dict[Point, float]:
    """Median of `value` over the runs of each cell; nan is left out, and so is a cell of nothing."""
    found = {point: [value(run) for run in cell] for point, cell in by_cell(runs).items()}
    finite = {point: [x for x in values if math.isfinite(x)] for point, values in found.items()}
    return {point: float(np.median(values)) for point, values in finite.items() if values}


def over_cells(values: Mapping[Point, float]) -> tuple[Estimate, int]:
    """Mean over at least two cells, with the error of their scatter; its degrees of freedom."""
    x = np.array(list(values.values()))
    stderr = float(x.std(ddof=1)) / math.sqrt(x.size)
    return Estimate(float(x.mean()), stderr), x.size - 1
