"""A law, calibrated on some cells, predicts the delay of others from what is known at memorization."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from sde_grok.checks import ParameterError, number
from sde_grok.predictions.cells import At, Observed, Run, observed
from sde_grok.runs.cells import Point

__all__ = ["Calibration", "Law", "calibrate", "predict"]

Constants = Mapping[str, float]


@dataclass(frozen=True)
class Law:
    """A law that competes.

    Attributes
    ----------
    name : str
        Of the law.
    radius : str
        Where its core is from: "measured", "predicted", "initial" or "" for a law without.
    steps : callable
        Constants and what is known of a cell → delay in steps.
    calibrated : callable
        Cells → constants; more than the law has may be scale, and are not counted.
    constants : tuple of str
        Names of what is from the calibration cells, by measurement or by fit.
    found_on : str
        Tasks from whose runs its exponents are; "" for none.
    later : tuple of str
        Columns of the predicted runs that are known only at the end: () for a forecast.
    exploratory : bool
        Whether its form was found on the runs that it is judged by.
    """

    name: str
    radius: str
    steps: Callable[[Constants, At], float]
    calibrated: Callable[[Sequence[Observed]], Constants]
    constants: tuple[str, ...] = ()
    found_on: str = ""
    later: tuple[str, ...] = ()
    exploratory: bool = False


@dataclass(frozen=True)
class Calibration:
    """A law with its constants.

    Attributes
    ----------
    law : Law
        The law.
    constants : mapping of str to float
        From the calibration cells alone; read-only.
    cells : tuple of Point
        The calibration cells.
    n_runs : int
        Their runs.
    """

    law: Law
    constants: Constants
    cells: tuple[Point, ...]
    n_runs: int


def calibrate(law: Law, runs: Iterable[Run]) -> Calibration:
    """Take the constants of a law from runs.

    Parameters
    ----------
    law : Law
        One of `LAWS`.
    runs : iterable of dict
        Runs of the calibration cells and no others.

    Returns
    -------
    Calibration

    Raises
    ------
    ParameterError
        If the runs do not have what the law needs, or leave its constants open.
    """
    cells = observed(runs)
    if law.constants and not cells:
        raise ParameterError("runs", 0, "runs of at least one cell that memorized")
    try:
        constants = law.calibrated(cells)
    except KeyError as error:
        raise ParameterError("runs", law.name, f"runs with {error.args[0]}") from None
    for name, value in constants.items():
        if not np.isfinite(value):
            raise ParameterError("runs", law.name, f"runs that determine its {name}")
    points = tuple(Point(*(cell.at[name] for name in Point._fields)) for cell in cells)
    n_runs = sum(cell.delays.size for cell in cells)
    return Calibration(law, MappingProxyType(dict(constants)), points, n_runs)


def predict(
    calibration: Calibration,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    rho2_mem: float,
    **known: float,
) -> float:
    """Delay of a cell, from what is known of it at memorization.

    Parameters
    ----------
    calibration : Calibration
        From `calibrate`.
    eta, lam, batch_size : float
        Learning rate, shrinkage and batch size of the cell.
    rho2_mem : float
        Squared norm at memorization, mean over its runs.
    **known : float
        What the law needs besides, by the names of the columns: train_loss_mem, dim, …; for a law
        that is no forecast, rho2_grok and so on, too.

    Returns
    -------
    float
        Steps from memorization to generalization; infinite where the law says never.

    Raises
    ------
    ParameterError
        If something that the law needs is missing or out of range.
    """
    at = {"eta": eta, "lam": lam, "batch_size": batch_size, "rho2_mem": rho2_mem}
    for name, value in at.items():
        number(name, value, low=0, open_low=True)
    try:
        return calibration.law.steps(calibration.constants, {**known, **at})
    except KeyError as error:
        missing = str(error.args[0])
        raise ParameterError(missing, None, f"given: {calibration.law.name} needs it") from None
