"""Spectrum of the gradient noise: Σ = E ggᵀ − ∇L ∇Lᵀ over the training examples, never formed.

Σu is one forward- and one reverse-mode pass over the examples; ARPACK's Lanczos iteration finds the
leading eigenvalues, and Hutchinson's estimate on the rest gives tr Σ².
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpy.typing import NDArray

from sde_grok.networks.batches import Sampler
from sde_grok.networks.models import Model, Params, cross_entropies, cross_entropy

__all__ = ["GradientNoise", "batch_noise", "covariance_product", "gradient_noise"]

Array = NDArray[np.float64]
PROBES = 32
DRAWS = 64


class GradientNoise(NamedTuple):
    """Σ of one example's gradient where θ stands; d is the number of parameters.

    Attributes
    ----------
    eigenvalues : (rank,) array
        Largest eigenvalues, descending.
    total, square, square_stderr : float
        tr Σ; tr Σ², with the standard error of its random part.
    diagonal_square : float
        Σᵢ (Σᵢᵢ)².
    signal : float
        ‖∇L‖² of the training loss.
    """

    eigenvalues: Array
    total: float
    square: float
    square_stderr: float
    diagonal_square: float
    signal: float


@partial(jax.jit, static_argnums=0)
def covariance_product(
    model: Model, params: Params, inputs: jax.Array, targets: jax.Array, u: jax.Array
) -> jax.Array:
    """Σu for a vector u of length d."""
    theta, unravel = ravel_pytree(params)

    def losses(t: jax.Array) -> jax.Array:
        return cross_entropies(model.logits(unravel(t), inputs), targets)

    _, along = jax.jvp(losses, (theta,), (u,))  # gᵢ·u of each example i
    _, back = jax.vjp(losses, theta)
    (covariance,) = back((along - jnp.mean(along)) / inputs.shape[0])
    return jnp.asarray(covariance)


def gradient_noise(
    model: Model, params: Params, inputs: jax.Array, targets: jax.Array, *, rank: int, seed: int
) -> GradientNoise:
    """Measure Σ over the given examples.

    Parameters
    ----------
    model, params : Model, Params
        Network and where it stands.
    inputs, targets : (n, tokens), (n,) arrays
        The training set.
    rank : int
        Number of eigenvalues, below n and d.
    seed : int
        Of the start of the iteration and of the 32 random probes.

    Notes
    -----
    With Q the leading eigenvectors, tr Σ² = Σ λᵢ² + tr (PΣP)² for P = 1 − QQᵀ, whose second part
    is E ‖PΣPz‖² over random signs z (Hutchinson; the splitting is that of Hutch++, arXiv 2010.09649).
    """
    from scipy.sparse.linalg import LinearOperator, eigsh  # noqa: PLC0415  (a third of a second)

    gradient, variances = (
        np.asarray(x, np.float64) for x in _moments(model, params, inputs, targets)
    )
    total, signal, d = float(variances.sum()), float(gradient @ gradient), variances.size
    dtype, rng = jax.tree.leaves(params)[0].dtype, np.random.default_rng(seed)
    if total <= 4 * float(np.finfo(dtype).eps) * signal:  # all examples have the same gradient
        return GradientNoise(np.zeros(rank), 0.0, 0.0, 0.0, 0.0, signal)

    def times(u: Array) -> Array:
        """(Σ/tr Σ)u: ARPACK's tolerance is absolute for small numbers."""
        along = jnp.asarray(u, dtype).reshape(-1)
        product = covariance_product(model, params, inputs, targets, along)
        return np.asarray(product, np.float64) / total

    operator = LinearOperator((d, d), matvec=times, dtype=np.float64)
    values, vectors = eigsh(operator, rank, which="LM", v0=rng.standard_normal(d), tol=1e-3)
    rest = np.zeros(PROBES)
    for i in range(PROBES):
        z = rng.choice([-1.0, 1.0], d)
        z = times(z - vectors @ (vectors.T @ z))
        rest[i] = np.sum((z - vectors @ (vectors.T @ z)) ** 2)
    return GradientNoise(
        eigenvalues=total * values[::-1],
        total=total,
        square=total**2 * float(np.sum(values**2) + np.mean(rest)),
        square_stderr=total**2 * float(np.std(rest, ddof=1) / np.sqrt(PROBES)),
        diagonal_square=float(variances @ variances),
        signal=signal,
    )


@partial(jax.jit, static_argnums=0)
def _moments(
    model: Model, params: Params, inputs: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """∇L and diag Σ as vectors."""
    gradient = jax.grad(lambda p: cross_entropy(model.logits(p, inputs), targets))(params)
    square = model.mean_square(params, inputs, targets)
    flat = ravel_pytree(gradient)[0]
    return flat, ravel_pytree(square)[0] - flat**2


def batch_noise(
    model: Model,
    params: Params,
    inputs: jax.Array,
    targets: jax.Array,
    *,
    sampler: Sampler,
    batch_size: int,
    seed: int,
) -> tuple[float, float]:
    """Measure E ‖g − ∇L‖² of minibatch gradients g, and its standard error, from 64 of them.

    It is tr Σ times `sde_grok.networks.batches.noise_factor`.
    """
    n = inputs.shape[0]
    rows = sampler(jax.random.key(seed), jnp.arange(DRAWS), n, batch_size)
    squares = np.asarray(_squared_noise(model, params, inputs, targets, rows), np.float64)
    return float(np.mean(squares)), float(np.std(squares, ddof=1) / np.sqrt(DRAWS))


@partial(jax.jit, static_argnums=0)
def _squared_noise(
    model: Model, params: Params, inputs: jax.Array, targets: jax.Array, rows: jax.Array
) -> jax.Array:
    def gradient(x: jax.Array, y: jax.Array) -> jax.Array:
        by_params = jax.grad(lambda p: cross_entropy(model.logits(p, x), y))(params)
        return jnp.asarray(ravel_pytree(by_params)[0])

    mean = gradient(inputs, targets)

    def square(batch: jax.Array) -> jax.Array:
        return jnp.sum((gradient(inputs[batch], targets[batch]) - mean) ** 2)

    return jnp.asarray(jax.lax.map(square, rows))
