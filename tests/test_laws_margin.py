"""Core and barrier of a margin: Lambert's function at 50 digits, limits, exponents, bad input."""

import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.laws import (
    balanced_radius,
    exponents,
    largest_shrinkage,
    logistic_radius,
    loss_at_rest,
    margin_barrier,
    margin_radius,
)

approx = partial(pytest.approx, abs=0)

DEGREES = [2, 2.5, 3, 4, 6]
DEEP = DEGREES[1:]  # those with a barrier
NETWORKS = [{"rate": 1.0, "scale": 1.0}, {"rate": 2e-4, "scale": 58.0}]
FRACTIONS = [1e-200, 1e-100, 1e-30, 1e-8, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-3, 1 - 1e-8, 1 - 1e-14]


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def shrinkages(largest):
    return [1e-300, *(fraction * largest for fraction in FRACTIONS)]


def pull(rho2, *, rate, degree, scale, logistic=False):
    """−L′(ρ)/ρ at 50 digits."""
    rho2, a, h = mp.mpf(rho2), mp.mpf(rate), mp.mpf(degree)
    u = a * rho2 ** (h / 2)
    return a * h * scale * rho2 ** (h / 2 - 1) / (mp.exp(u) + logistic)


def lambert_radius(lam, branch, *, rate, degree, scale):
    """ρ² = [−(k/ah) W(−(ah/k) (λ/ahc)^{h/k})]^{2/h}, k = h−2, at 50 digits."""
    lam, a, h, c = map(mp.mpf, (lam, rate, degree, scale))
    k = h - 2
    w = mp.lambertw(-(a * h / k) * (lam / (a * h * c)) ** (h / k), branch)
    return mp.re(-k / (a * h) * w) ** (2 / h)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("degree", DEGREES)
def test_the_core_is_a_rest_and_the_loss_is_that_of_the_core(degree, network):
    point = network | {"degree": degree}
    for lam in shrinkages(largest_shrinkage(**point)):
        rho2 = margin_radius(lam, **point)
        assert abs(pull(rho2, **point) / mp.mpf(lam) - 1) < 1e-12
        loss = network["scale"] * mp.exp(-mp.mpf(network["rate"]) * mp.mpf(rho2) ** (degree / 2))
        assert abs(loss_at_rest(lam, **point) / loss - 1) < 1e-12


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("degree", DEEP)
def test_the_barrier_is_a_rest(degree, network):
    point = network | {"degree": degree}
    seen = [(lam, margin_barrier(lam, **point)) for lam in shrinkages(largest_shrinkage(**point))]
    floats = [(lam, rho2) for lam, rho2 in seen if rho2 > 1e-307]
    assert len(floats) >= len(seen) - 3
    assert all(abs(pull(rho2, **point) / mp.mpf(lam) - 1) < 1e-12 for lam, rho2 in floats)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("degree", DEEP)
def test_core_and_barrier_are_branches_of_lambert(degree, network):
    point = network | {"degree": degree}
    largest = largest_shrinkage(**point)
    for lam in (1e-300, 1e-30, 1e-3 * largest, 0.5 * largest, 0.9 * largest):
        core, barrier = (lambert_radius(lam, branch, **point) for branch in (-1, 0))
        assert margin_radius(lam, **point) == approx(float(core), rel=4e-15)
        rounding = 4e-16 * (1 + abs(float(mp.log(barrier))))  # of the exponent
        assert margin_barrier(lam, **point) == approx(float(barrier), rel=10 * rounding)


def test_a_barrier_below_the_floats_is_0():
    assert margin_barrier(1e-300, rate=1, degree=2.5, scale=1) == 0
    assert margin_barrier(1e-300, rate=1, degree=4, scale=1) == approx(0.25e-300, rel=1e-12)


@pytest.mark.parametrize("network", NETWORKS)
def test_two_layers_have_a_logarithm(network):
    a, c = network["rate"], network["scale"]
    point = network | {"degree": 2}
    assert largest_shrinkage(**point) == 2 * c * a
    for lam in (1e-300, 1e-9, a * c):
        assert margin_radius(lam, **point) == approx(math.log(2 * a * c / lam) / a, rel=1e-14)
        assert loss_at_rest(lam, **point) == approx(lam / (2 * a), rel=1e-14)
    assert margin_radius(2 * a * c, **point) == 0
    assert loss_at_rest(2 * a * c, **point) == c
    assert logistic_radius(a * c, **point) == 0


