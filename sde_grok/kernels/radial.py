"""First passage of many radial paths: one number a path, 64 paths in lockstep.

A step is Strang's splitting: half a step of the deterministic flow, the noise of a whole step,
another half step of flow. On V = ρ² the flow is linear, V ← shrink·V + grow.
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

__all__ = ["BLOCK", "RadialStep", "first_passage"]

BLOCK = 16  # steps between two looks at the barrier; a whole number of Philox counters


class RadialStep(NamedTuple):
    """One time step Δ, and the barrier. All fields of one float type, that of the simulation."""

    shrink: float  # half a step of flow: V ← shrink·V + grow
    grow: float
    noise: float  # standard deviation of the radius in a whole step
    core: float  # V*
    side: float  # +1: passed from outside, −1: from inside


@inlined
def _advance(step, rho2, z):
    """One time step of the squared radius."""
    rho = math.sqrt(fma(step.shrink, rho2, step.grow))
    rho = fma(step.noise, z, rho)
    return fma(step.shrink, rho * rho, step.grow)


@inlined
def _margin(step):
    """Distance |V − V*| at which no bridge can cross.

    It can only if ab < 20, a and b the distances in ρ at the ends of a step in units of the noise;
    the nearer end is then within √20.
    """
    reach = math.sqrt(FARTHEST_PRODUCT) * step.noise
    return reach * (2 * math.sqrt(step.core) + reach)


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
def _bridged_end(rho2, k, path, step, last, k0, k1):
    """Walk along one path's block as `_monitored_end` does, and look between the grid points."""
    core, noise, side = np.float64(step.core), np.float64(step.noise), np.float64(step.side)
    digits = first_digits(np.uint64(k), path, k0, k1)
    b = side * (math.sqrt(rho2[0]) - math.sqrt(core))
    for i in range(BLOCK):
        now, after = k + i, np.float64(rho2[i + 1])
        if now < last and not after < np.inf:
            return FAILED, np.nan, now + 1, np.nan
        a, b = b, side * (math.sqrt(after) - math.sqrt(core))
        part = -1.0
        if noise == 0.0 and b <= 0.0:  # an exponential
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
    limit = step.side * step.core + (_margin(step) if bridge else 0.0)
    n_paths = outcome.time.size
    z = np.empty((BLOCK, lanes), np.asarray(start).dtype)
    rho2 = np.full(lanes, start)
    past = np.full((BLOCK + 1, lanes), start)  # ρ² at the grid points of a block, start included
    nearest = np.full(lanes, start)
    path = np.zeros(lanes, np.uint64)
    steps = np.zeros(lanes, np.int64)
    counter = np.zeros(lanes, np.uint64)
    counters = np.uint64(BLOCK * z.itemsize // 16)  # of a block: 16 bytes of normals from each
    n, waiting = 0, 0
    while control[STOP] == 0:
        while n < lanes and waiting < n_paths:
            path[n], rho2[n], steps[n], counter[n] = first + waiting, start, 0, 0
            n, waiting = n + 1, waiting + 1
        if n == 0:
            break
        width = whole_groups(n)
        for lane in range(width):
            past[0, lane] = rho2[lane]
            nearest[lane] = step.side * rho2[lane]
        fill_normals(z, width, counter, np.uint64(1), 0, np.uint64(0), path, MOVE, k0, k1)
        for i in range(BLOCK):
            noise, now = z[i], past[i + 1]
            for lane in range(width):
                rho2[lane] = _advance(step, rho2[lane], noise[lane])
                now[lane] = rho2[lane]
                outside = step.side * rho2[lane]
                nearest[lane] = min(nearest[lane], outside)
        for lane in range(width):
            counter[lane] += counters
            steps[lane] += BLOCK
        for lane in range(n - 1, -1, -1):  # downwards: the last lane moves into a freed one
            far = nearest[lane] > limit
            if far and steps[lane] < last and rho2[lane] < np.inf:
                continue
            block, k = past[:, lane], steps[lane] - BLOCK
            if bridge:
                end = _bridged_end(block, k, path[lane], step, last, k0, k1)
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
            steps[lane], counter[lane] = steps[n], counter[n]
        control[PATH_STEPS] += BLOCK * n
