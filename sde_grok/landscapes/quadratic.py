"""Quadratic losses with any spectrum: a bowl, or a linear student beside its teacher.

L = ½ Σ hᵢ (θᵢ − cᵢ)², and of the test ½ Σ kᵢ (θᵢ − tᵢ)². For a linear student these are the losses in
the eigenbasis of its training examples: hᵢ are the eigenvalues of their covariance, 0 beyond its rank.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sde_grok.checks import ParameterError
from sde_grok.kernels.outcome import LOSS, NOISE, TEST
from sde_grok.landscapes.landscape import Landscape

__all__ = ["quadratic"]


def _in_lanes(S, n, parameters, scratch, measured):  # type: ignore[no-untyped-def]
    d = S.shape[0]
    for lane in range(n):
        measured[NOISE, lane], measured[LOSS, lane], measured[TEST, lane] = 1.0, 0.0, 0.0
    loss, test = measured[LOSS], measured[TEST]
    for i in range(d):
        h, c, k, t = parameters[i], parameters[d + i], parameters[2 * d + i], parameters[3 * d + i]
        for lane in range(n):
            theta = S[i, 0, lane]
            force = h * (theta - c)
            S[i, 1, lane] = force
            loss[lane] += 0.5 * force * (theta - c)
            test[lane] += 0.5 * k * (theta - t) * (theta - t)


def quadratic(
    curvatures: ArrayLike,
    centre: ArrayLike = 0.0,
    *,
    test_curvatures: ArrayLike | None = None,
    test_centre: ArrayLike | None = None,
) -> Landscape:
    """A quadratic loss (see the module), with constant noise.

    Parameters
    ----------
    curvatures : (d,) array_like
        hᵢ >= 0.
    centre : float or (d,) array_like
        cᵢ.
    test_curvatures, test_centre : array_like, optional
        kᵢ >= 0 and tᵢ; by default those of training.

    Returns
    -------
    Landscape

    Raises
    ------
    ParameterError
        If an array has another length, or a curvature is negative or not finite.
    """
    h = _row("curvatures", curvatures, None, low=0.0)
    c = _row("centre", centre, h.size)
    k = h if test_curvatures is None else _row("test_curvatures", test_curvatures, h.size, low=0.0)
    t = c if test_centre is None else _row("test_centre", test_centre, h.size)
    parameters = np.concatenate([h, c, k, t])
    return Landscape("quadratic", parameters=parameters, in_lanes=_in_lanes, dim=h.size)


def _row(name: str, values: Any, size: int | None, low: float = -np.inf) -> NDArray[np.float64]:
    """Return (d,) finite numbers, one given for all."""
    try:
        found = np.array(values, np.float64)
        row = np.atleast_1d(found) if size is None else np.broadcast_to(found, (size,))
    except (TypeError, ValueError):
        row = np.empty((0, 0))
    if row.ndim != 1 or row.size == 0 or not np.all(np.isfinite(row) & (row >= low)):
        length = "" if size is None else f", {size} of them"
        bound = f" >= {low:g}" if low > -np.inf else ""
        raise ParameterError(name, values, f"a row of finite numbers{bound}{length}")
    return row
