"""What rows are made of: runs of one network gathered, fits of their times, and simulated numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources import as_file
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit
from scipy.stats import rankdata

from sde_grok.checks import ParameterError
from sde_grok.claims import FALSE_ALARM, Comparison, Verdict
from sde_grok.fits.exponents import ExponentFit, fit_exponents
from sde_grok.fits.relative import determined
from sde_grok.fits.sample import AXES, sample, with_times
from sde_grok.fits.table import imported, load_table
from sde_grok.results import Estimate
from sde_grok.runs.powers import least_squares
from sde_grok.runs.reference import REFERENCE_RUNS, Z59_RUNS
from sde_grok.validate.rows.shared import VALIDATE, script

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
    "regression",
    "told_apart",
]

Array = NDArray[np.float64]

DELAY, OVER_LOG = "delay", "delay / log(rho2_mem / rho2_grok)"
SYMBOLS = {"eta": "η", "lam": "λ", "batch_size": "b"}
NETWORK = (  # runs that differ in one of them are not compared with each other
    *("task", "weight_decay", "model", "train_fraction", "embedding", "width", "heads"),
    *("init", "init_scale", "sampling", "beta1", "beta2", "bias_correction", "landscape"),
)
USUAL = {
    "task": "runs",
    "weight_decay": "coupled",
    "optimizer": "adam",
    "model": "mlp",
    "init": "lecun",
    "init_scale": 1.0,
    "sampling": "replacement",
}
OPTIMIZERS = ("adam", "adamw")
DECAYS = {"coupled": "coupled", "l2": "coupled", "decoupled": "decoupled", "adamw": "decoupled"}
TIMES = ("T_mem", "T_grok", "steps_run", "diverged_at")
RADII = ("rho2_init", "rho2_mem", "rho2_grok", "mean_sqrt_v_grok")
MOMENTS = tuple(
    f"{name}_{event}"
    for name in ("m_deviation", "v_deviation", "gradient_norm2", "noise_trace")
    for event in ("mem", "peak", "grok")
)
NOISE = tuple(
    f"noise_{name}_{event}"
    for name in ("total", "square", "diagonal_square", "signal")
    for event in ("mem", "grok")
)
POSITIVE = (  # what is not > 0 and finite was not measured
    *("rho2_mem", "rho2_grok", "mean_sqrt_v_grok"),
    *(f"gradient_norm2_{event}" for event in ("mem", "peak", "grok")),
    *NOISE,
)
NOT_NEGATIVE = ("rho2_init", *(name for name in MOMENTS if name not in POSITIVE))
NUMBERS = (*AXES, *TIMES, *RADII, *MOMENTS, *NOISE, "seed", "beta1", "embedding", "width")


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


def selection(runs: pd.DataFrame, part: Any, told_by: Sequence[str]) -> str | None:
    """Condition on columns of the file that some of its runs meet; None if it cannot be written."""
    names = [name for name in told_by if name in runs]
    if "optimizer" in runs and len(runs["optimizer"].drop_duplicates()) > 1:
        names = ["optimizer", *names]
    if not names:
        return "eta > 0"
    kinds = runs.loc[part, names].drop_duplicates().itertuples(index=False)
    each = [" and ".join(map(condition, names, kind)) for kind in kinds]
    if any("`" in one for one in each):  # which no expression may have
        return None
    return each[0] if len(each) == 1 else f"({' or '.join(f'({one})' for one in each)})"


def condition(name: str, value: Any) -> str:
    """Condition that a column has a value."""
    plain = written(value)
    return f"{name} != {name}" if plain == "nan" else f"{name} == {plain}"


def written(value: Any) -> str:
    """A value as expressions have it: a string in quotes, or a plain number; nan for a missing one."""
    plain = value.item() if isinstance(value, np.generic) else value
    return "nan" if imported().isna(plain) else repr(plain)


def decay_of(runs: pd.DataFrame) -> str:
    """Name of the column that has the kind of shrinkage: scans call it decay."""
    return "decay" if "decay" in runs and "weight_decay" not in runs else "weight_decay"


def shown(value: Any) -> str:
    """A setting in words."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f"{value:g}" if number else str(value)


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with the columns that rows need.

    What was measured is nan where it is not in the table or cannot be, a setting what the packaged
    runs have, and the kind of shrinkage "" where it is not known.
    """
    frame = runs.reindex(columns=list(dict.fromkeys([*runs.columns, *NUMBERS])))
    for name in NUMBERS:
        frame[name] = imported().to_numeric(frame[name], errors="coerce")
    for name in (*POSITIVE, *NOT_NEGATIVE):
        least = frame[name] > 0 if name in POSITIVE else frame[name] >= 0
        frame[name] = frame[name].where(least & np.isfinite(frame[name]))
    frame["beta1"] = frame["beta1"].where((frame["beta1"] >= 0) & (frame["beta1"] < 1))
    frame["weight_decay"] = decays(runs)
    for name, usual in USUAL.items():
        frame[name] = frame[name].fillna(usual) if name in frame else usual
    return frame


def words(runs: pd.DataFrame, name: str) -> list[str]:
    """Words of a column in small letters; "" where there are none."""
    if name not in runs:
        return [""] * len(runs)
    missing = runs[name].isna()
    return ["" if no else str(x).strip().lower() for x, no in zip(runs[name], missing, strict=True)]


def decays(runs: pd.DataFrame) -> list[str]:
    """Kind of shrinkage of each run; "" for runs of other optimizers, and where it is not known."""
    optimizers, kinds = words(runs, "optimizer"), words(runs, decay_of(runs))
    return [decay(*run) for run in zip(optimizers, kinds, strict=True)]


def decay(optimizer: str, word: str) -> str:
    """Kind of shrinkage by the words for it: that of AdamW is decoupled, of Adam coupled if not said."""
    if (optimizer or USUAL["optimizer"]) not in OPTIMIZERS:
        return ""
    unsaid = "decoupled" if optimizer == "adamw" else "" if word else "coupled"
    return DECAYS.get(word, unsaid)


def unread(runs: pd.DataFrame) -> list[str]:
    """How many runs are in no group, by the words that do not tell Adam, or its shrinkage."""
    told = zip(words(runs, "optimizer"), words(runs, decay_of(runs)), decays(runs), strict=True)
    counts = Counter((optimizer, word) for optimizer, word, kind in told if not kind)
    return [
        f"{n} runs left out: optimizer {optimizer or 'not said'}, {decay_of(runs)} {word or 'not said'}"
        for (optimizer, word), n in counts.items()
    ]


def place(title: str, frame: pd.DataFrame) -> str:
    """Task, range of the settings, and number of cells."""
    ranges = []
    for axis in AXES:
        low, high = frame[axis].min(), frame[axis].max()
        span = f"{low:g}" if low == high else f"{low:g}…{high:g}"
        ranges.append(f"{SYMBOLS[axis]} {span}")
    return f"{title} ({', '.join(ranges)}; {len(frame.drop_duplicates(list(AXES)))} cells)"


def regression(
    y: Any, columns: Mapping[str, Any], constants: Sequence[Any]
) -> tuple[dict[str, Estimate], int]:
    """Fit the columns that y tells apart, with a constant for each label, by least squares.

    Parameters
    ----------
    y : (n,) array_like
        Numbers of cells.
    columns : mapping of str to (n,) array_like
        What they depend on; a column is left out if those before it and the constants give it.
    constants : (n,) sequence
        Labels.

    Returns
    -------
    found : dict of str to Estimate
        Coefficients, with errors of the scatter; none if there are too few numbers for it.
    freedom : int
        Degrees of freedom of the errors.
    """
    given = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    response = np.asarray(y, np.float64)
    finite = np.all(np.isfinite([response, *given.values()]), axis=0)
    labels = [label for label, kept in zip(constants, finite, strict=True) if kept]
    size = {name: float(np.abs(x[finite]).max(initial=0.0)) or 1.0 for name, x in given.items()}
    design = [[float(label == other) for label in labels] for other in dict.fromkeys(labels)]
    n = len(design)
    names: list[str] = []
    for name, column in given.items():
        more = [*design, list(column[finite] / size[name])]  # columns may be of any size
        if labels and determined(np.column_stack(more)):
            design, names = more, [*names, name]
    freedom = len(labels) - len(design)
    if not names or freedom < 1:
        return {}, 0
    values, covariance, _ = least_squares(np.column_stack(design), response[finite])
    errors = np.sqrt(np.diag(covariance))
    found = {
        name: Estimate(float(values[n + i] / size[name]), float(errors[n + i] / size[name]))
        for i, name in enumerate(names)
    }
    return found, freedom


def told_apart(values: Array, cells: NDArray[np.int64]) -> bool:
    """Whether values differ between cells by more than within them, by their ranks.

    Parameters
    ----------
    values : (n,) array
        Numbers of runs.
    cells : (n,) array of int
        Label of the cell of each.

    Returns
    -------
    bool
        Whether the F test of one-way variance says so, at the rate FALSE_ALARM. False if there are no
        two runs of a cell, or all values are the same.
    """
    labels, place_of = np.unique(cells, return_inverse=True)
    between, within = labels.size - 1, values.size - labels.size
    if between < 1 or within < 1:
        return False
    ranks = rankdata(values)
    means = np.bincount(place_of, ranks) / np.bincount(place_of)
    inside = float(np.sum((ranks - means[place_of]) ** 2))
    outside = float(np.sum((means[place_of] - ranks.mean()) ** 2))
    if inside == 0:
        return outside > 0
    return bool(fdtrc(between, within, outside / between / (inside / within)) < FALSE_ALARM)
