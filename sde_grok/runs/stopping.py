"""Stopping times of a training run: memorization, norm peak, grokking, entry into the core.

All are first evaluations at which something is seen: with an evaluation every m steps, what is
recorded as time T happened in (T − m, T].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sde_grok.checks import integer, number

__all__ = ["Stops", "Thresholds", "core_entry", "first", "held", "stopping_times"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What counts as memorized and as grokked.

    Parameters
    ----------
    train_accuracy : float
        Memorized: train accuracy at least this, in (0, 1].
    test_accuracy : float
        Grokked: test accuracy at least this, in (0, 1].
    hold : int
        Grokked for good: at least so many evaluations in a row, the first included.

    Raises
    ------
    ParameterError
        If a threshold is out of range.
    """

    train_accuracy: float = 0.99
    test_accuracy: float = 0.95
    hold: int = 10

    def __post_init__(self) -> None:
        for name in ("train_accuracy", "test_accuracy"):
            value = number(name, getattr(self, name), low=0, high=1, open_low=True, open_high=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "hold", integer("hold", self.hold, low=1))

    def memorized(self, train_accuracy: ArrayLike) -> Mask:
        """Whether the train accuracy is at the threshold."""
        return np.asarray(train_accuracy) >= self.train_accuracy

    def generalized(self, test_accuracy: ArrayLike) -> Mask:
        """Whether the test accuracy is at the threshold."""
        return np.asarray(test_accuracy) >= self.test_accuracy


class Stops(NamedTuple):
    """Indices of evaluations; None if it never happened.

    Attributes
    ----------
    mem : int or None
        τ_M: first with train accuracy at the threshold.
    grok : int or None
        T_grok: first with test accuracy at the threshold.
    sustained : int or None
        First of `hold` evaluations in a row with test accuracy at the threshold.
    peak : int or None
        Largest ρ² up to T_grok, or in the whole run if there is none; the first of equals. None if
        there was no evaluation.
    """

    mem: int | None
    grok: int | None
    sustained: int | None
    peak: int | None


def stopping_times(
    train_accuracy: ArrayLike, test_accuracy: ArrayLike, rho2: ArrayLike, thresholds: Thresholds
) -> Stops:
    """Find the stopping times of a run from what was seen at its evaluations, in order.

    Parameters
    ----------
    train_accuracy, test_accuracy : (n,) array_like
        In [0, 1].
    rho2 : (n,) array_like
        ‖θ‖², finite.
    thresholds : Thresholds
        What counts as memorized and as grokked.
    """
    memorized = thresholds.memorized(train_accuracy)
    generalized = thresholds.generalized(test_accuracy)
    grok = first(generalized)
    climb = np.asarray(rho2)[: None if grok is None else grok + 1]
    return Stops(
        mem=first(memorized),
        grok=grok,
        sustained=first(held(generalized, thresholds.hold)),
        peak=int(np.argmax(climb)) if climb.size else None,
    )


def core_entry(rho2: ArrayLike, rho2_core: float, peak: int) -> int | None:
    """First evaluation from the norm peak on with ρ² <= ρ²_core: the theory's entry into the core.

    It is the peak itself for a run that was never outside. nan stands for a step at which the run
    was not evaluated.
    """
    inside = first(np.asarray(rho2)[peak:] <= rho2_core)
    return None if inside is None else peak + inside


def first(seen: Mask) -> int | None:
    """Index of the first True."""
    return int(np.argmax(seen)) if np.any(seen) else None


def held(seen: Mask, hold: int) -> Mask:
    """Where `hold` Trues in a row begin."""
    if seen.size < hold:
        return np.zeros(0, np.bool_)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(seen, hold).all(axis=1))
