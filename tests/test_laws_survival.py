"""Law of the passage time: mpmath, a finite-volume solution, exact cases, moments, far corners."""

import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.linalg import eigh_tridiagonal
from scipy.special import erf
from scipy.stats import norm

from sde_grok.checks import ParameterError
from sde_grok.laws.limits import kramers_limit
from sde_grok.laws.passage import mean_passage_time
from sde_grok.laws.survival import _log_tricomi, passage_density, survival_function
from sde_grok.laws.variance import passage_time_variance

approx = partial(pytest.approx, rel=0)

UNIT = {"gamma": 1.0, "q2": 1.0}  # then x = V and κ = d/2 is the floor
EXACT = 2e-14  # a hundred roundings, times the e^{9/2} by which the path exceeds its limits
CASES = [(1, 4.0, 0.3), (2, 3.0, 0.5), (3, 40.0, 1.0), (10, 20.0, 8.0), (100, 60.0, 45.0)]


@pytest.mark.parametrize("angle", [0, 0.5, 0.75])
@pytest.mark.parametrize("kappa", [0.5, 1, 20])
def test_tricomi_equals_mpmath(kappa, angle):
    with mp.workdps(30):
        for x in (1e-3, 0.5 * kappa, 100 * kappa):
            for size in (1e-12, 0.3, 30):
                a = size * np.exp(1j * np.pi * angle)
                actual = _log_tricomi(np.array([a]), kappa, x)[0]
                expected = mp.gamma(a) * mp.hyperu(a, kappa, x)
                # towards the negative axis the path is crowded, and the inversion gives no weight
                crowded = math.exp(4.5 * math.tan(np.pi * angle / 2) ** 2)
                error = float(abs(mp.exp(mp.mpmathify(complex(actual))) / expected - 1))
                assert error < 1e-14 * crowded + 1e-15 * abs(actual), (x, size)


@pytest.mark.parametrize(("dim", "start", "core"), [case for case in CASES if case[0] < 10])
def test_law_equals_mpmath(dim, start, core):
    kappa = mp.mpf(dim) / 2

    def transform(alpha):
        return mp.hyperu(alpha / 2, kappa, start) / mp.hyperu(alpha / 2, kappa, core)

    t = 1.2 * mean_passage_time(start, core, dim=dim, **UNIT)
    with mp.workdps(30):
        expected = mp.invertlaplace(lambda p: (1 - transform(p)) / p, t, method="talbot", degree=25)
        slope = mp.invertlaplace(transform, t, method="talbot", degree=25)
    assert survival_function(t, start, core, dim=dim, **UNIT) == approx(float(expected), abs=EXACT)
    assert passage_density(t, start, core, dim=dim, **UNIT) == approx(float(slope), abs=EXACT)


def finite_volumes(times, start, core, dim, cells):
    """P(T > t) from u_τ = x u″ + (κ−x) u′, τ = 2γt, with u = 0 at x*, and u = 1 beyond at first.

    In self-adjoint form, u_τ = (x^κ e^{−x} u′)′ / (x^{κ−1} e^{−x}); cells of equal width in ln x,
    the start at the centre of one, and no flux at the far end.
    """
    kappa = dim / 2
    far = 1.5 * max(start, kappa) + 40
    below = round(cells * math.log(start / core) / math.log(far / core))
    width = math.log(start / core) / below
    x = core * np.exp(width * np.arange(1, cells + 1))
    edge = x * math.exp(-width / 2)
    log_flux = (kappa - 1) * np.log(edge) - edge - math.log(width)
    log_mass = kappa * np.log(x) - x + math.log(width)
    out = np.exp(log_flux - log_mass) + np.append(np.exp(log_flux[1:] - log_mass[:-1]), 0)
    coupling = np.exp(log_flux[1:] - (log_mass[1:] + log_mass[:-1]) / 2)
    rate, mode = eigh_tridiagonal(-out, coupling)
    root = np.exp((log_mass - np.max(log_mass)) / 2)
    weight = mode[below - 1] / root[below - 1] * (root @ mode)
    return np.exp(2 * np.outer(times, rate)) @ weight


