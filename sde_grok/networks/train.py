"""Train a grid of networks: members in lanes, lanes on threads, each until it has grokked for good."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import xarray as xr

from sde_grok.networks.dynamics import load
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.lanes import Cell, compiled, train_lanes
from sde_grok.networks.store import Store
from sde_grok.runner import available_threads

__all__ = [
    "TrainingInterrupted",
    "TrainingProgress",
    "expected_steps",
    "train_member",
    "train_networks",
]

POLL_SECONDS = 0.1
GPU_LANES = 32


class TrainingProgress(NamedTuple):
    """What was done so far.

    Attributes
    ----------
    done, n_runs : int
        Runs finished, and runs in all.
    steps, most_steps : int
        Optimizer steps done on all runs together, and their budget.
    """

    done: int
    n_runs: int
    steps: int
    most_steps: int

    @property
    def fraction(self) -> float:
        """Part of the work that is done at least: by runs or, before the first ones end, by steps."""
        return max(self.done / self.n_runs, self.steps / self.most_steps)


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; the runs that were finished are kept in `out`, if given."""

    def __init__(self, progress: TrainingProgress, out: Path | None) -> None:
        self.progress = progress
        kept = "were finished" if out is None else f"are kept in {out}; the same command goes on"
        super().__init__(f"interrupted: {progress.done} of {progress.n_runs} runs {kept}")


def train_networks(
    experiment: Experiment,
    *,
    out: Path | None = None,
    threads: int | None = None,
    lanes: int | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> xr.Dataset:
    """Train every member of the grid (η, b, λ, seed) and measure it at each evaluation.

    A run ends when it has memorized and grokked for good, when its loss is no longer finite, or at
    the last evaluation within its budget. A seed means the same initial weights, training subset
    and random numbers for batches in every cell.

    Parameters
    ----------
    experiment : Experiment
        Task, network, optimizers, seeds, thresholds and budget.
    out : Path, optional
        Folder to keep the runs in, each as soon as it ends. Runs that it holds already are not
        done again.
    threads : int, optional
        Threads that train at the same time; by default one a processor, one on a GPU.
    lanes : int, optional
        Runs that a thread trains at once (vmap), refilled as they end; by default 1 on a CPU, where
        more are up to half as fast again for the smallest networks but idle at the end, and up to
        32 on a GPU.
    progress : callable, optional
        Called ten times a second with a `TrainingProgress`.

    Returns
    -------
    Dataset
        Dimensions eta, batch_size, lam, seed, step; its variables say what they are, and the schema
        is `sde_grok.datasets.VARIABLES`.

    Raises
    ------
    ParameterError
        If `out` holds runs of something else or cannot be written to.
    TrainingInterrupted
        On Ctrl-C.

    Notes
    -----
    On one machine, and with the same `lanes`, a member gives the same bits whatever the threads and
    the other members, but for t_core and rho2_core, which are about all runs of a λ.
    """
    cpu = jax.default_backend() == "cpu"
    threads = threads or (available_threads() if cpu else 1)
    members = len(experiment.eta) * len(experiment.lam) * experiment.seeds
    lanes = lanes or (1 if cpu else min(GPU_LANES, members))
    with floats(experiment):
        store, data = Store(experiment, out, lanes), load(experiment)
    queues = waiting_cells(experiment, store.missing)
    stop, lock, steps = threading.Event(), threading.Lock(), 0

    def seen() -> TrainingProgress:
        n = store.n_runs
        return TrainingProgress(n - len(store.missing), n, steps, n * experiment.max_steps)

    def advanced(more: int) -> None:
        nonlocal steps
        with lock:
            steps += more

    def work(thread: int) -> None:
        with floats(experiment):
            first = thread % len(queues)  # so that compilations overlap
            for batch_size in [*list(queues)[first:], *list(queues)[:first]]:
                if not queues[batch_size]:
                    continue
                runs = train_lanes(
                    experiment,
                    compiled(experiment, batch_size, lanes),
                    data,
                    queues[batch_size],
                    lanes=lanes,
                    stop=stop,
                    advanced=advanced,
                )
                for cell, record in runs:
                    with lock:
                        store.put(cell, record.values())

    def tick() -> None:
        if progress is not None:
            progress(seen())

    try:
        in_threads(work, threads, stop, tick)
    except KeyboardInterrupt:
        raise TrainingInterrupted(seen(), out) from None
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise MemoryError(str(error)) from None
        raise
    return store.finish()


def in_threads(
    work: Callable[[int], None], threads: int, stop: threading.Event, tick: Callable[[], None]
) -> None:
    """Call `work(i)` in the threads i, and `tick` now and then; on an error set `stop` and wait."""
    with ThreadPoolExecutor(threads) as pool:
        workers: set[Future[None]] = {pool.submit(work, i) for i in range(threads)}
        try:
            while workers:
                ended, workers = wait(workers, POLL_SECONDS, "FIRST_EXCEPTION")
                for worker in ended:
                    worker.result()
                tick()
        except BaseException:
            stop.set()
            wait(workers)
            raise


def waiting_cells(experiment: Experiment, missing: set[Cell]) -> dict[int, deque[Cell]]:
    """Cells to be trained by batch size; those that take longest come first."""
    queues: dict[int, deque[Cell]] = {}
    for place, batch_size in enumerate(experiment.batch_size):
        cells = sorted(cell for cell in missing if cell[1] == place)
        queues[batch_size] = deque(sorted(cells, key=lambda c: -expected_steps(experiment, c)))
    return queues


def expected_steps(experiment: Experiment, cell: Cell) -> float:
    """Steps of a run as far as they can be told before: the delay is about ∝ 1/(η√λ), measured.

    The factor is left out: cells are compared by it, and no result hangs on it.
    """
    speed = experiment.eta[cell[0]] * experiment.lam[cell[2]] ** 0.5
    return min(experiment.max_steps, 1 / speed) if speed > 0 else experiment.max_steps


def train_member(
    experiment: Mapping[str, Any], cell: Cell, *, check: Callable[[], None] | None = None
) -> Mapping[str, Any]:
    """Train one run by itself: what `train_networks` keeps of it, with one lane.

    Parameters
    ----------
    experiment : mapping
        Plain values, as of `Experiment.as_dict`, so that other processes can have them.
    cell : tuple
        Place of the run on the axes of η, b, λ and seed.
    check : callable, optional
        Called after every evaluation; it may raise, to stop.
    """
    of = Experiment(**experiment)
    with floats(of):
        (run,) = train_lanes(
            of,
            compiled(of, of.batch_size[cell[1]], 1),
            load(of),
            deque([cell]),
            lanes=1,
            stop=threading.Event(),
            advanced=lambda _: check() if check is not None else None,
        )
    return run[1].values()


@contextmanager
def floats(experiment: Experiment) -> Iterator[None]:
    """Float type and full precision of matrix products, for the thread that asks."""
    with jax.enable_x64(experiment.precision == "double"), jax.default_matmul_precision("highest"):
        yield
