"""The floor: the package's generator of normals alone."""

from __future__ import annotations

import numpy as np
from numba import njit

from sde_grok.kernels.normals import fill_normals
from sde_grok.kernels.philox import MOVE


@njit(nogil=True, error_model="numpy")
def draw(z, d_first, d_pair, repeats, seed):
    """Fill the buffer again and again."""
    first = np.zeros(z.shape[1], np.uint64)
    path = np.arange(z.shape[1]).astype(np.uint64)
    for repeat in range(repeats):
        first[:] = np.uint64(repeat) * np.uint64(z.shape[0])
        fill_normals(z, z.shape[1], first, d_first, 0, d_pair, path, MOVE, seed, np.uint64(0))
