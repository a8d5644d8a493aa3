"""Variance of the passage time: mpmath at 50 digits, its own equation, identities, far corners."""

import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import cumulative_simpson, simpson
from scipy.special import gammainc, gammaincc

from sde_grok.checks import ParameterError
from sde_grok.laws import log_mean_passage_time, mean_passage_time
from sde_grok.laws.variance import log_passage_time_variance, passage_time_variance

approx = partial(pytest.approx, abs=0)  # by default it would forgive 1e-12

UNIT = {"gamma": 1.0, "q2": 1.0}  # then x = V, κ = d/2 is the floor, and Var T = ∫ w dx/4
DIRECTIONS = pytest.mark.parametrize("inward", [True, False], ids=["inward", "outward"])
EXACT = 1e-12  # some thousand roundings


def cumulant(log_transform, scale=1):
    """Second derivative at 0 of a log Laplace transform of 2T, as a function of a = α/2."""
    with mp.workdps(50):
        return float(mp.re(mp.diff(lambda a: log_transform(a / scale), 0, 2)) * scale**2 / 4)


@DIRECTIONS
@pytest.mark.parametrize("dim", [0.5, 1.999, 10, 40])
def test_variance_equals_mpmath(dim, inward):
    confluent, kappa = mp.hyperu if inward else mp.hyp1f1, mp.mpf(dim) / 2
    for core, gap in [(0.2, 1e-6), (0.2, 1), (1, 4), (3, 0.3)]:
        start, core = core * (1 + gap) * dim / 2, core * dim / 2
        start, core = (start, core) if inward else (core, start)
        mean = mean_passage_time(start, core, dim=dim, **UNIT)
        expected = cumulant(
            lambda a, v=start, c=core: mp.log(confluent(a, kappa, v) / confluent(a, kappa, c)),
            1 + mean,
        )
        actual = passage_time_variance(start, core, dim=dim, **UNIT)
        assert actual == approx(expected, rel=EXACT), (start, core)


@pytest.mark.parametrize("dim", [0.5, 1, 1.9, 1.999])
def test_variance_to_the_origin_equals_mpmath(dim):
    kappa = mp.mpf(dim) / 2
    for start in (1e-3, 1.0, 30.0):
        expected = cumulant(
            lambda a, v=start: mp.log(mp.hyperu(a, kappa, v) * mp.gamma(a - kappa + 1))
        )
        assert passage_time_variance(start, 0, dim=dim, **UNIT) == approx(expected, rel=EXACT)


def by_its_equation(low, high, dim, inward, intervals):
    """Var T by Simpson's rule on w(x) = e^x x^{−κ} ∫ 2 s^κ e^{−s} u(s)² ds, over (x, ∞) or (0, x).

    u(s) = e^s s^{−κ} Γ(κ, s), outward γ(κ, s). Powers and exponentials relative to those at κ.
    """
    kappa, width = dim / 2, high - low
    widths = math.ceil(12 * math.sqrt(kappa) / width)  # e^{−72} there
    step = width / intervals
    s = step * np.arange(widths * intervals + 1)
    s = low + s if inward else high - s
    log_growth = s - kappa - kappa * np.log1p((s - kappa) / kappa)
    log_gamma = math.log(2 * math.pi / kappa) / 2 + 1 / (12 * kappa)  # DLMF 5.11.1
    u = np.exp(log_growth + log_gamma) * (gammaincc if inward else gammainc)(kappa, s)
    covered = cumulative_simpson(2 * np.exp(-log_growth) * u**2, dx=step, initial=0)
    w = np.exp(log_growth) * (covered[-1] - covered)
    return simpson(w[: intervals + 1], dx=step) / 4


@DIRECTIONS
@pytest.mark.parametrize("z", [(-1.5, 1.5), (0, 0.3), (1, 3), (-3, -2)])
def test_variance_solves_its_equation_at_network_dimension(z, inward):
    dim = 1e6
    low, high = (dim / 2 + math.sqrt(dim / 2) * u for u in z)
    start, core = (high, low) if inward else (low, high)
    coarse, fine = (by_its_equation(low, high, dim, inward, n) for n in (1000, 2000))
    actual = passage_time_variance(start, core, dim=dim, **UNIT)
    # a rule of fourth order; SciPy's γ(κ, s) has lost five digits where s is far below κ
    assert actual == approx(fine, rel=5e-11 + abs(coarse / fine - 1))


