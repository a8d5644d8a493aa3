"""How a path ends, and what a running kernel shares with whoever waits for it."""

from typing import NamedTuple

import numpy as np

from sde_grok.kernels.jit import inlined

__all__ = [
    "CENSORED",
    "FAILED",
    "HIT",
    "LANE_GROUP",
    "PATH_STEPS",
    "PENDING",
    "STOP",
    "Key",
    "Outcome",
    "whole_groups",
]

HIT, CENSORED, FAILED, PENDING = 0, 1, 2, 3

# Entries of a kernel's control array: set STOP to make it return early; it counts PATH_STEPS.
STOP, PATH_STEPS = 0, 1

LANE_GROUP = 8  # lanes advance in whole groups, so that no loop falls back to one lane at a time


class Outcome(NamedTuple):
    """Results of paths `first`, `first` + 1, …, one entry a path.

    `time` is in kernel time steps; `state` is (paths, fields, d), or has no paths if not wanted.
    """

    time: np.ndarray
    steps: np.ndarray
    status: np.ndarray
    rho2: np.ndarray
    state: np.ndarray


class Key(NamedTuple):
    """The 64-bit seed as two 32-bit words."""

    low: np.uint64
    high: np.uint64


@inlined
def whole_groups(n):
    """Lanes to advance so that the first `n` do."""
    return (n + LANE_GROUP - 1) // LANE_GROUP * LANE_GROUP
