"""What the cells of a plan are: how one is checked and simulated, and what is kept of its paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sde_grok.datasets import Variable
from sde_grok.problem import Problem

__all__ = ["Cell", "Cost", "Kind", "Paths"]


@dataclass(frozen=True)
class Cell:
    """Checked parameters: a problem, its censoring time and its time step in optimizer steps."""

    problem: Problem
    max_steps: int
    dt: float


class Cost(NamedTuple):
    """Expected numbers of normals drawn a path, and of paths."""

    normals: float
    paths: float


class Paths(Protocol):
    """A NamedTuple of arrays, one entry a path: what is kept of it, by the names of the store."""

    @property
    def escape_steps(self) -> NDArray[np.float64]:
        """What the scan is about, in steps; nan if a path failed, and then alone."""

    @property
    def status(self) -> NDArray[np.int8]:
        """A `Status` for each path."""

    @property
    def end_steps(self) -> NDArray[np.float64]:
        """When a path ended, in steps; nan if it failed."""

    def _asdict(self) -> dict[str, Any]: ...


class Kind(NamedTuple):
    """What the cells of a plan are.

    Attributes
    ----------
    checked : callable
        Parameters of a cell → `Cell`, or `ParameterError`.
    labels : callable
        Parameters of a cell → all of them, what has a default included, but for the time step.
    expected_cost : callable
        Parameters and the number of paths → `Cost`.
    simulate : callable
        Parameters, seed, the number of paths, threads, and what to call now and then → `paths`.
    paths : type
        `Paths` of a kind.
    variables : mapping
        Name → `Variable`, of what `paths` has.
    summary : mapping
        Name → unit and meaning, of the numbers of a cell.
    summarized : callable
        `paths` → numbers of a cell.
    """

    checked: Callable[[Mapping[str, Any]], Cell]
    labels: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    expected_cost: Callable[..., Cost]
    simulate: Callable[..., Any]
    paths: Any
    variables: Mapping[str, Variable]
    summary: Mapping[str, tuple[str, str]]
    summarized: Callable[[Any], dict[str, float]]
