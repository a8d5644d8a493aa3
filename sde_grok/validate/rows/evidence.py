"""What rows are made of: runs of one network gathered, fits of their times, and simulated numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources import as_file
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from sde_grok.checks import ParameterError
from sde_grok.claims import Comparison, Verdict
from sde_grok.fits.exponents import ExponentFit, fit_exponents
from sde_grok.fits.sample import AXES, sample, with_times
from sde_grok.fits.table import load_table
from sde_grok.results import Estimate
from sde_grok.runs.reference import REFERENCE_RUNS, Z59_RUNS
from sde_grok.validate.rows.reading import (
    NUMBERS,
    completed,
    condition,
    decay_of,
    selection,
    shown,
    unread,
    written,
)
from sde_grok.validate.rows.shared import VALIDATE, script
from sde_grok.validate.rows.statistics import told_apart

if TYPE_CHECKING:
    import pandas as pd

    from sde_grok.validate.ladder import RungResult

__all__ = [
    "DELAY",
    "OVER_LOG",
    "SYMBOLS",
    "Evidence",
    "Group",
    "TimeFit",
    "gathered",
    "place",
]

DELAY, OVER_LOG = "delay", "delay / log(rho2_mem / rho2_grok)"
SYMBOLS = {"eta": "η", "lam": "λ", "batch_size": "b"}
NETWORK = (  # runs that differ in one of them are not compared with each other
    *("task", "weight_decay", "model", "train_fraction", "embedding", "width", "heads"),
    *("init", "init_scale", "sampling", "beta1", "beta2", "bias_correction", "landscape"),
)


class TimeFit(NamedTuple):
    """Exponents of a time, the degrees of freedom of their errors, where, and how to fit them again.

    The number of runs that were left out is there, too: without the event, and no bound of the response.
    """

    fit: ExponentFit
    freedom: int
    where: str
    command: str | None
    unknown: int = 0

    def exponent(self, axis: str) -> Estimate | None:
        """One exponent with its error by cells; None if it was not fitted or has no error."""
        if axis not in self.fit.names or self.freedom < 1:
            return None
        i = self.fit.names.index(axis)
        half = (self.fit.high_by_cell[i] - self.fit.low_by_cell[i]) / 2
        stderr = float(half / stdtrit(self.freedom, 0.975))
        return Estimate(float(self.fit.estimate[i]), stderr) if np.isfinite(stderr) else None


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one task, network and decay.

    Attributes
    ----------
    name : str
        Of the task, and of what else tells the group from others of that task.
    decay : str
        "coupled" or "decoupled".
    every : pandas.DataFrame
        The runs, with all of NUMBERS as columns; nan where something was not measured.
    selection : str or None
        Condition on the columns of the file that selects the group; None if none can.
    file : str
        Where the runs come from.
    """

    name: str
    decay: str
    every: pd.DataFrame
    selection: str | None
    file: str

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The runs that have η, λ and b > 0: laws are of their logarithms, or divide by them."""
        good = np.all([self.every[axis] > 0 for axis in AXES], axis=0)
        return self.every[good].reset_index(drop=True)

    @property
    def title(self) -> str:
        """Name and decay."""
        return self.name if self.decay == "coupled" else f"{self.name} AdamW"

    def medians(self, frame: pd.DataFrame | None = None) -> pd.DataFrame:
        """Medians of the cells, one row each, of these runs or of some of them."""
        some = self.frame if frame is None else frame
        numbers = some[list(dict.fromkeys(NUMBERS))]
        return numbers.groupby(list(AXES), as_index=False).median()

    @cached_property
    def delayed(self) -> pd.DataFrame:
        """Runs of the cells in which each run groks later than it memorizes, as far as was seen."""
        return self._cells_where(self._times["delay"] > 0)

    @cached_property
    def surely_delayed(self) -> pd.DataFrame:
        """Those cells, if their runs agree on the delays as no chance order of the runs would."""
        some = self.delayed
        cells = some.groupby(list(AXES)).ngroup().to_numpy()
        return some if told_apart(some["delay"].to_numpy(), cells) else some.iloc[:0]

    @cached_property
    def shrinking(self) -> pd.DataFrame:
        """Those of the cells in which each run, moreover, has ρ_M > ρ_G, as far as was seen."""
        known = self._times
        unseen = known["T_grok"].isna() & known["rho2_grok"].isna()
        shrinks = (known["rho2_mem"] > known["rho2_grok"]) | unseen
        return self._cells_where((known["delay"] > 0) & shrinks)

    @cached_property
    def _times(self) -> pd.DataFrame:
        """The runs with their delays, or bounds of them."""
        return with_times(self.frame)

    def _cells_where(self, good: Any) -> pd.DataFrame:
        keys = [self.frame[axis] for axis in AXES]
        return self._times[good.groupby(keys).transform("all")]

    @cached_property
    def delay_fit(self) -> TimeFit | None:
        """Exponents of the delay."""
        return self._fitted(self.delayed, DELAY)

    @cached_property
    def over_log_fit(self) -> TimeFit | None:
        """Exponents of the delay over ln(ρ_M²/ρ_G²)."""
        return self._fitted(self.shrinking, OVER_LOG)

    def _fitted(self, frame: pd.DataFrame, response: str) -> TimeFit | None:
        if frame.empty:
            return None
        try:
            rows = sample(frame, response=response)
            # Runs of a cell share what a law misses, whatever else was set for each of them.
            settings = [rows.frame[axis] for axis in AXES]
            cell = np.asarray(rows.frame.groupby(settings).ngroup(), np.int64)
            rows = replace(rows, cell=cell)
            # Where nothing is censored, least squares are the lognormal estimates.
            method = "ols" if rows.event.all() else "aft"
            fit = fit_exponents(rows, method=method)
        except ParameterError:
            return None  # too few runs
        constants = len(fit.names) + (1 if method == "ols" else 2)  # and the scale of the noise
        freedom = int(np.unique(rows.cell[rows.event]).size) - constants
        command = None
        if self.selection is not None:
            where = quote(self.selection + self._but(frame))
            options = f"--where {where} --response {quote(response)} --method {method}"
            command = f"sde-grok fit {self.file} {options}"
        unknown = frame["T_grok"].isna() & frame["delay"].notna() & frame["rho2_grok"].isna()
        left_out = int(unknown.sum()) if response == OVER_LOG else 0
        return TimeFit(fit, freedom, place(self.title, frame), command, left_out)

    def _but(self, kept: pd.DataFrame) -> str:
        """Condition that leaves out the cells of the group that are not among those kept."""
        cells = [set(zip(*(x[a] for a in AXES), strict=True)) for x in (self.frame, kept)]
        out = sorted(cells[0] - cells[1])
        if out and min(cell[1] for cell in out) > kept["lam"].max():
            return f" and lam <= {written(kept['lam'].max())}"
        each = (" and ".join(map(condition, AXES, cell)) for cell in out)
        return "".join(f" and not ({of_cell})" for of_cell in each)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Groups of runs, what scripts of `theory/` found, and the ladder.

    Attributes
    ----------
    groups, verdicts, ladder
        Of these three.
    given : bool
        Whether the runs are not the packaged ones.
    notes : tuple of str
        Runs that are in no group, and why.
    """

    groups: Sequence[Group]
    verdicts: Mapping[str, Verdict]
    ladder: Sequence[RungResult]
    given: bool = False
    notes: tuple[str, ...] = ()

    def sources(
        self, measured: Sequence[str] = (), simulated: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Commands that make numbers again: of the runs, and of the scripts of `theory/` by claim.

        Scripts that measure read the packaged runs, and so make no number of runs that were given.
        """
        again = ("sde-grok validate --runs RUNS",) if self.given else (VALIDATE,)
        of_runs = again if self.given else (*again, *map(script, measured))
        return (*of_runs, *(s for s in map(script, simulated) if s not in of_runs))

    @property
    def coupled(self) -> list[Group]:
        """The groups with the shrinkage that the theory is about."""
        return [group for group in self.groups if group.decay == "coupled"]

    def found(self, claim: str, what: str) -> Comparison | None:
        """Find the one comparison of a claim by its name, in which * stands for anything; or None."""
        numeric = self.verdicts[claim].numeric if claim in self.verdicts else ()
        named = [c for c in numeric if fnmatchcase(c.what, what)]
        return named[0] if len(named) == 1 else None

    def simulated(self, claim: str, what: str) -> Estimate | None:
        """Look up what was measured in that comparison."""
        comparison = self.found(claim, what)
        return comparison.measured if comparison else None


def gathered(
    runs: pd.DataFrame | None,
    verdicts: Mapping[str, Verdict],
    ladder: Sequence[RungResult],
) -> Evidence:
    """Gather runs by task, network and decay."""
    if runs is None:
        parts = [(f"sde_grok/data/{x.name}", packaged(x)) for x in (REFERENCE_RUNS, Z59_RUNS)]
    else:
        parts = [("RUNS", runs)]
    groups = [group for file, frame in parts for group in grouped(frame, file)]
    notes = tuple(note for _, frame in parts for note in unread(frame))
    return Evidence(groups, verdicts, ladder, runs is not None, notes)


def packaged(file: Any) -> pd.DataFrame:
    """Runs that come with the package."""
    with as_file(file) as path:
        return load_table(path)


def grouped(runs: pd.DataFrame, file: str) -> Iterator[Group]:
    """Groups of runs with Adam, each of one network."""
    frame = completed(runs)
    frame = frame[frame["weight_decay"] != ""]
    names = [name for name in NETWORK if name in frame]
    if frame.empty:
        return
    for task, of_task in frame.groupby("task"):
        varying = [
            n for n in names if len(of_task[n].drop_duplicates()) > 1 and n != "weight_decay"
        ]
        for key, part in of_task.groupby(names, dropna=False):
            of = dict(zip(names, key, strict=True))
            yield Group(
                name=", ".join([str(task).upper(), *(f"{n} {shown(of[n])}" for n in varying)]),
                decay=str(of["weight_decay"]),
                every=part.reset_index(drop=True),
                selection=selection(runs, part.index, ["task", decay_of(runs), *varying]),
                file=file,
            )


def place(title: str, frame: pd.DataFrame) -> str:
    """Task, range of the settings, and number of cells."""
    ranges = []
    for axis in AXES:
        low, high = frame[axis].min(), frame[axis].max()
        span = f"{low:g}" if low == high else f"{low:g}…{high:g}"
        ranges.append(f"{SYMBOLS[axis]} {span}")
    return f"{title} ({', '.join(ranges)}; {len(frame.drop_duplicates(list(AXES)))} cells)"
