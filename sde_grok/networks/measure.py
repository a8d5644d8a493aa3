"""What is measured at an evaluation: fit, norm, Adam's moments, and the balance of the radius."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sde_grok.networks.batches import noise_factor
from sde_grok.networks.dynamics import Data, Member, State
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.models import MODELS, Params, cross_entropy
from sde_grok.networks.optimizers import direction

__all__ = ["Measured", "measure"]


class Measured(NamedTuple):
    """Numbers of one evaluation; `sde_grok.datasets.VARIABLES` says what each is.

    Accuracies are counts of right examples here, for a mean in single precision may miss a threshold.
    """

    train_loss: jax.Array
    test_loss: jax.Array
    train_right: jax.Array
    test_right: jax.Array
    rho2: jax.Array
    rho2_layer: jax.Array
    mean_sqrt_v: jax.Array
    m_deviation: jax.Array
    v_deviation: jax.Array
    gradient_norm2: jax.Array
    noise_trace: jax.Array
    shrinkage_pull: jax.Array
    loss_push: jax.Array
    noise_push: jax.Array


def measure(
    experiment: Experiment, batch_size: int, data: Data, member: Member, state: State
) -> Measured:
    """Measure a run where it stands.

    The reduced SDE's radial balance: dρ²/dk = −2ηλ Σ θᵢ²/Pᵢ (shrinkage pull; −2ηλρ² if decoupled)
    − 2η Σ θᵢ ∂ᵢL/Pᵢ (loss push) + η² Σ Cᵢᵢ/Pᵢ² (noise push), C the covariance of a minibatch
    gradient. P = √v + ε is the preconditioner of the next step, with the v that it is expected to
    have, β₂v + (1−β₂)(h² + diag C): parameters that v has not seen yet would have P = ε. Left out
    are the step's own square, η² Σ hᵢ²/Pᵢ², and the correlation of v with the gradient in it, of
    order 1−β₂. Batches by epochs are not independent, and their noise push is unknown: nan.
    """
    model, n = MODELS[experiment.model], experiment.n_train
    train, test = member.rows[:n], member.rows[n:]
    x, y = data.inputs[train], data.targets[train]

    def fit(params: Params) -> tuple[jax.Array, jax.Array]:
        logits = model.logits(params, x)
        return cross_entropy(logits, y), logits

    (train_loss, logits), gradient = jax.value_and_grad(fit, has_aux=True)(state.params)
    test_logits = model.logits(state.params, data.inputs[test])
    square = model.mean_square(state.params, x, y)
    one_example = jax.tree.map(lambda g2, g: g2 - g**2, square, gradient)  # diag Σ
    factor = noise_factor(experiment.sampling, n, batch_size) if batch_size else 0.0
    noise = jax.tree.map(lambda s: factor * s, one_example)  # diag C

    coupled = experiment.decay == "coupled"
    h = gradient
    if coupled:
        h = jax.tree.map(lambda g, w: g + member.lam * w, gradient, state.params)
    mean_g2 = jax.tree.map(lambda a, c: a**2 + c, h, noise)
    moved = direction(experiment, member.eta, state.optimizer, state.step, mean_g2)
    v_deviation = jnp.full((), jnp.nan)
    if moved.v is not None:
        v_deviation = deviation(moved.v, mean_g2)
    unknown = jnp.nan if experiment.sampling == "epochs" and 0 < batch_size < n else 1.0
    eta, p = moved.eta, moved.preconditioner
    squares = jax.tree.map(jnp.square, state.params)
    shrunk = jax.tree.map(jnp.divide, squares, p) if coupled else squares
    against = jax.tree.map(lambda w, g, s: w * g / s, state.params, gradient, p)
    spread = jax.tree.map(lambda c, s: c / s**2, noise, p)
    layers = jnp.stack([jnp.sum(square) for square in squares.values()])
    return Measured(
        train_loss=train_loss,
        test_loss=cross_entropy(test_logits, data.targets[test]),
        train_right=right(logits, y),
        test_right=right(test_logits, data.targets[test]),
        rho2=jnp.sum(layers),
        rho2_layer=layers,
        mean_sqrt_v=moved.sqrt_v,
        m_deviation=deviation(moved.m, h),
        v_deviation=v_deviation,
        gradient_norm2=total(jax.tree.map(jnp.square, h)),
        noise_trace=total(one_example),
        shrinkage_pull=-2 * (eta if coupled else member.eta) * member.lam * total(shrunk),
        loss_push=-2 * eta * total(against),
        noise_push=unknown * eta**2 * total(spread),
    )


def right(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Number of examples whose largest logit is the right one."""
    return jnp.sum(jnp.argmax(logits, axis=1) == targets)


def total(tree: Params) -> jax.Array:
    """Sum over all parameters."""
    return reduce(jnp.add, (jnp.sum(x) for x in jax.tree.leaves(tree)))


def deviation(found: Params, expected: Params) -> jax.Array:
    """‖found − expected‖ / ‖expected‖ over all parameters."""
    off = jax.tree.map(lambda a, b: (a - b) ** 2, found, expected)
    return jnp.sqrt(total(off) / total(jax.tree.map(jnp.square, expected)))
