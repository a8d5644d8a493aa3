"""NumPy: all running paths at once, finished ones removed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from peers.workloads import (
    CORE,
    CORE2,
    DECAY,
    DT,
    EPS,
    ETA,
    GAMMA,
    KICK,
    RATE1,
    RATE2,
    REPULSION,
    START,
    Array,
    S,
    Timing,
    adam_start,
    on_axis,
    on_shell,
    timing,
)


def random_generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))  # the fastest of NumPy's bit generators


def _compacting(step: Callable[..., NDArray[np.bool_]], *state: Array) -> Array:
    """Return the number of steps of each path; `step` advances in place and says who has hit."""
    n = len(state[0])
    steps, label, k = np.empty(n), np.arange(n), 0
    while n:
        k += 1
        stop = step(*(x[:n] for x in state))
        hit = np.flatnonzero(stop)
        if hit.size:
            steps[label[hit]] = k
            n -= hit.size
            # The last running paths move into the gaps: cheaper than copying all that run.
            gaps, movers = hit[hit < n], n + np.flatnonzero(~stop[n : n + hit.size])
            for x in (label, *state):
                x[gaps] = x[movers]
    return steps


def numpy_radial(n_paths: int, seed: int) -> Timing:
    rng = random_generator(seed)

    def step(rho: Array) -> NDArray[np.bool_]:
        move = rng.standard_normal(len(rho))
        move *= KICK
        move += (REPULSION * DT) / rho
        rho *= 1 - GAMMA * DT
        rho += move
        return rho <= CORE

    return timing("radial", _compacting(step, np.full(n_paths, START)))


def numpy_vector(n_paths: int, seed: int) -> Timing:
    rng = random_generator(seed)

    def step(x: Array) -> NDArray[np.bool_]:
        move = rng.standard_normal(x.shape)
        move *= KICK
        x *= 1 - GAMMA * DT
        x += move
        return np.einsum("ij,ij->i", x, x) <= CORE**2

    return timing("vector", _compacting(step, on_axis(n_paths)))


def numpy_reduced(n_paths: int, seed: int) -> Timing:
    rng = random_generator(seed)

    def step(x: Array) -> NDArray[np.bool_]:
        h = DECAY * x
        p = h * h
        p += S**2
        np.sqrt(p, out=p)
        p += EPS
        move = rng.standard_normal(x.shape)
        move *= S
        move += h
        move /= p
        move *= ETA
        x -= move
        return np.einsum("ij,ij->i", x, x) <= CORE2

    return timing("reduced", _compacting(step, on_shell(n_paths, seed)))


def numpy_joint(n_paths: int, seed: int) -> Timing:
    rng = random_generator(seed)

    def step(x: Array, m: Array, v: Array) -> NDArray[np.bool_]:
        h = DECAY * x
        p = np.sqrt(v)
        p += EPS
        np.divide(m, p, out=p)
        p *= ETA
        x -= p
        force = rng.standard_normal(x.shape)
        force *= S
        force += h
        force *= RATE1
        m *= 1 - RATE1
        m += force
        h *= h
        h += S**2
        h *= RATE2
        v *= 1 - RATE2
        v += h
        return np.einsum("ij,ij->i", x, x) <= CORE2

    return timing("joint", _compacting(step, *adam_start(on_shell(n_paths, seed))))
