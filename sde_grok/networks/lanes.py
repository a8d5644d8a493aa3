"""Members of the grid in lanes: trained side by side under vmap, replaced by the next as they end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from sde_grok.networks.checkpoint import noise_at_checkpoint
from sde_grok.networks.dynamics import Data, Member, State, advance, load, start
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.measure import Measured, measure
from sde_grok.networks.record import Record

__all__ = ["Cell", "Programs", "compiled", "train_lanes"]

# What compiled code does not depend on: with these, experiments of the same shapes are the same.
ANY_GRID: dict[str, Any] = {
    "eta": 1.0,
    "lam": 1.0,
    "batch_size": 0,
    "seeds": 1,
    "seed": 0,
    "train_accuracy": 1.0,
    "test_accuracy": 1.0,
    "hold": 1,
    "noise_at": (),
    "noise_rank": 1,
    "snapshot_every": 0,
    "sketch": 0,
}
Cell = tuple[int, int, int, int]  # places on the axes of η, b, λ and seed
Lanes = tuple[Member, State]


class Programs(NamedTuple):
    """Compiled functions: a member's start, and lanes of them put, advanced and measured."""

    start: Callable[..., Lanes]
    put: Callable[[Lanes, int, Lanes], Lanes]
    advance: Callable[[Data, Member, State], State]
    measure: Callable[[Data, Member, State], Measured]


def compiled(experiment: Experiment, batch_size: int, lanes: int) -> Programs:
    """Compile for one batch size and number of lanes, once for all experiments of the same shapes."""
    shape = replace(experiment, **ANY_GRID, max_steps=experiment.eval_every)
    with _lock(shape, batch_size, lanes):  # no two threads compile the same
        return _compile(shape, batch_size, lanes)


@cache
def _lock(*_: Any) -> threading.Lock:
    return threading.Lock()


@lru_cache(maxsize=32)
def _compile(experiment: Experiment, batch_size: int, lanes: int) -> Programs:
    # One thread an operation: small products gain nothing from more, and their sums keep their order.
    options = {"xla_cpu_multi_thread_eigen": False} if jax.default_backend() == "cpu" else None
    begin = partial(start, experiment)
    one = jax.eval_shape(begin, *coordinates(experiment, (0, 0, 0, 0)))
    stack = jax.eval_shape(lambda x: repeated(x, lanes), one)
    data = jax.eval_shape(partial(load, experiment))

    def side_by_side(function: Callable[..., Any]) -> Any:
        mapped = jax.vmap(partial(function, experiment, batch_size), in_axes=(None, 0, 0))
        return jax.jit(mapped, compiler_options=options).lower(data, *stack).compile()

    def put(lanes: Lanes, lane: int, one: Lanes) -> Lanes:
        placed: Lanes = jax.tree.map(lambda all_, x: all_.at[lane].set(x), lanes, one)
        return placed

    return Programs(jax.jit(begin), jax.jit(put), side_by_side(advance), side_by_side(measure))


def train_lanes(
    experiment: Experiment,
    programs: Programs,
    data: Data,
    waiting: deque[Cell],
    *,
    lanes: int,
    stop: threading.Event,
    advanced: Callable[[int], None],
) -> Iterator[tuple[Cell, Record]]:
    """Train cells from the queue until it is empty and all have ended; yield each as it ends."""
    running: dict[int, tuple[Cell, Record]] = {}
    stack: Lanes | None = None

    def fill(free: Sequence[int]) -> list[int]:
        """Start waiting cells in free lanes, and return these."""
        nonlocal stack
        filled = []
        for lane in free:
            try:
                cell = waiting.popleft()
            except IndexError:
                break
            one = programs.start(*coordinates(experiment, cell))
            stack = repeated(one, lanes) if stack is None else programs.put(stack, lane, one)
            running[lane] = cell, Record(experiment)
            filled.append(lane)
        return filled

    fresh = fill(range(lanes))
    while running and not stop.is_set():
        assert stack is not None
        if fresh:
            look(experiment, programs, data, stack, {lane: running[lane][1] for lane in fresh})
        stack = stack[0], programs.advance(data, *stack)
        records = {lane: record for lane, (_, record) in running.items()}
        look(experiment, programs, data, stack, records)
        advanced(len(running) * experiment.eval_every)
        over = [lane for lane, record in records.items() if record.ended]
        for lane in over:
            yield running.pop(lane)
        fresh = fill(over)


def coordinates(experiment: Experiment, cell: Cell) -> tuple[Any, Any, Any]:
    """η, λ and the seed of a cell."""
    eta, _, lam, seed = cell
    return (
        experiment.dtype(experiment.eta[eta]),
        experiment.dtype(experiment.lam[lam]),
        np.uint32(experiment.all_seeds[seed]),
    )


def repeated(one: Lanes, lanes: int) -> Lanes:
    """Fill all lanes with one member."""
    stack: Lanes = jax.tree.map(lambda x: jnp.broadcast_to(x, (lanes, *x.shape)), one)
    return stack


def look(
    experiment: Experiment,
    programs: Programs,
    data: Data,
    stack: Lanes,
    records: dict[int, Record],
) -> None:
    """Evaluate the lanes, and add what is seen to the records of some."""
    member, state = stack
    rows, step, diverged = jax.device_get(
        (programs.measure(data, member, state), state.step, state.diverged)
    )
    for lane, record in records.items():
        record.see(int(step[lane]), jax.tree.map(lambda x, i=lane: x[i], rows), int(diverged[lane]))
        if np.isfinite(record.diverged_at):
            continue
        wanted = record.checkpoints
        if not (wanted or record.snapshot_due):
            continue
        params = jax.tree.map(lambda x, i=lane: x[i], state.params)
        if record.snapshot_due:
            record.keep(np.asarray(ravel_pytree(params)[0]))
        train = member.rows[lane][: experiment.n_train]
        inputs, targets = data.inputs[train], data.targets[train]
        for name in wanted:
            record.noise[name] = noise_at_checkpoint(
                experiment, int(step[lane]), params, inputs, targets
            )
