"""Tables to fit: one row a run or path, from a CSV file or a folder with runs or a scan."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sde_grok.checks import MissingExtra, ParameterError, file_bytes
from sde_grok.folders import RUNS, SCAN

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_table"]

SETTINGS = ("eta", "lambda", "batch_size")
RUN_NAMES = {"t_mem": "T_mem", "t_peak": "T_peak", "t_grok": "T_grok"}
TIMES = ("T_mem", "T_grok", "steps_run", "diverged_at", "escape_steps", "status")


def load_table(path: Path) -> pd.DataFrame:
    """Read runs or paths as a table.

    Parameters
    ----------
    path : Path
        A CSV file in UTF-8 with the columns eta, lambda or lam, and batch_size at least; those that
        the packaged runs have are understood (T_mem, T_grok, steps_run, …), all are kept. Or a
        folder that `train_networks` or `scan` was given, finished or not.

    Returns
    -------
    DataFrame
        One row a run, or a path that escaped or was censored (status 0 or 1), indexed from 0;
        times in steps. Columns lam and lambda are both λ.

    Raises
    ------
    ParameterError
        If there is no such file or folder, it is damaged or has no row, or a column is missing,
        there twice or of the wrong kind.
    MissingExtra
        If pandas, or what reads the folder, is not installed.
    """
    frame = of_folder(path) if path.is_dir() else of_file(path)
    if frame.empty:
        raise ParameterError("data", str(path), "a table with at least one row")
    frame = with_lambda(frame, path)
    numeric(frame, path)
    if not frame["lam"].equals(frame["lambda"]):
        raise ParameterError("data", str(path), "a table whose columns lam and lambda agree")
    return frame.reset_index(drop=True)


def of_file(path: Path) -> pd.DataFrame:
    """Rows of a CSV file."""
    file_bytes("data", path)
    pandas = imported()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            read = partial(pandas.read_csv, path, encoding="utf-8-sig", index_col=False)
            header = read(header=None, nrows=1, dtype=str).iloc[0].dropna()
            frame = read()
    except (pandas.errors.ParserError, pandas.errors.ParserWarning, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ParameterError("data", str(path), f"a CSV file in UTF-8 ({reason})") from None
    if twice := sorted(set(header[header.duplicated()])):
        allowed = f"a table with one column of each name; {', '.join(twice)} is there twice"
        raise ParameterError("data", str(path), allowed)
    return frame


def imported() -> Any:
    """Pandas."""
    try:
        import pandas as pd  # noqa: PLC0415
    except ImportError:
        raise MissingExtra("scan", ["pandas"]) from None
    return pd


def of_folder(path: Path) -> pd.DataFrame:
    """Rows of the runs or the scan in a folder; of the runs in its folders, if it has none itself."""
    runs = [path] if (path / RUNS).exists() else sorted(p.parent for p in path.glob(f"*/{RUNS}"))
    scanned = (path / SCAN).exists()
    if scanned == bool(runs):
        allowed = f"a CSV file, or a folder with either {RUNS} or {SCAN}"
        raise ParameterError("data", str(path), allowed)
    try:
        return path_table(path) if scanned else imported().concat(map(run_table, runs))
    except ParameterError as error:
        raise ParameterError("data", error.value, error.allowed) from None


def run_table(path: Path) -> pd.DataFrame:
    """Rows of training runs; those that were not done yet are left out."""
    from sde_grok.runs.stored import open_runs  # noqa: PLC0415
    from sde_grok.runs.table import run_rows  # noqa: PLC0415

    frame = imported().DataFrame(run_rows(open_runs(path)))
    return frame[frame["steps_run"].notna()]


def path_table(path: Path) -> pd.DataFrame:
    """Rows of simulated paths; those that failed or were not run yet are left out."""
    from sde_grok.escape_times import Status  # noqa: PLC0415
    from sde_grok.scans.store import each_cell  # noqa: PLC0415

    rows: dict[str, list[Any]] = {}
    for cell, paths in each_cell(path):
        kept = paths.status != Status.FAILED
        repeated = {name: np.repeat(value, kept.sum()) for name, value in cell.items()}
        measured = {name: values[kept] for name, values in path_columns(paths).items()}
        for name, values in (repeated | measured).items():
            rows.setdefault(name, []).append(values)
    return imported().DataFrame({name: np.concatenate(parts) for name, parts in rows.items()})


def path_columns(paths: Any) -> dict[str, Any]:
    """What was kept of paths; on a landscape by the names that training runs have.

    There a path is a run with both its times, each censored at the end by itself.
    """
    found: dict[str, Any] = paths._asdict()
    if "t_mem" not in found:
        return found
    del found["escape_steps"], found["status"]
    return {RUN_NAMES.get(n, n): x for n, x in found.items()} | {"steps_run": paths.end_steps}


def with_lambda(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Give λ both of its names, or raise `ParameterError` if a setting is missing."""
    for name, other in (("lambda", "lam"), ("lam", "lambda")):
        if name not in frame and other in frame:
            frame = frame.assign(**{name: frame[other]})
    if missing := [name for name in SETTINGS if name not in frame]:
        allowed = f"a table with columns {', '.join(SETTINGS)}; missing: {', '.join(missing)}"
        raise ParameterError("data", str(path), allowed)
    return frame


def numeric(frame: pd.DataFrame, path: Path) -> None:
    """Make the settings and times floats, or raise `ParameterError`."""
    for name in (*SETTINGS, "lam", *(time for time in TIMES if time in frame)):
        try:
            if imported().api.types.infer_dtype(frame[name]) == "boolean":
                raise ValueError("true and false are none")
            frame[name] = frame[name].astype(float)
        except (TypeError, ValueError) as error:
            allowed = f"a table with numbers in column {name} ({error})"
            raise ParameterError("data", str(path), allowed) from None
        if name in SETTINGS and not np.all(np.isfinite(frame[name])):
            allowed = f"a table with finite numbers in column {name}"
            raise ParameterError("data", str(path), allowed)
