"""The workloads that all peers share, and what a call returns.

radial    dρ = [(d−1)q²/(2ρ) − γρ] dt + q dB, d = 8, γ = 1, q = 0.15, ρ from 1 to 0.5, Δt = 1e-3
vector    dx = −γx dt + q dW in d = 8, stopped at |x| <= 0.5: the same passage, coordinate by
          coordinate
reduced   rung 3 on a flat landscape, coupled decay, d = 128, ρ² from 128 to 32, Δt = η
joint     rung 2 of the same problem: parameters, momentum and second moment

All by plain Euler–Maruyama in double precision unless a peer adds more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Radial and vector: an Ornstein–Uhlenbeck process and its norm.
D, GAMMA, Q, START, CORE, DT = 8, 1.0, 0.15, 1.0, 0.5, 1e-3
REPULSION = 0.5 * (D - 1) * Q**2
KICK = Q * math.sqrt(DT)

# Reduced and joint: Adam on a flat landscape. S is the noise of one gradient, σ/√b.
DIM, START2, CORE2 = 128, 128.0, 32.0
ETA, DECAY, EPS, S = 1e-3, 0.01, 1e-8, 1.0 / math.sqrt(100.0)
RATE1, RATE2 = 1 - 0.9, 1 - 0.999  # 1−β₁, 1−β₂

STEP = {"radial": DT, "vector": DT, "reduced": ETA, "joint": ETA}
# For tools that cannot stop: late enough that fewer than one path in 1 000 is still under way.
HORIZON = {"radial": 2.0, "vector": 2.0, "reduced": 7.6, "joint": 7.6}


class Timing(NamedTuple):
    """What one call did."""

    times: Array  # hitting times in units of t, nan where not hit
    path_steps: int  # useful path-steps: up to each path's stop
    steps_run: int  # path-steps computed, those after the stop included


def timing(workload: str, steps: Array, steps_run: float | None = None) -> Timing:
    """Return the record of paths that stopped after `steps` steps."""
    useful = int(steps.sum())
    return Timing(steps * STEP[workload], useful, useful if steps_run is None else int(steps_run))


def on_axis(n_paths: int) -> Array:
    """Return starts at distance START from the origin."""
    return np.tile(START * np.eye(D)[0], (n_paths, 1))


def on_shell(n_paths: int, seed: int) -> Array:
    """Return starts uniform on the shell ρ² = START2."""
    x = np.random.default_rng([seed, 1]).standard_normal((n_paths, DIM))
    return x * np.sqrt(START2 / np.einsum("ij,ij->i", x, x))[:, None]


def adam_start(x: Array) -> tuple[Array, Array, Array]:
    """Return parameters, momentum and second moment at rest on their slow manifold."""
    h = DECAY * x
    return x, h, h**2 + S**2
