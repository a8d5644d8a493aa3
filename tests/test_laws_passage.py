"""Exact passage times: worked values, mpmath at 50 digits, identities, and the far corners."""

import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from sde_grok.checks import ParameterError
from sde_grok.laws import laplace_transform, log_mean_passage_time, mean_passage_time

approx = partial(pytest.approx, abs=0)  # by default it would forgive 1e-12

UNIT = {"gamma": 1.0, "q2": 1.0}  # then x = V, κ = d/2 is the floor, and E T = ∫…dx/2
DIMS = [0.5, 1, 1.999, 2, 3, 10, 40]
DIRECTIONS = pytest.mark.parametrize("inward", [True, False], ids=["inward", "outward"])
EXACT = 1e-12  # some thousand roundings


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mp.workdps(50):
        yield


def pairs(dim, inward, gaps=(1e-6, 0.3, 4.0)):
    """Start and core on both sides of the floor κ, close together and apart."""
    for core in (0.2 * dim / 2, dim / 2, 3 * dim / 2):
        for gap in gaps:
            yield (core * (1 + gap), core) if inward else (core, core * (1 + gap))


def exact_mean(start, core, dim):
    kappa = mp.mpf(dim) / 2
    if start > core:
        return mp.quad(lambda x: mp.hyperu(1, 1 + kappa, x), [core, start]) / 2
    return mp.quad(lambda x: mp.hyp1f1(1, 1 + kappa, x) / kappa, [start, core]) / 2


@pytest.mark.parametrize(
    ("start", "core", "expected"), [(20, 8, 0.65555), (20, 3, 2.02573), (2, 8, 2.36347)]
)
def test_worked_values(start, core, expected):
    assert mean_passage_time(start, core, dim=10, **UNIT) == approx(expected, abs=5e-6)


@DIRECTIONS
@pytest.mark.parametrize("dim", DIMS)
def test_mean_equals_mpmath(dim, inward):
    for start, core in pairs(dim, inward, gaps=(1e-6, 1.0)):
        expected = float(exact_mean(start, core, dim))
        assert mean_passage_time(start, core, dim=dim, **UNIT) == approx(expected, rel=EXACT)


@DIRECTIONS
@pytest.mark.parametrize("dim", DIMS)
def test_laplace_transform_equals_mpmath(dim, inward):
    confluent = mp.hyperu if inward else mp.hyp1f1
    for start, core in pairs(dim, inward):
        for alpha in (1e-8, 0.3, 0.99 * dim, 1.5 * dim):
            a, kappa = mp.mpf(alpha) / 2, mp.mpf(dim) / 2
            expected = float(confluent(a, kappa, start) / confluent(a, kappa, core))
            actual = laplace_transform(alpha, start, core, dim=dim, **UNIT)
            # a difference of logarithms of up to some hundred
            assert actual == approx(expected, rel=1e-11), (start, core, alpha)


@DIRECTIONS
@pytest.mark.parametrize("dim", DIMS)
def test_laplace_transform_without_contraction_equals_mpmath(dim, inward):
    nu, bessel = mp.mpf(dim) / 2 - 1, mp.besselk if inward else mp.besseli
    for start, core in [(5, 2), (2.001, 2), (3e4, 1e-4)]:
        start, core = (start, core) if inward else (core, start)
        for alpha in (1e-6, 0.3, 40.0):
            h_start, h_core = (
                mp.mpf(v) ** (-nu / 2) * bessel(nu, mp.sqrt(2 * alpha * mp.mpf(v)))
                for v in (start, core)
            )
            actual = laplace_transform(alpha, start, core, dim=dim, gamma=0, q2=1)
            assert actual == approx(float(h_start / h_core), rel=1e-11)


@pytest.mark.parametrize("nu", [0.5, 0.999, 1.0, 1.001, 2.0])
def test_network_dimension_equals_mpmath(nu):
    kappa = mp.mpf(500_000)  # the integral over t, by another rule and at 30 digits
    core, gap = nu * kappa, kappa / 2

    def f(t):
        growth = (kappa - 1) * mp.log1p(t) - core * t
        return mp.exp(growth) * -mp.expm1(-gap * t) / t

    with mp.workdps(30):
        peak, width = max(0, 1 / mp.mpf(nu) - 1), 5 / mp.sqrt(kappa)
        points = [max(0, peak + n * width) for n in range(-5, 6)]
        expected = float(mp.log(mp.quad(f, sorted(set(points))) / 2))
    actual = log_mean_passage_time(float(core + gap), float(core), dim=1e6, **UNIT)
    assert actual == approx(expected, rel=1e-13, abs=1e-12)


