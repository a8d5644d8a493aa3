"""One cell of a scan of escapes: from plain parameters to a simulation, its cost, and its times."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, integer
from sde_grok.datasets import VARIABLES
from sde_grok.escape import LongEscapeWarning, simulate_escape
from sde_grok.escape_times import EscapeTimes
from sde_grok.geometry import Geometry
from sde_grok.landscapes import FLAT
from sde_grok.laws import matched_steps
from sde_grok.laws.variance import log_passage_time_variance
from sde_grok.noise import IsotropicNoise
from sde_grok.optimizer import Optimizer
from sde_grok.paths import check_time_step, default_time_step
from sde_grok.problem import Problem
from sde_grok.scans.grid import Parameters
from sde_grok.scans.kind import Cell, Cost, Kind

__all__ = ["ESCAPES", "NAMES", "Times", "checked", "expected_cost", "simulate"]

OF_OPTIMIZER = tuple(f.name for f in fields(Optimizer))
OF_GEOMETRY = tuple(f.name for f in fields(Geometry))
NAMES = (*OF_OPTIMIZER, *OF_GEOMETRY, "sigma", "system", "max_steps", "dt")
REQUIRED = ("eta", "batch_size", "lam", "rho_start", "rho_core", "dim")
MOST_GROWTH = 4
SPARE = 1.05  # a little more than the error asks for, or a last batch would often follow


class Times(NamedTuple):
    """Escape times of a cell's paths in steps, and their status."""

    escape_steps: NDArray[np.float64]
    status: NDArray[np.int8]

    @property
    def end_steps(self) -> NDArray[np.float64]:
        """When a path ended: when it escaped."""
        return self.escape_steps


def checked(parameters: Parameters) -> Cell:
    """Check the parameters of a cell; its time step takes some laws to find."""
    try:
        return _checked(**parameters)
    except TypeError:  # a value that has no hash
        return _checked.__wrapped__(**parameters)


@lru_cache(maxsize=2**17, typed=True)
def _checked(**parameters: Any) -> Cell:
    for name in REQUIRED:
        if name not in parameters:
            raise ParameterError(name, None, "given in base or axes")
    problem = Problem(
        optimizer=Optimizer(**{n: parameters[n] for n in OF_OPTIMIZER if n in parameters}),
        geometry=Geometry(**{n: parameters[n] for n in OF_GEOMETRY if n in parameters}),
        noise=IsotropicNoise(parameters.get("sigma", 1.0)),
        landscape=FLAT,
        system=parameters.get("system", "radial"),
    )
    max_steps = integer("max_steps", parameters.get("max_steps", 100_000), low=1)
    bridge = problem.system == "radial"
    dt = parameters.get("dt")
    if dt is None:
        dt = min(default_time_step(problem, max_steps, bridge=bridge), max_steps)
    check_time_step(problem, dt)
    return Cell(problem, max_steps, float(dt))


def labels(parameters: Parameters) -> dict[str, Any]:
    """All parameters of a cell but its time step."""
    cell = checked(parameters)
    problem = cell.problem
    return {
        **vars(problem.optimizer),
        **vars(problem.geometry),
        "sigma": vars(problem.noise)["sigma"],
        "system": problem.system,
        "max_steps": cell.max_steps,
    }


def expected_cost(
    parameters: Parameters, paths: int, precision: float | None, max_paths: int
) -> Cost:
    """What a cell is expected to cost, by the laws; the order of cells hangs on it, no result."""
    cell = checked(parameters)
    steps = min(_expected_steps(cell), cell.max_steps)
    width = 1 if cell.problem.system == "radial" else cell.problem.geometry.dim
    if precision is not None:
        paths = min(max_paths, max(paths, math.ceil((_relative_spread(cell) / precision) ** 2)))
    return Cost(max(1.0, steps / cell.dt) * width, paths)


