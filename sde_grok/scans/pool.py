"""Where tasks run: threads of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from sde_grok.checks import MissingExtra, ParameterError, integer
from sde_grok.runner import available_threads

__all__ = ["Task", "Workers", "at_a_time", "executor", "run_all"]

POLL_SECONDS = 0.1
CONNECT_SECONDS = 10
MOST_PENDING = 512  # tasks that a cluster has at a time: enough for it, and few to look through


class Workers(NamedTuple):
    """What runs tasks, the threads that each has, and how many to hand out at a time.

    On threads these are few: results that wait to be put away fill the memory.
    """

    pool: Executor
    threads: int
    most_pending: int


Task = tuple[Callable[..., Any], Mapping[str, Any]]  # a function and its keywords


class Stopped(Exception):
    """A task was told to stop."""


def run_all(
    workers: Workers,
    tasks: Iterator[tuple[Any, Task]],
    put: Callable[[Any, Any], None],
    tick: Callable[[], None],
) -> None:
    """Do the tasks in the order in which they come, and put each result away as it ends.

    On threads a function gets `check` besides, to call now and then: it raises if it has to stop.
    """
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Stopped

    more = {"check": check} if isinstance(workers.pool, ThreadPoolExecutor) else {}
    pending: dict[Future[Any], Any] = {}
    try:
        while True:
            for unit, (function, keywords) in islice(tasks, workers.most_pending - len(pending)):
                pending[workers.pool.submit(function, **keywords, **more)] = unit
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


@contextmanager
def executor(
    workers: int | None, scheduler: str | None, n_tasks: int, setup: Callable[[], Mapping[str, Any]]
) -> Iterator[Workers]:
    """Give what runs the tasks.

    The workers of a cluster must have the `setup` that this process has: versions, say.
    """
    if scheduler is None:
        workers = at_a_time(workers, n_tasks)
        with ThreadPoolExecutor(workers) as pool:
            yield Workers(pool, max(1, available_threads() // workers), 2 * workers)
        return
    with client(scheduler) as connected:
        here, others = setup(), connected.run(setup)
        for worker, found in others.items():
            if found != here:
                raise ParameterError("scheduler", scheduler, f"of workers with {here}: {worker}")
        yield Workers(connected.get_executor(pure=False, retries=10), 1, MOST_PENDING)


def at_a_time(workers: int | None, n_tasks: int) -> int:
    """Tasks at a time on this machine: by default one a processor, and no more than there are."""
    if workers is None:
        workers = available_threads()
    return min(integer("workers", workers, low=1, high=4096), n_tasks)


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
