"""A run as a function of its member of the grid: start, and advance by some steps."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sde_grok.networks.batches import picker
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.initializers import INITIALIZERS
from sde_grok.networks.models import MODELS, Params, cross_entropy
from sde_grok.networks.optimizers import transformation

__all__ = ["Data", "Member", "State", "advance", "load", "start"]

NEVER = -1
INIT, SUBSET, BATCHES = range(3)  # streams of a seed


class Data(NamedTuple):
    """The full table."""

    inputs: jax.Array
    targets: jax.Array


class Member(NamedTuple):
    """What tells one run from another of the same shapes; `rows` are its training examples first."""

    eta: jax.Array
    lam: jax.Array
    batches: jax.Array
    rows: jax.Array


class State(NamedTuple):
    """A run after `step` steps; `diverged` is the first step with a non-finite loss, −1 if none."""

    step: jax.Array
    params: Params
    optimizer: Any
    diverged: jax.Array


def load(experiment: Experiment) -> Data:
    """Put the full table where the networks are."""
    table = experiment.table
    return Data(jnp.asarray(table.inputs), jnp.asarray(table.targets))


def start(
    experiment: Experiment, eta: jax.Array, lam: jax.Array, seed: jax.Array
) -> tuple[Member, State]:
    """Draw the initial weights and the training subset of a seed."""
    table, dtype = experiment.table, experiment.dtype
    key = jax.random.key(seed)
    stream = partial(jax.random.fold_in, key)
    draw = INITIALIZERS[experiment.init]
    shapes = (table.vocabulary, table.inputs.shape[1], table.classes, experiment)
    params = MODELS[experiment.model].init(stream(INIT), *shapes, draw)
    params = jax.tree.map(lambda w: (experiment.init_scale * w).astype(dtype), params)
    rows = jax.random.permutation(stream(SUBSET), len(table.targets))
    member = Member(eta.astype(dtype), lam.astype(dtype), stream(BATCHES), rows)
    optimizer = transformation(experiment, eta, lam).init(params)
    return member, State(
        jnp.zeros((), jnp.int32), params, optimizer, jnp.full((), NEVER, jnp.int32)
    )


def advance(
    experiment: Experiment, batch_size: int, data: Data, member: Member, state: State
) -> State:
    """Take `eval_every` steps; `batch_size` 0 is the full batch."""
    steps = state.step + jnp.arange(experiment.eval_every)
    pick = picker(experiment.sampling, member.batches, steps, experiment.n_train, batch_size)
    update = transformation(experiment, member.eta, member.lam).update
    logits = MODELS[experiment.model].logits

    def loss(params: Params, rows: jax.Array) -> jax.Array:
        return cross_entropy(logits(params, data.inputs[rows]), data.targets[rows])

    def step(state: State, k: jax.Array) -> tuple[State, None]:
        value, gradient = jax.value_and_grad(loss)(state.params, member.rows[pick(k)])
        change, optimizer = update(gradient, state.optimizer, state.params)
        failed = (state.diverged == NEVER) & ~jnp.isfinite(value)
        return State(
            step=state.step + 1,
            params=optax.apply_updates(state.params, change),
            optimizer=optimizer,
            diverged=jnp.where(failed, state.step, state.diverged),
        ), None

    return jax.lax.scan(step, state, steps)[0]
