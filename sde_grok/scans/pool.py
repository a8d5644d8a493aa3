"""Where tasks run: threads of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import Any

from sde_grok.checks import MissingExtra, ParameterError, integer
from sde_grok.runner import available_threads

__all__ = ["Task", "executor", "run_all"]

POLL_SECONDS = 0.1
CONNECT_SECONDS = 10
MOST_PENDING = 512  # tasks handed out at a time: enough for a cluster, and few to look through

Task = tuple[Callable[..., Any], Mapping[str, Any]]  # a function and its keywords


class Stopped(Exception):
    """A task was told to stop."""


def run_all(
    pool: Executor,
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

    more = {"check": check} if isinstance(pool, ThreadPoolExecutor) else {}
    pending: dict[Future[Any], Any] = {}
    try:
        while True:
            for unit, (function, keywords) in islice(tasks, MOST_PENDING - len(pending)):
                pending[pool.submit(function, **keywords, **more)] = unit
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
) -> Iterator[tuple[Executor, int]]:
    """Give what runs the tasks, and the threads that each has.

    The workers of a cluster must have the `setup` that this process has: versions, say.
    """
    if scheduler is None:
        there = available_threads()
        workers = there if workers is None else integer("workers", workers, low=1, high=4096)
        workers = min(workers, n_tasks)
        with ThreadPoolExecutor(workers) as pool:
            yield pool, max(1, there // workers)
        return
    with client(scheduler) as connected:
        here, others = setup(), connected.run(setup)
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