@pytest.mark.parametrize("network", NETWORKS)
def test_just_above_two_layers_it_is_nearly_the_logarithm(network):
    for law in (margin_radius, logistic_radius):
        near, at = (law(1e-6, degree=degree, **network) for degree in (2 + 1e-10, 2))
        assert near == approx(at, rel=1e-8)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("degree", DEEP)
def test_core_and_barrier_meet_at_the_largest_shrinkage(degree, network):
    point, p = network | {"degree": degree}, 1 - 2 / degree
    largest = largest_shrinkage(**point)
    a, h, p50 = mp.mpf(network["rate"]), mp.mpf(degree), 1 - 2 / mp.mpf(degree)
    exact = h * network["scale"] * a ** (2 / h) * (p50 / mp.e) ** p50
    assert largest == approx(float(exact), rel=2e-15)
    meet = (p / network["rate"]) ** (2 / degree)
    for law in (margin_radius, margin_barrier):
        assert law(largest, **point) == approx(meet, rel=4e-15)
    just_below = largest * (1 - 1e-6)
    inner, outer = margin_barrier(just_below, **point), margin_radius(just_below, **point)
    apart = 2 / degree * math.sqrt(2e-6 / p)  # to first order, of ln ρ²
    assert math.log(outer / meet) == approx(apart, rel=2e-3)
    assert math.log(meet / inner) == approx(apart, rel=2e-3)


@pytest.mark.parametrize("degree", DEEP)
def test_the_core_is_stable_and_the_barrier_is_not(degree):
    point = {"rate": 2e-4, "degree": degree, "scale": 58.0}
    lam = 0.1 * largest_shrinkage(**point)

    def outward(rho2):
        return pull(rho2, **point) > lam

    core, barrier = margin_radius(lam, **point), margin_barrier(lam, **point)
    assert [outward(x * core) for x in (0.99, 1.01)] == [True, False]
    assert [outward(x * barrier) for x in (0.99, 1.01)] == [False, True]


def test_the_loss_at_rest_meets_the_bound_of_balance():
    point = {"rate": 2e-4, "degree": 3, "scale": 58.0}
    for lam in (1e-6, 1e-9):
        loss = loss_at_rest(lam, **point)
        bound = balanced_radius(loss, lam=lam, degree=3, classes=59)
        assert margin_radius(lam, **point) == approx(bound, rel=2 * loss)


# The logistic loss


def largest_logistic(*, rate, degree, scale):
    """Its largest λ at 50 digits: the maximum of −L′(ρ)/ρ, at u/(1 + e^{−u}) = p."""
    p = 1 - 2 / mp.mpf(degree)
    u = mp.findroot(lambda u: u / (1 + mp.exp(-u)) - p, (p, 2 * p), solver="anderson") if p else 0
    rho2 = (u / mp.mpf(rate)) ** (2 / mp.mpf(degree))
    return float(pull(rho2, rate=rate, degree=degree, scale=scale, logistic=True))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("degree", DEGREES)
def test_the_logistic_core_is_the_outermost_rest(degree, network):
    point = network | {"degree": degree}
    for lam in shrinkages(largest_logistic(**point)):
        rho2 = logistic_radius(lam, **point)
        assert abs(pull(rho2, **point, logistic=True) / mp.mpf(lam) - 1) < 1e-12
        assert pull(rho2 * (1 + 1e-6), **point, logistic=True) < lam
        if degree > 2 or lam < 0.99 * network["rate"] * network["scale"]:
            assert pull(rho2 * (1 - 1e-6), **point, logistic=True) > lam * (1 - 1e-10)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("fraction", [1e-100, 1e-8, 1e-3, 0.1, 0.5, 0.9])
def test_both_cores_against_roots_of_30_digits(degree, network, fraction):
    point = network | {"degree": degree}
    for law, largest, logistic in (
        (margin_radius, largest_shrinkage, False),
        (logistic_radius, largest_logistic, True),
    ):
        lam = fraction * largest(**point)
        rho2 = law(lam, **point)
        with mp.workdps(30):
            root = mp.findroot(
                lambda x, lam=lam, logistic=logistic: mp.log(
                    pull(x, **point, logistic=logistic) / mp.mpf(lam)
                ),
                rho2 * mp.mpf("1.0001"),
            )
            assert rho2 == approx(float(root), rel=1e-14)


