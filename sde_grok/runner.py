"""Run a kernel over many paths: chunks on threads, progress, and a clean stop on Ctrl-C."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.kernels.outcome import PATH_STEPS, PENDING, STOP, Outcome

__all__ = ["Interrupted", "Progress", "available_threads", "run_paths"]

POLL_SECONDS = 0.1


class Progress(NamedTuple):
    """What was done so far.

    Attributes
    ----------
    done, n_paths : int
        Paths finished, and paths in all.
    path_steps : int
        Time steps done on all paths together.
    expected_steps : float
        Time steps that a path is expected to take; infinite if unknown.
    """

    done: int
    n_paths: int
    path_steps: int
    expected_steps: float

    @property
    def fraction(self) -> float:
        """Part of the work that is done, by paths or, before the first ones end, by steps."""
        by_steps = self.path_steps / (self.n_paths * self.expected_steps)
        return max(self.done / self.n_paths, min(by_steps, 0.99))


class Interrupted(KeyboardInterrupt):
    """The run was stopped by Ctrl-C; `progress` says what was done.

    The paths that were finished are the quick ones, no fair sample: nothing is made of them.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        super().__init__(
            f"interrupted: {progress.done} of {progress.n_paths} paths were finished, "
            f"{progress.path_steps:.3g} path-steps"
        )


def available_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_paths(
    kernel: Callable[[int, Outcome, NDArray[np.int64]], None],
    outcome: Outcome,
    *,
    chunk: int,
    threads: int,
    first_path: int = 0,
    expected_steps: float = math.inf,
    progress: Callable[[Progress], None] | None = None,
) -> None:
    """Call `kernel(first, part of outcome, control)` on chunks of paths until all are done.

    The first of them is path `first_path`.

    A path's result depends on nothing but its number, so neither `chunk` nor `threads` matters to
    it. Raises `Interrupted` on Ctrl-C, after the kernels have stopped.
    """
    n_paths = outcome.time.size
    firsts = range(0, n_paths, chunk)
    controls = np.zeros((len(firsts), 2), np.int64)

    def seen() -> Progress:
        done = int(np.count_nonzero(outcome.status != PENDING))
        return Progress(done, n_paths, int(controls[:, PATH_STEPS].sum()), expected_steps)

    def part(first: int, control: NDArray[np.int64]) -> None:
        last = first + chunk
        # Without stored states their array has no paths, and any slice of it none either.
        kernel(first_path + first, Outcome(*(array[first:last] for array in outcome)), control)

    with ThreadPoolExecutor(threads) as pool:
        waiting: set[Future[None]] = set()
        try:
            waiting = {
                pool.submit(part, first, control)
                for first, control in zip(firsts, controls, strict=True)
            }
            while waiting:
                finished, waiting = wait(waiting, POLL_SECONDS, "FIRST_EXCEPTION")
                for future in finished:
                    future.result()
                if progress is not None:
                    progress(seen())
        except BaseException as error:
            controls[:, STOP] = 1
            for future in waiting:
                future.cancel()
            if isinstance(error, KeyboardInterrupt):
                wait(waiting)
                raise Interrupted(seen()) from None
            raise
