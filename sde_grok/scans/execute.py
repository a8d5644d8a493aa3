"""Run a scan: the costliest cells first, on threads of this machine or on a Dask cluster."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sde_grok.checks import MissingExtra, ParameterError, integer
from sde_grok.runner import Progress, available_threads
from sde_grok.scans.cell import Parameters, Times, expected_cost, simulate
from sde_grok.scans.plan import Scan
from sde_grok.scans.store import Place, Store, open_scan
from sde_grok.versions import versions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ScanInterrupted", "ScanProgress", "costs", "scan"]

POLL_SECONDS = 0.1
CONNECT_SECONDS = 10
MOST_PENDING = 512  # cells handed out at a time: enough for a cluster, and few to look through


class ScanProgress(NamedTuple):
    """What was done so far.

    Attributes
    ----------
    done, n_cells : int
        Cells that are there, and cells in all.
    fraction : float
        Part of the work that is done, by its expected cost.
    damaged : int
        Cells that were found damaged and are done again.
    """

    done: int
    n_cells: int
    fraction: float
    damaged: int


class ScanInterrupted(KeyboardInterrupt):
    """A scan was stopped by Ctrl-C; the cells that were finished are kept in `out`."""

    def __init__(self, progress: ScanProgress, out: Path) -> None:
        self.progress = progress
        super().__init__(
            f"interrupted: {progress.done} of {progress.n_cells} cells are kept in {out}; "
            "the same command goes on"
        )


class Stopped(Exception):
    """A cell was told to stop."""


def scan(
    plan: Scan,
    *,
    out: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[ScanProgress], None] | None = None,
) -> xr.Dataset:
    """Simulate every cell of a scan that is not yet in the folder.

    Parameters
    ----------
    plan : Scan
        The cells.
    out : Path
        Folder to keep the cells in, each as soon as it ends: scan.zarr. Cells that it holds already
        are not done again; damaged ones are.
    workers : int, optional
        Cells at a time on this machine; by default one a processor.
    scheduler : str, optional
        Address of a Dask scheduler, tcp://…, whose workers do the cells instead.
    progress : callable, optional
        Called ten times a second with a `ScanProgress`.

    Returns
    -------
    Dataset
        See `open_scan`.

    Raises
    ------
    ParameterError
        If `out` holds another scan or cannot be written to, the scheduler cannot be reached, or
        its workers run other versions.
    ScanInterrupted
        On Ctrl-C.
    OSError
        If a cell cannot be written. Those written before are kept.

    Notes
    -----
    A cell gives the same bits wherever it is run, on processors of one kind: compiled code uses the
    instructions that the processor has.
    """
    if scheduler is not None and workers is not None:
        raise ParameterError("workers", workers, "left out with a scheduler, which has its own")
    places = dict(zip(np.ndindex(plan.shape), plan.cells(), strict=True))
    with executor(workers, scheduler, len(places)) as (pool, threads):
        store = Store(plan, out)
        cost = costs(plan)
        total, left = sum(cost.values()), sum(cost[place] for place in store.missing)
        waiting = sorted(store.missing, key=lambda p: (-cost[p], p))

        def put(place: Place, times: Times) -> None:
            nonlocal left
            store.put(place, times)
            left -= cost[place]

        def seen() -> ScanProgress:
            done = len(places) - len(store.missing)
            return ScanProgress(done, len(places), 1 - left / total, len(store.damaged))

        def tick() -> None:
            if progress is not None:
                progress(seen())

        tasks = ((place, task(plan, places[place], threads)) for place in waiting)
        try:
            run_all(pool, tasks, put, tick)
        except KeyboardInterrupt:
            raise ScanInterrupted(seen(), out) from None
    return open_scan(out)


def costs(plan: Scan) -> dict[Place, float]:
    """Normals that each cell is expected to draw."""
    how = (plan.paths, plan.precision, plan.most_paths)
    each = zip(np.ndindex(plan.shape), plan.cells(), strict=True)
    return {place: math.prod(expected_cost(cell, *how)) for place, cell in each}


def task(plan: Scan, cell: Parameters, threads: int) -> dict[str, Any]:
    """What `simulate` needs for a cell, to be sent to another process."""
    return {
        "parameters": dict(cell),
        "seed": plan.seed_of(cell),
        "paths": plan.paths,
        "precision": plan.precision,
        "max_paths": plan.most_paths,
        "threads": threads,
    }


def run_all(
    pool: Executor,
    tasks: Iterator[tuple[Place, Mapping[str, Any]]],
    put: Callable[[Place, Times], None],
    tick: Callable[[], None],
) -> None:
    """Do the tasks in the order in which they come, and put each result away as it ends."""
    stop = threading.Event()
    submit = local_submit(pool, stop) if isinstance(pool, ThreadPoolExecutor) else remote(pool)
    pending: dict[Future[Times], Place] = {}
    try:
        while True:
            for place, task in islice(tasks, MOST_PENDING - len(pending)):
                pending[submit(task)] = place
            if not pending:
                break
            ended, _ = wait(pending, POLL_SECONDS, "FIRST_COMPLETED")
            for future in ended:
                put(pending.pop(future), future.result())
            tick()
    except BaseException:
        stop.set()
        for future in pending:
            future.cancel()
        raise


def local_submit(
    pool: Executor, stop: threading.Event
) -> Callable[[Mapping[str, Any]], Future[Times]]:
    """Submit to threads, which look now and then whether to stop."""

    def look(_: Progress) -> None:
        if stop.is_set():
            raise Stopped

    return lambda task: pool.submit(simulate, **task, progress=look)


def remote(pool: Executor) -> Callable[[Mapping[str, Any]], Future[Times]]:
    """Submit to other processes."""
    return lambda task: pool.submit(simulate, **task)


@contextmanager
def executor(
    workers: int | None, scheduler: str | None, n_cells: int
) -> Iterator[tuple[Executor, int]]:
    """Give what runs the cells, and the threads that each cell has."""
    if scheduler is None:
        there = available_threads()
        workers = there if workers is None else integer("workers", workers, low=1, high=4096)
        workers = min(workers, n_cells)
        with ThreadPoolExecutor(workers) as pool:
            yield pool, max(1, there // workers)
        return
    with client(scheduler) as connected:
        here, others = versions(), connected.run(versions)
        for worker, found in others.items():
            if found != here:
                raise ParameterError("scheduler", scheduler, f"of workers with {here}: {worker}")
        yield connected.get_executor(pure=False, retries=10), 1


@contextmanager
def client(scheduler: str) -> Iterator[Any]:
    """Connect to a Dask cluster."""
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError:
        raise MissingExtra("scan", ["distributed"]) from None
    try:
        connect: Any = Client
        connected = connect(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        allowed = f"the address of a Dask scheduler ({error})"
        raise ParameterError("scheduler", scheduler, allowed) from None
    with connected:
        yield connected