@DIRECTIONS
@pytest.mark.parametrize("dim", DIMS)
def test_mean_is_the_slope_of_the_laplace_transform(dim, inward):
    cases = [(s, c) for s, c in pairs(dim, inward, gaps=(0.5, 4.0)) if max(s, c) < 20 + dim]
    assert cases
    for start, core in cases:
        mean = mean_passage_time(start, core, dim=dim, **UNIT)
        h = 1e-4 / (1 + mean)
        once, twice = laplace_transform(np.array([h, 2 * h]), start, core, dim=dim, **UNIT)
        slope = (3 - 4 * once + twice) / (2 * h)
        # error h² E T³/3, where E T³ is about 6 (E T) (1 + E T)² at most; rounding 1e-13/h E T
        assert slope == approx(mean, rel=1e-6), (start, core)


@pytest.mark.parametrize("dim", [1e4, 1e6])
@pytest.mark.parametrize(("start", "core"), [(1.02, 1.0), (1.0, 0.98), (0.98, 1.0), (1.0, 1.02)])
def test_slope_of_the_laplace_transform_at_network_dimension(start, core, dim):
    start, core = start * dim / 2, core * dim / 2
    mean = mean_passage_time(start, core, dim=dim, **UNIT)
    h = 1e-3 / mean
    once, twice = laplace_transform(np.array([h, 2 * h]), start, core, dim=dim, **UNIT)
    # error h² E T³/3, here 2e-6 (E T) at most; rounding of logarithms of the size of d, over h
    assert (3 - 4 * once + twice) / (2 * h) == approx(mean, rel=5e-6 if dim < 1e5 else 1e-5)


@DIRECTIONS
@pytest.mark.parametrize("log_mean", [25, 47, 55, 150])
@pytest.mark.parametrize("dim", [5, 60, 1e4])
def test_rare_passages_are_exponential(dim, log_mean, inward):
    kappa = dim / 2

    def excess(log_nu):
        core = kappa * math.exp(log_nu)
        return log_mean_passage_time(kappa, core, dim=dim, **UNIT) - log_mean

    core = kappa * math.exp(brentq(excess, *((-180, -1e-4) if inward else (1e-4, 6))))
    alpha = 0.5 * math.exp(-log_mean)
    actual = laplace_transform(alpha, kappa, core, dim=dim, **UNIT)
    # 1/(1 + α E T) but for O(relaxation time/E T) = O(e^{−25} ln d) and rounding, 1e-12 d
    assert actual == approx(1 / 1.5, rel=1e-8)


def test_means_beyond_all_bounds():
    # outward far above the floor ln E T → γV*/q², and rounding exceeds what else there is
    assert log_mean_passage_time(0, 1, dim=3, gamma=1, q2=1e-30) == approx(1e30, rel=1e-13)
    assert mean_passage_time(0, 1, dim=3, gamma=1, q2=1e-30) == math.inf
    near = 1 / (1 + 1e-9)
    assert log_mean_passage_time(near, 1, dim=1e4, gamma=1, q2=1e-21) == approx(1e21, rel=1e-13)


@pytest.mark.parametrize("dim", [0.5, 1, 3, 100, 1e4, 1e6])
def test_log_mean_grows_with_distance(dim):
    core = dim / 2 * np.geomspace(1e-2, 1e4, 61)  # in units of the floor
    inward = log_mean_passage_time(core[-1] * 2, core, dim=dim, **UNIT)
    outward = log_mean_passage_time(core[0] / 2, core, dim=dim, **UNIT)
    assert np.all(np.isfinite(inward))
    assert np.all(np.isfinite(outward))
    assert np.all(np.diff(inward) < 0)
    assert np.all(np.diff(outward) > 0)


