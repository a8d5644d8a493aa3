"""One cell of a scan of a landscape: from plain parameters to paths that memorize and generalize."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.datasets import STAGES as VARIABLES
from sde_grok.escape_times import EscapeTimes, Status
from sde_grok.geometry import Geometry
from sde_grok.grokking import Coordinates, GrokkingResult, simulate_grokking
from sde_grok.landscapes import OF_SCALARS
from sde_grok.noise import broad_noise
from sde_grok.optimizer import Optimizer
from sde_grok.paths import check_time_step
from sde_grok.problem import MOST_TIME_STEPS, Problem
from sde_grok.results import Estimate
from sde_grok.scans.cell import OF_OPTIMIZER
from sde_grok.scans.grid import Parameters
from sde_grok.scans.kind import Cell, Cost, Kind

__all__ = ["STAGES", "Stages", "names_of"]

Array = NDArray[np.float64]

OWN = {
    **dict.fromkeys(("rho_start", "sigma", "train_loss", "test_loss"), Parameter.empty),
    "sigma_spread": 0.0,
    "system": "joint",
    "max_steps": 100_000,
    "dt": 1.0,
}
"""Parameters that neither the optimizer nor a landscape has, and their defaults."""


@dataclass(frozen=True)
class LandscapeCell(Cell):
    """A cell on a landscape: the losses at which a path has memorized, and generalized, besides."""

    train_loss: float
    test_loss: float


class Stages(NamedTuple):
    """What is kept of a cell's paths; `sde_grok.datasets.STAGES` says what each is."""

    t_mem: Array
    rho2_mem: Array
    mean_sqrt_v_mem: Array
    t_peak: Array
    rho2_peak: Array
    mean_sqrt_v_peak: Array
    t_grok: Array
    rho2_grok: Array
    mean_sqrt_v_grok: Array
    escape_steps: Array
    status: NDArray[np.int8]

    @property
    def end_steps(self) -> Array:
        """When a path ended: when it had memorized and generalized, or its censoring time."""
        both = np.maximum(self.t_mem, self.t_grok)
        last = np.where(np.isfinite(self.t_mem), self.t_mem + self.escape_steps, self.escape_steps)
        return np.where(self.status == Status.HIT, both, last)


def defaults_of(landscape: str) -> dict[str, Any]:
    """Parameters of the cells of a landscape and their defaults, `Parameter.empty` without one."""
    of = (Optimizer, OF_SCALARS[landscape])
    own = [p for made_by in of for p in signature(made_by).parameters.values()]
    return {**{p.name: p.default for p in own}, **OWN}


def names_of(landscape: str) -> tuple[str, ...]:
    """Parameters of the cells of a landscape."""
    return tuple(defaults_of(landscape))


def labels(parameters: Parameters) -> dict[str, Any]:
    """All parameters of a cell but its time step."""
    values = {**defaults_of(parameters["landscape"]), **parameters}
    return {name: value for name, value in values.items() if name != "dt"}


def checked(parameters: Parameters) -> LandscapeCell:
    """Check the parameters of a cell."""
    at = {**defaults_of(parameters["landscape"]), **parameters}
    for name, value in at.items():
        if value is Parameter.empty:
            raise ParameterError(name, None, "given in base or axes")
    make = OF_SCALARS[at["landscape"]]
    landscape = make(**{name: at[name] for name in signature(make).parameters})
    if landscape.dim is None:
        raise ParameterError("landscape", at["landscape"], "one of a given dimension")
    # No core ends a path, as in `simulate_grokking`.
    start = number("rho_start", at["rho_start"], low=0, open_low=True)
    system: Any = choice("system", at["system"], get_args(Coordinates))
    problem = Problem(
        optimizer=Optimizer(**{name: at[name] for name in OF_OPTIMIZER}),
        geometry=Geometry(rho_start=start, rho_core=start / 2, dim=landscape.dim),
        noise=noise_of(landscape.dim, at["sigma"], at["sigma_spread"]),
        landscape=landscape,
        system=system,
    )
    max_steps = integer("max_steps", at["max_steps"], low=1)
    low = max_steps / MOST_TIME_STEPS
    dt = number("dt", at["dt"], low=low, high=max_steps, open_high=False)
    check_time_step(problem, dt)
    losses = {n: number(n, at[n], low=0, open_low=True) for n in ("train_loss", "test_loss")}
    return LandscapeCell(problem, max_steps, dt, **losses)


