"""Optimizers: optax's, with shrinkage coupled through the gradient or decoupled from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sde_grok.networks.experiment import Experiment
from sde_grok.networks.models import Params

__all__ = ["Direction", "direction", "transformation"]


def transformation(
    experiment: Experiment, eta: jax.Array | float, lam: jax.Array | float
) -> optax.GradientTransformationExtraArgs:
    """Map a gradient to a step of θ.

    Adam: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², θ ← θ − η m̂/(√v̂ + ε), hats: bias corrected.
    SGD: t ← β₁t + g, θ ← θ − ηt. Coupled shrinkage adds λθ to g, decoupled takes ηλθ from θ.
    """
    shrinkage = optax.add_decayed_weights(lam)
    if experiment.optimizer == "adam":
        core = optax.scale_by_adam(experiment.beta1, experiment.beta2, experiment.eps)
    else:
        core = optax.trace(experiment.beta1)
    parts = (shrinkage, core) if experiment.decay == "coupled" else (core, shrinkage)
    return optax.chain(*parts, optax.scale_by_learning_rate(eta))


class Direction(NamedTuple):
    """A step without its shrinkage if that is decoupled: −η m/P, all shaped as the parameters.

    Attributes
    ----------
    eta : scalar
        Learning rate of the mean gradient: η, or η/(1−β₁) for SGD, whose trace sums gradients.
    m : Params
        Mean of past gradients, bias corrected.
    v : Params or None
        Mean of their squares, bias corrected; None for SGD.
    preconditioner : Params
        P = √v + ε of the next step, v expected and bias corrected; 1 for SGD.
    sqrt_v : scalar
        Mean over the parameters of √v as Adam keeps it, not bias corrected; nan for SGD.
    """

    eta: jax.Array
    m: Params
    v: Params | None
    preconditioner: Params
    sqrt_v: jax.Array


def direction(
    experiment: Experiment, eta: jax.Array, state: Any, step: jax.Array, mean_g2: Params
) -> Direction:
    """Read the moments out of the optimizer's state after `step` steps; they are nan at 0.

    `mean_g2` is E g² of the next step.
    """
    mean_of_past = 1 - experiment.beta1**step
    if experiment.optimizer == "sgd":
        trace = optax.tree.get(state, "trace")
        m = jax.tree.map(lambda t: t * (1 - experiment.beta1) / mean_of_past, trace)
        ones = jax.tree.map(jnp.ones_like, m)
        return Direction(eta / (1 - experiment.beta1), m, None, ones, jnp.full((), jnp.nan))
    first, second = optax.tree.get(state, "mu"), optax.tree.get(state, "nu")
    m = jax.tree.map(lambda x: x / mean_of_past, first)
    v = jax.tree.map(lambda x: x / (1 - experiment.beta2**step), second)
    beta2 = experiment.beta2
    following = jax.tree.map(
        lambda x, g2: (beta2 * x + (1 - beta2) * g2) / (1 - beta2 ** (step + 1)), second, mean_g2
    )
    preconditioner = jax.tree.map(lambda x: jnp.sqrt(x) + experiment.eps, following)
    roots = jnp.concatenate([jnp.sqrt(x).ravel() for x in jax.tree.leaves(second)])
    return Direction(eta, m, v, preconditioner, jnp.mean(roots))
