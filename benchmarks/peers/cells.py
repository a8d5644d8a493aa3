"""The radial passage of any cell of a scan, by Euler–Maruyama with other tools.

dρ = [(d−1)q²/(2ρ) − γρ] dt + q dB from `start` until ρ <= `core`. Every function takes a `Passage`,
a number of paths and a seed, and returns passage times in units of t.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from peers.numpy_peers import random_generator

Array = NDArray[np.float64]
BATCH = 256  # paths of a call of diffrax: one shape, so one compilation
STACK = 128  # equations in one system of sdeint


class Passage(NamedTuple):
    """Parameters of a cell, the step of Euler's scheme, and when nearly all paths are over."""

    start: float
    core: float
    gamma: float
    q: float
    repulsion: float  # (d−1)q²/2
    dt: float
    horizon: float


@njit(parallel=True)
def _naive(start, core, gamma, q, repulsion, dt, n_paths):
    times = np.empty(n_paths)
    kick = q * math.sqrt(dt)
    for i in prange(n_paths):
        rho, k = start, 0
        while rho > core:
            rho += (repulsion / rho - gamma * rho) * dt + kick * np.random.normal()  # noqa: NPY002
            k += 1
        times[i] = k * dt
    return times


def naive_numba(passage: Passage, n_paths: int, seed: int) -> Array:
    """What most people write; its threads' generators cannot be seeded from here."""
    return _naive(*passage[:6], n_paths)


def numpy_vectorised(passage: Passage, n_paths: int, seed: int) -> Array:
    """All running paths at once; those that have ended are taken out."""
    rng, dt = random_generator(seed), passage.dt
    rho, label = np.full(n_paths, passage.start), np.arange(n_paths)
    times, kick, k = np.empty(n_paths), passage.q * math.sqrt(dt), 0
    while rho.size:
        k += 1
        rho += (passage.repulsion / rho - passage.gamma * rho) * dt
        rho += kick * rng.standard_normal(rho.size)
        over = rho <= passage.core
        if over.any():
            times[label[over]] = k * dt
            rho, label = rho[~over], label[~over]
    return times


@cache
def _diffrax() -> Any:
    import diffrax
    import jax

    jax.config.update("jax_enable_x64", True)

    def steps(key: Any, start: Any, core: Any, gamma: Any, q: Any, repulsion: Any, dt: Any) -> Any:
        shape = jax.ShapeDtypeStruct((), np.float64)
        noise = diffrax.ControlTerm(lambda t, y, args: q, diffrax.UnsafeBrownianPath(shape, key))
        drift = diffrax.ODETerm(lambda t, r, args: repulsion / r - gamma * r)
        solution = diffrax.diffeqsolve(
            diffrax.MultiTerm(drift, noise),
            diffrax.Euler(),
            t0=0.0,
            t1=np.inf,
            dt0=dt,
            y0=start,
            event=diffrax.Event(lambda t, r, args, **kwargs: r <= core),
            adjoint=diffrax.ForwardMode(),
            max_steps=None,
        )
        return solution.stats["num_steps"] * dt

    return jax.jit(jax.vmap(steps, in_axes=(0, *[None] * 6)))


def diffrax_vmapped(passage: Passage, n_paths: int, seed: int) -> Array:
    """Euler with an Event under vmap, in batches of one size, which wait for their slowest path."""
    import jax

    solve, parts = _diffrax(), []
    for batch in range(math.ceil(n_paths / BATCH)):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), batch), BATCH)
        parts.append(np.asarray(solve(keys, *passage[:6])))
    return np.concatenate(parts)[:n_paths]


def sdeint_stacked(passage: Passage, n_paths: int, seed: int) -> Array:
    """Independent equations as one system, to the horizon; later passages are nan."""
    from sdeint import itoEuler

    rng, g, parts = np.random.default_rng(seed), passage.q * np.eye(STACK), []
    grid = passage.dt * np.arange(math.ceil(passage.horizon / passage.dt) + 1)
    for _ in range(math.ceil(n_paths / STACK)):
        rho = itoEuler(
            lambda r, t: passage.repulsion / r - passage.gamma * r,
            lambda r, t: g,
            np.full(STACK, passage.start),
            grid,
            generator=rng,
        )
        inside = rho <= passage.core
        parts.append(np.where(inside.any(axis=0), grid[inside.argmax(axis=0)], np.nan))
    return np.concatenate(parts)[:n_paths]


CELL_PEERS = {
    "naive numba": naive_numba,
    "numpy": numpy_vectorised,
    "diffrax": diffrax_vmapped,
    "sdeint, stacked": sdeint_stacked,
}
