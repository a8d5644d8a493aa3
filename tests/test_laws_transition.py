"""Theorem 3 against the exact mean of the radial rung: the constants and the orders."""

import math
from functools import partial

import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.laws.exponents import exponents
from sde_grok.laws.passage import mean_passage_time
from sde_grok.laws.radii import isotropic_c_g
from sde_grok.laws.transition import isotropic_constants, transition_time

approx = partial(pytest.approx, abs=0)  # by default it would forgive 1e-12

RADII = (20.0, 8.0)
NOISE = {"batch_size": 100, "sigma": 1.0}  # s̄ = 0.1
S = 0.1


def exact(start, core, *, dim, eta, lam):
    """Mean steps of the radial rung, noise-dominated and coupled."""
    return mean_passage_time(start, core, dim=dim, gamma=lam / S, q2=eta) / eta


def error(dim, *, eta, lam, terms=3):
    constants = isotropic_constants(*RADII, dim=dim, **NOISE) if terms == 3 else (0, 0)
    claimed = transition_time(
        *RADII, eta=eta, lam=lam, **NOISE, c_tau=constants[0], c_tau2=constants[1]
    )
    return exact(*RADII, dim=dim, eta=eta, lam=lam) - claimed


def test_theorem_as_printed():
    given = {"eta": 1e-3, "lam": 0.02, "batch_size": 25, "sigma": 0.5}
    expected = 0.1 / 2e-5 * math.log(math.sqrt(2.5)) + 3 / (25 * 0.02) - 0.7 / 0.02**2
    assert transition_time(*RADII, **given, c_tau=3, c_tau2=-0.7) == approx(expected, rel=1e-14)


@pytest.mark.parametrize("dim", [2, 4])
def test_theorem_is_exact_in_two_and_four_dimensions(dim):
    # (κ−1) and (κ−1)(κ−2) are factors of all that follows
    eta = np.array([1e-5, 1e-3, 1e-1])
    left = error(dim, eta=eta, lam=0.01)
    assert left / exact(*RADII, dim=dim, eta=eta, lam=0.01) == pytest.approx(np.zeros(3), abs=1e-12)


@pytest.mark.parametrize("dim", [1, 3, 10, 50])
def test_next_term(dim):
    kappa, lam, eta = dim / 2, 0.01, 1e-3 / dim * np.array([4, 2, 1])
    left = error(dim, eta=eta, lam=lam)
    core, start = RADII[1], RADII[0]
    term = S**3 * eta / lam**3 * (kappa - 1) * (kappa - 2) / 4 * (core**-2 - start**-2)
    # the term after it, relative to it, is ⅔(κ−3) s̄η/λ (1/V_G³ − 1/V_M³)/(1/V_G² − 1/V_M²)
    tolerance = np.abs(kappa - 3) * S * eta / (lam * core)
    assert np.all(np.abs(left / term - 1) < tolerance)
    assert np.all(np.abs(left[:-1] / left[1:] / 2 - 1) < tolerance[:-1])


@pytest.mark.parametrize("dim", [3, 10, 50])
def test_error_falls_as_the_cube_of_shrinkage(dim):
    lam = 0.01 * np.array([1, 2, 4])
    left = error(dim, eta=1e-3 / dim, lam=lam)
    # the term after it is 5e-4 of it; rounding, 1e-13 of 4e3 steps and more, 1e-3 for d = 3
    assert left[:-1] / left[1:] == approx([8, 8], rel=5e-3)


@pytest.mark.parametrize("dim", [3, 10, 50])
def test_error_without_the_constants_does_not_vanish_with_the_learning_rate(dim):
    lam, eta = 0.01, 1e-3 / dim * np.array([4, 2, 1])
    left = error(dim, eta=eta, lam=lam, terms=1)
    c_tau2 = isotropic_constants(*RADII, dim=dim, **NOISE).c_tau2
    excess = left * lam**2 / c_tau2 - 1
    # (κ−2) s̄η/(2λ) (1/V_G + 1/V_M), itself good to 2e-3
    assert np.all(np.abs(excess) < 1e-2)
    assert excess[:-1] / excess[1:] == approx([2, 2], rel=1e-2)


