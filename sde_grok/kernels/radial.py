"""First passage of many radial paths: one number a path, 64 paths in lockstep.

A step is Strang's splitting: half a step of the deterministic flow, the noise of a whole step,
another half step of flow. On a flat landscape the flow of V = ρ² is linear, V ← shrink·V + grow. On
one that is a function of ρ, half a step is one of the explicit midpoint rule, and the noise has the
intensity q of where it begins.
"""

import math
from typing import NamedTuple

import numpy as np

from sde_grok.kernels.bridge import FARTHEST_PRODUCT, bridge_crossing, digit, first_digits
from sde_grok.kernels.jit import fma, inlined, kernel
from sde_grok.kernels.normals import fill_normals
from sde_grok.kernels.outcome import (
    CENSORED,
    FAILED,
    HIT,
    PATH_STEPS,
    STOP,
    whole_groups,
)
from sde_grok.kernels.philox import MOVE

__all__ = ["BLOCK", "LocalStep", "RadialStep", "first_passage", "local_first_passage"]

BLOCK = 16  # steps between two looks at the barrier; a whole number of Philox counters
LONGEST_HALF = 0.1  # part of V by which shrinkage and loss may change it in half a step
NO_NOISE = 1e-150  # standard deviation below which distances in its units could overflow


class RadialStep(NamedTuple):
    """One time step Δ, and the barrier. All fields of one float type, that of the simulation."""

    shrink: float  # half a step of flow: V ← shrink·V + grow
    grow: float
    noise: float  # standard deviation of the radius in a whole step
    core: float  # V*
    side: float  # +1: passed from outside, −1: from inside


class LocalStep(NamedTuple):
    """One time step Δ where θ·∇L and f depend on ρ, and the barrier; s = slope·f + offset.

    All fields of one float type, that of the simulation.
    """

    half: float  # Δ/2
    quarter: float
    root: float  # √Δ
    others: float  # d − 1
    coupled: float  # λ, if its shrinkage is coupled
    decoupled: float
    spread: float  # q = spread·f/s
    slope: float
    offset: float
    core: float  # V*
    side: float  # as of RadialStep


class Lanes(NamedTuple):
    """What is known of the paths in lockstep, one entry a lane; a block is of `BLOCK` steps."""

    path: np.ndarray
    steps: np.ndarray
    counter: np.ndarray  # of Philox
    rho2: np.ndarray
    past: np.ndarray  # ρ² at the grid points of a block, start included
    noise: np.ndarray  # standard deviation of ρ in each step of a block
    nearest: np.ndarray  # distance side·(V − V*) at the nearest grid point of a block, or less


@inlined
def _advance(step, rho2, z):
    """One time step of the squared radius."""
    rho = math.sqrt(fma(step.shrink, rho2, step.grow))
    rho = fma(step.noise, z, rho)
    return fma(step.shrink, rho * rho, step.grow)


@inlined
def _fall(step, rho2, pull, f):
    """2(λ/s)V + (2/s) θ·∇L, or with 2λV: what shrinkage and loss take of V; `pull` is θ·∇L."""
    s = fma(step.slope, f, step.offset)
    shrinkage = (step.coupled * rho2 + pull) / s + step.decoupled * rho2
    return shrinkage + shrinkage  # 2 · would be a double


@inlined
def _drift(step, rho2, pull, f):
    """dV/dt without noise, (d−1)q² less what shrinkage and loss take."""
    q = step.spread * f / fma(step.slope, f, step.offset)
    return step.others * q * q - _fall(step, rho2, pull, f)


@inlined
def _flow(step, rho2, width, n, forces, parameters, middle, pull, f):
    """Half a step of flow, by the explicit midpoint rule; `forces` looks at the first n lanes."""
    forces(rho2, n, parameters, pull, f)
    for lane in range(width):
        drift = _drift(step, rho2[lane], pull[lane], f[lane])
        middle[lane] = fma(step.quarter, drift, rho2[lane])
    forces(middle, n, parameters, pull, f)
    for lane in range(width):
        drift = _drift(step, middle[lane], pull[lane], f[lane])
        after = fma(step.half, drift, rho2[lane])
        part = step.half * abs(_fall(step, middle[lane], pull[lane], f[lane]))
        fine = after >= 0 and part <= LONGEST_HALF * middle[lane]
        rho2[lane] = after if fine else np.nan  # the step is too long for the flow


