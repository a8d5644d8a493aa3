"""Minibatches: which examples each step sees."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["SAMPLERS", "Sampler", "noise_factor", "picker"]

Sampler = Callable[[jax.Array, jax.Array, int, int], jax.Array]


def with_replacement(key: jax.Array, steps: jax.Array, n: int, batch_size: int) -> jax.Array:
    """Draw each example of each batch independently."""

    def batch(step: jax.Array) -> jax.Array:
        key_of_step = jax.random.fold_in(key, step)
        return jax.random.randint(key_of_step, (batch_size,), 0, n, jnp.int32)

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


def picker(
    sampling: str, key: jax.Array, steps: jax.Array, n: int, batch_size: int
) -> Callable[[jax.Array], jax.Array]:
    """Return the examples of a step as a function of it; `batch_size` 0 is all of them."""
    if batch_size == 0:
        return lambda step: jnp.arange(n)
    if sampling == "replacement":  # drawn as they are needed: a segment may be long
        return lambda step: with_replacement(key, step[None], n, batch_size)[0]
    batches = by_epochs(key, steps, n, batch_size)
    return lambda step: batches[step - steps[0]]


def noise_factor(sampling: str, n: int, batch_size: int) -> float:
    """Covariance of a minibatch gradient in units of Σ, that of one example's gradient.

    1/b with replacement; (n − b)/(b (n − 1)) without, which is 0 for the full batch.
    """
    if sampling == "epochs":
        return (n - batch_size) / (batch_size * max(n - 1, 1))
    return 1 / batch_size