@pytest.mark.parametrize("degree", DEGREES)
def test_for_small_shrinkage_the_logistic_core_is_that_of_the_exponential(degree):
    point = {"rate": 2e-4, "degree": degree, "scale": 58.0}
    shifts = []  # of ln u over e^{−u}, to first order
    for fraction in (1e-2, 1e-4):
        lam = fraction * largest_shrinkage(**point)
        core, inside = margin_radius(lam, **point), logistic_radius(lam, **point)
        u = 2e-4 * core ** (degree / 2)
        shifts.append((1 - inside / core) * (u - 1 + 2 / degree) * degree / 2 * math.exp(u))
    assert abs(shifts[1] - 1) < 0.02 * abs(shifts[0] - 1) < 0.02 * 0.05
    assert logistic_radius(1e-300, **point) == approx(margin_radius(1e-300, **point), rel=1e-15)


# Derivatives


@pytest.mark.parametrize("degree", DEGREES)
def test_exponents_in_the_shrinkage(degree):
    point = {"rate": 0.5, "degree": degree, "scale": 2.0}
    p = 1 - 2 / degree

    def slope(law):
        at = {"eta": 1, "batch_size": 1, "lam": 0.1}
        local = exponents(lambda eta, batch_size, lam: law(lam, **point), at)
        assert local[:2] == (0, 0)
        return local.lam

    def u(law):
        return 0.5 * law(0.1, **point) ** (degree / 2)

    for law in (margin_radius, margin_barrier) if degree > 2 else (margin_radius,):
        assert slope(law) == approx(-2 / degree / (u(law) - p), rel=1e-12)
    assert slope(loss_at_rest) == approx(u(margin_radius) / (u(margin_radius) - p), rel=1e-12)
    logistic = u(logistic_radius)
    expected = -2 / degree / (logistic / (1 + math.exp(-logistic)) - p)
    assert slope(logistic_radius) == approx(expected, rel=1e-12)


@pytest.mark.parametrize("law", [margin_radius, margin_barrier, loss_at_rest, logistic_radius])
def test_exponents_in_all_that_a_law_depends_on(law):
    def value(eta, batch_size, lam):
        return law(lam, rate=batch_size, degree=eta, scale=eta * lam + 1)

    at = {"eta": 3.0, "batch_size": 0.5, "lam": 0.1}
    for name, slope in exponents(value, at)._asdict().items():
        up, down = (value(**at | {name: at[name] * math.exp(x)}) for x in (1e-5, -1e-5))
        assert slope == pytest.approx(math.log(up / down) / 2e-5, rel=1e-7)


# Input


def test_arrays_broadcast():
    lams = np.array([1e-3, 1e-2])
    values = margin_radius(lams, rate=1, degree=[[2], [3], [4]], scale=1)
    assert values.shape == (3, 2)
    assert values[1, 0] == margin_radius(1e-3, rate=1, degree=3, scale=1)
    assert largest_shrinkage(rate=[1, 2], degree=3, scale=1).shape == (2,)


@pytest.mark.parametrize("law", [margin_radius, margin_barrier, loss_at_rest, logistic_radius])
@pytest.mark.parametrize("degree", DEEP)
def test_a_shrinkage_too_large_is_named_with_the_largest(law, degree):
    point = {"rate": 0.5, "degree": degree, "scale": 2.0}
    largest = (largest_logistic if law is logistic_radius else largest_shrinkage)(**point)
    with pytest.raises(ParameterError, match=r"^lam = .*: must be a finite number") as caught:
        law(1.001 * largest, **point)
    assert float(str(caught.value).split("<= ")[1]) == approx(largest, rel=1e-14)
    assert law(largest * (1 - 1e-12), **point) > 0


@pytest.mark.parametrize("law", [margin_radius, margin_barrier, loss_at_rest, logistic_radius])
@pytest.mark.parametrize(
    ("field", "value"),
    [("lam", 0.0), ("lam", math.nan), ("rate", 0), ("degree", 1.9), ("scale", -1), ("scale", "1")],
)
def test_bad_input_is_named(law, field, value):
    with pytest.raises(ParameterError, match=f"^{field} = "):
        law(**{"lam": 0.1, "rate": 0.5, "degree": 3, "scale": 2.0, field: value})


def test_two_layers_have_no_barrier():
    with pytest.raises(ParameterError, match=r"^degree = 2: must be a finite number > 2$"):
        margin_barrier(0.1, rate=1, degree=2, scale=1)


def test_a_largest_shrinkage_beyond_the_floats_is_refused():
    for rate, scale in ((1e200, 1e200), (1e-200, 1e-200)):
        with pytest.raises(ParameterError, match="in the range of floats"):
            largest_shrinkage(rate=rate, degree=2, scale=scale)
