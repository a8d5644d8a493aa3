"""Radii: the expansions, their coefficients on solvable landscapes, and the fit."""

import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import chi2
from stats_tools import check_p, check_z

from sde_grok.checks import ParameterError
from sde_grok.laws.limits import noise_floor
from sde_grok.laws.radii import (
    fit_memorization_radius,
    generalization_radius,
    isotropic_c_g,
    memorization_minimum,
    memorization_radius,
    quadratic_memorization_coefficients,
    quadratic_memorization_radius,
)

approx = partial(pytest.approx, abs=0)  # by default it would forgive 1e-12

SHELLS = {"x2_start": 10.0, "x2_core": 2.0}
RATES = {"dim": 60, "fitted_rate": 1.0, "noise": 2.0}
FALLING = SHELLS | RATES | {"y2_start": 200.0, "fitted_dim": 20, "gamma": 0.3}  # c_M < 0, no U
CASES = {
    "falling": FALLING,
    "rising": FALLING | {"y2_start": 3.0},
    "sooner": FALLING | {"fitted_dim": 1},  # noise hastens memorization
    "fast": FALLING | {"gamma": 1.7},
    "no shrinkage": FALLING | {"gamma": 0.0},
}


def balanced(fitted_dim, gamma, *, dim=60, excess=0.0):
    """Landscape with Y₀ above the value at which c_M changes sign."""
    given = SHELLS | RATES | {"fitted_dim": fitted_dim, "gamma": gamma, "dim": dim}
    zero, one = (quadratic_memorization_coefficients(**given, y2_start=y).c_m for y in (0, 1))
    return given | {"y2_start": (1 + excess) * zero / (zero - one)}


@pytest.mark.parametrize("case", CASES)
def test_error_of_the_expansion_is_cubic(case):
    coefficients = quadratic_memorization_coefficients(**CASES[case])
    eta = np.array([4e-3, 2e-3, 1e-3])
    exact = quadratic_memorization_radius(**CASES[case], eta=eta, batch_size=1)
    error = exact - memorization_radius(eta=eta, batch_size=1, **coefficients._asdict())
    assert np.all(np.abs(error) > 1e-10)  # rounding is 1e-13/(γτ) of 200 at most
    # 3 + O(n q²/(g X_M)), which is 4e-2 to 1e-1
    assert np.log2(error[:-1] / error[1:]) == pytest.approx([3, 3], abs=0.1)
    without = error + eta**2 * coefficients.c_m2
    assert np.log2(without[:-1] / without[1:]) == pytest.approx([2, 2], abs=0.1)


@pytest.mark.parametrize("ratio", [0.01, 0.3])
def test_exact_radius_equals_mpmath(ratio):
    q2 = 2 * ratio
    phi = mp.hyperu(0.3, 10, 10 / mp.mpf(q2)) / mp.hyperu(0.3, 10, 2 / mp.mpf(q2))
    expected = float(2 + 200 * phi + 40 * q2 / mp.mpf(0.6) * (1 - phi))
    actual = quadratic_memorization_radius(**FALLING, eta=50 * ratio, batch_size=50)
    assert actual == approx(expected, rel=1e-11)


def test_shrinkage_of_the_flat_directions_vanishes_continuously():
    still = CASES["no shrinkage"]
    slow = still | {"gamma": 1e-6}
    noisy = {"eta": 0.01, "batch_size": 1}
    # relative 2γ E τ, of the order of γ; rounding 1e-13/γ
    limit = quadratic_memorization_radius(**still, **noisy)
    assert quadratic_memorization_radius(**slow, **noisy) == approx(limit, rel=1e-5)
    ours, theirs = (quadratic_memorization_coefficients(**case) for case in (slow, still))
    # and a Y₀ (κ−1) Δ₁ beside the rest, some 1e2 γ
    assert ours == approx(theirs, rel=2e-3)


