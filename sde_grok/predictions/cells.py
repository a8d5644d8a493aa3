"""Runs of a task by cell (η, λ, b), with only those columns that a step is allowed to see.

What is not to be seen is not there: columns that are not known at memorization are dropped before a
prediction, and the runs of the cells that are predicted before a calibration.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError
from sde_grok.runs.cells import Point, by_cell
from sde_grok.runs.delays import point, with_delay
from sde_grok.runs.reference import classes, load_cells, load_runs, load_z59_runs

__all__ = ["KNOWN", "Observed", "at_memorization", "delayed", "observed", "packaged", "seen"]

Array = NDArray[np.float64]
Run = Mapping[str, Any]
At = Mapping[str, float]

SETTINGS = ("task", "weight_decay", "train_fraction", "embedding", "width")
POINT = ("eta", "lambda", "batch_size")
KNOWN: Final = (
    *(*SETTINGS, *POINT, "beta1", "beta2"),
    *("T_mem", "rho2_init", "rho2_mem", "train_loss_mem", "mean_sqrt_v_mem"),
)
"""Columns of a run that are known at memorization.

A list of what is allowed: others, too, follow from the time of grokking, as the length of the run does.
"""


OUTCOMES: Final = (
    *("T_grok", "rho2_grok", "mean_sqrt_v_grok"),
    *("T_peak", "rho2_peak", "train_loss_peak"),
)
"""Columns that a calibration uses besides."""


class Observed(NamedTuple):
    """A cell that calibrates.

    Attributes
    ----------
    at : dict of str to float
        Means over its runs, by column; λ is "lam".
    delays : (n,) array
        T_grok − T_mem of the runs, in steps.
    """

    at: dict[str, float]
    delays: Array


def packaged() -> dict[str, list[Run]]:
    """Return the packaged runs with coupled shrinkage, by task: Z127, S5 and Z59."""
    runs = [run for run in (*load_runs(), *load_z59_runs()) if run["weight_decay"] == "coupled"]
    return {
        name: delayed([run for run in runs if run["task"] == task])
        for name, task in {"Z127": "z127", "S5": "s5", "Z59": "z59"}.items()
    }


def delayed(runs: Sequence[Run]) -> list[Run]:
    """Runs of the cells that have a delay: all of them grok later than they memorize.

    Parameters
    ----------
    runs : sequence of dict
        Of one task, network and decay, as from `sde_grok.runs.reference.load_runs`.

    Returns
    -------
    list of dict
        In the order of (η, λ, b). This is a selection by the outcome, the same for all laws.

    Raises
    ------
    ParameterError
        If fewer than two cells have a delay, or the runs are not of one task, network and decay.
    """
    kinds = {tuple(run[name] for name in SETTINGS) for run in runs}
    if len(kinds) > 1:
        allowed = "runs of one " + ", ".join(SETTINGS)
        raise ParameterError("runs", sorted(kinds), allowed)
    points = {point(c) for c in with_delay(load_cells([dict(run) for run in runs]))}
    if len(points) < 2:
        allowed = (
            "runs of at least two cells (eta, lambda, batch_size) that grok after they memorize"
        )
        raise ParameterError("runs", f"{len(runs)} runs, {len(points)} such cells", allowed)
    return of_points(runs, points)


def of_points(runs: Iterable[Run], points: Collection[Point]) -> list[Run]:
    """Runs of some cells, in the order of the cells."""
    return [run for at, cell in by_cell(runs).items() if at in points for run in cell]


def at_memorization(runs: Iterable[Run], *, also: Collection[str] = ()) -> list[Run]:
    """Drop the columns that are not known at memorization, but those named."""
    names = (*KNOWN, *also)
    return [{name: run[name] for name in names if name in run} for run in runs]


def seen(runs: Iterable[Run]) -> dict[Point, dict[str, float]]:
    """Means of the columns that there are, over the runs of each cell that memorized.

    Parameters
    ----------
    runs : iterable of dict
        Of one task, network and decay.

    Returns
    -------
    dict of Point to dict of str to float
        The number of parameters is "dim"; a column of text has no mean.
    """
    memorized = [run for run in runs if math.isfinite(run["T_mem"])]
    return {at: means(cell) for at, cell in by_cell(memorized).items()}


def means(cell: Sequence[Run]) -> dict[str, float]:
    """Means over runs, and the number of parameters."""
    first = cell[0]
    found = {
        name: math.fsum(run[name] for run in cell) / len(cell)
        for name, value in first.items()
        if isinstance(value, float)
    }
    found["lam"] = found.pop("lambda")
    embedding, width, outputs = first["embedding"], first["width"], classes(first["task"])
    found["dim"] = outputs * embedding + 2 * embedding * width + width * outputs
    return found


def observed(runs: Iterable[Run]) -> list[Observed]:
    """Cells that calibrate, with all that was measured of them."""
    memorized = [run for run in at_memorization(runs, also=OUTCOMES) if math.isfinite(run["T_mem"])]
    at = seen(memorized)
    return [
        Observed(at[where], np.array([run["T_grok"] - run["T_mem"] for run in cell]))
        for where, cell in by_cell(memorized).items()
    ]
