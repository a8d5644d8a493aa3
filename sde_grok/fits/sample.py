"""What is fitted: a response, the settings that it was measured at, and where it is a lower bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError
from sde_grok.escape_times import Status
from sde_grok.fits.expression import evaluate, names_in, plain
from sde_grok.geometry import Geometry
from sde_grok.optimizer import Optimizer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AXES", "SETTINGS", "Sample", "sample", "subset", "unfitted", "varying"]

AXES = ("eta", "lam", "batch_size")
OF_NETWORKS = (
    *("task", "model", "train_fraction", "embedding", "width", "heads", "init", "init_scale"),
    *("optimizer", "sampling", "weight_decay", "bias_correction", "precision"),
    *("train_threshold", "test_threshold", "hold", "eval_every", "max_steps"),
)
OF_SCANS = (
    *(f.name for kind in (Optimizer, Geometry) for f in fields(kind) if f.name not in AXES),
    *("sigma", "system", "max_steps", "dt"),
    *("landscape", "dim_memorizing", "dim_generalizing", "rate", "rate_memorizing"),
    *("rate_generalizing", "mislead", "degree", "scale", "form", "noise", "examples", "teacher"),
    *("sigma_spread", "train_loss", "test_loss"),
)
SETTINGS = tuple(dict.fromkeys((*OF_NETWORKS, *OF_SCANS)))
"""Columns that tell cells apart, beside the axes."""
EVENTS = {"t_mem": ("T_mem",), "t_grok": ("T_grok",), "delay": ("T_grok", "T_mem")}
UNKNOWN = "response not known, nor a bound of it"
WITHOUT_BOUND = "censored: write delay, t_grok or t_mem for its bound"
LATER = (1.001, 2.0, 10.0, 1e3)  # a censored response that grows with its time is a lower bound
SAME = {name: name for name in ("delay", "t_grok", "t_mem", "rho2_mem", "rho2_grok")}
SAME |= {"t_grok - t_mem": "delay"}
"""What laws call a response, by how it may be written."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of a table with their response.

    Attributes
    ----------
    response : str
        The expression; "delay" also where it is written otherwise, as "(delay)", and so on.
    y : (n,) array
        Response > 0; a lower bound where censored.
    event : (n,) array of bool
        False where censored.
    frame : pandas.DataFrame
        n rows, indexed from 0: eta, lam, batch_size and every other column of the file.
    cell : (n,) array of int
        Label of the cell: rows that agree in every setting but the seed or path.
    left_out : mapping of str to int
        Rows of the table that are not here, by the reason; not those that `where` excludes.
    """

    response: str
    y: NDArray[np.float64]
    event: NDArray[np.bool_]
    frame: pd.DataFrame
    cell: NDArray[np.int64]
    left_out: Mapping[str, int] = field(default_factory=dict)


def varying(sample: Sample) -> tuple[str, ...]:
    """The axes that vary in a sample."""
    return tuple(axis for axis in AXES if np.ptp(sample.frame[axis]) > 0)


def unfitted(sample: Sample) -> tuple[str, ...]:
    """The settings beside the axes that vary in a sample.

    A time step counts if it varies where the others do not: by default it follows from them.
    """
    frame = sample.frame
    settings = [name for name in (*AXES, *SETTINGS) if name in frame and name != "dt"]
    found = [n for n in settings if n not in AXES and len(frame.drop_duplicates([n])) > 1]
    cells = len(frame.drop_duplicates(settings))
    if "dt" in frame and len(frame.drop_duplicates([*settings, "dt"])) > cells:
        found.append("dt")
    return tuple(found)


def subset(sample: Sample, rows: NDArray[Any]) -> Sample:
    """Rows of a sample, by their numbers or a mask."""
    frame = sample.frame.iloc[rows].reset_index(drop=True)
    return Sample(sample.response, sample.y[rows], sample.event[rows], frame, sample.cell[rows])


def sample(
    frame: pd.DataFrame,
    *,
    where: str | None = None,
    response: str = "delay",
    event_only: bool = False,
) -> Sample:
    """Select rows of a table and evaluate their response.

    Parameters
    ----------
    frame : pandas.DataFrame
        As from `load_table`.
    where : str, optional
        Condition on the columns, as for `DataFrame.query`. t_mem, t_grok and delay are columns,
        too; a censored one has its lower bound there.
    response : str
        Expression of the columns: "delay" (T_grok − T_mem; steps to escape, of a scan), "t_grok",
        "t_mem", "rho2_mem", "delay / log(rho2_mem / rho2_grok)", …. Times are in steps.
    event_only : bool
        Leave out censored rows.

    Returns
    -------
    Sample
        t_mem, t_grok and delay are columns of its frame.

    Raises
    ------
    ParameterError
        If an expression cannot be evaluated, no row remains, or the response of a censored row does
        not grow with its time, and so is no lower bound.

    Notes
    -----
    A run without the event is censored at steps_run. Left out are runs that diverged before it;
    those with neither event nor bound: T_mem and so the start of the delay is not known, or the
    response is of T_mem and T_grok themselves, which a censored run does not have; rows with
    λ or b not > 0, which have no logarithm; and times and responses that are not finite and > 0.
    """
    timed = with_times(frame)
    if where is not None:
        timed = selected(timed, where)
    response = as_laws_name_it(response, list(timed.columns))
    columns = names_in("response", response, list(timed.columns))
    used = columns & set(EVENTS)
    event = np.ones(len(timed), bool)
    for name in used:
        event &= ~np.isnan(known(timed, name))
    y = numbers(response, timed)
    reasons = why_left_out(timed, y, event, event_only=event_only)
    without_bound = (reasons == UNKNOWN) & censored(timed, columns)
    reasons[without_bound] = "censored" if event_only else WITHOUT_BOUND
    for name in used:
        reasons[timed[name].to_numpy() <= 0] = f"{name} not > 0"
    keep = reasons == ""
    if not event_only:
        check_bounds(timed[keep & ~event], y[keep & ~event], response, used)
    left_out = {str(r): int(np.sum(reasons == r)) for r in np.unique(reasons[~keep])}
    if not keep.any():
        raise ParameterError("data", left_out or "no row", "rows of which some are not left out")
    kept = timed[keep].reset_index(drop=True)
    return Sample(response, y[keep], event[keep], kept, cells(kept), left_out)


def is_simulated(frame: pd.DataFrame) -> bool:
    """Whether rows are simulated paths."""
    return "escape_steps" in frame and "status" in frame


def known(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A time where its event happened, nan elsewhere."""
    if is_simulated(frame):
        return np.asarray(frame["escape_steps"].where(frame["status"] == Status.HIT), np.float64)
    if not set(EVENTS[name]) <= set(frame.columns):
        return np.asarray(frame[name], np.float64)
    end, *start = (np.asarray(frame[event], np.float64) for event in EVENTS[name])
    return end - start[0] if start else end


