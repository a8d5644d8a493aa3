"""Inversion of Laplace transforms: laws known in closed form, narrow and broad, and both tails."""

import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from scipy import stats
from scipy.special import erfcx, ndtr

from sde_grok.checks import ParameterError
from sde_grok.laws.inversion import density, log1p, scaled_chi2, survival

approx = partial(pytest.approx, rel=0)

EXACT = 2e-14  # a hundred roundings, times the e^{9/2} by which the path exceeds its limits


def times(mean, sd):
    """Both tails, and the middle."""
    near = mean + sd * np.linspace(-9, 12, 22)
    return np.concatenate([near[near > 0], mean * np.geomspace(1e-6, 40, 24)])


def gamma_transform(shape):
    return lambda alpha: -shape * log1p(alpha)


@pytest.mark.parametrize("wrong", [1 / 1.5, 1, 1.5])
def test_exponential(wrong):
    t = np.geomspace(1e-9, 300, 60)
    law = {"log_transform": gamma_transform(1), "mean": 1, "variance": wrong}
    assert survival(time=t, **law) == approx(np.exp(-t), abs=EXACT)
    assert np.minimum(t, 1) * density(time=t, **law) == approx(
        np.minimum(t, 1) * np.exp(-t), abs=5 * EXACT
    )


@pytest.mark.parametrize("wrong", [1 / 1.5, 1, 1.5])
@pytest.mark.parametrize("shape", [0.5, 3, 100])
def test_gamma(shape, wrong):
    t, law = times(shape, math.sqrt(shape)), stats.gamma(shape)
    ours = {"log_transform": gamma_transform(shape), "mean": shape, "variance": wrong * shape}
    assert survival(time=t, **ours) == approx(law.sf(t), abs=EXACT)
    scale = np.minimum(t, math.sqrt(shape))
    assert scale * density(time=t, **ours) == approx(scale * law.pdf(t), abs=5 * EXACT)


@pytest.mark.parametrize("shape", [1e-6, 1e-2, 1, 100, 1e6])
def test_inverse_gaussian(shape):
    sd = math.sqrt(1 / shape)
    t = np.concatenate([times(1, sd), shape * np.geomspace(1e-2, 1e5, 15)])
    ours = {
        "log_transform": lambda alpha: -2 * alpha / (1 + np.sqrt(1 + 2 * alpha / shape)),
        "mean": 1,
        "variance": 1 / shape,
    }
    z = np.sqrt(shape / t)
    exact = ndtr(z - z * t) - np.exp(-((z - z * t) ** 2) / 2) * erfcx((z + z * t) / 2**0.5) / 2
    # t itself has a rounding error, of 1e-16 m/√v standard deviations
    assert survival(time=t, **ours) == approx(exact, abs=EXACT + 1e-15 / sd)
    scale, pdf = np.minimum(t, sd), stats.invgauss(1 / shape, scale=shape).pdf(t)
    assert scale * density(time=t, **ours) == approx(scale * pdf, abs=5 * EXACT + 1e-15 / sd)


@pytest.mark.parametrize("p", [1e-2, 1e-6])
def test_mixture_with_an_atom_at_zero(p):
    t = np.geomspace(1e-9, 40, 30)
    ours = {"mean": p, "variance": p * (2 - p)}
    actual = survival(lambda alpha: log1p(-p * alpha / (1 + alpha)), t, **ours)
    assert actual == approx(p * np.exp(-t), abs=EXACT)


def test_law_far_from_inverse_gaussian():
    # the largest of n exponential times, for which ln(n) is hardly random: doubly exponential tail
    n = 10_000
    rates = np.arange(1.0, n + 1)
    mean, variance = np.sum(1 / rates), np.sum(1 / rates**2)
    t = mean + np.linspace(-5, 30, 36)
    exact = -np.expm1(n * np.log1p(-np.exp(-t)))
    actual = survival(
        lambda a: -np.sum(log1p(a[:, None] / rates), 1), t, mean=mean, variance=variance
    )
    assert actual == approx(exact, abs=EXACT)


def test_delay_before_an_exponential():
    delay, wait = 5.0, 1000.0
    t = np.array([1.0, 4.5, 4.9, 5.0, 5.5, 6.0, 7.0, 20.0, 1000.0])
    narrow = 400  # the delay is Gamma distributed, to 5 %

    def transform(alpha):
        return -narrow * log1p(delay / narrow * alpha) - log1p(wait * alpha)

    with mp.workdps(30):
        exact = [1 - float(_gamma_then_exponential(u, delay / narrow, narrow, wait)) for u in t]
    mean, variance = delay + wait, delay**2 / narrow + wait**2
    assert survival(transform, t, mean=mean, variance=variance) == approx(exact, abs=EXACT)


def _gamma_then_exponential(t, scale, shape, wait):
    """P(G + E <= t) = P(G <= t) − e^{−t/w} E[e^{G/w}; G <= t], the last a gamma law again."""
    thinner = 1 - mp.mpf(scale) / wait
    first = mp.gammainc(shape, 0, t / mp.mpf(scale), regularized=True)
    second = mp.gammainc(shape, 0, t / mp.mpf(scale) * thinner, regularized=True)
    return first - mp.exp(-t / mp.mpf(wait)) * thinner**-shape * second


