"""The limits against the exact mean: the right limit, approached at the claimed rate."""

import math
from functools import partial

import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.laws import (
    kramers_limit,
    law_limit,
    leading_law,
    log_kramers_limit,
    log_mean_passage_time,
    mean_passage_time,
    noise_floor,
)

approx = partial(pytest.approx, abs=0)  # by default it would forgive 1e-12

PARAMETERS = {"gamma": 0.5, "q2": 0.02}


@pytest.mark.parametrize(("start", "core"), [(4.0, 1.5), (1.2, 1.1), (50, 3), (0.2, 0.5), (0, 0.9)])
def test_law_limit_is_approached_like_one_over_d(start, core):
    def error(dim):
        floor = noise_floor(dim=dim, **PARAMETERS)
        exact = mean_passage_time(start * floor, core * floor, dim=dim, **PARAMETERS)
        return law_limit(start * floor, core * floor, dim=dim, **PARAMETERS) / exact - 1

    # c/d + c₂/d², where c₂/c is of the order 1/(ν − 1)² = 100 at most
    assert abs(error(1e5)) < 1e-2
    assert error(1e4) / error(1e5) == approx(10, rel=0.1)
    assert error(1e5) / error(1e6) == approx(10, rel=0.01)


@pytest.mark.parametrize("nu", [0.05, 0.3, 0.7])
@pytest.mark.parametrize("start", [1.0, 3.0])
def test_kramers_limit_is_approached_like_one_over_d(nu, start):
    def error(dim):
        floor = noise_floor(dim=dim, **PARAMETERS)
        exact = log_mean_passage_time(start * floor, nu * floor, dim=dim, **PARAMETERS)
        return log_kramers_limit(nu * floor, dim=dim, **PARAMETERS) - exact

    assert abs(error(1e4)) < 2e-2
    assert error(1e3) / error(1e4) == approx(10, rel=0.15)
    assert error(1e4) / error(1e5) == approx(10, rel=0.015)


def test_kramers_limit_is_the_exponential_of_its_logarithm():
    dim = np.array([20, 200, 1e6])
    time, log_time = (f(1.0, dim=dim, gamma=1, q2=0.2) for f in (kramers_limit, log_kramers_limit))
    assert time[:2] == approx(np.exp(log_time[:2]), rel=1e-15)
    assert time[2] == math.inf
    assert 1e6 < log_time[2] < 1e7


def test_kramers_formula():
    kappa, nu = 50, 0.5  # V_∞ = 2: the formula as printed
    expected = math.sqrt(2 * math.pi / kappa) * math.exp(kappa * (nu - 1 - math.log(nu))) / 2
    assert kramers_limit(1.0, dim=100, gamma=1.0, q2=0.04) == approx(expected, rel=1e-13)


def test_kramers_limit_exists_below_the_floor_only():
    cores = np.array([0.5, 1.0, 2.0])  # V_∞ = 1
    assert np.isnan(kramers_limit(cores, dim=10, gamma=0.5, q2=0.1)).tolist() == [False, True, True]


def test_leading_law_is_the_law_limit_far_above_the_floor():
    radii = np.array([4.0, 40.0, 400.0])
    ratio = leading_law(2 * radii, radii, gamma=0.5) / law_limit(
        2 * radii, radii, dim=100, gamma=0.5, q2=1e-4
    )
    assert (1 - ratio[:2]) / (1 - ratio[1:]) == approx([10, 10], rel=0.01)
    assert leading_law(8, 2, gamma=0.5) == law_limit(8, 2, dim=3, gamma=0.5, q2=0) == math.log(4)


def test_leading_law_next_to_the_core():
    start = math.nextafter(3, 4)  # the quotient of the two is 1 or 1 + 2.2e-16
    assert leading_law(start, 3, gamma=0.5) == approx((start - 3) / 3, rel=1e-14)


