"""Laws compete for the delays of cells that they were not calibrated on: the table of their errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError
from sde_grok.predictions.calibration import Law, calibrate, predict
from sde_grok.predictions.cells import Run, at_memorization, observed, of_points, seen
from sde_grok.predictions.entrants import LAWS
from sde_grok.predictions.protocols import (
    SAME,
    Fold,
    axis_values,
    every_cell,
    middle,
    nothing,
    one_cell,
    points,
)
from sde_grok.runs.cells import Point

__all__ = ["Row", "forecast", "prediction_table", "protocols", "scored"]

Array = NDArray[np.float64]

DRAWS = 2000
QUANTILES = (0.025, 0.975)


class Row(NamedTuple):
    """How far a law is off under a protocol; errors are of predicted/measured − 1, over runs.

    Attributes
    ----------
    task, law, radius, protocol : str
        What is predicted, by what, with a core from where, calibrated how.
    forecast : bool
        Whether nothing of the predicted runs is needed beyond memorization.
    exploratory : bool
        Whether the form of the law was found on these runs.
    later : str
        What is needed that is known only at the end.
    constants : int
        Number of constants from the calibration cells.
    constants_are, found_on : str
        Which they are; and the tasks from whose runs the exponents are.
    mape, mape_low, mape_high : float
        Mean of |error| and its 95 % bootstrap interval, of cells and the seeds of a lone
        calibration cell; infinite if the law says never of a run.
    median_error : float
        Median of |error|.
    bias, rms_log : float
        Mean and root mean square of ln(predicted/measured).
    n_cells, n_runs : int
        Cells and runs that were predicted.
    never : int
        Predictions that are infinite; of every calibration, where there are several.
    seed_floor : float
        Mean of |cell median − measured|/measured over these runs.
    """

    task: str
    law: str
    radius: str
    protocol: str
    forecast: bool
    exploratory: bool
    later: str
    constants: int
    constants_are: str
    found_on: str
    mape: float
    mape_low: float
    mape_high: float
    median_error: float
    bias: float
    rms_log: float
    n_cells: int
    n_runs: int
    never: int
    seed_floor: float


def protocols(runs: Sequence[Run]) -> dict[str, list[Fold]]:
    """Folds by the name of their protocol.

    Parameters
    ----------
    runs : sequence of dict
        Of one task, network and decay; their settings alone matter.

    Returns
    -------
    dict of str to list of Fold
        "middle cell", "each cell in turn", "axis value left out" and "no calibration"; "shared cell"
        if the cell that the packaged tasks share is there and is not the middle one.

    Raises
    ------
    ParameterError
        If there are fewer than two cells.
    """
    if len(set(points(runs))) < 2:
        raise ParameterError(
            "runs", f"{len(runs)} runs", "runs of two cells or more (eta, lambda, b)"
        )
    found = {"middle cell": one_cell(runs, middle(runs))}
    if middle(runs) != SAME and SAME in points(runs):
        found["shared cell"] = one_cell(runs, SAME)
    return found | {
        "each cell in turn": every_cell(runs),
        "axis value left out": axis_values(runs),
        "no calibration": nothing(runs),
    }


def forecast(law: Law, runs: Sequence[Run], fold: Fold) -> dict[Point, float]:
    """Calibrate a law on some cells and predict others, from which all else is dropped.

    Parameters
    ----------
    law : Law
        What predicts.
    runs : sequence of dict
        Of one task, network and decay.
    fold : Fold
        Cells that calibrate and cells that are predicted.

    Returns
    -------
    dict of Point to float
        Delay of each predicted cell, in steps.

    Raises
    ------
    ParameterError
        If the calibration cells leave the law's constants open, or a column is missing.
    """
    calibration = calibrate(law, of_points(runs, fold.train))
    known = seen(at_memorization(of_points(runs, fold.test), also=law.later))
    return {at: predict(calibration, **columns) for at, columns in known.items()}


def prediction_table(
    tasks: Mapping[str, Sequence[Run]],
    laws: Iterable[Law] | None = None,
    *,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Errors of all laws under all protocols, on all tasks.

    Parameters
    ----------
    tasks : mapping of str to sequence of dict
        Runs by task, as from `packaged` or `delayed`.
    laws : iterable of Law, optional
        By default all of `LAWS`.
    seed : int
        Seed of the bootstrap, whose draws are the same for all laws.

    Returns
    -------
    list of dict
        `Row`s as plain numbers, by task and protocol, the least error first. A law has none if
        the protocol leaves its constants open, or the runs lack what it needs; and without
        calibration, only laws without constants have one.

    Raises
    ------
    ParameterError
        If there are no tasks or laws, or a task has fewer than two cells.
    """
    wanted = list(LAWS.values() if laws is None else laws)
    if not tasks or not wanted:
        raise ParameterError("tasks", list(tasks), "at least one, and at least one law")
    rows: list[dict[str, Any]] = []
    for task, runs in tasks.items():
        for name, folds in protocols(runs).items():
            found = [row for law in wanted for row in judged(law, runs, folds, seed)]
            named = [row._replace(task=task, protocol=name) for row in found]
            rows += [row._asdict() for row in sorted(named, key=lambda row: row.mape)]
    return rows


