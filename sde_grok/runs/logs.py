"""Training runs that others have logged: a CSV file with one row an evaluation, as a Dataset.

What follows from the series of a run is then the same as for runs that are trained here.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, file_bytes
from sde_grok.datasets import CELL, dataset
from sde_grok.kernels.outcome import PENDING
from sde_grok.runs.record import run_record, with_core_entries
from sde_grok.runs.stopping import Thresholds, first

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["IgnoredColumnsWarning", "read_log"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]

STANDARD = Thresholds()
LARGEST = 2**27  # values of a series on the grid: 1 GiB


class IgnoredColumnsWarning(UserWarning):
    """A log has columns that are not read: of no use here, or an optional one with a typo."""


class Column(NamedTuple):
    """Numbers that a column may have, in code and in words."""

    right: Callable[[Array], Mask]
    allowed: str


COUNT = Column(lambda x: (x >= 0) & (x <= 2**53) & (x == np.floor(x)), "an integer from 0 to 2^53")
PART = Column(lambda x: np.isnan(x) | ((x >= 0) & (x <= 1)), "a fraction in [0, 1], not per cent")
LOSS = Column(lambda x: np.ones(x.shape, np.bool_), "a number")
COLUMNS = {
    "eta": Column(lambda x: (x > 0) & np.isfinite(x), "a finite number > 0"),
    "lam": Column(lambda x: (x >= 0) & np.isfinite(x), "a finite number >= 0"),
    "batch_size": COUNT,
    "seed": COUNT,
    "step": COUNT,
    "train_acc": PART,
    "test_acc": PART,
    "rho2": Column(lambda x: np.isnan(x) | (x >= 0), "a number >= 0"),
    "train_loss": LOSS,
    "test_loss": LOSS,
}
OPTIONAL = ("train_loss", "test_loss")
REQUIRED = tuple(name for name in COLUMNS if name not in OPTIONAL)
SERIES = {
    "train_acc": "train_accuracy",
    "test_acc": "test_accuracy",
    "rho2": "rho2",
    "train_loss": "train_loss",
    "test_loss": "test_loss",
}
FINITE = ("train_acc", "test_acc", "rho2", "train_loss")  # until a run diverges


class Run(NamedTuple):
    """Place of a run on the grid, its rows up to where it diverged, and the step there or nan."""

    cell: tuple[int, ...]
    rows: NDArray[np.intp]
    diverged_at: float


def read_log(path: Path, *, thresholds: Thresholds = STANDARD) -> xr.Dataset:
    """Read training runs from a CSV file: a line of names, then one row an evaluation.

    A run is the rows of the same η, λ, batch size and seed; they need not follow one another.
    Columns, in any order:

    ============== ===== ======================================================================
    name           unit  meaning
    ============== ===== ======================================================================
    ``eta``        1     learning rate η > 0
    ``lam``        1     weight shrinkage λ >= 0
    ``batch_size`` 1     examples a step; 0 is the full batch
    ``seed``       1     an integer >= 0 that tells runs of the same η, λ and batch size apart
    ``step``       steps optimizer steps before the evaluation, ascending within a run
    ``train_acc``  1     part of the training set that is right, in [0, 1]
    ``test_acc``   1     part of the test set that is right, in [0, 1]
    ``rho2``       1     ‖θ‖², squared norm of all parameters
    ``train_loss`` nats  mean cross-entropy of the training set; optional
    ``test_loss``  nats  mean cross-entropy of the test set; optional
    ============== ===== ======================================================================

    Each row has a number in each of them that the file has. The first row of a run with a
    ``train_acc``, ``test_acc``, ``rho2`` or ``train_loss`` that is nan or inf is where it diverged:
    nothing but its step counts, and no row after it.

    Parameters
    ----------
    path : Path
        File, in UTF-8.
    thresholds : Thresholds
        What counts as memorized and as grokked.

    Returns
    -------
    Dataset
        As from `sde_grok.networks.train_networks`: dimensions eta, batch_size, lam, seed and step,
        variables of `sde_grok.datasets.VARIABLES`. Its steps are those of all runs together, and a
        series is nan where its run was not evaluated; stopping times are found among the
        evaluations of a run itself. Cells of the grid without a run have status 3 and are nan, as
        is what follows from series that are not in the file.

    Raises
    ------
    ParameterError
        If there is no such file, or it is not such a CSV file: a column is missing, a cell is not a
        number or out of range, or steps of a run do not ascend. If the grid of all η, batch sizes,
        λ, seeds and steps would have more than 2²⁷ values.

    Warns
    -----
    IgnoredColumnsWarning
        If the file has other columns than these.
    """
    path = Path(path)
    content = contents(path)
    log = numbers(text_columns(content, path.name), content)
    axes = {name: np.unique(log[name]) for name in (*CELL, "step")}
    check_size(path.name, axes)
    runs = runs_of(log, axes, content)
    axes["step"] = np.unique(log["step"][np.concatenate([run.rows for run in runs])])
    record = {
        "log": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "thresholds": asdict(thresholds),
    }
    return with_core_entries(dataset(CELL, variables(runs, log, axes, thresholds), axes, record))


def contents(path: Path) -> bytes:
    """Read a file of UTF-8."""
    content = file_bytes("log", path)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise ParameterError("log", path.name, "a CSV file in UTF-8") from None
    return content


def text_columns(content: bytes, name: str) -> Columns:
    """Columns of a CSV file as text, so that an empty cell is told from nan; all required ones."""
    import pandas as pd  # noqa: PLC0415  (comes with xarray)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                BytesIO(content),
                dtype=object,
                keep_default_na=False,
                skipinitialspace=True,
                index_col=False,
            )
    except pd.errors.ParserWarning:
        raise ParameterError("log", name, "a CSV file with a name for each column") from None
    except ValueError as error:
        raise ParameterError("log", name, f"a CSV file ({str(error).strip()})") from None
    names = list(table)
    if missing := [column for column in REQUIRED if column not in names]:
        allowed = f"columns with {', '.join(REQUIRED)} among them; missing: {', '.join(missing)}"
        raise ParameterError("log", names, allowed)
    if table.empty:
        raise ParameterError("log", name, "a CSV file with a row for each evaluation")
    if ignored := [column for column in names if column not in COLUMNS]:
        message = f"{name}: columns that are not read: {', '.join(ignored)}"
        warnings.warn(message, IgnoredColumnsWarning, stacklevel=3)
    return {column: table[column].to_numpy() for column in COLUMNS if column in names}


def numbers(columns: Columns, content: bytes) -> Columns:
    """Columns as numbers in their ranges; counts are integers."""
    log = {name: column_numbers(name, cells, content) for name, cells in columns.items()}
    return {name: x.astype(np.int64) if COLUMNS[name] is COUNT else x for name, x in log.items()}


def column_numbers(name: str, cells: NDArray[Any], content: bytes) -> Array:
    """Numbers of one column, in its range."""
    try:
        x = cells.astype(np.float64)
    except ValueError:
        row = next(row for row, cell in enumerate(cells) if not is_number(cell))
        raise ParameterError(name, cells[row], f"a number ({line(content, row)})") from None
    right, allowed = COLUMNS[name]
    wrong = first(~right(x))
    if wrong is not None:
        raise ParameterError(name, float(x[wrong]), f"{allowed} ({line(content, wrong)})")
    return x


def is_number(text: str) -> bool:
    """Whether a text is a number, or nan or inf."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def line(content: bytes, row: int) -> str:
    """Where a row is in the file, by its lines that are not blank; the first is that of names."""
    lines = content.splitlines()
    return f"line {[n for n, text in enumerate(lines, 1) if text.strip()][row + 1]}"