@pytest.mark.parametrize("n", [1, 10, 131_072, 400_000])
def test_chi2(n):
    sd = math.sqrt(2 * n)
    t = n + sd * np.linspace(-3, 6, 10)  # further left scipy is the less precise of the two
    t = t[t > 0]
    law = {"log_transform": scaled_chi2(n, 1), "mean": n, "variance": 2 * n}
    rounding = EXACT + 1e-15 * n / sd
    assert survival(time=t, **law) == approx(stats.chi2.sf(t, n), abs=rounding)


def test_chi2_of_a_million_in_the_left_tail():
    n, sd = 10**6, math.sqrt(2e6)
    with mp.workdps(30):
        exact = [
            float(mp.quad(lambda u: mp.npdf(u) * _chi2_over_normal(u, n, sd), [z, 0, 12]))
            for z in (-5, -2)
        ]
    actual = survival(scaled_chi2(n, 1), n + sd * np.array([-5, -2]), mean=n, variance=2 * n)
    assert actual == approx(exact, abs=EXACT + 1e-15 * n / sd)


def _chi2_over_normal(z, n, sd):
    """Density of (χ²_n − n)/sd over that of a standard normal variable."""
    x, half = n + sd * z, mp.mpf(n) / 2
    log_pdf = (half - 1) * mp.log(x) - x / 2 - half * mp.log(2) - mp.loggamma(half)
    return sd * mp.exp(log_pdf) / mp.npdf(z)


def test_sum_of_two_scaled_chi2_equals_mpmath():
    sizes, variances = [1, 6], [2.0, 0.3]
    t = np.array([0.5, 3.8, 15.0])

    def exact(u):  # over the one of one degree of freedom, 2z²
        def f(z):
            return 2 * mp.npdf(z) * mp.gammainc(3, (u - 2 * z**2) / mp.mpf("0.6"), regularized=True)

        edge = mp.sqrt(mp.mpf(u) / 2)
        return float(mp.quad(f, [0, edge]) + 2 * mp.ncdf(-edge))

    actual = survival(scaled_chi2(sizes, variances), t, mean=3.8, variance=2 * 4 + 12 * 0.09)
    assert actual == approx([exact(u) for u in t], abs=EXACT)


def test_equal_variances_join_and_zero_ones_drop():
    alpha = np.array([0.3 + 2j])
    joined = scaled_chi2([3, 4, 9, 2], [0.5, 0.5, 0.0, 2.0])(alpha)
    assert joined == approx(scaled_chi2([7, 2], [0.5, 2.0])(alpha), abs=1e-15)
    assert scaled_chi2([3, 4], 0.5)(alpha) == approx(-3.5 * np.log(1 + alpha), abs=1e-14)


def test_network_of_many_different_neurons():
    # central limit with its first correction, −skewness/6 (z² − 1) φ(z); the next is O(1/N)
    rng = np.random.default_rng(1)
    sizes, variances = rng.integers(100, 1000, 500), rng.uniform(0.5, 1.5, 500) / 500
    mean, variance = np.sum(sizes * variances), np.sum(2 * sizes * variances**2)
    skewness = np.sum(8 * sizes * variances**3) / variance**1.5
    z = np.linspace(-3, 3, 7)
    edgeworth = stats.norm.sf(z) + skewness / 6 * (z**2 - 1) * stats.norm.pdf(z)
    actual = survival(
        scaled_chi2(sizes, variances), mean + math.sqrt(variance) * z, mean=mean, variance=variance
    )
    assert actual == approx(edgeworth, abs=skewness**2)
    assert np.max(abs(actual - stats.norm.sf(z))) > 10 * skewness**2


def test_limits():
    law = {"log_transform": gamma_transform(100), "mean": 100, "variance": 100}
    t = np.array([0, 1e-300, 1e-3, 1e6, 1e300])
    assert survival(time=t, **law).tolist() == [1, 1, 1, 0, 0]
    assert density(time=t, **law).tolist() == [0, 0, 0, 0, 0]


def test_log1p_keeps_small_numbers():
    with mp.workdps(40):
        for z in (1e-20 + 1e-17j, -1e-9 + 1e-5j, 3 - 2j, -0.5 + 1e-8j):
            exact = complex(mp.log(1 + mp.mpc(z)))
            assert abs(log1p(np.array(z)) - exact) <= 4e-16 * abs(exact)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": -1}, "time = -1: must be a finite number >= 0"),
        ({"mean": 0}, "mean = 0: must be a finite number > 0"),
        ({"variance": math.inf}, "variance = inf: must be a finite number > 0"),
    ],
)
@pytest.mark.parametrize("law", [survival, density])
def test_bad_input(law, change, message):
    given = {"time": 1, "mean": 1, "variance": 1} | change
    with pytest.raises(ParameterError) as error:
        law(gamma_transform(1), **given)
    assert str(error.value) == message


def test_bad_variances():
    with pytest.raises(ParameterError, match="sizes = 0"):
        scaled_chi2([3, 0], 1)
    with pytest.raises(ParameterError, match="variances = -1"):
        scaled_chi2([3, 4], [1, -1])
    with pytest.raises(ParameterError, match="must be one number, or 3"):
        scaled_chi2([3, 4, 5], [1, 2])