@pytest.mark.parametrize(("start", "core"), [(4.0, 1.5), (1.2, 1.1), (50, 3), (0.2, 0.5), (0, 0.9)])
def test_small_noise_is_approached_like_one_over_d(start, core):
    def primitive(nu):  # of 2x u²/(x−κ) dx/4 with u = 1/(x−κ), x = νκ
        return -1 / (2 * (nu - 1)) - 1 / (4 * (nu - 1) ** 2)

    limit = primitive(start) - primitive(core)

    def error(dim):
        exact = passage_time_variance(start * dim / 2, core * dim / 2, dim=dim, **UNIT)
        return limit / (exact * dim / 2) - 1

    # c/d + c₂/d², where c₂/c is of the order 1/(ν − 1)², say 500 at most
    assert abs(error(1e5)) < 1e-2
    assert error(1e4) / error(1e5) == approx(10, rel=0.05)
    assert error(1e5) / error(1e6) == approx(10, rel=0.005)


@pytest.mark.parametrize(("start", "core", "dim"), [(1, 0.1, 60), (3, 0.9, 2e4), (0.5, 1.1, 2e4)])
def test_rare_passages_are_exponential(start, core, dim):
    log_mean = log_mean_passage_time(start * dim / 2, core * dim / 2, dim=dim, **UNIT)
    log_variance = log_passage_time_variance(start * dim / 2, core * dim / 2, dim=dim, **UNIT)
    assert log_mean > 25
    # but for O(relaxation time/E T) = O(e^{−25} ln d) and rounding, 1e-15 d
    assert log_variance == approx(2 * log_mean, abs=1e-9)


OFF = st.floats(-3, 3).map(lambda u: 10**u)
DIM = st.floats(-1, 6).map(lambda u: 10**u)


@given(dim=DIM, radii=st.lists(OFF, min_size=3, max_size=3, unique=True), outward=st.booleans())
def test_passages_add_up(dim, radii, outward):
    a, b, c = sorted((dim / 2 * r for r in radii), reverse=not outward)
    direct = log_passage_time_variance(a, c, dim=dim, **UNIT)
    parts = [log_passage_time_variance(*leg, dim=dim, **UNIT) for leg in [(a, b), (b, c)]]
    # a logarithm of up to 1e9 has that many roundings; a leg can be lost beside the other
    rounding = 1e-10 + 1e-15 * abs(direct)
    assert np.logaddexp(*parts) == approx(direct, abs=rounding, rel=0)


@pytest.mark.parametrize("dim", [1e-6, 0.5, 1.9, 1.9999999])
def test_passages_to_the_origin_add_up(dim):
    direct = passage_time_variance(3, 0, dim=dim, **UNIT)
    for between in (2, 1e-2, 1e-9):
        first, last = passage_time_variance([3, between], [between, 0], dim=dim, **UNIT)
        # 1 − d/2 has lost up to 7 digits, twice
        assert first + last == approx(direct, rel=EXACT / (2 - dim))


@pytest.mark.parametrize("dim", [0.1, 1, 1.5, 3, 9])
def test_power_law_near_the_origin(dim):
    core = np.array([1e-30, 1e-60])
    far, near = log_passage_time_variance(core * (1 + 2.0**-20), core, dim=dim, **UNIT)
    # w ∝ x^{−κ} for κ < 1, and x^{1−2κ} for κ > 1, but for 1 + O(x^|1−κ|), 3e-8 at most
    power = 1 - dim / 2 if dim < 2 else 2 - dim
    assert near - far == approx(-30 * math.log(10) * power, abs=1e-7)


@given(dim=DIM, start=OFF, core=OFF, time=OFF, length=OFF)
def test_units_do_not_matter(dim, start, core, time, length):
    here = log_passage_time_variance(dim * start, dim * core, dim=dim, gamma=1, q2=1)
    there = log_passage_time_variance(
        dim * start * length, dim * core * length, dim=dim, gamma=1 / time, q2=length / time
    )
    if start != core and abs(start / core - 1) > 1e-6:  # nearer, rounding moves the gap itself
        assert there - 2 * math.log(time) == approx(here, abs=1e-9 + 1e-14 * abs(here))