def _expected_steps(cell: Cell) -> float:
    problem = cell.problem
    optimizer, geometry, noise = problem.optimizer, problem.geometry, problem.noise
    log_mean = problem.log_exact_mean_steps
    exact = math.exp(min(log_mean, 700)) if log_mean is not None else math.inf
    inertial = problem.system != "radial" and optimizer.decay == "coupled"
    if not (
        inertial and geometry.inward and optimizer.lam > 0 and isinstance(noise, IsotropicNoise)
    ):
        return exact
    if noise.sigma == 0:
        return exact
    return float(
        matched_steps(
            geometry.rho_start**2,
            geometry.rho_core**2,
            dim=geometry.dim,
            eta=optimizer.eta,
            lam=optimizer.lam,
            sigma=noise.sigma,
            batch_size=optimizer.batch_size,
        )
    )


def _relative_spread(cell: Cell) -> float:
    """Standard deviation over mean of the escape time, by the radial rung; 1 if unknown."""
    problem = cell.problem
    log_mean, rates = problem.log_exact_mean_steps, problem.rates
    if log_mean is None or rates is None or not math.isfinite(log_mean):
        return 1.0
    geometry = problem.geometry
    log_variance = float(
        log_passage_time_variance(
            geometry.rho_start**2,
            geometry.rho_core**2,
            dim=geometry.dim,
            gamma=rates.gamma,
            q2=rates.q2,
        )
    )
    log_mean_time = log_mean + math.log(problem.optimizer.eta)
    return min(1.0, math.exp(0.5 * log_variance - log_mean_time))


def simulate(
    parameters: Parameters,
    seed: int,
    *,
    paths: int,
    precision: float | None = None,
    max_paths: int | None = None,
    threads: int,
    check: Callable[[], None] | None = None,
) -> Times:
    """Simulate a cell, with more and more paths if a precision is asked for.

    `check` is called now and then, and may raise to stop it.
    """
    cell = checked(parameters)

    def more(first: int, n: int) -> Times:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LongEscapeWarning)  # censored paths are in the result
            result = simulate_escape(
                cell.problem.optimizer,
                cell.problem.geometry,
                cell.problem.noise,
                system=cell.problem.system,
                n_paths=n,
                first_path=first,
                max_steps=cell.max_steps,
                seed=seed,
                dt=cell.dt,
                threads=threads,
                progress=None if check is None else lambda _: check(),
            )
        return Times(result.steps, result.status)

    times = more(0, paths)
    most = paths if max_paths is None else max_paths
    while precision is not None and (n := len(times.status)) < most:
        growth = _growth(times, precision)
        if growth <= 1:
            break
        added = more(n, min(math.ceil(growth * n), most) - n)
        times = Times(
            np.concatenate([times.escape_steps, added.escape_steps]),
            np.concatenate([times.status, added.status]),
        )
    return times


def _growth(times: Times, precision: float) -> float:
    """By what factor to multiply the paths; 1 or less if the precision is met.

    It is if none escaped: to go on until one does would make escapes look frequent.
    """
    found = EscapeTimes(*times)
    if found.hit_fraction == 0:
        return 1.0
    mean = found.mean
    if not (mean.value > 0 and math.isfinite(mean.stderr)):
        return MOST_GROWTH
    excess = (mean.stderr / mean.value / precision) ** 2
    return 1.0 if excess <= 1 else min(MOST_GROWTH, SPARE * excess)


def summarized(times: Times) -> dict[str, float]:
    """Numbers of a cell."""
    found = EscapeTimes(*times)
    mean = found.mean
    return {
        "n_paths": found.n_paths,
        "mean_steps": mean.value,
        "stderr_steps": mean.stderr,
        "censored_fraction": found.censored_fraction,
        "failed_fraction": found.failed_fraction,
    }


ESCAPES = Kind(
    checked=checked,
    labels=labels,
    expected_cost=expected_cost,
    simulate=simulate,
    paths=Times,
    variables={name: VARIABLES[name] for name in Times._fields},
    summary={
        "n_paths": ("1", "number of paths; 0 if the cell is not there"),
        "mean_steps": (
            "steps",
            "mean escape time; restricted to what was seen, if paths are censored",
        ),
        "stderr_steps": ("steps", "standard error of mean_steps"),
        "censored_fraction": ("1", "part of the paths that had not escaped"),
        "failed_fraction": ("1", "part of the paths that became non-finite"),
    },
    summarized=summarized,
)