@inlined
def _kick(step, rho2, width, n, forces, parameters, z, noise, pull, f):
    """Noise of a whole step; its standard deviation, q√Δ at its start, is written to `noise`."""
    forces(rho2, n, parameters, pull, f)
    for lane in range(width):
        noise[lane] = step.spread * f[lane] / fma(step.slope, f[lane], step.offset) * step.root
        rho = fma(noise[lane], z[lane], np.sqrt(rho2[lane]))
        rho2[lane] = rho * rho


@inlined
def _margin(noise, core):
    """Distance |V − V*| at which no bridge can cross.

    It can only if ab < 20, a and b the distances in ρ at the ends of a step in units of the noise;
    the nearer end is then within √20.
    """
    reach = math.sqrt(FARTHEST_PRODUCT) * noise
    return reach * (2 * math.sqrt(core) + reach)


@inlined
def _monitored_end(rho2, k, step, last):
    """Walk along one path's block, ρ² at its grid points: (status or −1, time, steps, ρ²)."""
    for i in range(BLOCK):
        now, after = k + i, rho2[i + 1]
        if now + 1 > last:
            return CENSORED, last, now, np.float64(rho2[i])
        if not after < np.inf:
            return FAILED, np.nan, now + 1, np.nan
        if step.side * (after - step.core) <= 0:
            return HIT, now + 1.0, now + 1, np.float64(after)
    return -1, 0.0, k, 0.0


@inlined
def _bridged_end(rho2, noises, k, path, step, last, k0, k1):
    """Walk along one path's block as `_monitored_end` does, and look between the grid points.

    `noises` are the standard deviations of the radius in each step.
    """
    core, side = np.float64(step.core), np.float64(step.side)
    digits = first_digits(np.uint64(k), path, k0, k1)
    b = side * (math.sqrt(rho2[0]) - math.sqrt(core))
    for i in range(BLOCK):
        now, after, noise = k + i, np.float64(rho2[i + 1]), np.float64(noises[i])
        if now < last and not after < np.inf:
            return FAILED, np.nan, now + 1, np.nan
        a, b = b, side * (math.sqrt(after) - math.sqrt(core))
        part = -1.0
        if noise < NO_NOISE and b <= 0.0:  # an exponential
            part = math.log(rho2[i] / core) / math.log(rho2[i] / after)
        elif a * b < FARTHEST_PRODUCT * noise * noise:
            part = bridge_crossing(
                a / noise, b / noise, digit(digits, i), np.uint64(now), path, k0, k1
            )
        if part >= 0.0 and now + part <= last:
            return HIT, now + part, now + 1, core
        if now + 1 > last:
            return CENSORED, last, now, np.float64(rho2[i])
    return -1, 0.0, k, 0.0


@inlined
def _empty_lanes(lanes, start, noise):
    return Lanes(
        path=np.zeros(lanes, np.uint64),
        steps=np.zeros(lanes, np.int64),
        counter=np.zeros(lanes, np.uint64),
        rho2=np.full(lanes, start),
        past=np.full((BLOCK + 1, lanes), start),
        noise=np.full((BLOCK, lanes), noise),
        nearest=np.full(lanes, start),
    )


@inlined
def _begin(state, n, more, first, start):
    """Put the next paths, of which `first` is one, in `more` lanes from the n-th on."""
    for new in range(more):
        lane = n + new
        state.path[lane], state.rho2[lane] = first + new, start
        state.steps[lane], state.counter[lane] = 0, 0