@pytest.mark.parametrize("dim", [0.5, 1, 3, 100, 1e4, 1e6])
def test_log_variance_grows_with_distance(dim):
    core = dim / 2 * np.geomspace(1e-2, 1e4, 31)  # in units of the floor
    inward = log_passage_time_variance(core[-1] * 2, core, dim=dim, **UNIT)
    outward = log_passage_time_variance(core[0] / 2, core, dim=dim, **UNIT)
    assert np.all(np.isfinite([inward, outward]))
    assert np.all(np.diff(inward) < 0)
    assert np.all(np.diff(outward) > 0)
    starts = log_passage_time_variance(dim * np.geomspace(0.51, 1e4, 11), dim / 2, dim=dim, **UNIT)
    assert np.all(np.diff(starts) > 0)


def test_far_corners_are_finite():
    radii = np.array([1e-79, 1e-12, 1, 1e12, 9e79])
    start, core = np.meshgrid(radii, radii)
    for dim in (1e-9, 9e11):
        log_variance = log_passage_time_variance(start, core, dim=dim, **UNIT)
        assert np.all(np.isfinite(log_variance) == (start != core))


@pytest.mark.parametrize("dim", [0.5, 1, 3, 50])
def test_no_contraction_is_a_limit(dim):
    gamma = 1e-11
    still = passage_time_variance(1, 4, dim=dim, gamma=0, q2=2)
    slow = passage_time_variance(1, 4, dim=dim, gamma=gamma, q2=2)
    assert still == approx(2 * (16 - 1) / (dim**2 * (dim + 2) * 4), rel=1e-14)
    assert slow == approx(still, rel=10 * gamma / dim + EXACT)  # 1 + O(γV*/dq²)
    gammas = np.array([1e-2, 1e-6, 1e-10, 0])
    log_variances = log_passage_time_variance(4, 1, dim=dim, gamma=gammas, q2=2)
    assert np.all(np.diff(log_variances) > 0)
    assert np.isinf(log_variances).tolist() == [False, False, False, True]


@pytest.mark.parametrize("dim", [0.5, 1, 3, 50])
def test_no_noise_is_a_limit(dim):
    quiet = passage_time_variance(4, 1, dim=dim, gamma=0.5, q2=np.array([1e-9, 1e-11, 0]))
    # w → 2/x², Var T → (q²/2γ³)(1/V* − 1/V₀), but for 1 + O(dq²/γV*)
    assert quiet[:2] == approx(3 * np.array([1e-9, 1e-11]), rel=1e-8 * (dim + 1))
    assert quiet[2] == 0
    assert log_passage_time_variance(4, 1, dim=dim, gamma=0.5, q2=0) == -math.inf
    assert (
        passage_time_variance([1, 4], [4, 0], dim=dim, gamma=0.5, q2=0).tolist() == [math.inf] * 2
    )


def test_origin_is_reached_below_two_dimensions_only():
    dims = np.array([0.5, 1, 1.5, 1.9999999, 2, 3])
    variances = passage_time_variance(1, 0, dim=dims, **UNIT)
    assert np.all(np.diff(variances[:4]) > 0)
    assert np.all(variances[4:] == math.inf)
    # exponential in the limit d → 2, where E T → 1/(2−d)
    assert variances[3] == approx(1e14, rel=1e-6)


def test_nothing_to_do_takes_no_time():
    assert passage_time_variance(3, 3, dim=5, gamma=0, q2=0) == 0
    assert log_passage_time_variance(3, 3, dim=5, **UNIT) == -math.inf


def test_variance_is_the_exponential_of_its_logarithm():
    dims = np.array([3, 40, 1e5])
    variance = passage_time_variance(30, 2, dim=dims, **UNIT)
    log_variance = log_passage_time_variance(30, 2, dim=dims, **UNIT)
    assert variance[:2].tolist() == [math.exp(v) for v in log_variance[:2]]
    assert variance[2] == math.inf
    assert 709 < log_variance[2] < math.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rho2_start": -1}, "rho2_start = -1: must be a finite number >= 0"),
        ({"dim": 0}, "dim = 0: must be a finite number >= 1e-09 and < 1e+12"),
        ({"gamma": "slow"}, "gamma = 'slow': must be a finite number >= 0"),
        ({"q2": 1e-90}, "gamma rho2_core/q2 = 8e+90: must be 0 or within 1e-80...1e+80"),
    ],
)
def test_bad_input(change, message):
    given = {"rho2_start": 20, "rho2_core": 8, "dim": 10, **UNIT} | change
    with pytest.raises(ParameterError) as error:
        passage_time_variance(**given)
    assert str(error.value) == message
