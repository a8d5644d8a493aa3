"""The result of a simulation: escape times with one censoring time, and their summary."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sde_grok.escape_times import EscapeTimes
from sde_grok.results import EscapeResult, Status

HIT, CENSORED, FAILED = Status.HIT, Status.CENSORED, Status.FAILED


def result(times, statuses=None, max_steps=100.0):
    times = np.asarray(times, np.float64)
    statuses = np.full(times.size, HIT) if statuses is None else statuses
    return EscapeResult(
        system="radial",
        steps=times,
        status=np.asarray(statuses, np.int8),
        rho2_end=np.ones(times.size),
        end_state={},
        max_steps=max_steps,
        dt=1.0,
        path_steps=int(np.nansum(times)),
        exact_mean_steps=None,
        wall_seconds=0.1,
        provenance={"seed": 1},
    )


def with_censoring(times, limit):
    times = np.asarray(times, np.float64)
    return result(np.minimum(times, limit), np.where(times <= limit, HIT, CENSORED), limit)


times = st.lists(st.integers(1, 30), min_size=1, max_size=40)


def test_a_result_is_a_set_of_escape_times():
    r, t = result([1, 2, 3, 6]), EscapeTimes(np.array([1.0, 2, 3, 6]), np.full(4, HIT))
    assert isinstance(r, EscapeTimes)
    assert (r.mean, r.median, r.n_paths) == (t.mean, t.median, t.n_paths)


@given(times, st.integers(1, 31))
def test_mean_is_restricted_to_the_limit_of_all_paths(times, limit):
    r = with_censoring(times, limit)
    if r.hit_fraction == 0:
        assert math.isnan(r.mean.value)
        return
    survival = [np.mean(np.array(times) > t) for t in range(limit)]
    assert r.mean.value == pytest.approx(sum(survival))
    assert r.summary()["mean_is_restricted"] == (max(times) > limit)


@pytest.mark.parametrize("status", [CENSORED, FAILED])
def test_where_nothing_hits_there_is_no_number(status):
    summary = result([100.0 if status == CENSORED else math.nan] * 3, [status] * 3).summary()
    names = ("mean_steps", "stderr_steps", "median_steps", "exact_mean_steps")
    assert [summary[name] for name in names] == [None] * 4
    assert summary["hit_fraction"] == 0


@given(times, st.integers(1, 31))
def test_summary_is_plain_json(times, limit):
    r = with_censoring(times, limit)
    summary = json.loads(json.dumps(r.summary(), allow_nan=False))
    assert summary["n_paths"] == len(times)
    assert summary["hit_fraction"] + summary["censored_fraction"] == pytest.approx(1)
    assert summary["seed"] == 1
    if r.hit_fraction > 0:
        assert summary["mean_steps"] == r.mean.value