def noise_of(dim: int, sigma: Any, spread: Any) -> Any:
    """Noise of a cell; an error names the parameter as the plan does."""
    try:
        return broad_noise(dim, sigma=sigma, spread=number("sigma_spread", spread, low=0))
    except ParameterError as error:
        name = {"spread": "sigma_spread"}.get(error.field, error.field)
        raise ParameterError(name, error.value, error.allowed) from None


def expected_cost(parameters: Parameters, paths: int) -> Cost:
    """What a cell costs if no path generalizes; the order of cells hangs on it, no result."""
    cell = checked(parameters)
    return Cost(cell.max_steps / cell.dt * cell.problem.geometry.dim, paths)


def simulate(
    parameters: Parameters,
    seed: int,
    *,
    paths: int,
    threads: int,
    check: Callable[[], None] | None = None,
) -> Stages:
    """Simulate a cell.

    `check` is called now and then, and may raise to stop it.
    """
    cell = checked(parameters)
    problem = cell.problem
    result = simulate_grokking(
        problem.optimizer,
        problem.noise,
        problem.landscape,
        rho_start=problem.geometry.rho_start,
        dim=problem.geometry.dim,
        train_loss=cell.train_loss,
        test_loss=cell.test_loss,
        system=problem.system,  # type: ignore[arg-type]  # checked not to be the radial one
        n_paths=paths,
        max_steps=cell.max_steps,
        seed=seed,
        dt=cell.dt,
        threads=threads,
        progress=None if check is None else lambda _: check(),
    )
    return stages(result)


def stages(result: GrokkingResult) -> Stages:
    """What is kept of a simulation."""
    mem, peak, grok = result.memorized, result.peak, result.generalized
    began = np.where(np.isfinite(mem.steps), mem.steps, 0.0)
    ended = np.where(result.status == Status.HIT, grok.steps, result.end_steps)
    return Stages(
        *(mem.steps, mem.rho2, mem.root_v),
        *(peak.steps, peak.rho2, peak.root_v),
        *(grok.steps, grok.rho2, grok.root_v),
        escape_steps=np.where(result.status == Status.FAILED, np.nan, ended - began),
        status=result.status,
    )


def summarized(found: Stages) -> dict[str, float]:
    """Numbers of a cell."""
    all_times = EscapeTimes(found.escape_steps, found.status)
    memorized = np.isfinite(found.t_mem)
    delay = Estimate(math.nan, math.nan)
    if memorized.any():
        delay = EscapeTimes(found.escape_steps[memorized], found.status[memorized]).mean
    return {
        "n_paths": all_times.n_paths,
        "mean_steps": delay.value,
        "stderr_steps": delay.stderr,
        **{f"mean_{name}": mean(getattr(found, name)) for name in AVERAGED},
        "censored_fraction": all_times.censored_fraction,
        "failed_fraction": all_times.failed_fraction,
        "unmemorized_fraction": 1 - float(np.mean(memorized)),
    }


def mean(values: Array) -> float:
    """Mean of what is known."""
    known = values[np.isfinite(values)]
    return float(np.mean(known)) if known.size else math.nan


AVERAGED = ("t_mem", "rho2_mem", "rho2_peak", "rho2_grok")

STAGES = Kind(
    checked=checked,
    labels=labels,
    expected_cost=expected_cost,
    simulate=simulate,
    paths=Stages,
    variables={name: VARIABLES[name] for name in Stages._fields},
    summary={
        "n_paths": ("1", "number of paths; 0 if the cell is not there"),
        "mean_steps": (
            "steps",
            "mean delay of paths that memorized; restricted to what was seen, if some are censored",
        ),
        "stderr_steps": ("steps", "standard error of mean_steps"),
        **{
            f"mean_{name}": (VARIABLES[name].units, f"mean of {name} over paths that have one")
            for name in AVERAGED
        },
        "censored_fraction": ("1", "part of the paths that had not memorized and generalized"),
        "failed_fraction": ("1", "part of the paths that became non-finite"),
        "unmemorized_fraction": ("1", "part of the paths that never memorized"),
    },
    summarized=summarized,
)
