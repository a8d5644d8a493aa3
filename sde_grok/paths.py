"""From a problem to a compiled kernel with its arguments: what `runner` calls on chunks of paths."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, number
from sde_grok.kernels import radial
from sde_grok.kernels.coordinates import coordinate_kernel
from sde_grok.kernels.outcome import LANE_GROUP, PENDING, STAGE_FIELDS, Key, Outcome, Threshold
from sde_grok.kernels.radial import LONGEST_HALF
from sde_grok.kernels.sweeps import Coefficients
from sde_grok.landscapes.landscape import lanes_pointer, radial_pointer
from sde_grok.laws.limits import law_limit
from sde_grok.laws.passage import laplace_transform
from sde_grok.noise import DenseNoise, IsotropicNoise
from sde_grok.problem import MOST_LANES, Numerics, Problem, System
from sde_grok.rungs.radial import local_step, splitting

__all__ = [
    "Kernel",
    "Stops",
    "check_time_step",
    "default_lanes",
    "default_time_step",
    "empty_outcome",
    "fields",
    "path_kernel",
]

Kernel = Callable[[int, Outcome, NDArray[np.int64]], None]

LONGEST_STEP = 300.0  # γΔt: e^{−300} is a normal float, squared too
SHORT_PART = 0.02  # of ρ², by which shrinkage and loss change it in a default step
CACHE_BYTES = 2**19  # for the states of all lanes: half of a second-level cache


def fields(system: System) -> tuple[str, ...]:
    """What the state of a rung consists of, d numbers each."""
    return {"radial": (), "reduced": ("theta",)}.get(system, ("theta", "m", "v"))


def default_lanes(problem: Problem) -> int:
    """As many lanes as the cache holds."""
    bytes_a_lane = 8 * problem.geometry.dim * (1 + len(fields(problem.system)))
    if problem.system == "radial" or bytes_a_lane * MOST_LANES <= CACHE_BYTES:
        return MOST_LANES
    return max(LANE_GROUP, CACHE_BYTES // bytes_a_lane // LANE_GROUP * LANE_GROUP)


def default_time_step(problem: Problem, max_steps: int, *, bridge: bool) -> float:
    """Δt in optimizer steps: one, unless the rung has exact flows and a bridge, or quick flows."""
    if problem.system == "radial" and not problem.landscape.is_flat:
        rate = _rate_at_start(problem)
        return min(1.0, SHORT_PART / rate) if math.isfinite(rate) and rate > 0 else 1.0
    if problem.system != "radial" or not bridge or problem.rates is None:
        return 1.0
    gamma, q2 = problem.rates
    eta, dim = problem.optimizer.eta, problem.geometry.dim
    if q2 == 0:  # then any step is exact
        return min(1.0, 1 / (gamma * eta)) if gamma > 0 else 1.0
    start, core = problem.geometry.rho_start**2, problem.geometry.rho_core**2
    rate = gamma + dim * q2 / core
    if gamma > 0 and _is_out_of_reach(problem, max_steps):
        rate = min(rate, 3 * gamma)  # that of the floor d q²/2γ: no path comes near the core
    passage = law_limit(start, core, dim=dim, gamma=gamma, q2=q2)
    return min(0.01 / rate, 0.02 * passage) / eta


def _is_out_of_reach(problem: Problem, max_steps: int) -> bool:
    """Whether a path reaches the core in time with a probability below 1e-6.

    P(T <= t) <= e E exp(−T/t), and the Laplace transform of T is known; so is E T, and as
    P(T <= t) >= 1 − E T/t, that transform need not be looked at where E T <= t/2.
    """
    assert problem.rates is not None
    log_mean = problem.log_exact_mean_steps
    if log_mean is not None and log_mean <= math.log(max_steps / 2):
        return False
    gamma, q2 = problem.rates
    start, core = problem.geometry.rho_start**2, problem.geometry.rho_core**2
    alpha = 1 / (problem.optimizer.eta * max_steps)
    try:
        transform = laplace_transform(
            alpha, start, core, dim=problem.geometry.dim, gamma=gamma, q2=q2
        )
    except ParameterError:  # beyond the range of the closed form
        return False
    return math.e * transform < 1e-6


def _rate_at_start(problem: Problem) -> float:
    """|dV/dk|/V at the start by shrinkage and loss, on the radial rung of a landscape."""
    optimizer, landscape, V = problem.optimizer, problem.landscape, problem.geometry.rho_start**2
    assert landscape.radial is not None
    assert isinstance(problem.noise, IsotropicNoise)
    try:
        pull, f = landscape.radial(V, landscape.parameters)
    except Exception:  # noqa: BLE001  (a user's function: its paths will fail)
        return 0.0
    s = problem.s
    if s is None:
        s = f * problem.noise.sigma / math.sqrt(optimizer.batch_size) + optimizer.eps
    if not s > 0:
        return math.inf
    fall = (optimizer.coupled + pull / V) / s + optimizer.decoupled
    return float(abs(2 * optimizer.eta * fall))


def check_time_step(problem: Problem, dt: float) -> None:
    """Refuse a time step that the rung does not allow."""
    dt = number("dt", dt, low=0, open_low=True)
    optimizer = problem.optimizer
    if problem.system == "discrete" and dt != 1:
        raise ParameterError("dt", dt, "1 on the discrete rung")
    quickest = 1 - min(optimizer.beta1, optimizer.beta2)
    if problem.system == "joint" and quickest * dt > 1 + 1e-9:
        allowed = f"<= {1 / quickest:.4g}: on the joint rung (1 − βᵢ) dt <= 1"
        raise ParameterError("dt", dt, allowed)
    if problem.system == "radial" and not problem.landscape.is_flat:
        rate = _rate_at_start(problem)
        if rate * dt > 2 * LONGEST_HALF:
            allowed = f"<= {2 * LONGEST_HALF / rate:.4g}: a tenth of ρ² in half a step at the start"
            raise ParameterError("dt", dt, allowed)
    if problem.system == "radial" and problem.rates is not None and problem.rates.q2 > 0:
        rate = problem.rates.gamma * optimizer.eta
        if rate * dt > LONGEST_STEP:
            allowed = f"<= {LONGEST_STEP / rate:.4g} at this contraction rate"
            raise ParameterError("dt", dt, allowed)


class Stops(NamedTuple):
    """Where a path has memorized, and generalized; whether its norm is pinned until then."""

    memorized: Threshold
    generalized: Threshold
    pinned: bool = False


NOWHERE = Threshold(-math.inf, 0.0, 0.0)


def empty_outcome(problem: Problem, numerics: Numerics, *, staged: bool = False) -> Outcome:
    """Outcome of paths that have not been run."""
    n = numerics.n_paths
    kept = n if numerics.keep_end_state else 0
    return Outcome(
        time=np.full(n, np.nan),
        steps=np.zeros(n, np.int64),
        status=np.full(n, PENDING, np.int8),
        rho2=np.full(n, np.nan),
        state=np.full((kept, len(fields(problem.system)), problem.geometry.dim), np.nan),
        stages=np.full((n if staged else 0, STAGE_FIELDS), np.nan),
    )


def path_kernel(problem: Problem, numerics: Numerics, stops: Stops | None = None) -> Kernel:
    """Kernel of the problem's rung, as `run_paths` wants it.

    With `stops` these end a path, not its radius; not on the radial rung, which has none.
    """
    if problem.system != "radial":
        return _coordinate_paths(problem, numerics, stops)
    flat = problem.landscape.is_flat
    return _radial_paths(problem, numerics) if flat else _local_paths(problem, numerics)


def _looks(numerics: Numerics) -> int:
    """Time steps up to the censoring time, also where dt divides it but for rounding."""
    return math.floor(numerics.max_steps / numerics.dt * (1 + 1e-12))


def _last(numerics: Numerics) -> float:
    """Censoring time in time steps, not necessarily whole if crossings in between count."""
    return numerics.max_steps / numerics.dt if numerics.bridge else float(_looks(numerics))


def _key(seed: int) -> Key:
    return Key(np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32))


def _radial_paths(problem: Problem, numerics: Numerics) -> Kernel:
    assert problem.rates is not None
    gamma, q2 = problem.rates
    geometry, dtype = problem.geometry, numerics.dtype
    duration = numerics.dt * problem.optimizer.eta
    split = splitting(duration, dim=geometry.dim, gamma=gamma, q2=q2)
    numbers: Any = map(dtype, (*split, geometry.rho_core**2, geometry.side))
    step = radial.RadialStep(*numbers)
    start, last, key = dtype(geometry.rho_start**2), _last(numerics), _key(numerics.seed)

    def run(first: int, outcome: Outcome, control: NDArray[np.int64]) -> None:
        radial.first_passage(
            first, start, step, last, numerics.bridge, key, numerics.lanes, outcome, control
        )

    return run


def _local_paths(problem: Problem, numerics: Numerics) -> Kernel:
    assert isinstance(problem.noise, IsotropicNoise)
    geometry, landscape, dtype = problem.geometry, problem.landscape, numerics.dtype
    exact = local_step(
        numerics.dt * problem.optimizer.eta,
        dim=geometry.dim,
        optimizer=problem.optimizer,
        sigma=problem.noise.sigma,
        core=geometry.rho_core**2,
        side=geometry.side,
        s=problem.s,
    )
    numbers: Any = map(dtype, exact)
    step = radial.LocalStep(*numbers)
    start, last, key = dtype(geometry.rho_start**2), _last(numerics), _key(numerics.seed)
    forces = radial_pointer(landscape, numerics.precision == "single")
    parameters = landscape.parameters.astype(dtype)

    def run(first: int, outcome: Outcome, control: NDArray[np.int64]) -> None:
        radial.local_first_passage(
            first,
            start,
            step,
            last,
            numerics.bridge,
            forces,
            parameters,
            key,
            numerics.lanes,
            outcome,
            control,
        )

    return run


def _coordinate_paths(problem: Problem, numerics: Numerics, stops: Stops | None) -> Kernel:
    optimizer, geometry, dtype = problem.optimizer, problem.geometry, numerics.dtype
    _check_memory(problem, numerics)
    c = _coefficients(problem, numerics)
    deviation = problem.noise.deviations(geometry.dim) / math.sqrt(optimizer.batch_size)
    factor = np.empty((geometry.dim, 0))
    amplitude = deviation
    if isinstance(problem.noise, DenseNoise):
        factor = problem.noise.factor / math.sqrt(optimizer.batch_size)
        amplitude = np.ones(geometry.dim)
    landscape = problem.landscape
    gradient = lanes_pointer(landscape, numerics.precision == "single")
    arrays = [x.astype(dtype) for x in (amplitude, deviation**2, factor, landscape.parameters)]
    amplitude, variance, factor, parameters = arrays
    kernel = _compiled(problem.system, _room(numerics), stops is not None)
    core, side = (geometry.rho_core**2, geometry.side) if stops is None else (-1.0, 1.0)
    learned, general, pinned = stops or Stops(NOWHERE, NOWHERE)
    key, last = _key(numerics.seed), _looks(numerics)
    log_betas = tuple(
        math.log(beta) if beta > 0 else -math.inf for beta in (optimizer.beta1, optimizer.beta2)
    )

    def run(first: int, outcome: Outcome, control: NDArray[np.int64]) -> None:
        kernel(
            first,
            geometry.rho_start,
            core,
            side,
            last,
            learned,
            general,
            pinned,
            problem.correct_bias,
            log_betas,
            amplitude,
            variance,
            factor,
            gradient,
            parameters,
            c,
            key,
            numerics.lanes,
            outcome,
            control,
        )

    return run


def _room(numerics: Numerics) -> int:
    """Lanes that the kernel has room for: a narrow and a wide one are compiled."""
    return MOST_LANES if numerics.lanes > LANE_GROUP else LANE_GROUP


@lru_cache
def _compiled(system: System, lanes: int, staged: bool) -> Any:
    """The kernel of a rung; rungs are imported, and compiled, when they are first used."""
    rung = import_module(f"sde_grok.rungs.{system}")
    make: Any = coordinate_kernel
    return make(system, rung.sweep, fields=1 + len(fields(system)), lanes=lanes, stages=staged)


def _check_memory(problem: Problem, numerics: Numerics) -> None:
    """Refuse a dimension at which the states of all threads do not fit into memory."""
    numbers = problem.geometry.dim * (1 + len(fields(problem.system))) * _room(numerics)
    needed = numbers * numerics.threads * np.dtype(numerics.dtype).itemsize
    there = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if os.name == "posix" else math.inf
    )
    if needed > there:
        allowed = f"smaller: states need {needed / 1e9:.3g} GB, and {there / 1e9:.3g} GB are there"
        raise ParameterError("dim", problem.geometry.dim, allowed)


def _coefficients(problem: Problem, numerics: Numerics) -> Coefficients:
    optimizer, dt = problem.optimizer, numerics.dt * problem.optimizer.eta
    numbers = Coefficients(
        eta=optimizer.eta,
        beta1=optimizer.beta1,
        beta2=optimizer.beta2,
        eps=optimizer.eps,
        coupled=optimizer.coupled,
        decoupled=optimizer.decoupled,
        alpha1=1 - optimizer.beta1,
        alpha2=1 - optimizer.beta2,
        kappa1=(1 - optimizer.beta1) / optimizer.eta,
        kappa2=(1 - optimizer.beta2) / optimizer.eta,
        root_eta=math.sqrt(optimizer.eta),
        dt=dt,
        root_dt=math.sqrt(dt),
        stride=numerics.dt,
    )
    converted: Any = map(numerics.dtype, numbers)
    return Coefficients(*converted)
