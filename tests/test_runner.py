"""`run_paths`, with kernels in plain Python: chunks, progress, exceptions and Ctrl-C."""

import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sde_grok.kernels.outcome import HIT, PATH_STEPS, PENDING, STOP, Outcome
from sde_grok.runner import Interrupted, Progress, available_threads, run_paths


def outcome_of(n, kept=0):
    return Outcome(
        stages=np.empty((0, 9)),
        time=np.full(n, np.nan),
        steps=np.zeros(n, np.int64),
        status=np.full(n, PENDING, np.int8),
        rho2=np.full(n, np.nan),
        state=np.full((kept, 1, 2), np.nan),
    )


def count(first, outcome, control):
    """Path p takes p + 1 steps."""
    paths = first + np.arange(outcome.time.size)
    outcome.time[:], outcome.steps[:], outcome.status[:] = paths + 1, paths + 1, HIT
    if outcome.state.size:
        outcome.state[:, 0, 0] = paths
    control[PATH_STEPS] += (paths + 1).sum()


def stay(first, outcome, control):
    """End at STOP alone, or after ten seconds for a runner that forgets it."""
    until = time.perf_counter() + 10
    while control[STOP] == 0 and time.perf_counter() < until:
        control[PATH_STEPS] += 100
        time.sleep(0.001)


@given(st.integers(1, 60), st.integers(1, 70), st.integers(1, 3), st.booleans())
def test_every_path_is_run_once(n, chunk, threads, keep):
    calls, outcome, seen = [], outcome_of(n, n if keep else 0), []

    def kernel(first, part, control):
        calls.append((first, part.time.size))
        count(first, part, control)

    run_paths(kernel, outcome, chunk=chunk, threads=threads, progress=seen.append)
    assert sorted(calls) == [(first, min(chunk, n - first)) for first in range(0, n, chunk)]
    assert np.array_equal(outcome.time, np.arange(n) + 1)
    assert not keep or np.array_equal(outcome.state[:, 0, 0], np.arange(n))
    assert seen[-1] == Progress(n, n, n * (n + 1) // 2, math.inf)
    assert seen[-1].fraction == 1


def test_threads_run_side_by_side():
    both = threading.Barrier(2)
    run_paths(lambda *_: both.wait(timeout=5), outcome_of(2), chunk=1, threads=2)


def test_progress_is_called_while_kernels_run():
    seen = []

    def stop_at_three(progress):
        seen.append(progress)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        run_paths(stay, outcome_of(4), chunk=2, threads=2, progress=stop_at_three)
    assert [progress.done for progress in seen] == [0, 0, 0]
    assert 0 < seen[0].path_steps < seen[1].path_steps < seen[2].path_steps


def test_ctrl_c_says_what_was_done():
    """One thread: the first chunk ends, the second is stopped, the others never start."""
    started = []

    def kernel(first, part, control):
        started.append(first)
        (count if first == 0 else stay)(first, part, control)

    def press(progress):
        if len(started) == 2:
            raise KeyboardInterrupt

    outcome = outcome_of(40)
    with pytest.raises(
        Interrupted, match=r"^interrupted: 10 of 40 paths were finished, "
    ) as caught:
        run_paths(kernel, outcome, chunk=10, threads=1, progress=press)
    assert started == [0, 10]
    assert caught.value.progress.done == 10
    assert caught.value.progress.path_steps >= 55
    assert np.count_nonzero(outcome.status == PENDING) == 30


@pytest.mark.parametrize("where", ["kernel", "progress"])
def test_exceptions_stop_the_others(where):
    def kernel(first, part, control):
        if where == "kernel" and first == 1:
            raise ZeroDivisionError
        stay(first, part, control)

    def progress(_):
        if where == "progress":
            raise ZeroDivisionError

    began = time.perf_counter()
    with pytest.raises(ZeroDivisionError):
        run_paths(kernel, outcome_of(20), chunk=1, threads=2, progress=progress)
    assert time.perf_counter() - began < 1


@given(st.integers(0, 100), st.integers(0, 10**6), st.floats(1, 1e6) | st.just(math.inf))
def test_fraction(done, path_steps, expected_steps):
    """By paths or by steps, whichever is further; one only when all paths are done."""
    fraction = Progress(done, 100, path_steps, expected_steps).fraction
    assert 0 <= fraction <= 1
    assert fraction >= done / 100
    assert fraction >= min(0.99, path_steps / (100 * expected_steps))
    assert (fraction == 1) == (done == 100)


def test_available_threads():
    assert available_threads() >= 1
