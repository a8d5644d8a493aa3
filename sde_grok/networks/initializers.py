"""Initial distributions of weights, by the names that the field knows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import normal, variance_scaling

__all__ = ["INITIALIZERS", "Initializer"]

Draw = Callable[..., jax.Array]  # (key, shape, dtype)


class Initializer(NamedTuple):
    """Distributions of the (vocabulary, embedding) table and of (in, out) matrices.

    Variances of an entry. lecun: 1/embedding and 1/in, normal, so that each embedding and each
    neuron has mean squared norm 1 (arXiv 2606.30388, as reported). glorot: 2/(in + out), uniform.
    pytorch: 1 and 1/(3 in), normal and uniform, the defaults of `nn.Embedding` and `nn.Linear`.
    """

    embedding: Draw
    matrix: Draw


# Drawn in single precision always, so that a seed means the same weights in both.
scaling = partial(variance_scaling, dtype=jnp.float32)
INITIALIZERS = {
    "lecun": Initializer(scaling(1.0, "fan_out", "normal"), scaling(1.0, "fan_in", "normal")),
    "glorot": Initializer(*[scaling(1.0, "fan_avg", "uniform")] * 2),
    "pytorch": Initializer(normal(1.0, jnp.float32), scaling(1 / 3, "fan_in", "uniform")),
}