def check_size(name: str, axes: Columns) -> None:
    """Runs on a grid are not to take all the memory, as few of them with no value in common may."""
    if math.prod(x.size for x in axes.values()) > LARGEST:
        sizes = ", ".join(f"{x.size} {axis}" for axis, x in axes.items())
        raise ParameterError("log", name, f"of a grid of at most {LARGEST} values, not {sizes}")


def runs_of(log: Columns, axes: Columns, content: bytes) -> list[Run]:
    """Rows of each run, in the order of the file, by its place on the grid."""
    shape = tuple(axes[name].size for name in CELL)
    places = tuple(np.searchsorted(axes[name], log[name]) for name in CELL)
    number = np.ravel_multi_index(places, shape)
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    finite = np.all([np.isfinite(log[name]) for name in FINITE if name in log], axis=0)
    runs = []
    for rows in np.split(order, starts[1:]):
        check_order(log, rows, content)
        last = first(~finite[rows])
        cell = tuple(int(place[rows[0]]) for place in places)
        diverged_at = np.nan if last is None else float(log["step"][rows[last]])
        runs.append(Run(cell, rows[:last], diverged_at))
    return runs


def check_order(log: Columns, rows: NDArray[np.intp], content: bytes) -> None:
    """Steps of a run ascend."""
    step = log["step"][rows]
    back = first(np.diff(step) <= 0)
    if back is not None:
        row = rows[back + 1]
        run = ", ".join(f"{name} = {log[name][row]}" for name in CELL)
        allowed = f"after {step[back]} in the run of {run} ({line(content, row)})"
        raise ParameterError("step", int(step[back + 1]), allowed)


def variables(
    runs: Sequence[Run], log: Columns, axes: Columns, thresholds: Thresholds
) -> dict[str, NDArray[Any]]:
    """Series of the runs on the grid, and what follows from those of each."""
    shape = tuple(axes[name].size for name in CELL)
    series = {variable: log[name] for name, variable in SERIES.items() if name in log}
    values = {name: np.full((*shape, axes["step"].size), np.nan) for name in series}
    for run in runs:
        step, seen = log["step"][run.rows], {name: x[run.rows] for name, x in series.items()}
        places = np.searchsorted(axes["step"], step)
        for name, x in seen.items():
            values[name][run.cell][places] = x
        for name, value in run_record(step, seen, thresholds, run.diverged_at).items():
            values.setdefault(name, np.full(shape, np.nan))[run.cell] = value
    status = values["status"]
    values["status"] = np.where(np.isnan(status), PENDING, status).astype(np.int8)
    return values
