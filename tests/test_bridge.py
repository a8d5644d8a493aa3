"""Brownian bridge between grid points: the chance that it crosses, and when."""

import math

import mpmath
import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy.stats import binomtest, invgauss, ks_2samp, kstest, levy
from stats_tools import check_p, check_z

from sde_grok.kernels.bridge import (
    FARTHEST_PRODUCT,
    bridge_crossing,
    digit,
    first_digits,
    inverse_gaussian,
)
from sde_grok.laws.monitoring import BARRIER_SHIFT

distance = st.floats(1e-3, 30)
chance = st.floats(2.0**-52, 1)


@njit(error_model="numpy")
def _crossings(a, b, step, n, k0, k1):
    parts = np.empty(n)
    i = step % 16
    for p in range(n):
        path = np.uint64(p)
        words = first_digits(np.uint64(step - i), path, k0, k1)
        parts[p] = bridge_crossing(a, b, digit(words, i), np.uint64(step), path, k0, k1)
    return parts


def crossings(a, b, *, n, step=0, seed=0):
    """Parts of the step at which paths 0 … n − 1 cross; −1 for those that do not."""
    return _crossings(float(a), float(b), step, n, np.uint64(seed), np.uint64(0))


@given(distance, st.floats(-8, 8), st.integers(0, 2**32 - 1))
def test_equals_naive(a, b, step):
    parts = crossings(a, b, n=3, step=step, seed=11)
    for path, part in enumerate(parts):
        expected = naive.crossing(a, b, seed=11, path=path, step=step)
        assert part == pytest.approx(-1.0 if expected is None else expected, rel=1e-12)


@given(distance, st.floats(0, 30), st.floats(-6, 6), chance)
def test_inverse_gaussian_equals_the_printed_formula(a, b, z, u):
    expected = naive.hitting_time(a, b, z, u)
    smaller = naive.hitting_time(a, b, z, 2.0**-60)
    borderline = b > 0 and math.isclose(u, a / (a + b * float(smaller)), rel_tol=1e-12)
    got = inverse_gaussian(a, b, z, u)
    assert borderline or mpmath.isinf(expected) or got == pytest.approx(float(expected), rel=1e-12)


def test_shortcut_decides_as_the_whole_uniform_does():
    """The first digit settles most draws: it must settle them as U <= exp(−2ab) would."""
    path = np.arange(10_000, dtype=np.uint64)
    digits = naive.words(3, naive.BRIDGE, path, 0, 2)[0] & 255
    high, low, _, _ = naive.words(3, naive.BRIDGE, path, 0, 0)
    u = (digits + naive.uniform(high, low)) / 256
    for ab in np.geomspace(1e-4, 10, 100):
        crossed = crossings(math.sqrt(ab), math.sqrt(ab), n=path.size, seed=3) >= 0
        assert np.array_equal(crossed, u <= math.exp(-2 * ab))


def test_limits():
    n = 2000
    assert np.all(crossings(1e-3, 1e-300, n=n) >= 0)  # b → 0: certain
    assert np.all(crossings(2.0, -0.1, n=n) >= 0)
    at, before, after = (crossings(1.5, b, n=n) for b in (0.0, 1e-13, -1e-13))
    assert np.allclose(before, at, rtol=1e-6)
    assert np.array_equal(before, after)
    assert np.all(crossings(FARTHEST_PRODUCT, 1.0, n=n) == -1)
    parts = np.concatenate([crossings(a, b, n=n) for a in (1e-8, 1, 1e8) for b in (-1e8, -1, 0.0)])
    assert np.all((parts >= 0) & (parts <= 1))
    # Without noise the path is a straight line.
    assert np.allclose(crossings(3e9, -1e9, n=n), 0.75, rtol=1e-3)


@pytest.mark.statistical
@pytest.mark.parametrize("ab", [0.05, 0.4, 1.5, 4.0])
def test_crossing_probability(ab):
    n = 400_000
    crossed = np.count_nonzero(crossings(ab / 0.7, 0.7, n=n, step=5, seed=21) >= 0)
    check_p(f"P(crossing) at ab = {ab}", binomtest(crossed, n, math.exp(-2 * ab)).pvalue)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("a", "b"), [(0.3, 0.5), (1.0, -0.4), (3.0, -2.0), (0.02, -5.0), (0.7, 0.0)]
)
def test_crossing_time_is_inverse_gaussian(a, b):
    part = crossings(a, b, n=100_000, step=9, seed=22)
    part = part[part >= 0]
    u = part / (1 - part)
    law = invgauss(1 / (a * abs(b)), scale=a**2) if b else levy(scale=a**2)
    check_p(f"crossing time, a = {a}, b = {b}", kstest(u, law.cdf).pvalue)


@pytest.mark.slow
@pytest.mark.statistical
def test_against_a_finely_simulated_bridge():
    a, b, paths, fine = 0.8, 0.5, 20_000, 1000
    rng = np.random.default_rng(23)
    walk = np.cumsum(rng.normal(scale=fine**-0.5, size=(paths, fine)), axis=1)
    t = np.arange(1, fine + 1) / fine
    bridge = a + walk + t * (b - a - walk[:, -1:])
    # Looked at on a grid, the bridge behaves as a continuous one with a barrier moved away.
    below = bridge <= BARRIER_SHIFT * fine**-0.5
    crossed = below.any(axis=1)
    coarse = crossings(a, b, n=100_000, seed=24)
    p = math.exp(-2 * a * b)
    stderr = math.sqrt(p * (1 - p) / paths)
    check_z("P(crossing) of the fine bridge", crossed.mean(), stderr, np.mean(coarse >= 0))
    fine_times = (below.argmax(axis=1)[crossed] + 0.5) / fine
    check_p("crossing time of the fine bridge", ks_2samp(fine_times, coarse[coarse >= 0]).pvalue)