def test_radius_without_noise_is_that_of_contraction():
    coefficients = quadratic_memorization_coefficients(**FALLING)
    expected = 2 + 200 * math.exp(-2 * 0.3 * math.log(math.sqrt(5)))
    quiet = quadratic_memorization_radius(**FALLING, eta=0, batch_size=1)
    assert coefficients.rho2_zero == approx(expected, rel=1e-14)
    assert quiet == approx(expected, rel=1e-14)
    arrived = FALLING | {"x2_start": 2.0}
    assert quadratic_memorization_radius(**arrived, eta=1, batch_size=1) == 202


def test_u_shape_and_its_minimum():
    def minimum(excess):
        landscape = balanced(6, 0.3, excess=excess)
        fit = quadratic_memorization_coefficients(**landscape)
        predicted = memorization_minimum(c_m=fit.c_m, c_m2=fit.c_m2)
        exact = minimize_scalar(
            lambda u: quadratic_memorization_radius(**landscape, eta=u, batch_size=1),
            bounds=(0, 3 * predicted),
            method="bounded",
            options={"xatol": 1e-6 * predicted},
        )
        return exact.x / predicted - 1

    off = np.array([minimum(excess) for excess in (0.04, 0.02, 0.01)])
    assert np.all(np.abs(off) < 0.05)
    # O(η/b) with a relative correction of that order; the minimum is flat: √(rounding/depth) = 1e-5
    assert off[:-1] / off[1:] == pytest.approx([2, 2], rel=0.1)


@pytest.mark.parametrize("a", [0.05, 0.3, 0.8])
def test_u_shape_needs_few_directions_with_loss(a):
    r = SHELLS["x2_core"] / SHELLS["x2_start"]
    f = a - 1 - (1 + a) * r + 2 * a * r**a * (1 - r) / (1 - r**a)
    largest = 2 * (1 + a + (1 + a) * (1 + r) / abs(f))

    def curvature(n, excess=0.0):
        landscape = balanced(n, a, dim=200, excess=excess)
        return quadratic_memorization_coefficients(**landscape).c_m2

    assert curvature(0.99 * largest) > 0 > curvature(1.01 * largest)
    assert curvature(0.99 * largest) > curvature(0.99 * largest, excess=1)  # it falls with Y₀


def test_minimum_needs_a_u():
    pairs = np.array([(-2.0, 4.0), (2, 4), (-2, -4), (-2, 0), (0, 4)]).T
    minimum = memorization_minimum(c_m=pairs[0], c_m2=pairs[1])
    assert minimum[0] == 0.25
    assert np.all(np.isnan(minimum[1:]))
    near = memorization_radius(
        eta=0.25 + np.array([-1e-3, 0, 1e-3]), batch_size=1, rho2_zero=9, c_m=-2, c_m2=4
    )
    assert near[0] > near[1] == 8.75 < near[2]


def test_core_without_minimum_is_the_noise_floor():
    given = {"dim": 128, "sigma": 0.7, "batch_size": 64}
    eta, lam = 1e-3, 0.01
    for decay, gamma in [("coupled", lam * 8 / 0.7), ("decoupled", lam)]:
        floor = noise_floor(dim=128, gamma=gamma, q2=eta)
        c_g = isotropic_c_g(**given, decay=decay)
        assert generalization_radius(eta=eta, lam=lam, rho2_zero=0, c_g=c_g) == approx(floor)
    assert generalization_radius(eta=2, lam=4, rho2_zero=3, c_g=-4) == 1


PLANTED = np.array([8000.0, -3e7, 6e11])
RATIOS = np.array([3e-6, 1e-5, 1.5e-5, 2e-5, 3e-5, 4e-5, 6e-5])
TRUTH = PLANTED @ RATIOS ** np.arange(3)[:, None]


