"""How a path ends, and what a running kernel shares with whoever waits for it."""

from typing import NamedTuple

import numpy as np

from sde_grok.kernels.jit import inlined

__all__ = [
    "CENSORED",
    "FAILED",
    "GROK",
    "HIT",
    "LANE_GROUP",
    "LOSS",
    "MEASURES",
    "MEMORY",
    "NOISE",
    "PATH_STEPS",
    "PEAK",
    "PENDING",
    "STAGE_FIELDS",
    "STOP",
    "TEST",
    "Key",
    "Outcome",
    "Threshold",
    "whole_groups",
]

HIT, CENSORED, FAILED, PENDING = 0, 1, 2, 3

# Entries of a kernel's control array: set STOP to make it return early; it counts PATH_STEPS.
STOP, PATH_STEPS = 0, 1

# Rows of what a landscape measures in each lane: f of the noise, and the two losses.
NOISE, LOSS, TEST, MEASURES = 0, 1, 2, 3

# Columns of a path's stages: time, ρ² and mean √v when it memorizes, at its largest ρ² from then on,
# and when it generalizes.
MEMORY, PEAK, GROK, STAGE_FIELDS = 0, 3, 6, 9

LANE_GROUP = 8  # lanes advance in whole groups, so that no loop falls back to one lane at a time


class Outcome(NamedTuple):
    """Results of paths `first`, `first` + 1, …, one entry a path.

    `time` is in kernel time steps; `state` is (paths, fields, d) and `stages` (paths, STAGE_FIELDS),
    or they have no paths if not wanted.
    """

    time: np.ndarray
    steps: np.ndarray
    status: np.ndarray
    rho2: np.ndarray
    state: np.ndarray
    stages: np.ndarray


class Threshold(NamedTuple):
    """What a path must come to: a loss of at most `loss`, and side·(ρ² − rho2) <= 0.

    An infinite loss, or a side of 0, asks for nothing.
    """

    loss: float
    side: float
    rho2: float


class Key(NamedTuple):
    """The 64-bit seed as two 32-bit words."""

    low: np.uint64
    high: np.uint64


@inlined
def whole_groups(n):
    """Lanes to advance so that the first `n` do."""
    return (n + LANE_GROUP - 1) // LANE_GROUP * LANE_GROUP
