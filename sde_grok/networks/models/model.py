"""What a model is: how it starts, what it computes, and the mean square of its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from sde_grok.networks.initializers import Initializer

__all__ = [
    "Logits",
    "Model",
    "Params",
    "Sizes",
    "cross_entropies",
    "cross_entropy",
    "mean_square_by_example",
]

Params = dict[str, jax.Array]
Logits = Callable[[Params, jax.Array], jax.Array]
CHUNK = 32  # examples whose gradients are in memory together


class Sizes(Protocol):
    """What determines the shapes of a model; `heads` is of transformers alone."""

    @property
    def embedding(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def heads(self) -> int: ...  # noqa: D102


class Model(NamedTuple):
    """A network of named weight matrices.

    Attributes
    ----------
    init : callable
        (key, vocabulary, tokens, classes, sizes, initializer) → parameters.
    logits : callable
        (parameters, (n, tokens) inputs) → (n, classes).
    mean_square : callable
        (parameters, inputs, targets) → mean over the examples of the square of each example's
        gradient of the loss, shaped as the parameters.
    """

    init: Callable[[jax.Array, int, int, int, Sizes, Initializer], Params]
    logits: Logits
    mean_square: Callable[[Params, jax.Array, jax.Array], Params]


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of −log softmax(logits)[target] over the examples, in nats."""
    return jnp.mean(cross_entropies(logits, targets))


def cross_entropies(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """−log softmax(logits)[target] of each example, in nats."""
    losses: jax.Array = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return losses


def mean_square_by_example(
    logits: Logits, params: Params, inputs: jax.Array, targets: jax.Array
) -> Params:
    """E g² from each example's own gradient, a chunk at a time: for models without a closed form."""
    n = inputs.shape[0]
    chunks = -(-n // CHUNK)
    row = jnp.arange(chunks * CHUNK).reshape(chunks, CHUNK)

    def gradient(x: jax.Array, y: jax.Array) -> Params:
        by_params = jax.grad(lambda p: cross_entropy(logits(p, x[None]), y[None]))
        return dict(by_params(params))

    def add(total: Params, rows: jax.Array) -> tuple[Params, None]:
        rows, real = (
            rows % n,
            rows < n,
        )  # the last chunk is filled up with examples that don't count
        each = jax.vmap(gradient)(inputs[rows], targets[rows])
        return jax.tree.map(lambda s, g: s + jnp.tensordot(real, g**2, 1), total, each), None

    total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), row)
    return {name: s / n for name, s in total.items()}
