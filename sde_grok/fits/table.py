"""Tables to fit: one row a run or path, from a CSV file or a folder with runs or a scan."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sde_grok.checks import MissingExtra, ParameterError, file_bytes
from sde_grok.folders import RUNS, SCAN

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_table"]

SETTINGS = ("eta", "lambda", "batch_size")
TIMES = ("T_mem", "T_grok", "steps_run", "diverged_at", "escape_steps", "status")


def load_table(path: Path) -> pd.DataFrame:
    """Read runs or paths as a table.

    Parameters
    ----------
    path : Path
        A CSV file in UTF-8 with the columns eta, lambda and batch_size at least; those that the
        packaged runs have are understood (T_mem, T_grok, steps_run, …), all are kept. Or a folder
        that `train_networks` or `scan` was given, finished or not.

    Returns
    -------
    DataFrame
        One row a run, or a path that escaped or was censored (status 0 or 1), indexed from 0;
        times in steps. Column lam is λ, and of a file lambda is so, too.

    Raises
    ------
    ParameterError
        If there is no such file or folder, it is damaged or has no row, or a column is missing or
        of the wrong kind.
    MissingExtra
        If pandas, or what reads the folder, is not installed.
    """
    frame = of_folder(path) if path.is_dir() else of_file(path)
    if frame.empty:
        raise ParameterError("data", str(path), "a table with at least one row")
    numeric(frame, path)
    return frame.assign(lam=frame["lambda"]).reset_index(drop=True)


def of_file(path: Path) -> pd.DataFrame:
    """Rows of a CSV file."""
    file_bytes("data", path)
    pandas = imported()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            return pandas.read_csv(path, encoding="utf-8-sig", index_col=False)
    except (pandas.errors.ParserError, pandas.errors.ParserWarning, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ParameterError("data", str(path), f"a CSV file in UTF-8 ({reason})") from None


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
    from sde_grok.scans.store import labelled, opened, per_path, read  # noqa: PLC0415

    group = opened(path, "r")
    data, arrays = labelled(group), per_path(group)
    seeds = data["seed"]  # one a cell
    cells = {n: c.broadcast_like(seeds) for n, c in data.coords.items() if n != "path"}
    rows: dict[str, list[Any]] = {str(name): [] for name in (*cells, "escape_steps", "status")}
    for place in np.ndindex(seeds.shape):
        times = read(arrays, place)
        if times is None:
            continue
        kept = times.status != Status.FAILED
        at = dict(zip(seeds.dims, place, strict=True))
        for name, values in cells.items():
            rows[str(name)].append(np.repeat(values.isel(at).to_numpy(), kept.sum()))
        rows["escape_steps"].append(times.steps[kept])
        rows["status"].append(times.status[kept])
    columns = {name: np.concatenate(parts or [np.empty(0)]) for name, parts in rows.items()}
    return imported().DataFrame(columns).assign(**{"lambda": columns["lam"]})


def numeric(frame: pd.DataFrame, path: Path) -> None:
    """Make the settings and times floats, or raise `ParameterError`."""
    if missing := [name for name in SETTINGS if name not in frame]:
        allowed = f"a table with columns {', '.join(SETTINGS)}; missing: {', '.join(missing)}"
        raise ParameterError("data", str(path), allowed)
    for name in (*SETTINGS, *(time for time in TIMES if time in frame)):
        try:
            frame[name] = frame[name].astype(float)
        except (TypeError, ValueError) as error:
            allowed = f"a table with numbers in column {name} ({error})"
            raise ParameterError("data", str(path), allowed) from None
        if name in SETTINGS and not np.all(np.isfinite(frame[name])):
            allowed = f"a table with finite numbers in column {name}"
            raise ParameterError("data", str(path), allowed)
