"""Estimates from censored escape times: by hand, in fractions, against SciPy, in closed form."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf, norm

from sde_grok.checks import ParameterError
from sde_grok.escape_times import EscapeTimes, Estimate, Status

HIT, CENSORED, FAILED = Status.HIT, Status.CENSORED, Status.FAILED

lists_of_times = st.lists(st.integers(1, 30), min_size=1, max_size=40)
paths = st.lists(
    st.tuples(st.integers(-10, 10), st.sampled_from([HIT, CENSORED])), min_size=1, max_size=30
)


def escapes(times):
    return EscapeTimes(np.array(times, np.float64), np.full(len(times), HIT))


def of(pairs):
    times, statuses = zip(*pairs, strict=True)
    return EscapeTimes(np.array(times, np.float64), np.array(statuses))


def watched_until(limits, times):
    """Each path escapes, or is censored at its limit."""
    times, limits = np.asarray(times, np.float64), np.asarray(limits, np.float64)
    return EscapeTimes(np.minimum(times, limits), np.where(times <= limits, HIT, CENSORED))


def same(one, other):
    """All estimates are equal to the last bit."""
    levels = np.linspace(0.05, 0.95, 19)
    return all(
        np.array_equal(left, right, equal_nan=True)
        for left, right in [
            (one.mean, other.mean),
            (one.median, other.median),
            ([one.quantile(p) for p in levels], [other.quantile(p) for p in levels]),
            *zip(one.survival(), other.survival(), strict=True),
        ]
    )


# --- Numbers with errors ----------------------------------------------------------------------


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


# --- By hand ----------------------------------------------------------------------------------


def test_mean_without_censoring():
    t = escapes([1, 2, 3, 6])
    assert t.mean == Estimate(3.0, pytest.approx(math.sqrt(14 / 3 / 4)))
    assert (t.hit_fraction, t.censored_fraction, t.failed_fraction) == (1, 0, 0)
    assert t.n_paths == 4


def test_each_path_censored_at_its_own_time():
    """Escapes at 2, 4 and 7, of 6, 4 and 2 paths at risk; censored at 3, 4 (at risk at 4) and 8."""
    t = of([(2, HIT), (3, CENSORED), (4, HIT), (4, CENSORED), (7, HIT), (8, CENSORED)])
    s2, s4, s7 = 5 / 6, 5 / 6 * 3 / 4, 5 / 6 * 3 / 4 * 1 / 2
    assert t.survival().probability[[0, 2, 3]] == pytest.approx([s2, s4, s7])

    a7 = s7 * (8 - 7)
    a4 = s4 * (7 - 4) + a7
    a2 = s2 * (4 - 2) + a4
    variance = 6 / 5 * (a2**2 / (6 * 5) + a4**2 / (4 * 3) + a7**2 / (2 * 1))
    assert t.mean == pytest.approx((2 + a2, math.sqrt(variance)))
    assert 2 + a2 == pytest.approx(281 / 48)

    first = {0.1: 2, 1 / 6: 2, 0.17: 4, 3 / 8: 4, 0.38: 7, 0.5: 7, 11 / 16: 7}
    assert {level: t.quantile(level) for level in first} == first
    assert t.median == 7
    assert math.isnan(t.quantile(0.69))


def test_confidence_limits_by_hand():
    """Six paths: hits at 2, 3, 3, 5, censored at 5 (after the hit there), and one failed."""
    t = of([(2, HIT), (3, HIT), (3, HIT), (5, HIT), (5, CENSORED), (math.nan, FAILED)])
    s = t.survival(confidence=0.9)
    assert np.array_equal(s.steps, [2, 3, 5])
    assert s.probability == pytest.approx([4 / 5, 4 / 5 * 2 / 4, 4 / 5 * 2 / 4 * 1 / 2])
    # Greenwood's sum Σ d/(n(n−d)), and limits symmetric in ln(−ln S).
    greenwood = np.cumsum([1 / (5 * 4), 2 / (4 * 2), 1 / (2 * 1)])
    log = np.log(s.probability)
    half = norm.isf(0.05) * np.sqrt(greenwood) / np.abs(log)
    assert s.low == pytest.approx(np.exp(log * np.exp(half)))
    assert s.high == pytest.approx(np.exp(log * np.exp(-half)))


def test_survival_when_all_paths_escape():
    """The last probability is 0, where the limits are undefined: no reason to warn."""
    s = escapes([1, 2, 4]).survival()
    assert s.probability == pytest.approx([2 / 3, 1 / 3, 0])
    assert np.all((s.low[:2] < s.probability[:2]) & (s.probability[:2] < s.high[:2]))


def test_single_path():
    t = escapes([5])
    assert t.mean.value == t.median == 5
    assert math.isnan(t.mean.stderr)


@pytest.mark.parametrize("status", [CENSORED, FAILED])
def test_nothing_escapes(status):
    t = of([(100.0 if status == CENSORED else math.nan, status)] * 3)
    assert all(math.isnan(x) for x in (*t.mean, t.median))
    assert np.all(t.survival().probability == 1)


def test_median_needs_half_of_the_paths():
    assert watched_until(5, [1, 2, 9, 9]).median == 2
    assert math.isnan(watched_until(5, [1, 9, 9, 9]).median)


# --- In closed form ---------------------------------------------------------------------------


@given(lists_of_times, st.integers(1, 31))
def test_with_one_limit_the_mean_is_that_of_the_times_up_to_it(times, limit):
    t = watched_until(limit, times)
    if t.hit_fraction == 0:
        assert math.isnan(t.mean.value)
        return
    assert t.mean.value == pytest.approx(np.mean(t.steps), rel=1e-14)
    if len(times) > 1:
        stderr = np.std(t.steps, ddof=1) / math.sqrt(len(times))
        assert t.mean.stderr == pytest.approx(stderr, rel=1e-13)


@given(lists_of_times, st.integers(1, 31), st.integers(1, 99))
def test_with_one_limit_a_quantile_is_the_first_time_by_which_enough_escape(times, limit, percent):
    t = watched_until(limit, times)
    enough = [
        n for n in range(1, limit + 1) if 100 * np.sum(np.array(times) <= n) >= percent * len(times)
    ]
    expected = enough[0] if enough else math.nan
    assert t.quantile(percent / 100) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("n", [100, 1000, 100_000])
def test_quantiles_are_order_statistics_however_many_paths(n):
    t = escapes(np.arange(1.0, n + 1))
    ranks = np.unique(np.linspace(1, n - 1, 99).round())
    assert [t.quantile(rank / n) for rank in ranks] == ranks.tolist()


def test_a_million_paths():
    """Every tenth is lost at a random time: T is exponential, so that E min(T, 1) = 1 − 1/e."""
    rng = np.random.default_rng(11)
    n = 1_000_000
    limits = np.where(rng.random(n) < 0.1, rng.random(n), 1.0)
    mean = watched_until(limits, rng.exponential(size=n)).mean
    assert mean.stderr < 5e-4
    assert mean.value == pytest.approx(1 - math.exp(-1), abs=5 * mean.stderr)


# --- Against others ---------------------------------------------------------------------------


def in_fractions(pairs):
    """Restricted mean, n/(n − 1) Σ A²d/(n(n − d)), and [(t, S)]; equal times taken together."""
    curve, end = [], max(time for time, _ in pairs)
    survival = Fraction(1)
    for time in sorted({time for time, status in pairs if status == HIT}):
        at_risk = sum(other >= time for other, _ in pairs)
        here = pairs.count((time, HIT))
        survival *= Fraction(at_risk - here, at_risk)
        curve.append((time, survival, at_risk, here))
    stops = [time for time, *_ in curve[1:]] + [end]
    area = variance = Fraction(0)
    for (time, survival, at_risk, here), stop in zip(curve[::-1], stops[::-1], strict=True):
        area += survival * (stop - time)
        if at_risk > here:
            variance += area**2 * Fraction(here, at_risk * (at_risk - here))
    variance *= Fraction(len(pairs), max(len(pairs) - 1, 1))
    return curve[0][0] + area, variance, [(time, survival) for time, survival, *_ in curve]


@given(paths, st.integers(1, 99))
def test_estimates_equal_those_in_fractions(pairs, percent):
    t = of(pairs)
    if t.hit_fraction == 0:
        return
    mean, variance, curve = in_fractions(pairs)
    assert t.mean.value == pytest.approx(float(mean), rel=1e-13, abs=1e-13)
    if len(pairs) > 1:
        assert t.mean.stderr == pytest.approx(math.sqrt(variance), rel=1e-13, abs=1e-13)
    reached = [time for time, survival in curve if survival <= 1 - Fraction(percent, 100)]
    expected = reached[0] if reached else math.nan
    assert t.quantile(percent / 100) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("digits", [15, 1], ids=["all different", "many equal"])
def test_estimates_equal_those_from_scipy(digits):
    rng = np.random.default_rng(5)
    t = watched_until(*rng.normal([[0.5], [0.0]], size=(2, 300)).round(digits))
    assert 0.2 < t.censored_fraction < 0.8
    curve = ecdf(CensoredData.right_censored(t.steps, t.status == CENSORED)).sf

    seen = np.unique(t.steps)
    area = seen[0] + np.sum(curve.evaluate(seen[:-1]) * np.diff(seen))
    assert t.mean.value == pytest.approx(area, abs=1e-13)

    for level in rng.random(100):
        reached = curve.quantiles[curve.probabilities <= 1 - level]
        assert t.quantile(level) == (
            reached[0] if reached.size else pytest.approx(math.nan, nan_ok=True)
        )


# --- What the numbers mean --------------------------------------------------------------------


def test_standard_error_is_the_scatter_of_the_mean_under_random_censoring():
    """T is exponential; of 200 paths half are watched up to 1, half up to a uniform time before.

    N = 10 000 repetitions give the variance of the mean to √(2/N), 1.4 %, and the mean itself to
    1/√N of its scatter; terms of order 1/200 in either are left out. At four of these errors, one
    seed in 10 000 would fail. As if no path were censored, both are off by more than ten.
    """
    rng = np.random.default_rng(3)
    repetitions, n = shape = 10_000, 200
    limits = np.where(rng.random(shape) < 0.5, 1.0, rng.random(shape))
    times = rng.exponential(size=shape)
    means = np.array([watched_until(*both).mean for both in zip(limits, times, strict=True)])
    value, variance = np.mean(means[:, 0]), np.mean(means[:, 1] ** 2)

    exact, scatter2 = 1 - math.exp(-1), np.var(means[:, 0], ddof=1)
    value_error, error = math.sqrt(scatter2 / repetitions), scatter2 * math.sqrt(2 / repetitions)
    assert abs(value - exact) < 4 * value_error
    assert abs(variance - scatter2) < 4 * error

    seen = np.minimum(limits, times)
    assert abs(np.mean(seen) - exact) > 10 * value_error
    assert abs(np.mean(np.var(seen, axis=1, ddof=1)) / n - scatter2) > 10 * error


@given(paths, st.randoms())
def test_the_order_of_paths_does_not_matter(pairs, random):
    shuffled = pairs.copy()
    random.shuffle(shuffled)
    assert same(of(pairs), of(shuffled))


@given(paths, st.integers(1, 5))
def test_failed_paths_take_no_part(pairs, failures):
    t = of([*pairs, *[(math.nan, FAILED)] * failures])
    assert same(t, of(pairs))
    assert t.failed_fraction == pytest.approx(failures / (len(pairs) + failures))


@given(paths, st.integers(-1000, 1000))
def test_estimates_move_with_the_origin_of_time(pairs, shift):
    t, moved = of(pairs), of([(time + shift, status) for time, status in pairs])
    expected = (t.mean.value + shift, t.mean.stderr)
    assert moved.mean == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert moved.median == pytest.approx(t.median + shift, nan_ok=True)


# --- Input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, -0.1, 1.1, math.nan, "half", True])
def test_level_out_of_range(level):
    with pytest.raises(ParameterError, match=r"^level = "):
        escapes([1, 2]).quantile(level)


@pytest.mark.parametrize(
    ("field", "steps", "status"),
    [
        ("steps", [], []),
        ("steps", [[1.0]], [[HIT]]),
        ("steps", [1.0, math.nan], [HIT, HIT]),
        ("steps", [1.0, math.inf], [HIT, CENSORED]),
        ("status", [1.0, 2.0], [HIT]),
        ("status", [1.0, 2.0], [HIT, 3]),
        ("status", [1.0, 2.0], [HIT, 256]),
    ],
)
def test_paths_that_make_no_sense(field, steps, status):
    with pytest.raises(ParameterError, match=rf"^{field} = "):
        EscapeTimes(steps, status)


def test_lists_will_do():
    t = EscapeTimes([3, 5], [HIT, CENSORED])
    assert (t.steps.dtype, t.status.dtype) == (np.float64, np.int8)
    assert t.mean == (4, pytest.approx(1))