def judged(law: Law, runs: Sequence[Run], folds: Sequence[Fold], seed: int) -> Iterator[Row]:
    """The row of a law, if the folds determine its constants and it has any to be determined."""
    if not folds or bool(law.constants) != bool(folds[0].train):
        return
    try:
        predicted = [forecast(law, runs, fold) for fold in folds]
    except ParameterError:
        return
    yield scored(law, runs, folds, predicted, seed=seed)


def scored(
    law: Law,
    runs: Sequence[Run],
    folds: Sequence[Fold],
    predicted: Sequence[Mapping[Point, float]],
    *,
    seed: int = 0,
) -> Row:
    """Compare predictions with the delays that were measured.

    Parameters
    ----------
    law : Law
        What predicted.
    runs : sequence of dict
        With T_mem and T_grok.
    folds : sequence of Fold
        The protocol.
    predicted : sequence of mapping of Point to float
        Delays of the predicted cells of each fold.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Row
        Without names of task and protocol.
    """
    delays = dict(zip(sorted(set(points(runs))), (c.delays for c in observed(runs)), strict=True))
    ratios = [
        {at: p[at] / delays[at] for at in f.test} for f, p in zip(folds, predicted, strict=True)
    ]
    every = np.concatenate([r for ratio in ratios for r in ratio.values()])
    low, high = interval(folds, ratios, delays, seed)
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(every, 0.0))
    cells = {at for fold in folds for at in fold.test}
    return Row(
        *("", law.name, law.radius, ""),
        forecast=not law.later,
        exploratory=law.exploratory,
        later=", ".join(law.later),
        constants=len(law.constants),
        constants_are=", ".join(law.constants),
        found_on=law.found_on,
        mape=float(np.mean(np.abs(every - 1))),
        mape_low=low,
        mape_high=high,
        median_error=float(np.median(np.abs(every - 1))),
        bias=float(np.mean(logs)),
        rms_log=float(np.sqrt(np.mean(logs**2))),
        n_cells=len(cells),
        n_runs=sum(delays[at].size for at in cells),
        never=int(np.sum(np.isinf(every))),
        seed_floor=floor([delays[at] for at in sorted(cells)]),
    )


def floor(cells: Sequence[Array]) -> float:
    """Mean of |cell median − delay|/delay; nan if each cell has one run."""
    errors = [np.abs(np.median(cell) / cell - 1) for cell in cells if cell.size > 1]
    return float(np.mean(np.concatenate(errors))) if errors else math.nan


def interval(
    folds: Sequence[Fold],
    ratios: Sequence[Mapping[Point, Array]],
    delays: Mapping[Point, Array],
    seed: int,
) -> tuple[float, float]:
    """95 % bootstrap interval of the mean error.

    Cells are drawn as what is predicted and, where each calibrates in turn, as what calibrates. The
    seeds of a lone calibration cell are drawn as a factor on what it predicts, the mean of their
    delays over that of all: for a law with a factor that is its recalibration.
    """
    if not np.isfinite(np.concatenate([r for ratio in ratios for r in ratio.values()])).all():
        return math.inf, math.inf
    rng = np.random.default_rng(seed)
    among = sorted({at for fold in folds for at in fold.test})
    counts = rng.multinomial(len(among), np.full(len(among), 1 / len(among)), size=DRAWS)
    drawn = dict(zip(among, counts.T, strict=True))
    above, below = np.zeros(DRAWS), np.zeros(DRAWS)
    for fold, ratio in zip(folds, ratios, strict=True):
        factor, weight = np.ones(DRAWS), np.ones(DRAWS, np.int64)
        if len(fold.train) == 1:
            alone = fold.train[0]
            weight = drawn.get(alone, weight)
            factor = resampled(delays[alone], rng)
        for at, r in ratio.items():
            errors = np.abs(factor[:, None] * r - 1).sum(axis=1)
            above += weight * drawn[at] * errors
            below += weight * drawn[at] * r.size
    low, high = np.nanquantile(above / np.where(below > 0, below, np.nan), QUANTILES)
    return float(low), float(high)


def resampled(delays: Array, rng: np.random.Generator) -> Array:
    """Means of delays drawn with replacement, over their mean."""
    drawn = rng.choice(delays, (DRAWS, delays.size))
    return np.asarray(drawn.mean(axis=1) / delays.mean(), np.float64)