def with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the times as columns: bounds where they are censored, nan if there is none."""
    if is_simulated(frame):
        seen = frame["status"].isin([Status.HIT, Status.CENSORED])
        return frame.assign(delay=frame["escape_steps"].astype(float).where(seen))
    bound, columns = last_seen(frame), set(frame.columns)
    added = {}
    for name, (end, *start) in EVENTS.items():
        if {end, *start} <= columns:
            time = np.where(np.isnan(frame[end]), bound, frame[end])
            added[name] = time - frame[start[0]].to_numpy() if start else time
    return frame.assign(**added)


def last_seen(frame: pd.DataFrame) -> NDArray[np.float64]:
    """When a run was last seen, in steps; nan if it diverged or that is not known."""
    nan = np.full(len(frame), np.nan)
    last = np.asarray(frame.get("steps_run", nan), np.float64)
    diverged = np.asarray(frame.get("diverged_at", nan), np.float64)
    return np.where(np.isnan(diverged), last, np.nan)


def selected(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rows that meet a condition."""
    meets = evaluate("where", where, frame)
    if meets.dtype != bool:
        raise ParameterError("where", where, "a condition: true or false in each row")
    if not meets.any():
        raise ParameterError("where", where, f"met by at least one of {len(frame)} rows")
    return frame[meets]


def as_laws_name_it(response: str, columns: list[str]) -> str:
    """Name of the response if laws have one for it."""
    name = SAME.get(plain("response", response, columns), response)
    return name if name in columns else response


def numbers(response: str, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Response of each row."""
    found = evaluate("response", response, frame)
    try:
        return np.asarray(found, np.float64)
    except (TypeError, ValueError):
        raise ParameterError("response", response, "a number in each row") from None


def why_left_out(
    frame: pd.DataFrame, y: NDArray[np.float64], event: NDArray[np.bool_], *, event_only: bool
) -> NDArray[Any]:
    """Reason for which a row is left out, "" for one that is not."""
    reasons = np.full(y.size, "", object)
    if event_only:
        reasons[~event] = "censored"
    reasons[~(y > 0) | np.isinf(y)] = "response not finite and > 0"
    reasons[np.isnan(y)] = UNKNOWN
    for axis in AXES:
        reasons[~(frame[axis].to_numpy() > 0)] = f"{axis} not > 0"
    return reasons


def censored(frame: pd.DataFrame, columns: set[str]) -> NDArray[np.bool_]:
    """Where an event among columns of the file is missing, and the time of `EVENTS` is bounded."""
    found = np.zeros(len(frame), bool)
    for name, events in EVENTS.items():
        if set(events) == columns & {"T_mem", "T_grok"} and name in frame:
            found = np.asarray(frame[list(events)].isna().any(axis=1) & frame[name].notna())
    return found


def check_bounds(
    frame: pd.DataFrame, y: NDArray[np.float64], response: str, used: set[str]
) -> None:
    """Raise `ParameterError` unless censored responses grow with the times that are censored."""
    if not len(frame):
        return
    missing = {name: np.isnan(known(frame, name)) for name in used}

    def after(factor: float) -> NDArray[np.float64]:
        later = {n: frame[n] * np.where(m, factor, 1.0) for n, m in missing.items()}
        return numbers(response, frame.assign(**later))

    grown = np.array([after(factor) for factor in LATER])
    if not (np.all(grown >= y) and np.all(grown[-1] > y)):
        allowed = (
            "one that grows with its times where they are censored; method ols leaves those out"
        )
        raise ParameterError("response", response, allowed)


def cells(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Label of the cell of each row."""
    settings = [name for name in (*AXES, *SETTINGS) if name in frame]
    return np.asarray(frame.groupby(settings, dropna=False).ngroup(), np.int64)
