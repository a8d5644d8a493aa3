"""Laws compete for the same runs: how far each is off, where it was fitted and where it was not.

Relative errors |prediction − y|/y, averaged over rows that are not censored. Where a law says never
of a row that has happened, its error is infinite, and so is the average; it is fitted to the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError
from sde_grok.fits.candidates import LAWS, Candidate, design
from sde_grok.fits.relative import determined
from sde_grok.fits.sample import AXES, Sample, subset, varying

__all__ = ["LAWS", "LawFit", "compete", "seed_floor"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

DRAWS = 200


class LawFit(NamedTuple):
    """A law's constants and its errors; MAPE is the mean of |prediction − y|/y.

    Attributes
    ----------
    constants : dict of str to float
        As fitted to all rows.
    mape_in_sample, mape_in_sample_low, mape_in_sample_high : float
        Error where it was fitted, and its 95 % bootstrap interval; that is of refits, so it leans
        low where constants are many and cells few. nan if there is one cell.
    mape_held_out : float
        Error on one value of an axis after the other, each with constants from the rest; nan if no
        axis has three values, or the rest leaves constants open. Values without which the rows no
        longer tell the axes apart are not left out, for any law.
    mape_one_cell : float
        Error on other cells with the constant from the middle one; nan unless there is one constant.
    aic : float
        n ln(mean squared relative error) + 2k, up to a constant that all laws share.
    never : int
        Rows for which the law says never; its errors are infinite if there are any.
    """

    constants: dict[str, float]
    mape_in_sample: float
    mape_in_sample_low: float
    mape_in_sample_high: float
    mape_held_out: float
    mape_one_cell: float
    aic: float
    never: int


class Entrant(NamedTuple):
    """A law at the rows of a sample: names of its constants, their bounds, its (n, k) design, y."""

    law: Candidate
    names: tuple[str, ...]
    lower: tuple[float, ...]
    x: Array
    y: Array

    def fitted(self, rows: Rows) -> Array:
        """Constants from those of the rows at which the law says that it happens."""
        rows = rows[np.isfinite(self.x[rows]).all(axis=1)]
        return self.law.fit(self.x[rows], self.y[rows], self.lower)

    def errors(self, constants: Array, rows: Rows) -> Array:
        """Relative errors |prediction − y|/y at rows."""
        predicted = self.law.predict(self.x[rows], constants)
        return np.abs(predicted - self.y[rows]) / self.y[rows]


def compete(
    sample: Sample, names: Iterable[str] | None = None, *, seed: int = 0
) -> dict[str, LawFit]:
    """Fit laws to the rows that are not censored, by least squares of relative errors.

    Parameters
    ----------
    sample : Sample
        Its response decides which laws suit.
    names : iterable of str, optional
        Laws of `LAWS`; by default all that suit.
    seed : int
        Seed of the bootstrap, which draws whole cells, the same for all laws.

    Returns
    -------
    dict of str to LawFit
        By held-out error, the least first and nan last.

    Raises
    ------
    ParameterError
        If a law is not known or does not suit, or there is no event.

    Notes
    -----
    The error with the constant from one cell is how arXiv 2605.18845 judges laws; the constant is the
    mean of y over the law there, and the middle cell the one nearest to the medians of the axes.
    """
    events = at_events(sample)
    found = entrants(events, names)
    several = np.ptp(events.cell) > 0
    draws = list(islice(bootstrap(events.cell, seed), DRAWS if several else 0))
    folds = list(axis_folds(events))
    middle = middle_cell(events)
    fits = {name: judged(entrant, draws, folds, middle) for name, entrant in found.items()}
    return dict(sorted(fits.items(), key=held_out_last_nan))


def held_out_last_nan(item: tuple[str, LawFit]) -> tuple[bool, float, float]:
    """Order of laws: by held-out error, then by that in the sample."""
    fit = item[1]
    return math.isnan(fit.mape_held_out), fit.mape_held_out, fit.mape_in_sample


def at_events(sample: Sample) -> Sample:
    """The rows of a sample that are not censored."""
    if not sample.event.any():
        raise ParameterError("data", "no event", "rows of which at least one is not censored")
    return subset(sample, sample.event)


def entrants(events: Sample, names: Iterable[str] | None) -> dict[str, Entrant]:
    """Laws that suit a sample; those asked for by name must."""
    if names is not None:
        return {name: entrant(events, name) for name in names}
    found = {}
    for name in LAWS:
        try:
            found[name] = entrant(events, name)
        except ParameterError:
            continue
    return found


def entrant(events: Sample, name: str) -> Entrant:
    """A law at the rows of a sample, or an error that says why it does not suit."""
    if name not in LAWS:
        raise ParameterError("law", name, "one of " + ", ".join(LAWS))
    law = LAWS[name]
    if law.response not in {None, events.response}:
        raise ParameterError("law", name, f"a law of {events.response}, not of {law.response}")
    try:
        x = design(law, events.frame)
    except ParameterError as error:
        raise ParameterError("law", name, f"a law that suits the data ({error})") from None
    used = [i for i in range(x.shape[1]) if np.any(x[:, i] != 0)] if law.constants else [0]
    names = tuple(law.constants[i] for i in used) if law.constants else ()
    lower = tuple(law.lower[i] for i in used) if law.constants else ()
    finite = x[np.isfinite(x).all(axis=1)][:, used]
    if law.constants and not (len(finite) > len(used) and determined(finite)):
        count = "1 constant" if len(used) == 1 else f"{len(used)} constants"
        allowed = f"a law whose {count} the data determine (it is finite in {len(finite)} rows)"
        raise ParameterError("law", name, allowed)
    return Entrant(law, names, lower, x[:, used], events.y)


def judged(this: Entrant, draws: list[Rows], folds: list[tuple[Rows, Rows]], cell: Rows) -> LawFit:
    """Fit a law, and measure its errors."""
    rows = np.arange(this.y.size)
    constants = this.fitted(rows)
    errors = this.errors(constants, rows)
    resampled = [float(np.mean(this.errors(this.fitted(draw), draw))) for draw in draws]
    low, high = np.quantile(resampled or [math.nan], [0.025, 0.975], method="nearest")
    named = dict(zip(this.names, constants.tolist(), strict=True)) if this.names else {}
    return LawFit(
        constants=this.law.report(named),
        mape_in_sample=float(np.mean(errors)),
        mape_in_sample_low=float(low),
        mape_in_sample_high=float(high),
        mape_held_out=held_out_error(this, folds),
        mape_one_cell=one_cell_error(this, cell),
        aic=akaike(errors, len(this.names)),
        never=int(np.sum(np.isinf(errors))),
    )


def akaike(errors: Array, constants: int) -> float:
    """Criterion n ln(mean squared error) + 2k."""
    square = float(np.mean(errors**2))
    return errors.size * math.log(square) + 2 * constants if square > 0 else -math.inf


def held_out_error(this: Entrant, folds: list[tuple[Rows, Rows]]) -> float:
    """Mean error of the rows that were left out in turn; nan if there were none."""
    found = []
    for rest, out in folds:
        happens = rest[np.isfinite(this.x[rest]).all(axis=1)]
        if this.names and not determined(this.x[happens]):
            return math.nan
        found.append(this.errors(this.fitted(rest), out))
    return float(np.mean(np.concatenate(found))) if found else math.nan


def one_cell_error(this: Entrant, cell: Rows) -> float:
    """Mean error of the other cells for a law of one constant, which `cell` alone sets."""
    other = np.setdiff1d(np.arange(this.y.size), cell)
    if len(this.law.constants) != 1 or not other.size:
        return math.nan
    cell = cell[np.isfinite(this.x[cell, 0])]
    if not cell.size:
        return math.nan
    constant = np.array([np.mean(this.y[cell] / this.x[cell, 0])])
    return float(np.mean(this.errors(constant, other)))


def axis_folds(events: Sample) -> Iterator[tuple[Rows, Rows]]:
    """(rest, left out) for each value of each axis that has at least three.

    Where the rest no longer tells the axes apart, no law is asked: a power law could not answer.
    """
    axes = varying(events)
    columns = np.column_stack([np.ones(events.y.size), *(ranks(events, a) for a in axes)])
    for axis in axes:
        values = events.frame[axis].to_numpy()
        distinct = np.unique(values)
        for value in distinct if distinct.size >= 3 else ():
            rest, out = np.flatnonzero(values != value), np.flatnonzero(values == value)
            if determined(columns[rest]):
                yield rest, out


def ranks(events: Sample, axis: str) -> Array:
    """Rank of each row's value among the values of an axis; 0 is the (upper) median of the rows."""
    rank = np.unique(events.frame[axis], return_inverse=True)[1]
    return np.asarray(rank - np.sort(rank)[rank.size // 2], np.float64)


def bootstrap(cell: NDArray[np.int64], seed: int) -> Iterator[Rows]:
    """Rows of draw after draw: whole cells, with replacement.

    To draw the rows within them again would count their scatter twice (Davison & Hinkley 1997,
    section 3.8).
    """
    rng = np.random.default_rng(seed)
    cells = [np.flatnonzero(cell == label) for label in np.unique(cell)]
    while True:
        drawn = rng.integers(len(cells), size=len(cells))
        yield np.concatenate([cells[i] for i in drawn])


def middle_cell(events: Sample) -> Rows:
    """Rows of the cell that ranks nearest to the median of each axis."""
    distance = np.sum([ranks(events, axis) ** 2 for axis in AXES], axis=0)
    return np.flatnonzero(events.cell == events.cell[np.argmin(distance)])


def seed_floor(sample: Sample) -> float:
    """Mean of |cell median − y|/y over the events: no law of the settings is much better.

    Parameters
    ----------
    sample : Sample
        With at least one event.

    Returns
    -------
    float
        Over the cells of two events or more: one is its own median. nan if there are none.

    Raises
    ------
    ParameterError
        If there is no event.
    """
    events = at_events(sample)
    cells = [events.y[events.cell == label] for label in np.unique(events.cell)]
    errors = [np.abs(np.median(y) - y) / y for y in cells if y.size > 1]
    return float(np.mean(np.concatenate(errors))) if errors else math.nan
