"""Minibatches: which examples each step sees."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["SAMPLERS", "Sampler", "noise_factor"]

Sampler = Callable[[jax.Array, jax.Array, int, int], jax.Array]


def with_replacement(key: jax.Array, steps: jax.Array, n: int, batch_size: int) -> jax.Array:
    """Draw each example of each batch independently."""

    def batch(step: jax.Array) -> jax.Array:
        return jax.random.randint(jax.random.fold_in(key, step), (batch_size,), 0, n)

    return jax.vmap(batch)(steps)


def by_epochs(key: jax.Array, steps: jax.Array, n: int, batch_size: int) -> jax.Array:
    """Shuffle the examples each epoch and cut them into batches; what is left over is left out."""
    per_epoch = n // batch_size
    epoch, place = steps // per_epoch, steps % per_epoch
    first = epoch[0]
    spanned = first + jnp.arange((steps.shape[0] - 1) // per_epoch + 2)
    orders = jax.vmap(lambda e: jax.random.permutation(jax.random.fold_in(key, e), n))(spanned)
    batches = orders[:, : per_epoch * batch_size].reshape(-1, per_epoch, batch_size)
    return batches[epoch - first, place]


# (key, (s,) consecutive steps, n, batch size) → (s, batch size) indices below n; a function of the
# key and the step alone, so that it does not matter how a run is cut into segments.
SAMPLERS: dict[str, Sampler] = {"replacement": with_replacement, "epochs": by_epochs}


def noise_factor(sampling: str, n: int, batch_size: int) -> float:
    """Covariance of a minibatch gradient in units of Σ, that of one example's gradient.

    1/b with replacement; (n − b)/(b (n − 1)) without, which is 0 for the full batch.
    """
    if sampling == "epochs":
        return (n - batch_size) / (batch_size * max(n - 1, 1))
    return 1 / batch_size