@pytest.mark.parametrize("stderr", [None, 1 + np.arange(7)])
def test_fit_without_noise_returns_what_was_planted(stderr):
    fit = fit_memorization_radius(RATIOS, TRUTH, stderr)
    # rounding of the radii, 1e-16 of 8000, times the condition of the scaled powers, about 1e2
    assert fit[:3] == approx(PLANTED, rel=1e-12)
    assert memorization_minimum(c_m=fit.c_m, c_m2=fit.c_m2) == approx(2.5e-5, rel=1e-12)


@pytest.mark.statistical
def test_fit_recovers_planted_coefficients_within_errors():
    stderr = np.array([20.0, 20, 20, 40, 40, 60, 60])
    noise = np.random.default_rng(11).normal(size=(300, 7))
    fits = [fit_memorization_radius(RATIOS, TRUTH + z * stderr, stderr) for z in noise]
    off = [np.array(fit[:3]) - PLANTED for fit in fits]
    distance = sum(d @ np.linalg.solve(f.covariance, d) for d, f in zip(off, fits, strict=True))
    check_p("planted radii", 2 * min(chi2.sf(distance, 900), chi2.cdf(distance, 900)))


@pytest.mark.statistical
def test_fit_estimates_the_scatter():
    noise = 20 * np.random.default_rng(12).normal(size=(300, 7))
    known = fit_memorization_radius(RATIOS, TRUTH, np.full(7, 20.0)).covariance
    fits = [fit_memorization_radius(RATIOS, TRUTH + z) for z in noise]
    ratio = np.array([fit.covariance / known for fit in fits])
    assert np.ptp(ratio, axis=(1, 2)) == pytest.approx(0, abs=1e-9)
    # each is χ² of four degrees of freedom, over four
    check_z("scatter of radii", ratio[:, 0, 0].mean(), math.sqrt(2 / 4 / 300), 1.0)


def test_fit_through_three_points_has_no_error_of_its_own():
    fit = fit_memorization_radius(RATIOS[:3], TRUTH[:3])
    assert np.all(np.isnan(fit.covariance))
    weighted = fit_memorization_radius(RATIOS[:3], TRUTH[:3], [1, 1, 1])
    assert np.all(np.diag(weighted.covariance) > 0)


@pytest.mark.parametrize(
    ("law", "given", "message"),
    [
        (
            memorization_radius,
            {"eta": -1, "batch_size": 1, "rho2_zero": 1, "c_m": 0},
            "eta = -1: must be a finite number >= 0",
        ),
        (
            generalization_radius,
            {"eta": 1, "lam": 0, "rho2_zero": 1, "c_g": 0},
            "lam = 0: must be a finite number > 0",
        ),
        (
            isotropic_c_g,
            {"dim": 3, "sigma": 1, "batch_size": 1, "decay": "none"},
            "decay = 'none': must be one of coupled, decoupled",
        ),
        (
            quadratic_memorization_coefficients,
            FALLING | {"x2_start": 1},
            "x2_start = 1: must be a finite number >= 2",
        ),
        (
            quadratic_memorization_coefficients,
            FALLING | {"dim": 19},
            "dim = 19: must be a finite number >= 20",
        ),
        (
            fit_memorization_radius,
            {"eta_over_b": [1, 1, 2, 2], "rho2": [1, 2, 3, 4]},
            "eta_over_b = array of shape (4,): must be at least three different numbers",
        ),
        (
            fit_memorization_radius,
            {"eta_over_b": [1, 2, 3], "rho2": [1, 2]},
            "rho2 = array of shape (2,): must be one number for each of 3 points",
        ),
        (
            fit_memorization_radius,
            {"eta_over_b": [1, 2, 3], "rho2": [1, 2, 3], "stderr": [1, 0, 1]},
            "stderr = 0: must be a finite number > 0",
        ),
        (
            fit_memorization_radius,
            {"eta_over_b": [[1, 2, 3]], "rho2": [1, 2, 3]},
            "eta_over_b = array of shape (1, 3): must be an array of one dimension",
        ),
    ],
)
def test_bad_input(law, given, message):
    with pytest.raises(ParameterError) as error:
        law(**given)
    assert str(error.value) == message