@pytest.mark.parametrize("nu", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("distance", [1e-15, 1e-9])
@pytest.mark.parametrize("dim", [1, 100, 1e6])
def test_start_close_to_the_core(dim, distance, nu):
    kappa, core = dim / 2, nu * dim / 2
    start = core * (1 + distance)
    gap = start - core
    scale = core - kappa * mp.log(core)  # U(1, 1+κ, x) = e^x x^{−κ} Γ(κ, x), and so M with γ
    log_u, log_m = (
        float(scale + mp.log(mp.gammainc(kappa, *bounds))) for bounds in [(core,), (0, core)]
    )
    # E T = gap·U(1, 1+κ, ξ)/2 at some ξ in between, and |d ln U/dx| < max(κ, 1)/x, |d ln M/dx| < 1
    slack = gap * (1 + max(kappa, 1) / core) + 1e-15 * abs(log_u) + 1e-12
    inward = log_mean_passage_time(start, core, dim=dim, **UNIT)
    assert inward == approx(math.log(gap / 2) + log_u, abs=slack)
    outward = log_mean_passage_time(core, start, dim=dim, **UNIT)
    assert outward == approx(math.log(gap / 2) + log_m, abs=slack + 1e-15 * abs(log_m))


OFF = st.floats(-3, 3).map(lambda u: 10**u)
DIM = st.floats(-1, 6).map(lambda u: 10**u)


@given(dim=DIM, radii=st.lists(OFF, min_size=3, max_size=3, unique=True), outward=st.booleans())
def test_passages_add_up(dim, radii, outward):
    a, b, c = sorted((dim / 2 * r for r in radii), reverse=not outward)
    direct = log_mean_passage_time(a, c, dim=dim, **UNIT)
    parts = [log_mean_passage_time(*leg, dim=dim, **UNIT) for leg in [(a, b), (b, c)]]
    # a logarithm of up to 1e9 has that many roundings; a leg can be lost beside the other
    rounding = 1e-10 + 1e-15 * abs(direct)
    assert np.logaddexp(*parts) == approx(direct, abs=rounding, rel=0)


@given(dim=DIM, start=OFF, core=OFF, time=OFF, length=OFF)
def test_units_do_not_matter(dim, start, core, time, length):
    here = log_mean_passage_time(dim * start, dim * core, dim=dim, gamma=1, q2=1)
    there = log_mean_passage_time(
        dim * start * length, dim * core * length, dim=dim, gamma=1 / time, q2=length / time
    )
    if start != core and abs(start / core - 1) > 1e-6:  # nearer, rounding moves the gap itself
        assert there - math.log(time) == approx(here, abs=1e-9 + 1e-14 * abs(here))


@given(dim=DIM, start=OFF, core=OFF, alpha=OFF)
def test_laplace_transform_is_one_of_a_positive_time(dim, start, core, alpha):
    start, core = dim * start, dim * core
    once, twice = laplace_transform(alpha * np.array([1, 2]), start, core, dim=dim, **UNIT)
    mean = mean_passage_time(start, core, dim=dim, **UNIT)
    rounding = 1e-9 * once
    assert 0 <= twice <= once <= 1
    assert once >= math.exp(-alpha * mean) - rounding  # Jensen
    assert twice >= once**2 - rounding


@pytest.mark.parametrize("dim", [0.5, 1, 3, 50])
def test_no_contraction_is_a_limit(dim):
    gamma = 1e-11
    slow = mean_passage_time(1, 4, dim=dim, gamma=gamma, q2=2)
    still = mean_passage_time(1, 4, dim=dim, gamma=0, q2=2)
    assert still == approx(3 / (2 * dim), rel=1e-15)
    assert slow == approx(still, rel=10 * gamma / dim + EXACT)  # 1 + O(γV*/dq²)
    means = mean_passage_time(4, 1, dim=dim, gamma=np.array([1e-2, 1e-6, 1e-10, 0]), q2=2)
    assert np.all(np.diff(means[:3]) > 0)
    assert means[3] == math.inf


@pytest.mark.parametrize("dim", [0.5, 1, 3, 50])
def test_no_noise_is_a_limit(dim):
    q2 = 1e-11
    quiet = mean_passage_time(4, 1, dim=dim, gamma=0.5, q2=q2)
    silent = mean_passage_time(4, 1, dim=dim, gamma=0.5, q2=0)
    assert silent == approx(math.log(4), rel=1e-15)
    assert quiet == approx(silent, rel=10 * (dim + 1) * q2 + EXACT)  # 1 + O(dq²/γV*)
    assert mean_passage_time(1, 4, dim=dim, gamma=0.5, q2=0) == math.inf
    transform = laplace_transform(0.7, 4, 1, dim=dim, gamma=0.5, q2=np.array([q2, 0]))
    assert transform == approx(math.exp(-0.7 * math.log(4)), rel=1e-8)


def test_origin_is_reached_below_two_dimensions_only():
    dims = np.array([0.5, 1, 1.5, 1.9999999, 2, 3])
    means = mean_passage_time(1, 0, dim=dims, **UNIT)
    assert np.all(np.diff(means[:4]) > 0)
    assert np.all(means[4:] == math.inf)
    # d = 1, an Ornstein–Uhlenbeck process to its centre: ∫_0^1 U(1, 3/2, x) dx / 2
    expected = float(mp.quad(lambda x: mp.hyperu(1, mp.mpf(3) / 2, x), [0, 1e-3, 1]) / 2)
    assert means[1] == approx(expected, rel=EXACT)
    # U(1, 1+κ, x) → Γ(κ) x^{−κ} at 0, so that E T → 1/(2−d) as d → 2
    assert means[3] == approx(1e7, rel=1e-6)


@pytest.mark.parametrize("dim", [1, 1.9, 1.999])
def test_laplace_transform_to_the_origin_equals_mpmath(dim):
    a, kappa = mp.mpf(1) / 4, mp.mpf(dim) / 2
    expected = float(mp.hyperu(a, kappa, 1) * mp.gamma(a - kappa + 1) / mp.gamma(1 - kappa))
    assert laplace_transform(0.5, 1, 0, dim=dim, **UNIT) == approx(expected, rel=EXACT)
    nu = kappa - 1  # DLMF 10.30.2 for the limit of K
    expected = float(2 * a ** (-nu / 2) * mp.besselk(nu, 2 * mp.sqrt(a)) / mp.gamma(-nu))
    assert laplace_transform(0.5, 1, 0, dim=dim, gamma=0, q2=1) == approx(expected, rel=EXACT)
    assert laplace_transform(0.5, 1, 0, dim=dim + 1, **UNIT) == 0


def test_dimension_close_to_nothing():
    expected = float(exact_mean(0, 1, 1e-6))
    assert mean_passage_time(0, 1, dim=1e-6, **UNIT) == approx(expected, rel=1e-10)


def test_probability_of_return_without_contraction():
    certain = {"dim": np.array([0.5, 1, 2]), "gamma": 0, "q2": 1}
    assert np.all(laplace_transform(0, 8, 2, **certain) == 1)
    assert laplace_transform(0, 8, 2, dim=5, gamma=0, q2=1) == approx(0.25**1.5)
    assert laplace_transform(1e-9, 8, 2, dim=5, gamma=0, q2=1) == approx(0.25**1.5, rel=1e-4)


def test_nothing_to_do_takes_no_time():
    assert mean_passage_time(3, 3, dim=5, gamma=0, q2=0) == 0
    assert log_mean_passage_time(3, 3, dim=5, **UNIT) == -math.inf
    assert laplace_transform(9, 3, 3, dim=5, **UNIT) == 1


def test_arrays_broadcast():
    cores = np.array([[8.0], [3.0]])
    times = mean_passage_time(20, cores, dim=np.array([10, 12, 14]), **UNIT)
    assert times.shape == (2, 3)
    assert times[1, 2] == mean_passage_time(20, 3, dim=14, **UNIT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rho2_start": -1}, "rho2_start = -1: must be a finite number >= 0"),
        ({"rho2_core": "near"}, "rho2_core = 'near': must be a finite number >= 0"),
        ({"dim": 0}, "dim = 0: must be a finite number >= 1e-09 and < 1e+12"),
        ({"gamma": math.nan}, "gamma = nan: must be a finite number >= 0"),
        ({"q2": math.inf}, "q2 = inf: must be a finite number >= 0"),
        ({"q2": 1e-90}, "gamma rho2_core/q2 = 8e+90: must be 0 or within 1e-80...1e+80"),
    ],
)
def test_bad_input(change, message):
    given = {"rho2_start": 20, "rho2_core": 8, "dim": 10, **UNIT} | change
    with pytest.raises(ParameterError) as error:
        mean_passage_time(**given)
    assert str(error.value) == message


def test_bad_alpha():
    with pytest.raises(ParameterError, match=r"alpha = -1: must be a finite number >= 0"):
        laplace_transform(-1, 20, 8, dim=10, **UNIT)
    with pytest.raises(ParameterError, match=r"alpha/\(2 gamma\) = 5e\+29: must be 0 or within"):
        laplace_transform(1e30, 20, 8, dim=10, **UNIT)