def test_corrections_of_the_radii():
    """Start V_M + (η/b) c_M, core V_G + (η/λ) c_G, both moved by noise."""
    dim, c_m, c_g, lam = 10, 4e4, 30.0, 0.05
    eta = 1e-4 * np.array([4, 2, 1])
    moved = [RADII[0] + eta / 100 * c_m, RADII[1] + eta / lam * c_g]
    constants = isotropic_constants(*RADII, dim=dim, **NOISE, c_m=c_m, c_g=c_g)

    def left(c_tau, c_tau2):
        claimed = transition_time(*RADII, eta=eta, lam=lam, **NOISE, c_tau=c_tau, c_tau2=c_tau2)
        return exact(*moved, dim=dim, eta=eta, lam=lam) - claimed

    whole, *partly = left(*constants), left(0, constants.c_tau2), left(constants.c_tau, 0)
    # the next order is smaller by what the radii move, relatively: 3e-2 at most
    assert whole[:-1] / whole[1:] == approx([2, 2], rel=3e-2)
    assert partly[0] - whole == approx(constants.c_tau / 100 / lam, rel=1e-9)
    for rest in partly:
        assert rest[1] / rest[2] == approx(1, rel=3e-2)


def test_core_on_top_of_the_floor():
    c_g = isotropic_c_g(dim=10, **NOISE)
    constants = isotropic_constants(*RADII, dim=10, **NOISE, c_g=c_g)
    assert constants.c_tau2 == approx(-(S**2) * (1 / 16 + 8 / 80), rel=1e-13)


def test_exponents():
    given = {"rho2_start": 20, "rho2_core": 8, "eta": 1e-3, "lam": 0.02, **NOISE}
    assert exponents(transition_time, given) == pytest.approx((-1, -0.5, -1), abs=1e-14)
    alone = transition_time(**given)
    weight = 3 / (100 * 0.02) / (alone + 3 / (100 * 0.02))
    mixed = exponents(transition_time, given | {"c_tau": 3})
    assert mixed == pytest.approx((weight - 1, -0.5 * (1 + weight), -1), abs=1e-13)


def test_what_is_never_reached():
    given = {"eta": 1e-3, **NOISE}
    assert transition_time(20, 8, lam=0, **given) == math.inf
    assert transition_time(8, 20, lam=1, **given) == transition_time(8, 0, lam=1, **given)
    assert transition_time(8, 20, lam=1, **given) == math.inf
    assert transition_time(8, 8, lam=2, **given, c_tau2=12) == 3


def test_arrays_broadcast():
    steps = transition_time(
        20, np.array([[8], [4]]), eta=[1e-3, 2e-3], lam=0.1, batch_size=4, sigma=1
    )
    assert steps.shape == (2, 2)
    assert steps[1, 0] == transition_time(20, 4, eta=1e-3, lam=0.1, batch_size=4, sigma=1)


@pytest.mark.parametrize(
    ("law", "change", "message"),
    [
        (transition_time, {"eta": 0}, "eta = 0: must be a finite number > 0"),
        (transition_time, {"sigma": 0}, "sigma = 0: must be a finite number > 0"),
        (transition_time, {"rho2_start": -1}, "rho2_start = -1: must be a finite number >= 0"),
        (isotropic_constants, {"rho2_core": 0}, "rho2_core = 0: must be a finite number > 0"),
        (isotropic_constants, {"c_g": math.inf}, "c_g = inf: must be a finite number"),
    ],
)
def test_bad_input(law, change, message):
    given = {"rho2_start": 20, "rho2_core": 8, **NOISE}
    given |= {"eta": 1e-3, "lam": 0.1} if law is transition_time else {"dim": 10}
    with pytest.raises(ParameterError) as raised:
        law(**(given | change))
    assert str(raised.value) == message
