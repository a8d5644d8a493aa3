"""The two-layer network of arXiv 2606.30388: embed, concatenate, ReLU, read out; no biases.

logits = relu(concat(E[x₁], E[x₂], …) W) U, homogeneous of degree 3 in (E, W, U).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sde_grok.networks.initializers import Initializer
from sde_grok.networks.models.model import Model, Params, Sizes

__all__ = ["MLP"]


def init(
    key: jax.Array, vocabulary: int, tokens: int, classes: int, sizes: Sizes, draw: Initializer
) -> Params:
    """E (vocabulary, embedding), W (tokens · embedding, width), U (width, classes)."""
    keys = jax.random.split(key, 3)
    return {
        "embedding": draw.embedding(keys[0], (vocabulary, sizes.embedding)),
        "hidden": draw.matrix(keys[1], (tokens * sizes.embedding, sizes.width)),
        "readout": draw.matrix(keys[2], (sizes.width, classes)),
    }


def concatenated(params: Params, inputs: jax.Array) -> jax.Array:
    """Embeddings of an example's tokens, one after the other."""
    return params["embedding"][inputs].reshape(inputs.shape[0], -1)


def logits(params: Params, inputs: jax.Array) -> jax.Array:
    """Logits of each example, (n, classes)."""
    return jax.nn.relu(concatenated(params, inputs) @ params["hidden"]) @ params["readout"]


def mean_square(params: Params, inputs: jax.Array, targets: jax.Array) -> Params:
    """E g²: an example's gradient in a matrix is an outer product a δᵀ, its square a² (δ²)ᵀ.

    Backpropagation by hand, for reverse mode sums over the examples before it could square.
    """
    n, tokens = inputs.shape
    embedding, hidden, readout = params["embedding"], params["hidden"], params["readout"]
    a = concatenated(params, inputs)
    before = a @ hidden
    h = jax.nn.relu(before)
    at_logits = jax.nn.softmax(h @ readout) - jax.nn.one_hot(targets, readout.shape[1])
    at_hidden = (at_logits @ readout.T) * (before > 0)
    at_tokens = (at_hidden @ hidden.T).reshape(n, tokens, -1)
    # A token that occurs twice in an example has the sum of both gradients.
    same = (inputs[:, :, None] == inputs[:, None, :]).astype(a.dtype)
    of_token = jnp.einsum("nst,nte->nse", same, at_tokens)
    squares = jnp.zeros_like(embedding).at[inputs].add(at_tokens * of_token)
    return {
        "embedding": squares / n,
        "hidden": (a**2).T @ (at_hidden**2) / n,
        "readout": (h**2).T @ (at_logits**2) / n,
    }


MLP = Model(init, logits, mean_square)