@inlined
def _draw(state, width, z, k0, k1):
    """Draw the normals of a block, and count its steps."""
    path, counter, counters = state.path, state.counter, np.uint64(BLOCK * z.itemsize // 16)
    fill_normals(z, width, counter, np.uint64(1), 0, np.uint64(0), path, MOVE, k0, k1)
    for lane in range(width):
        counter[lane] += counters  # 16 bytes of normals from each
        state.steps[lane] += BLOCK


@inlined
def _retire(state, n, first, limit, step, last, bridge, key, outcome):
    """Record the paths that ended and close the gaps; return how many of the `n` lanes go on."""
    path, steps, rho2, k0, k1 = state.path, state.steps, state.rho2, key.low, key.high
    for lane in range(n - 1, -1, -1):  # downwards: the last lane moves into a freed one
        far = state.nearest[lane] > limit
        if far and steps[lane] < last and rho2[lane] < np.inf:
            continue
        block, k = state.past[:, lane], steps[lane] - BLOCK
        if bridge:
            end = _bridged_end(block, state.noise[:, lane], k, path[lane], step, last, k0, k1)
        else:
            end = _monitored_end(block, k, step, last)
        status, time, taken, last_rho2 = end
        if status < 0:
            continue
        p = np.int64(path[lane]) - first
        outcome.time[p], outcome.steps[p] = time, taken
        outcome.status[p], outcome.rho2[p] = status, last_rho2
        n -= 1
        path[lane], rho2[lane] = path[n], rho2[n]
        steps[lane], state.counter[lane] = steps[n], state.counter[n]
    return n


@kernel
def first_passage(first, start, step, last, bridge, key, lanes, outcome, control):
    """Simulate paths `first`, `first` + 1, … until each passes the core or `last` steps are over.

    Parameters
    ----------
    first : int
        Number of the first path.
    start : float
        V₀, of the float type of the simulation.
    step : RadialStep
    last : float
        Censoring time, in steps; not necessarily whole.
    bridge : bool
        Whether crossings between grid points count, and get a time of their own.
    key : Key
    lanes : int
        Paths in lockstep, a multiple of 8.
    outcome : Outcome
        Written to; `time` in steps.
    control : int64 array
    """
    k0, k1 = key
    limit = step.side * step.core + (_margin(step.noise, step.core) if bridge else 0.0)
    state = _empty_lanes(lanes, start, step.noise)
    rho2, past, nearest = state.rho2, state.past, state.nearest
    z = np.empty((BLOCK, lanes), rho2.dtype)
    n, waiting, n_paths = 0, 0, outcome.time.size
    while control[STOP] == 0:
        more = min(lanes - n, n_paths - waiting)
        _begin(state, n, more, first + waiting, start)
        n, waiting = n + more, waiting + more
        if n == 0:
            break
        width = whole_groups(n)
        for lane in range(width):
            past[0, lane] = rho2[lane]
            nearest[lane] = step.side * rho2[lane]
        _draw(state, width, z, k0, k1)
        for i in range(BLOCK):
            noise, now = z[i], past[i + 1]
            for lane in range(width):
                rho2[lane] = _advance(step, rho2[lane], noise[lane])
                now[lane] = rho2[lane]
                outside = step.side * rho2[lane]
                nearest[lane] = min(nearest[lane], outside)
        n = _retire(state, n, first, limit, step, last, bridge, key, outcome)
        control[PATH_STEPS] += BLOCK * n


@kernel
def local_first_passage(
    first, start, step, last, bridge, forces, parameters, key, lanes, outcome, control
):
    """Simulate as `first_passage` does, where θ·∇L and f are functions of ρ.

    Parameters
    ----------
    first, start, last, bridge, key, lanes, outcome, control :
        As of `first_passage`.
    step : LocalStep
    forces : pointer
        forces(V, n, parameters, pull, f): writes θ·∇L and f of the first n lanes, at their V.
    parameters : (n,) array
        Handed to `forces`.
    """
    k0, k1 = key
    limit = step.side * step.core
    state = _empty_lanes(lanes, start, start)
    rho2, past, nearest = state.rho2, state.past, state.nearest
    z, middle = np.empty((BLOCK, lanes), rho2.dtype), np.full(lanes, start)
    pull, f = np.zeros_like(rho2), np.zeros_like(rho2)
    n, waiting, n_paths = 0, 0, outcome.time.size
    while control[STOP] == 0:
        more = min(lanes - n, n_paths - waiting)
        _begin(state, n, more, first + waiting, start)
        n, waiting = n + more, waiting + more
        if n == 0:
            break
        width = whole_groups(n)
        past[0, :width], nearest[:width] = rho2[:width], np.inf
        _draw(state, width, z, k0, k1)
        for i in range(BLOCK):
            before, now, noise = past[i], past[i + 1], state.noise[i]
            _flow(step, rho2, width, n, forces, parameters, middle, pull, f)
            _kick(step, rho2, width, n, forces, parameters, z[i], noise, pull, f)
            _flow(step, rho2, width, n, forces, parameters, middle, pull, f)
            for lane in range(width):
                now[lane] = rho2[lane]
                reach = _margin(noise[lane], step.core) if bridge else 0.0
                outside = min(step.side * before[lane], step.side * now[lane])
                nearest[lane] = min(nearest[lane], outside - reach)
        n = _retire(state, n, first, limit, step, last, bridge, key, outcome)
        control[PATH_STEPS] += BLOCK * n
