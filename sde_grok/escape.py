"""One problem, one entry point: simulate the escape from the shell to the core on any rung."""

from __future__ import annotations

import hashlib
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import integer
from sde_grok.geometry import Geometry
from sde_grok.kernels.outcome import CENSORED
from sde_grok.landscapes import FLAT, Landscape
from sde_grok.noise import Noise
from sde_grok.optimizer import Optimizer
from sde_grok.paths import (
    check_time_step,
    default_lanes,
    default_time_step,
    empty_outcome,
    fields,
    path_kernel,
)
from sde_grok.problem import Numerics, Problem, System
from sde_grok.results import EscapeResult
from sde_grok.runner import Progress, available_threads, run_paths
from sde_grok.versions import versions

__all__ = ["LongEscapeWarning", "chunk_size", "provenance_of", "simulate_escape"]

LARGEST_CHUNK = 2048


class LongEscapeWarning(UserWarning):
    """The predicted mean escape time is beyond the censoring time."""


def simulate_escape(
    optimizer: Optimizer,
    geometry: Geometry,
    noise: Noise,
    landscape: Landscape = FLAT,
    *,
    system: System,
    n_paths: int,
    max_steps: int,
    seed: int,
    first_path: int = 0,
    dt: float | None = None,
    s: float | None = None,
    discrete_monitoring: bool = False,
    correct_bias: bool = False,
    keep_end_state: bool = False,
    precision: Literal["double", "single"] = "double",
    threads: int | None = None,
    chunk: int | None = None,
    lanes: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> EscapeResult:
    """Simulate first passages from the shell to the core.

    A path starts uniformly on the sphere of radius `geometry.rho_start`, with the moments of Adam
    at their mean-field values m = h and v = h² + diag Σ/b, h = ∇L [+ λθ if coupled]. It ends when
    ‖θ‖ passes `geometry.rho_core`, or is censored after `max_steps`.

    Parameters
    ----------
    optimizer : Optimizer
        Learning rate, batch size, shrinkage and Adam's constants.
    geometry : Geometry
        Radii of shell and core, and the dimension.
    noise : IsotropicNoise, DiagonalNoise or DenseNoise
        Covariance Σ of one example's gradient; isotropic for the radial rung.
    landscape : Landscape
        Gradient of the loss. The radial rung takes a flat one, or one with `radial`, as `margin`.
    system : {"discrete", "joint", "reduced", "radial"}
        Rung of the ladder: Adam itself, its SDE for (θ, m, v), that for θ, or that for ‖θ‖.
    n_paths : int
        Number of independent paths.
    max_steps : int
        Censoring time in optimizer steps.
    seed : int
        0 … 2⁶⁴ − 1. Path i is a function of the problem, the time step and (seed, i): not of
        `n_paths`, `threads`, `chunk` or `lanes`.
    first_path : int
        Number of the first path: n more paths after n are those of one simulation of 2n.
    dt : float, optional
        Time step in optimizer steps. By default 1, which the discrete rung insists on, and on the
        radial rung, whose step need not shrink with η, a hundredth of its shortest time scale or a
        fiftieth of the passage without fluctuations, whichever is less: measured for d = 1 … 10⁶,
        the mean then has no bias that 200 000 paths would show. On a landscape that is not flat
        it is 1, or less, so that shrinkage and loss change ρ² by a fiftieth at most at the start; a
        path fails if they change it by more than a tenth in half a step. On the joint rung, (1 − βᵢ) dt <= 1, or the moments would overshoot.
    s : float, optional
        Preconditioner of the radial rung; by default fσ/√b + ε, f = 1 on a flat landscape.
    discrete_monitoring : bool
        Let a path end only at multiples of `dt`, by default at each optimizer step. The other
        rungs always do; the radial one otherwise finds crossings in between, by a Brownian bridge.
    correct_bias : bool
        Start m and v at zero and correct Adam's bias. Not on the rungs without moments.
    keep_end_state : bool
        Return θ, m and v at the end of each path.
    precision : {"double", "single"}
        Of states and normals. A seed means other normals in single precision; given the same ones,
        rounding moves ρ² by some 2e-6 and radial times by 3e-6 of their value (measured over paths
        of 290 steps). The tails of the normals end at 6.7 standard deviations, not 8.5.
    threads, chunk, lanes : int, optional
        Threads, paths handed to a thread at a time, and paths in lockstep (a multiple of 8, at
        most 64).
    progress : callable, optional
        Called ten times a second with a `Progress`.

    Returns
    -------
    EscapeResult
        Times in optimizer steps on every rung.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or the rung cannot describe the problem.
    Interrupted
        On Ctrl-C.

    Warns
    -----
    LongEscapeWarning
        Before the run, if the radial rung predicts a mean escape time beyond `max_steps`.

    Notes
    -----
    Rungs of arXiv 2606.30388 (known second-hand). Euler–Maruyama on the joint and reduced rungs,
    Strang's splitting into flow and noise on the radial one: the flow is exact on a flat landscape,
    and of the midpoint rule on one that is a function of ρ. There a path fails whose ρ² a step
    would make negative, and without an exact law `exact_mean_steps` is None.
    """
    began = time.perf_counter()
    problem = Problem(
        optimizer=optimizer,
        geometry=geometry,
        noise=noise,
        landscape=landscape,
        system=system,
        s=s,
        correct_bias=correct_bias,
    )
    max_steps = integer("max_steps", max_steps, low=1)
    bridge = system == "radial" and not discrete_monitoring
    if dt is None:
        dt = min(default_time_step(problem, max_steps, bridge=bridge), max_steps)
    check_time_step(problem, dt)
    numerics = Numerics(
        n_paths=n_paths,
        first_path=first_path,
        max_steps=max_steps,
        seed=seed,
        dt=dt,
        bridge=bridge,
        precision=precision,
        threads=available_threads() if threads is None else threads,
        chunk=chunk,
        lanes=default_lanes(problem) if lanes is None else lanes,
        keep_end_state=keep_end_state,
    )
    kernel = path_kernel(problem, numerics)
    log_mean = problem.log_exact_mean_steps
    if log_mean is not None and log_mean > math.log(numerics.max_steps):
        warnings.warn(_long_escape(log_mean, numerics.max_steps), LongEscapeWarning, stacklevel=2)
    outcome = empty_outcome(problem, numerics)
    run_paths(
        kernel,
        outcome,
        first_path=numerics.first_path,
        chunk=chunk_size(numerics),
        threads=numerics.threads,
        expected_steps=_expected_time_steps(log_mean, numerics),
        progress=progress,
    )
    censored = outcome.status == CENSORED
    exact = None
    if system == "radial" and log_mean is not None and log_mean < 709:  # e^709 is a float
        exact = math.exp(log_mean)
    names = fields(system) if keep_end_state else ()
    return EscapeResult(
        system=system,
        steps=np.where(censored, max_steps, np.minimum(outcome.time * numerics.dt, max_steps)),
        status=outcome.status,
        rho2_end=outcome.rho2,
        end_state={name: outcome.state[:, i] for i, name in enumerate(names)},
        max_steps=numerics.max_steps,
        dt=numerics.dt,
        path_steps=int(outcome.steps.sum()),
        exact_mean_steps=exact,
        wall_seconds=time.perf_counter() - began,
        provenance=provenance_of(problem, numerics),
    )


def chunk_size(numerics: Numerics) -> int:
    """Paths a thread takes at a time: some chunks for each thread, each filling its lanes."""
    if numerics.chunk is not None:
        return numerics.chunk
    share = math.ceil(numerics.n_paths / (4 * numerics.threads))
    return min(LARGEST_CHUNK, math.ceil(share / numerics.lanes) * numerics.lanes)


def _expected_time_steps(log_mean: float | None, numerics: Numerics) -> float:
    if log_mean is None:
        return math.inf
    return math.exp(min(log_mean, math.log(numerics.max_steps))) / numerics.dt


def _long_escape(log_mean: float, max_steps: int) -> str:
    digits = log_mean / math.log(10)
    predicted = f"{math.exp(log_mean):.3g}" if digits < 9 else f"10^{digits:.0f}"
    if log_mean == math.inf:
        predicted = "infinitely many"
    return (
        f"the radial rung predicts a mean escape time of {predicted} steps, beyond max_steps = "
        f"{max_steps}: expect censored paths"
    )


def provenance_of(problem: Problem, numerics: Numerics) -> dict[str, Any]:
    """What is needed to simulate a problem again."""
    return {
        "seed": numerics.seed,
        "first_path": numerics.first_path,
        "optimizer": asdict(problem.optimizer),
        "geometry": asdict(problem.geometry),
        "noise": {
            name: value if np.ndim(value) == 0 else _fingerprint(value)
            for name, value in (
                ("kind", type(problem.noise).__name__),
                *vars(problem.noise).items(),
            )
        },
        "landscape": {
            "name": problem.landscape.name,
            "parameters": _fingerprint(problem.landscape.parameters),
        },
        "s": problem.s,
        "correct_bias": problem.correct_bias,
        "bridge": numerics.bridge,
        "precision": numerics.precision,
        "versions": versions(),
    }


def _fingerprint(array: NDArray[np.float64]) -> dict[str, Any]:
    """What tells one array from another, in little room."""
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"shape": list(array.shape), "sha256": digest}
