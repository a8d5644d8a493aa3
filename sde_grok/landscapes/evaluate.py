"""A landscape at points: its gradient and what it measures, from the function that kernels call."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sde_grok.checks import ParameterError
from sde_grok.kernels.jit import kernel
from sde_grok.kernels.outcome import LOSS, MEASURES, NOISE, TEST
from sde_grok.landscapes.landscape import Landscape, lanes_pointer

__all__ = ["Evaluation", "evaluate"]

Array = NDArray[np.float64]


class Evaluation(NamedTuple):
    """What a landscape is at points of a shape (…).

    Attributes
    ----------
    gradient : (…, d) array
        ∇L; nan where the landscape's function raised an exception.
    noise : (…) array
        The factor f of the gradient noise, whose covariance is f²Σ there.
    train_loss, test_loss : (…) array
        The losses; nan if the landscape has none.
    """

    gradient: Array
    noise: Array
    train_loss: Array
    test_loss: Array


@kernel
def _call(in_lanes, S, n, parameters, scratch, measured):  # type: ignore[no-untyped-def]
    in_lanes(S, n, parameters, scratch, measured)


def evaluate(landscape: Landscape, theta: ArrayLike) -> Evaluation:
    """Evaluate a landscape at points, by the function that the kernels of all rungs call.

    Parameters
    ----------
    landscape : Landscape
        Any, also one of a user's own gradient.
    theta : (…, d) array_like
        Points.

    Returns
    -------
    Evaluation

    Raises
    ------
    ParameterError
        If the points are no finite numbers, or not of the landscape's dimension.
    """
    try:
        points = np.asarray(theta, np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim == 0 or points.size == 0 or not np.all(np.isfinite(points)):
        raise ParameterError("theta", points, "finite numbers, points of d coordinates each")
    shape, d = points.shape[:-1], points.shape[-1]
    if landscape.dim not in (None, d):
        raise ParameterError("theta", points, f"points of {landscape.dim} coordinates each")
    n = points.size // d
    S = np.zeros((d, 2, n))
    S[:, 0, :] = points.reshape(n, d).T
    measured = np.full((MEASURES, n), np.nan)
    measured[NOISE] = 1.0  # what a landscape without losses leaves as it is
    in_lanes: Any = lanes_pointer(landscape, single=False)
    _call(in_lanes, S, n, landscape.parameters.copy(), np.empty((2, d)), measured)
    losses = measured[[LOSS, TEST]].reshape(2, *shape)
    if not landscape.has_losses:
        losses[:] = np.nan
    return Evaluation(
        gradient=np.ascontiguousarray(S[:, 1, :].T).reshape(*shape, d),
        noise=measured[NOISE].reshape(shape),
        train_loss=losses[0],
        test_loss=losses[1],
    )
