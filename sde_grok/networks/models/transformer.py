"""A one-layer transformer as in the grokking literature (Nanda et al., arXiv 2301.05217).

Tokens and a final "=" are embedded with learned positions; one block of full attention and a ReLU
network, both residual; logits are read at "=". No biases. With LayerNorm it stands, with a learned
scale, before attention, network and readout; without it the model is unnormalised.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from sde_grok.networks.initializers import Initializer
from sde_grok.networks.models.model import Model, Params, Sizes, mean_square_by_example

__all__ = ["TRANSFORMER", "TRANSFORMER_LAYERNORM"]

Norm = Callable[[Params, str, jax.Array], jax.Array]
NORMS = ("norm_attention", "norm_network", "norm_readout")


def init(
    key: jax.Array, vocabulary: int, tokens: int, classes: int, sizes: Sizes, draw: Initializer
) -> Params:
    """Draw the weights; each of the query, key, value and output maps of all heads is one matrix."""
    e, heads, width = sizes.embedding, sizes.heads, sizes.width
    matrices = {
        "query": (e, e),
        "key": (e, e),
        "value": (e, e),
        "output": (e, e),
        "hidden": (e, width),
        "back": (width, e),
        "readout": (e, classes),
    }
    keys = jax.random.split(key, 2 + len(matrices))
    params = {
        name: draw.matrix(k, shape)
        for k, (name, shape) in zip(keys[2:], matrices.items(), strict=True)
    }
    for name in ("query", "key", "value"):
        params[name] = params[name].reshape(e, heads, e // heads)
    return {
        "embedding": draw.embedding(keys[0], (vocabulary + 1, e)),
        "position": draw.embedding(keys[1], (tokens + 1, e)),
        **params,
    }


def init_with_scales(
    key: jax.Array, vocabulary: int, tokens: int, classes: int, sizes: Sizes, draw: Initializer
) -> Params:
    """Weights as without LayerNorm, and its scales, 1 at the start."""
    scales = {name: jnp.ones(sizes.embedding, jnp.float32) for name in NORMS}
    return init(key, vocabulary, tokens, classes, sizes, draw) | scales


def unnormalised(params: Params, name: str, x: jax.Array) -> jax.Array:
    """Return x: there is no LayerNorm."""
    return x


def layer_norm(params: Params, name: str, x: jax.Array) -> jax.Array:
    """LayerNorm over the residual stream with the scale `name`."""
    return jax.nn.standardize(x, epsilon=1e-5) * params[name]


def logits(params: Params, inputs: jax.Array, *, norm: Norm) -> jax.Array:
    """Logits of each example at "=", (n, classes)."""
    equals = jnp.full((inputs.shape[0], 1), params["embedding"].shape[0] - 1, inputs.dtype)
    x = params["embedding"][jnp.concatenate([inputs, equals], axis=1)] + params["position"]
    seen = norm(params, "norm_attention", x)
    query, key, value = (
        jnp.einsum("nte,ehd->nthd", seen, params[name]) for name in ("query", "key", "value")
    )
    scores = jnp.einsum("nthd,nshd->nhts", query, key) / jnp.sqrt(query.shape[-1]).astype(x.dtype)
    # Written out, for JAX's own attention takes its softmax in single precision always.
    attended = jnp.einsum("nhts,nshd->nthd", jax.nn.softmax(scores), value)
    x = x + attended.reshape(x.shape) @ params["output"]
    last = x[:, -1]  # nothing after this mixes positions
    hidden = jax.nn.relu(norm(params, "norm_network", last) @ params["hidden"])
    last = last + hidden @ params["back"]
    return norm(params, "norm_readout", last) @ params["readout"]


PLAIN, NORMED = (partial(logits, norm=norm) for norm in (unnormalised, layer_norm))
TRANSFORMER = Model(init, PLAIN, partial(mean_square_by_example, PLAIN))
TRANSFORMER_LAYERNORM = Model(init_with_scales, NORMED, partial(mean_square_by_example, NORMED))
