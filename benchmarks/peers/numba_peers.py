"""Numba: a loop over paths with early exit.

Each kernel is compiled twice: naively, with prange and np.random, and with a Generator, whose
normals are several times faster but whose single stream ties it to one thread.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from peers.numpy_peers import random_generator
from peers.workloads import (
    CORE,
    CORE2,
    DECAY,
    DIM,
    DT,
    EPS,
    ETA,
    GAMMA,
    KICK,
    RATE1,
    RATE2,
    REPULSION,
    START,
    START2,
    Array,
    D,
    S,
    Timing,
    on_shell,
    timing,
)


@njit
def _legacy(rng):
    return np.random.normal()  # noqa: NPY002  what most people write


@njit
def _modern(rng):
    return rng.standard_normal()


@njit
def _seed(seed):
    np.random.seed(seed)  # noqa: NPY002  reaches one thread only


def _radial(draw, rng, n_paths):
    steps = np.empty(n_paths)
    for i in prange(n_paths):
        rho, k = START, 0
        while rho > CORE:
            rho += (REPULSION / rho - GAMMA * rho) * DT + KICK * draw(rng)
            k += 1
        steps[i] = k
    return steps


def _vector(draw, rng, n_paths):
    steps = np.empty(n_paths)
    for i in prange(n_paths):
        x = np.zeros(D)
        x[0] = START
        k, r2 = 0, START**2
        while r2 > CORE**2:
            r2 = 0.0
            for j in range(D):
                x[j] += -GAMMA * x[j] * DT + KICK * draw(rng)
                r2 += x[j] ** 2
            k += 1
        steps[i] = k
    return steps


def _reduced(draw, rng, start):
    steps = np.empty(len(start))
    for i in prange(len(start)):
        x = start[i].copy()
        k, r2 = 0, START2
        while r2 > CORE2:
            r2 = 0.0
            for j in range(DIM):
                h = DECAY * x[j]
                x[j] -= ETA * (h + S * draw(rng)) / (math.sqrt(h * h + S * S) + EPS)
                r2 += x[j] ** 2
            k += 1
        steps[i] = k
    return steps


def _joint(draw, rng, start):
    steps = np.empty(len(start))
    for i in prange(len(start)):
        x = start[i].copy()
        m = DECAY * x
        v = m**2 + S**2
        k, r2 = 0, START2
        while r2 > CORE2:
            r2 = 0.0
            for j in range(DIM):
                h = DECAY * x[j]
                x[j] -= ETA * m[j] / (math.sqrt(v[j]) + EPS)
                m[j] += RATE1 * (h - m[j] + S * draw(rng))
                v[j] += RATE2 * (h * h + S * S - v[j])
                r2 += x[j] ** 2
            k += 1
        steps[i] = k
    return steps


KERNELS = {"radial": _radial, "vector": _vector, "reduced": _reduced, "joint": _joint}
NAIVE = {workload: njit(parallel=True)(kernel) for workload, kernel in KERNELS.items()}
SERIAL = {workload: njit(kernel) for workload, kernel in KERNELS.items()}


def _numba_start(workload: str, n_paths: int, seed: int) -> int | Array:
    return n_paths if workload in {"radial", "vector"} else on_shell(n_paths, seed)


def naive_numba(workload: str, n_paths: int, seed: int) -> Timing:
    _seed(seed)
    start = _numba_start(workload, n_paths, seed)
    return timing(workload, NAIVE[workload](_legacy, 0, start))


def numba_generator(workload: str, n_paths: int, seed: int) -> Timing:
    start = _numba_start(workload, n_paths, seed)
    return timing(workload, SERIAL[workload](_modern, random_generator(seed), start))
