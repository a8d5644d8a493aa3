"""Estimates from escape times: by hand, against SciPy, and in the presence of censoring."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from sde_grok.results import EscapeResult, Estimate, Status

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


@pytest.mark.parametrize(
    ("value", "stderr", "shown"),
    [
        (7067.66, 4.93, "7067.7 ± 4.9"),
        (109.6123, 0.0196, "109.612 ± 0.020"),
        (145753.2, 16300.0, "145753 ± 16300"),
        (7143.0, math.nan, "7143"),
        (math.nan, math.nan, "nan"),
        (2.5, 0.0, "2.5"),
    ],
)
def test_estimates_show_two_digits_of_the_error(value, stderr, shown):
    assert str(Estimate(value, stderr)) == shown


def test_mean_without_censoring():
    r = result([1, 2, 3, 6])
    assert r.mean == Estimate(3.0, pytest.approx(math.sqrt(14 / 3 / 4)))
    assert (r.hit_fraction, r.censored_fraction, r.failed_fraction) == (1, 0, 0)
    assert r.n_paths == 4


def test_failed_paths_take_no_part():
    r = result([1, 2, 3, 6, math.nan, math.nan], [HIT] * 4 + [FAILED] * 2)
    assert (r.mean, r.median) == (result([1, 2, 3, 6]).mean, 2)
    assert r.failed_fraction == pytest.approx(1 / 3)
    assert np.array_equal(r.survival().steps, [1, 2, 3, 6])


def test_single_path():
    r = result([5])
    assert r.mean.value == r.median == 5
    assert math.isnan(r.mean.stderr)


@pytest.mark.parametrize("status", [CENSORED, FAILED])
def test_nothing_hit(status):
    r = result([100.0 if status == CENSORED else math.nan] * 3, [status] * 3)
    assert all(math.isnan(x) for x in (*r.mean, r.median))
    assert r.summary()["mean_steps"] is None
    assert np.all(r.survival().probability == 1)


def test_kaplan_meier_by_hand():
    """Six paths: hits at 2, 3, 3, 5, censored at 5 (after the hit there), and one failed."""
    r = result([2, 3, 3, 5, 5, math.nan], [HIT, HIT, HIT, HIT, CENSORED, FAILED], 5.0)
    s = r.survival(confidence=0.9)
    assert np.array_equal(s.steps, [2, 3, 5])
    assert s.probability == pytest.approx([4 / 5, 4 / 5 * 2 / 4, 4 / 5 * 2 / 4 * 1 / 2])
    # Greenwood's sum Σ d/(n(n−d)), and limits symmetric in ln(−ln S).
    greenwood = np.cumsum([1 / (5 * 4), 2 / (4 * 2), 1 / (2 * 1)])
    log = np.log(s.probability)
    half = norm.isf(0.05) * np.sqrt(greenwood) / np.abs(log)
    assert s.low == pytest.approx(np.exp(log * np.exp(half)))
    assert s.high == pytest.approx(np.exp(log * np.exp(-half)))


def test_survival_when_all_paths_hit():
    """The last probability is 0, where the limits are undefined: no reason to warn."""
    s = result([1, 2, 4]).survival()
    assert s.probability == pytest.approx([2 / 3, 1 / 3, 0])
    assert np.all((s.low[:2] < s.probability[:2]) & (s.probability[:2] < s.high[:2]))


@given(times, st.integers(1, 31))
def test_restricted_mean_is_the_area_under_the_survival_curve(times, limit):
    r = with_censoring(times, limit)
    if r.hit_fraction == 0:
        assert math.isnan(r.mean.value)
        return
    survival = [np.mean(np.array(times) > t) for t in range(limit)]
    assert r.mean.value == pytest.approx(sum(survival))


@given(times, st.integers(1, 31), st.integers(1, 99))
def test_quantile_is_the_first_time_by_which_enough_paths_hit(times, limit, percent):
    r = with_censoring(times, limit)
    enough = [
        t for t in range(1, limit + 1) if 100 * np.sum(np.array(times) <= t) >= percent * len(times)
    ]
    expected = enough[0] if enough else math.nan
    assert r.quantile(percent / 100) == pytest.approx(expected, nan_ok=True)
    assert r.median == pytest.approx(r.quantile(0.5), nan_ok=True)


def test_quantiles_of_a_hundred_paths():
    r = result(np.arange(1.0, 101))
    assert [r.quantile(percent / 100) for percent in range(1, 100)] == list(range(1, 100))


def test_median_needs_half_of_the_paths():
    assert with_censoring([1, 2, 9, 9], 5).median == 2
    assert math.isnan(with_censoring([1, 9, 9, 9], 5).median)


@pytest.mark.parametrize("level", [0, -0.1, 1.1, math.nan, "half", True])
def test_level_out_of_range(level):
    with pytest.raises(ValueError, match=r"^level = "):
        result([1, 2]).quantile(level)


@given(times, st.integers(1, 31))
def test_summary_is_plain_json(times, limit):
    r = with_censoring(times, limit)
    summary = json.loads(json.dumps(r.summary(), allow_nan=False))
    assert summary["n_paths"] == len(times)
    assert summary["hit_fraction"] + summary["censored_fraction"] == pytest.approx(1)
    assert summary["seed"] == 1
    if r.hit_fraction > 0:
        assert summary["mean_steps"] == r.mean.value