def test_law_limit_is_the_mean_path():
    floor = noise_floor(dim=7, gamma=0.3, q2=0.5)
    for start in (9.0, 0.5):
        there = floor + (start - floor) * math.exp(-2 * 0.3 * 1.7)
        time = law_limit(start, there, dim=7, gamma=0.3, q2=0.5)
        assert time == approx(1.7, rel=1e-13)


def test_what_the_mean_path_never_reaches():
    floor = noise_floor(dim=10, gamma=0.5, q2=0.1)
    assert floor == approx(1)
    for start, core in [(2, 0.9), (2, floor), (0.5, 1.1), (0.5, 0.4), (1.5, 1.8)]:
        assert law_limit(start, core, dim=10, gamma=0.5, q2=0.1) == math.inf
    assert leading_law(2, 3, gamma=1) == leading_law(3, 2, gamma=0) == math.inf
    assert leading_law(3, 0, gamma=1) == math.inf
    assert leading_law(3, 3, gamma=0) == law_limit(3, 3, dim=1, gamma=0, q2=0) == 0


def test_no_contraction():
    assert noise_floor(dim=5, gamma=0, q2=1) == math.inf
    assert noise_floor(dim=5, gamma=0, q2=0) == 0
    slow, still = law_limit(1, 4, dim=5, gamma=np.array([1e-9, 0]), q2=1)
    assert still == 0.6  # (V* − V₀)/(dq²), the exact mean too
    assert slow == approx(still, rel=1e-8)
    assert law_limit(4, 1, dim=5, gamma=0, q2=1) == math.inf


@pytest.mark.parametrize(
    ("law", "given", "message"),
    [
        (noise_floor, {"dim": -2, "gamma": 1, "q2": 1}, "dim = -2: must be a finite number > 0"),
        (leading_law, {"gamma": "fast"}, "gamma = 'fast': must be a finite number >= 0"),
        (law_limit, {"dim": 5, "gamma": 1, "q2": -1}, "q2 = -1: must be a finite number >= 0"),
        (kramers_limit, {"dim": 5, "gamma": 0, "q2": 1}, "gamma = 0: must be a finite number > 0"),
        (
            log_kramers_limit,
            {"dim": 5, "gamma": 1e-310, "q2": 1},
            "gamma = 1e-310: must be large enough for a finite floor d q2/(2 gamma)",
        ),
    ],
)
def test_bad_input(law, given, message):
    radii = {noise_floor: (), leading_law: (2, 1), law_limit: (2, 1)}.get(law, (1,))
    with pytest.raises(ParameterError) as error:
        law(*radii, **given)
    assert str(error.value) == message


def test_logarithms_beyond_the_range_of_floats():
    assert leading_law(1e200, 1e-200, gamma=1) == pytest.approx(200 * math.log(10), rel=1e-15)


def test_law_limit_with_a_floor_beyond_floats_is_that_without_contraction():
    assert law_limit(2, 8, dim=10, gamma=1e-309, q2=1) == law_limit(2, 8, dim=10, gamma=0, q2=1)


@pytest.mark.parametrize(
    ("decay", "lam", "batch_size", "with_floor", "leading"),
    [
        ("coupled", 0.01, 100, 7007, 6931),
        ("coupled", 0.01, 2500, 1389, 1386),
        ("coupled", 0.01, 10_000, 694, 693),
        ("coupled", 0.01, 400_000, 110, 110),
        ("decoupled", 0.1, 100, 7007, 6931),
        ("decoupled", 0.1, 10_000, 7007, 6931),
    ],
)
def test_steps_of_the_checked_example(decay, lam, batch_size, with_floor, leading):
    eta = 1e-3
    gamma = lam * math.sqrt(batch_size) if decay == "coupled" else lam
    limit = law_limit(128, 32, dim=128, gamma=gamma, q2=eta) / eta
    assert limit == approx(with_floor, abs=0.5)
    assert leading_law(128, 32, gamma=gamma) / eta == approx(leading, abs=0.5)
