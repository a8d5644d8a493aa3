"""What a scan of networks takes at most, before any is trained."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
from zarr.storage import MemoryStore

from sde_grok.networks.dynamics import load
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.lanes import compiled, coordinates, repeated
from sde_grok.networks.store import created
from sde_grok.networks.train import floats
from sde_grok.runner import available_threads
from sde_grok.scans.networks import LANES, NetworkScan
from sde_grok.scans.pool import at_a_time

__all__ = ["NetworkForecast", "forecast_networks"]


class NetworkForecast(NamedTuple):
    """What to expect at most: if every run takes its whole budget.

    Attributes
    ----------
    n_networks, n_runs : int
        Experiments that differ in more than η, b and λ, and runs of all of them.
    seconds : float
        Time on this machine.
    bytes : float
        Room on disk, uncompressed.
    """

    n_networks: int
    n_runs: int
    seconds: float
    bytes: float


def forecast_networks(
    plan: NetworkScan,
    workers: int | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> NetworkForecast:
    """Predict what a scan takes by the speed of a few steps of each network and batch size.

    Parameters
    ----------
    plan : NetworkScan
        The runs.
    workers : int, optional
        Runs at a time; by default one a processor.
    progress : callable
        Called with the fraction that is done.
    """
    at_once = min(at_a_time(workers, plan.n_cells), available_threads())
    seconds = room = 0.0
    for n, experiment in enumerate(plan.experiments.values()):
        runs = plan.n_cells / len(plan.experiments) / len(experiment.batch_size)
        segments = experiment.max_steps // experiment.eval_every
        for place in range(len(experiment.batch_size)):
            seconds += runs * segments * seconds_a_segment(experiment, place)
        group = created(MemoryStore(), experiment, {})
        room += sum(array.nbytes for _, array in group.arrays())
        progress((n + 1) / len(plan.experiments))
    return NetworkForecast(len(plan.experiments), plan.n_cells, seconds / at_once, room)


def seconds_a_segment(experiment: Experiment, batch_size: int) -> float:
    """Time from one evaluation to the next, at a place on the axis of batch sizes."""
    with floats(experiment):
        programs = compiled(experiment, experiment.batch_size[batch_size], LANES)
        data, one = load(experiment), programs.start(*coordinates(experiment, (0, 0, 0, 0)))
        member, state = repeated(one, LANES)
        for _ in range(2):  # the first may be slow
            began = time.perf_counter()
            state = programs.advance(data, member, state)
            jax.device_get(programs.measure(data, member, state))
            took = time.perf_counter() - began
    return took
