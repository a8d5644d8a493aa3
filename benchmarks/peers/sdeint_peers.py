"""sdeint: whole paths, no stopping; the passage is looked for afterwards.

One path a call is how sdeint is meant. Most of that time is Python's, so the stacked form
integrates STACK independent equations as one system; G, a full matrix, sets the best size.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from peers.workloads import (
    CORE,
    CORE2,
    DECAY,
    DIM,
    EPS,
    ETA,
    GAMMA,
    HORIZON,
    RATE1,
    RATE2,
    REPULSION,
    START,
    STEP,
    Array,
    D,
    Q,
    S,
    Timing,
    adam_start,
    on_axis,
    on_shell,
    timing,
)

STACK = 128


def _first_passage(workload: str, systems: list[NDArray[np.bool_]]) -> Timing:
    """Return when each path is first inside the core; `systems` hold tables time × path."""
    inside = np.concatenate(systems, axis=1)
    hit, last = inside.any(axis=0), len(inside) - 1
    steps = np.where(hit, inside.argmax(axis=0), last).astype(float)
    done = timing(workload, steps, last * inside.shape[1])
    return done._replace(times=np.where(hit, done.times, np.nan))


def _grid(workload: str) -> Array:
    return STEP[workload] * np.arange(round(HORIZON[workload] / STEP[workload]) + 1)


def sdeint_radial(n_paths: int, seed: int, stack: int) -> Timing:
    from sdeint import itoEuler

    rng, grid, g = np.random.default_rng(seed), _grid("radial"), Q * np.eye(stack)

    def system() -> NDArray[np.bool_]:
        start = np.full(stack, START)
        rho = itoEuler(
            lambda r, t: REPULSION / r - GAMMA * r, lambda r, t: g, start, grid, generator=rng
        )
        return rho <= CORE

    return _first_passage("radial", [system() for _ in range(math.ceil(n_paths / stack))])


def sdeint_vector(n_paths: int, seed: int, stack: int) -> Timing:
    from sdeint import itoEuler

    rng, grid, g = np.random.default_rng(seed), _grid("vector"), Q * np.eye(stack * D)

    def system() -> NDArray[np.bool_]:
        start = on_axis(stack).ravel()
        x = itoEuler(lambda x, t: -GAMMA * x, lambda x, t: g, start, grid, generator=rng)
        x = x.reshape(len(grid), stack, D)
        return np.einsum("tij,tij->ti", x, x) <= CORE**2

    return _first_passage("vector", [system() for _ in range(math.ceil(n_paths / stack))])


def sdeint_reduced(n_paths: int, seed: int) -> Timing:
    from sdeint import itoEuler

    rng, grid, g = np.random.default_rng(seed), _grid("reduced"), np.zeros((DIM, DIM))

    def scale(x: Array) -> Array:
        h = DECAY * x
        return np.sqrt(h * h + S**2) + EPS

    def diffusion(x: Array, t: float) -> Array:
        g.flat[:: DIM + 1] = math.sqrt(ETA) * S / scale(x)
        return g

    def path(start: Array) -> NDArray[np.bool_]:
        x = itoEuler(lambda x, t: -DECAY * x / scale(x), diffusion, start, grid, generator=rng)
        return np.einsum("ij,ij->i", x, x)[:, None] <= CORE2

    return _first_passage("reduced", [path(start) for start in on_shell(n_paths, seed)])


def sdeint_joint(n_paths: int, seed: int) -> Timing:
    from sdeint import itoEuler

    rng, grid, g = np.random.default_rng(seed), _grid("joint"), np.zeros((3 * DIM, DIM))
    np.fill_diagonal(g[DIM : 2 * DIM], RATE1 / math.sqrt(ETA) * S)

    def drift(y: Array, t: float) -> Array:
        x, m, v = y[:DIM], y[DIM : 2 * DIM], y[2 * DIM :]
        h, f = DECAY * x, np.empty(3 * DIM)
        f[:DIM] = -m / (np.sqrt(v) + EPS)
        f[DIM : 2 * DIM] = RATE1 / ETA * (h - m)
        f[2 * DIM :] = RATE2 / ETA * (h * h + S**2 - v)
        return f

    def path(x: Array) -> NDArray[np.bool_]:
        start = np.concatenate(adam_start(x))
        y = itoEuler(drift, lambda y, t: g, start, grid, generator=rng)[:, :DIM]
        return np.einsum("ij,ij->i", y, y)[:, None] <= CORE2

    return _first_passage("joint", [path(x) for x in on_shell(n_paths, seed)])