@pytest.mark.parametrize(("dim", "start", "core"), CASES)
def test_survival_equals_finite_volumes(dim, start, core):
    mean = mean_passage_time(start, core, dim=dim, **UNIT)
    t = mean * np.array([0.3, 0.7, 1.0, 2.0, 4.0])
    coarse, fine = (finite_volumes(t, start, core, dim, cells) for cells in (300, 600))
    step = np.max(abs(fine - coarse))
    assert 1e-6 < step < 3e-3
    actual = survival_function(t, start, core, dim=dim, **UNIT)
    # extrapolated, the second order gone; the start moves in its cell, so that 1/100 is not sure
    assert actual == approx(fine + (fine - coarse) / 3, abs=step / 50)


@pytest.mark.parametrize("start", [1e-4, 0.1, 3.0, 1e3, 1e12])
def test_one_dimension_to_the_origin(start):
    gamma, q2 = 1.3, 0.7  # Ornstein–Uhlenbeck to its centre: the reflection principle
    problem = {"dim": 1, "gamma": gamma, "q2": q2}
    mean = mean_passage_time(start, 0, **problem)
    sd = math.sqrt(passage_time_variance(start, 0, **problem))
    t = np.concatenate([mean * np.geomspace(1e-3, 30, 12), np.abs(mean + sd * np.arange(-4, 9))])
    decay = -np.expm1(-2 * gamma * t)
    y = math.sqrt(start) * np.exp(-gamma * t) / np.sqrt(q2 * decay / gamma)
    assert survival_function(t, start, 0, **problem) == approx(erf(y), abs=EXACT)
    slope = 2 / math.sqrt(math.pi) * np.exp(-(y**2)) * y * gamma / decay
    unit = np.minimum(t, sd)
    assert unit * passage_density(t, start, 0, **problem) == approx(unit * slope, abs=5 * EXACT)


def panels(mean, sd):
    """Gauss–Legendre nodes and weights on panels that follow the law from 0 into its tail."""
    if sd < mean / 2:
        edges = mean + sd * np.array([-6, -3, -1.5, 0, 2, 5, 10, 20, 40])
        edges = np.append(0, edges[edges > 0])
    else:
        edges = np.append(0, mean * np.geomspace(0.02, 40, 8))
    node, weight = np.polynomial.legendre.leggauss(10)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + node)).ravel(), (half * weight).ravel()


@pytest.mark.parametrize(("dim", "ratio", "nu"), [(3, 20.0, 0.8), (1e4, 2.0, 1.1), (1e6, 3.0, 1.0)])
def test_moments_and_density(dim, ratio, nu):
    core = nu * dim / 2
    problem = {"rho2_start": ratio * core, "rho2_core": core, "dim": dim, **UNIT}
    mean, variance = mean_passage_time(**problem), passage_time_variance(**problem)
    t, weight = panels(mean, math.sqrt(variance))
    survive, f = survival_function(t, **problem), passage_density(t, **problem)
    rule = 1e-5  # error of the rule, in standard deviations
    assert np.sum(weight * survive) == approx(mean, abs=rule * math.sqrt(variance))
    second = 2 * np.sum(weight * (t - mean) * survive) + mean**2
    assert second == approx(variance, abs=30 * rule * variance)
    assert np.sum(weight * f) == approx(1, abs=rule)
    assert np.all((survive >= 0) & (survive <= 1) & (f >= 0))
    assert np.all(np.diff(survive) < 1e-13)


@pytest.mark.parametrize("dim", [1.0, 10.0, 1e6])
def test_density_is_minus_the_slope(dim):
    problem = {"rho2_start": 1.2 * dim, "rho2_core": 0.5 * dim, "dim": dim, **UNIT}
    mean, sd = mean_passage_time(**problem), math.sqrt(passage_time_variance(**problem))
    h = 1e-4 * sd
    for t in (mean - 0.5 * sd, mean + sd):
        early, late = survival_function([t - h, t + h], **problem)
        f = passage_density(t, **problem)
        # second order: h²f″/6, f″ = 100 f/sd² at most; rounding 1e-12/2h
        assert (early - late) / (2 * h) == approx(f, abs=2e-7 * f + 5e-9 / sd)


