"""Measured training runs, one row a run; those that come with the package, and anyone's laid out so.

Packaged are the reference runs (data/reference_runs.md) and runs on Z₅₉ that measured Adam's moments
and the gradient noise, too (data/z59_runs.md).
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, choice, file_bytes
from sde_grok.optimizer import Decay

__all__ = [
    "Z59_RUNS",
    "Cell",
    "classes",
    "load_cells",
    "load_runs",
    "load_z59_runs",
    "runs_sha256",
]

Run = dict[str, Any]

DATA = files("sde_grok") / "data"
REFERENCE_RUNS, Z59_RUNS = DATA / "reference_runs.csv", DATA / "z59_runs.csv"

AXES = (
    *("task", "weight_decay", "eta", "lambda", "batch_size", "beta1", "beta2"),
    *("train_fraction", "embedding", "width"),
)
MEASURED = ("T_mem", "T_grok", "rho2_mem", "rho2_grok", "mean_sqrt_v_grok")
OF_A_CELL = {"model": "mlp", "optimizer": "adam"}  # also where a file does not say it


@dataclass(frozen=True, eq=False)
class Cell:
    """Runs that differ in the seed alone; radii and √v are means over the runs that grokked.

    Attributes
    ----------
    task : str
        "s<n>" (composition of permutations, n! classes) or "z<p>" (addition mod p, p classes), or
        with multiplication or division "z<p>-mul", "z<p>-div".
    decay : str
        Place of the weight shrinkage, "coupled" or "decoupled".
    eta, lam, batch_size, beta1, beta2 : float
        Of the optimizer.
    dim : int
        Number of parameters of the network: two embedded inputs, one hidden layer, no biases.
    rho2_mem, rho2_grok : float
        Squared norm at memorization and at grokking.
    sqrt_v : float
        Mean over parameters of Adam's √v at grokking.
    delays : (n_grokked,) array
        T_grok − T_mem in steps, of the runs that grokked; quantised to the evaluation interval.
    n_runs : int
        All runs; those without grokking are censored.
    """

    task: str
    decay: Decay
    eta: float
    lam: float
    batch_size: float
    beta1: float
    beta2: float
    dim: int
    rho2_mem: float
    rho2_grok: float
    sqrt_v: float
    delays: NDArray[np.float64]
    n_runs: int


def runs_sha256(path: Path | Traversable = REFERENCE_RUNS) -> str:
    """Digest of a file of runs, by default of the reference runs."""
    return hashlib.sha256(file_bytes("runs", path)).hexdigest()


def load_z59_runs() -> list[Run]:
    """Read the packaged runs on Z₅₉: coupled and decoupled decay, moments and gradient noise."""
    return load_runs(Z59_RUNS)


def load_runs(path: Path | Traversable = REFERENCE_RUNS) -> list[Run]:
    """Read one dictionary a run; numbers are floats, nan where the event never happened.

    Parameters
    ----------
    path : Path, optional
        CSV file, in UTF-8, with at least the columns that a `Cell` is made of. Those but task and
        weight_decay are numbers, empty for an event that never happened; other columns are text
        where they are no numbers. By default the reference runs.

    Raises
    ------
    ParameterError
        If there is no such file or no run in it, a column is missing, or a value is not of its kind.
    """
    try:
        text = file_bytes("runs", path).decode("utf-8-sig")
        runs = list(_rows(csv.reader(text.splitlines(), strict=True)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ParameterError("runs", str(path), f"a CSV file in UTF-8 ({error})") from None
    if not runs:
        raise ParameterError("runs", str(path), "a CSV file with one row a run")
    return runs


def _rows(lines: Any) -> Iterator[Run]:
    names: list[str] = next(lines, [])
    required = (*AXES, *MEASURED)
    if missing := [name for name in required if name not in names]:
        allowed = f"columns with {', '.join(required)} among them; missing: {', '.join(missing)}"
        raise ParameterError("runs", names, allowed)
    for fields in filter(None, lines):
        where = f"line {lines.line_num}"
        if len(fields) != len(names):
            raise ParameterError(
                "runs", fields, f"{len(names)} fields, as there are names ({where})"
            )
        yield {name: _value(name, field, where) for name, field in zip(names, fields, strict=True)}


def _value(name: str, field: str, where: str) -> str | float:
    if name == "task":
        return field
    if name == "weight_decay":
        return choice(name, field, get_args(Decay))
    try:
        value = float(field or "nan")
    except ValueError:
        if name not in (*AXES, *MEASURED):
            return field
        raise ParameterError(name, field, f"a number ({where})") from None
    if name in AXES and not math.isfinite(value):
        raise ParameterError(name, field, f"a finite number ({where})")
    return value


def load_cells(runs: Sequence[Run] | None = None) -> list[Cell]:
    """Gather runs by (task, decay, η, λ, b, β₁, β₂, train fraction, network), in that order.

    Parameters
    ----------
    runs : sequence of dict, optional
        As from `load_runs`; by default the reference runs.

    Raises
    ------
    ParameterError
        If the classes of a task are not known (see `classes`), or runs are said to be of another
        model than "mlp" or another optimizer than "adam".
    """
    cells: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in load_runs() if runs is None else runs:
        for name, only in OF_A_CELL.items():
            choice(name, run.get(name, only), (only,))
        cells[tuple(run[axis] for axis in AXES)].append(run)
    return [_cell(cells[axes]) for axes in sorted(cells)]


def _cell(runs: Sequence[Run]) -> Cell:
    first = runs[0]
    measured = {name: np.array([run[name] for run in runs]) for name in MEASURED}
    grokked = np.isfinite(measured["T_grok"]) & np.isfinite(measured["T_mem"])
    mean = {
        name: float(np.mean(x[grokked])) if grokked.any() else np.nan
        for name, x in measured.items()
    }
    embedding, width, outputs = first["embedding"], first["width"], classes(first["task"])
    return Cell(
        task=first["task"],
        decay=first["weight_decay"],
        eta=first["eta"],
        lam=first["lambda"],
        batch_size=first["batch_size"],
        beta1=first["beta1"],
        beta2=first["beta2"],
        dim=int(outputs * embedding + 2 * embedding * width + width * outputs),
        rho2_mem=mean["rho2_mem"],
        rho2_grok=mean["rho2_grok"],
        sqrt_v=mean["mean_sqrt_v_grok"],
        delays=(measured["T_grok"] - measured["T_mem"])[grokked],
        n_runs=len(runs),
    )


def classes(task: str) -> int:
    """Number of classes of a task, and of the values of its inputs: p mod p, n! in S_n.

    Raises
    ------
    ParameterError
        If the task is neither "z<p>", "z<p>-mul", "z<p>-div" nor "s<n>".
    """
    if found := re.fullmatch(r"z([1-9]\d{0,8})(?:-mul|-div)?", task, re.ASCII):
        return int(found[1])
    if found := re.fullmatch(r"s([1-9])", task):
        return math.factorial(int(found[1]))
    raise ParameterError("task", task, "z<p>, z<p>-mul, z<p>-div, or s<n> with n <= 9")
