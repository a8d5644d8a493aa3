"""Both stopping times of a path on a landscape: when it memorizes, and when it generalizes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.escape import chunk_size, provenance_of
from sde_grok.escape_times import EscapeTimes, Status
from sde_grok.geometry import Geometry
from sde_grok.kernels.outcome import GROK, MEMORY, PEAK, Threshold
from sde_grok.landscapes import Landscape
from sde_grok.noise import Noise
from sde_grok.optimizer import Optimizer
from sde_grok.paths import Stops, check_time_step, default_lanes, empty_outcome, path_kernel
from sde_grok.problem import Numerics, Problem
from sde_grok.runner import Progress, available_threads, run_paths

__all__ = ["GrokkingResult", "Stage", "simulate_grokking"]

Array = NDArray[np.float64]
Coordinates = Literal["discrete", "joint", "reduced"]


@dataclass(frozen=True, eq=False)
class Stage:
    """What paths were like when they came to a stage; nan for a path that did not.

    Attributes
    ----------
    steps : (n_paths,) array
        When, in optimizer steps.
    rho2 : (n_paths,) array
        ρ² there.
    root_v : (n_paths,) array
        Mean √v over the coordinates there; nan on the reduced rung.
    """

    steps: Array
    rho2: Array
    root_v: Array


@dataclass(frozen=True, eq=False)
class GrokkingResult:
    """Two stopping times a path, and the stages at which they were.

    Attributes
    ----------
    system : str
        Rung of the ladder.
    memorized, peak, generalized : Stage
        The first time at which the training loss was low enough; the largest ρ² from then on, up to
        the end of the path; the first time at which the test loss was low enough.
    end_steps : (n_paths,) array
        Where a path ended: when both had happened, or the censoring time.
    status : (n_paths,) int8 array
        A `Status`: HIT if both had happened.
    max_steps : int
        Censoring time in optimizer steps.
    path_steps : int
        Time steps simulated on all paths.
    wall_seconds : float
        Time that the simulation took, compilation included.
    provenance : dict
        Seed, parameters and versions.
    """

    system: str
    memorized: Stage
    peak: Stage
    generalized: Stage
    end_steps: Array
    status: NDArray[np.int8]
    max_steps: int
    path_steps: int
    wall_seconds: float
    provenance: dict[str, Any] = field(repr=False)

    def times(self, stage: Stage) -> EscapeTimes:
        """Times of a stage, censored where a path ended before it."""
        seen = np.isfinite(stage.steps)
        ended = np.where(self.status == Status.FAILED, Status.FAILED, Status.CENSORED)
        status = np.where(seen, Status.HIT, ended)
        return EscapeTimes(np.where(seen, stage.steps, self.end_steps), status.astype(np.int8))

    @property
    def delay(self) -> EscapeTimes:
        """Generalization less memorization, of the paths that memorized; censored at their end.

        Negative for a path that generalized first.

        Raises
        ------
        ParameterError
            If no path memorized.
        """
        began = self.memorized.steps
        memorized = np.isfinite(began)
        times = self.times(self.generalized)
        return EscapeTimes((times.steps - began)[memorized], times.status[memorized])


def simulate_grokking(
    optimizer: Optimizer,
    noise: Noise,
    landscape: Landscape,
    *,
    rho_start: float,
    dim: int,
    train_loss: float | None = None,
    test_loss: float | None = None,
    rho_shell: float | None = None,
    rho_core: float | None = None,
    system: Coordinates,
    n_paths: int,
    max_steps: int,
    seed: int,
    dt: float = 1.0,
    pinned: bool = False,
    correct_bias: bool = False,
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> GrokkingResult:
    """Simulate paths until they have memorized and generalized.

    A path starts as in `simulate_escape`, uniformly on a sphere, with moments at their mean-field
    values. Losses and radii are looked at before each time step.

    Parameters
    ----------
    optimizer : Optimizer
        Learning rate, batch size, shrinkage and Adam's constants.
    noise : IsotropicNoise, DiagonalNoise or DenseNoise
        Covariance Σ of one example's gradient where the landscape's factor f is 1.
    landscape : Landscape
        With losses, unless radii take their place.
    rho_start : float
        Radius of the init shell, > 0.
    dim : int
        Dimension d.
    train_loss, test_loss : float, optional
        Losses > 0 at which a path has memorized, and generalized. On a margin z these are thresholds on
        z: those of `sde_grok.landscapes.loss_at_margin`.
    rho_shell, rho_core : float, optional
        Radii in place of either: a path has memorized where its norm passes `rho_shell`, from the
        side on which it starts, and generalized once it is within `rho_core` from then on.
    system : {"discrete", "joint", "reduced"}
        Rung of the ladder.
    n_paths : int
        Number of independent paths.
    max_steps : int
        Censoring time in optimizer steps.
    seed : int
        0 … 2⁶⁴ − 1; as in `simulate_escape`.
    dt : float
        Time step in optimizer steps; 1 on the discrete rung.
    pinned : bool
        Scale θ back to the norm `rho_start` after each step, so that only directions move. Moments
        are left as they are.
    correct_bias : bool
        Start m and v at zero and correct Adam's bias. Not on the reduced rung.
    threads : int, optional
        Threads.
    progress : callable, optional
        Called ten times a second with a `Progress`.

    Returns
    -------
    GrokkingResult

    Raises
    ------
    ParameterError
        If a parameter is out of range, the landscape has no losses, or not one of loss and radius is
        given for each of the two times.
    Interrupted
        On Ctrl-C.
    """
    began = time.perf_counter()
    choice("system", system, get_args(Coordinates))
    start = number("rho_start", rho_start, low=0, open_low=True)
    problem = Problem(
        optimizer=optimizer,
        geometry=Geometry(rho_start=start, rho_core=start / 2, dim=dim),  # no core ends a path
        noise=noise,
        landscape=landscape,
        system=system,
        correct_bias=correct_bias,
    )
    check_time_step(problem, dt)
    numerics = Numerics(
        n_paths=n_paths,
        first_path=0,
        max_steps=integer("max_steps", max_steps, low=1),
        seed=seed,
        dt=dt,
        bridge=False,
        precision="double",
        threads=available_threads() if threads is None else threads,
        chunk=None,
        lanes=default_lanes(problem),
        keep_end_state=False,
    )
    stops = Stops(
        _threshold("train_loss", train_loss, "rho_shell", rho_shell, problem),
        _threshold("test_loss", test_loss, "rho_core", rho_core, problem),
        pinned,
    )
    if pinned and not stops.memorized.side == stops.generalized.side == 0:
        raise ParameterError("pinned", True, "False with a threshold on the radius")
    outcome = empty_outcome(problem, numerics, staged=True)
    run_paths(
        path_kernel(problem, numerics, stops),
        outcome,
        chunk=chunk_size(numerics),
        threads=numerics.threads,
        expected_steps=numerics.max_steps / numerics.dt,
        progress=progress,
    )
    return GrokkingResult(
        system=system,
        memorized=_stage(outcome.stages, MEMORY, numerics.dt),
        peak=_stage(outcome.stages, PEAK, numerics.dt),
        generalized=_stage(outcome.stages, GROK, numerics.dt),
        end_steps=np.minimum(outcome.time * numerics.dt, numerics.max_steps),
        status=outcome.status,
        max_steps=numerics.max_steps,
        path_steps=int(outcome.steps.sum()),
        wall_seconds=time.perf_counter() - began,
        provenance={
            **provenance_of(problem, numerics),
            "train_loss": train_loss,
            "test_loss": test_loss,
            "rho_shell": rho_shell,
            "rho_core": rho_core,
            "pinned": pinned,
        },
    )


def _threshold(
    of_loss: str, loss: float | None, of_radius: str, radius: float | None, problem: Problem
) -> Threshold:
    """A threshold on the loss or on the radius, the shell's from the side of the start."""
    if (loss is None) == (radius is None):
        value = loss if radius is None else [loss, radius]
        raise ParameterError(of_loss, value, f"one of {of_loss} and {of_radius}")
    if radius is None:
        if not problem.landscape.has_losses:
            allowed = "one with losses: give it a measure, or radii in place of losses"
            raise ParameterError("landscape", problem.landscape.name, allowed)
        return Threshold(number(of_loss, loss, low=0, open_low=True), 0.0, 0.0)
    rho = number(of_radius, radius, low=0, open_low=True)
    outwards = of_radius == "rho_shell" and rho > problem.geometry.rho_start
    return Threshold(math.inf, -1.0 if outwards else 1.0, rho * rho)


def _stage(stages: Array, first: int, dt: float) -> Stage:
    steps, rho2, root_v = stages[:, first : first + 3].T
    return Stage(steps * dt, rho2, root_v)