@pytest.mark.parametrize("dim", [2.0, 100.0, 1e6])
def test_further_starts_take_longer(dim):
    starts = dim / 2 * np.array([1.0, 1.0001, 1.01, 1.2, 3.0, 100.0])
    survive = survival_function(0.9, starts, dim / 2, dim=dim, **UNIT)
    assert survive[0] == 0
    assert np.all(np.diff(survive) >= -1e-12)
    assert np.max(survive) > 0.9


def test_narrow_law_at_network_dimension_is_normal():
    start, core, dim = 1.5e6, 0.6e6, 1e6  # the floor is at 0.5e6
    problem = {"rho2_start": start, "rho2_core": core, "dim": dim, **UNIT}
    mean, sd = mean_passage_time(**problem), math.sqrt(passage_time_variance(**problem))
    assert 100 < mean / sd < 1000
    z = np.array([-9.0, -2, -0.5, 0, 0.5, 2, 9])
    survive = survival_function(mean + sd * z, **problem)
    # first Edgeworth correction: skewness/6 max |(z²−1)φ(z)| = 0.07 skewness, that of order sd/E T
    assert survive == approx(norm.sf(z), abs=sd / mean)
    assert survive[0] == 1
    assert survive[-1] == approx(0, abs=1e-13)


@pytest.mark.parametrize(("dim", "nu"), [(100, 0.2), (100, 0.02), (1e4, 0.8), (1e6, 0.98)])
def test_below_the_floor_the_law_is_exponential(dim, nu):
    problem = {"rho2_start": dim, "rho2_core": nu * dim / 2, "dim": dim, **UNIT}
    mean = mean_passage_time(**problem)
    assert mean > 1e15  # in units of the relaxation time: its effect is lost in rounding
    assert mean == pytest.approx(kramers_limit(nu * dim / 2, dim=dim, **UNIT), rel=0.2)
    share = np.array([1e-9, 0.1, 1, 5, 30, 1e3])
    rounding = 1e-12 + 1e-16 * dim  # of the mean, and of exponents of the size of d
    survive = survival_function(share * mean, **problem)
    assert survive == approx(np.exp(-share), abs=rounding)
    f = passage_density(share[1:] * mean, **problem)
    assert mean * f == approx(np.exp(-share[1:]), abs=rounding)


def test_waiting_after_a_delay():
    # far above the floor first ln(V₀/V_∞)/2γ, then a hundred times that on the way below it
    dim, core = 100, 26.0
    problem = {"rho2_start": 5e5, "rho2_core": core, "dim": dim, **UNIT}
    delay = mean_passage_time(5e5, dim / 2, dim=dim, **UNIT)
    wait = mean_passage_time(dim / 2, core, dim=dim, **UNIT)
    assert wait > 50 * delay
    survive = survival_function(delay * np.array([0.2, 0.5, 1, 1.5, 2, 4, 30]), **problem)
    assert survive[:2] == approx(1, abs=1e-12)
    assert np.all(np.diff(survive[1:]) < 0)
    # relaxation blurs the delay by about 1/γ
    assert survive[-1] == approx(math.exp(-29 * delay / wait), abs=2 / wait)


def test_start_close_to_the_core():
    core, dim = 40.0, 60
    for distance in (1e-2, 1e-4, 1e-6):
        problem = {"rho2_start": core * (1 + distance), "rho2_core": core, "dim": dim, **UNIT}
        # locally a Brownian motion of ρ: P(T > t) = erf(gap/√(2q²t)), but for O(drift √t)
        gap = math.sqrt(core * (1 + distance)) - math.sqrt(core)
        t = gap**2 * np.array([0.05, 0.5, 1, 10])
        drift = gap * (math.sqrt(core) + dim / math.sqrt(core))
        expected = erf(gap / np.sqrt(2 * t))
        assert survival_function(t, **problem) == approx(expected, abs=4 * drift + 1e-8)


def test_units_do_not_matter():
    here = survival_function(0.7, 30, 12, dim=20, gamma=1, q2=1)
    length, time = 1e-5, 3e4
    there = survival_function(
        0.7 * time, 30 * length, 12 * length, dim=20, gamma=1 / time, q2=length / time
    )
    assert there == approx(here, abs=1e-13)
    density = passage_density(0.7, 30, 12, dim=20, gamma=1, q2=1)
    there = passage_density(
        0.7 * time, 30 * length, 12 * length, dim=20, gamma=1 / time, q2=length / time
    )
    assert there * time == approx(density, abs=1e-12)


def test_without_noise_it_is_a_step():
    problem = {"dim": 5, "gamma": 0.5, "q2": 0}
    at = math.log(4.0)
    assert survival_function([0, at - 1e-9, at, 9], 4, 1, **problem).tolist() == [1, 1, 0, 0]
    assert passage_density([at - 1e-9, at, 9], 4, 1, **problem).tolist() == [0, math.inf, 0]
    quiet = survival_function([at - 1e-3, at + 1e-3], 4, 1, dim=5, gamma=0.5, q2=1e-9)
    assert quiet == approx([1, 0], abs=1e-13)


def test_never_at_once_and_beyond_all_bounds():
    assert survival_function([0, 1e300], 3, 0, dim=2, **UNIT).tolist() == [1, 1]
    assert passage_density(1.0, 3, 0, dim=2, **UNIT) == 0
    assert survival_function([0, 1], 3, 3, dim=2, **UNIT).tolist() == [0, 0]
    far_below = {"dim": 1e6, **UNIT}
    assert survival_function([0, 1e308], 1e6, 2e5, **far_below).tolist() == [1, 1]
    assert passage_density(1e308, 1e6, 2e5, **far_below) == 0
    assert survival_function([0, 1e-300, 1e300], 9, 4, dim=3, **UNIT).tolist() == [1, 1, 0]
    assert passage_density([0, 1e-300, 1e300], 9, 4, dim=3, **UNIT).tolist() == [0, 0, 0]


def test_arrays_broadcast():
    survive = survival_function([[0.5], [1.0]], 20, [8.0, 10.0, 12.0], dim=10, **UNIT)
    assert survive.shape == (2, 3)
    assert survive[1, 2] == survival_function(1.0, 20, 12, dim=10, **UNIT)


@pytest.mark.parametrize("law", [survival_function, passage_density])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": -1}, "time = -1: must be a finite number >= 0"),
        ({"time": math.inf}, "time = inf: must be a finite number >= 0"),
        ({"rho2_core": 30}, "rho2_core = 30.0: must be <= rho2_start = 20: inward only"),
        ({"gamma": 0}, "gamma = 0: must be a finite number > 0"),
        ({"dim": 0}, "dim = 0: must be a finite number >= 1e-09 and < 1e+12"),
        ({"q2": -1}, "q2 = -1: must be a finite number >= 0"),
        ({"q2": 1e-90}, "gamma rho2_core/q2 = 8e+90: must be 0 or within 1e-80...1e+80"),
    ],
)
def test_bad_input(law, change, message):
    given = {"time": 1, "rho2_start": 20, "rho2_core": 8, "dim": 10, **UNIT} | change
    with pytest.raises(ParameterError) as error:
        law(**given)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("start", "core", "dim"), [(1e4, 0.9962, 1e6), (7.89e7, 0.97585, 24_010), (1e6, 0.9, 400)]
)
def test_a_long_way_to_a_core_just_below_the_floor(start, core, dim):
    """A narrow time to the floor and a broad one from there: monotone, and of the right mean."""
    problem = {"dim": dim, "gamma": 1.0, "q2": 1.0}
    start, core = start * dim / 2, core * dim / 2
    mean = mean_passage_time(start, core, **problem)
    to_floor = math.log(start / core) / 2
    after = to_floor + np.linspace(0.02, 4, 40) ** 2 * mean
    t = np.concatenate([to_floor * np.linspace(0.7, 1, 8), after])
    survival = survival_function(t, start, core, **problem)
    assert np.all(np.diff(survival) <= 1e-11)
    assert survival[0] == pytest.approx(1, abs=1e-11)
    assert survival[-1] < 1e-6
    integral = t[0] + CubicSpline(t, survival).integrate(t[0], t[-1])
    assert integral == pytest.approx(mean, rel=1e-3)  # of the spline
