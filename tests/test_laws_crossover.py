"""The crossover law: its formula, its two limits, and its average over directions."""

import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from sde_grok.checks import ParameterError
from sde_grok.laws import crossover_steps, direction_averaged_steps
from sde_grok.laws.crossover import _shrinkage, _steps

approx = partial(pytest.approx, abs=0)  # by default it would forgive 1e-12

EXAMPLE = {"eta": 1e-3, "lam": 0.01, "sigma": 1.0}  # the checked example, ρ² from 128 to 32
SHELLS = {"rho2_start": 128, "rho2_core": 32, "dim": 128}
POSITIVE = st.floats(-4, 4).map(lambda u: 10**u)


def antiderivative(x, *, lam, s, sqrt=math.sqrt, atanh=math.atanh):
    """F(x) as printed."""
    root = sqrt(s**2 + lam**2 * x**2)
    return (root - s * atanh(s / root)) / lam


@pytest.mark.parametrize("s", [1e-9, 1e-3, 0.02, 1.0, 1e5])
@pytest.mark.parametrize(("start", "core"), [(1.0, 0.5), (1.0, 1e-6), (30.0, 29.999999), (1e3, 1)])
def test_steps_equal_the_formula_at_50_digits(start, core, s):
    with mp.workdps(50):
        lam = mp.mpf("0.01")
        f_start, f_core = (
            antiderivative(mp.mpf(x), lam=lam, s=mp.mpf(s), sqrt=mp.sqrt, atanh=mp.atanh)
            for x in (start, core)
        )
        expected = float((f_start - f_core) / mp.mpf("1e-3"))
    actual = crossover_steps(start, core, eta=1e-3, lam=0.01, sigma=5 * s, batch_size=25)
    assert actual == approx(expected, rel=1e-14)


def test_noise_dominated_limit():
    sigma = np.array([0.1, 1.0])  # λx/s = 0.1, 0.01
    steps = crossover_steps(1, 0.2, eta=1e-3, lam=0.01, sigma=sigma, batch_size=1)
    excess = steps / (sigma * math.log(5) / 1e-5) - 1  # (λ/s)²(x₀² − x*²)/(4 ln x₀/x*) + …
    assert excess[1] == approx(1e-4 * (1 - 0.04) / 4 / math.log(5), rel=1e-4)
    assert excess[0] / excess[1] == approx(100, rel=0.01)


def test_sign_like_limit():
    batch_size = 1e10 * np.array([1.0, 1e2, 1e4])  # s = 1e-5, 1e-6, 1e-7 and λx = 1e-2
    steps = crossover_steps(1, 0.2, batch_size=batch_size, **EXAMPLE)
    excess = steps * 1e-3 - (1 - 0.2)  # O(s²), and neither λ nor b in the leading term
    assert excess[:2] / excess[1:] == approx([100, 100], rel=1e-3)
    noiseless = {"eta": 1e-3, "lam": np.array([1e-9, 1.0]), "sigma": 0, "batch_size": 1}
    assert crossover_steps(1, 0.2, **noiseless) == approx(800, rel=1e-15)
    assert crossover_steps(1, 0, **noiseless) == approx(1000, rel=1e-15)


@given(radii=st.lists(POSITIVE, min_size=3, max_size=3, unique=True), sigma=POSITIVE)
def test_steps_add_up(radii, sigma):
    a, b, c = sorted(radii, reverse=True)
    legs = crossover_steps([a, a, b], [c, b, c], eta=0.1, lam=1, sigma=sigma, batch_size=1)
    assert legs[1] + legs[2] == approx(legs[0], rel=1e-12)


@given(u=POSITIVE, fraction=st.floats(1e-12, 10))
def test_shrinkage_inverts_the_steps(u, fraction):
    ladder = u * np.array([1e-3, 0.1, 1.0])
    k = fraction * (1 + u)
    ell = _shrinkage(ladder, k, eta=1, lam=1, s=1)
    assert np.all(ell >= 0)
    assert _steps(ell, ladder) == approx(k, rel=1e-11)  # u beside 1 costs up to four digits


def test_shrinkage_without_noise():
    ell = _shrinkage(np.array([0.5, 1.0, 2.0]), 1.0, eta=1, lam=1, s=0)
    assert ell == approx([math.inf, math.inf, math.log(2)], rel=1e-15)


@pytest.mark.parametrize(
    ("batch_size", "expected"), [(100, 6986), (2500, 1631), (10_000, 1080), (400_000, 775)]
)
def test_direction_average_checked_example(batch_size, expected):
    steps = direction_averaged_steps(**SHELLS, batch_size=batch_size, **EXAMPLE)
    # the example averages over finitely many quantiles of the normal law, good to 1e-3
    assert steps == approx(expected, rel=1e-3)


@pytest.mark.parametrize("batch_size", [100, 10_000, 400_000])
def test_direction_average_by_other_means(batch_size):
    """At the step returned, E x(k)² over normal starts, adaptively, x(k) from F as printed."""
    lam, s = EXAMPLE["lam"], EXAMPLE["sigma"] / math.sqrt(batch_size)
    k = direction_averaged_steps(**SHELLS, batch_size=batch_size, **EXAMPLE)

    def density(z):
        left = antiderivative(z, lam=lam, s=s) - EXAMPLE["eta"] * k
        log_x = brentq(
            lambda v: antiderivative(math.exp(v), lam=lam, s=s) - left,
            math.log(z) - EXAMPLE["eta"] * lam * k / s - 1,
            math.log(z),
            xtol=1e-13,
        )
        return math.exp(2 * log_x - z**2 / 2) * math.sqrt(2 / math.pi)

    mean_square, _ = quad(density, 1e-3, 9, epsabs=1e-11, limit=200)  # z < 1e-3 carries 1e-9 / 3
    assert mean_square == approx(32 / 128, abs=1e-8)


def test_direction_average_limits():
    law = {"rho2_start": 50, "rho2_core": 5, "dim": 200, "eta": 1e-3, "lam": 0.01}
    noisy = direction_averaged_steps(**law, sigma=1e3, batch_size=1)
    assert noisy == approx(1e3 * math.log(10) / 2e-5, rel=1e-9)  # (λx/s)² is 1e-11
    # noiseless: |x| falls by c = ηk/√(V₀/d), so that V*/V₀ = E (|Z| − c)₊²
    c = 1e-3 * direction_averaged_steps(**law, sigma=0, batch_size=1) / math.sqrt(50 / 200)
    left = (1 + c**2) * math.erfc(c / math.sqrt(2)) - c * math.sqrt(2 / math.pi) / math.exp(
        c**2 / 2
    )
    assert left == approx(0.1, rel=1e-5)  # a kink between 200 nodes


def test_direction_average_next_to_the_core():
    steps = direction_averaged_steps(1, 1 - 2.0**-40, dim=1, eta=1, lam=1, sigma=1e9, batch_size=1)
    assert steps == approx(1e9 * 2.0**-41, rel=1e-11)


def test_what_is_never_reached():
    law = EXAMPLE | {"batch_size": 100}
    assert crossover_steps(1, 2, **law) == crossover_steps(1, 0, **law) == math.inf
    assert crossover_steps(2, 1, **(law | {"lam": 0})) == math.inf
    assert direction_averaged_steps(1, 2, dim=5, **law) == math.inf
    assert direction_averaged_steps(1, 0, dim=5, **law) == math.inf
    assert direction_averaged_steps(2, 1, dim=5, **(law | {"lam": 0})) == math.inf
    assert direction_averaged_steps(2, 1, dim=5, **(law | {"lam": 1e-320})) == math.inf
    assert crossover_steps(2, 2, **law) == direction_averaged_steps(2, 2, dim=5, **law) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rho2_start": -1}, "rho2_start = -1: must be a finite number >= 0"),
        ({"rho2_core": math.nan}, "rho2_core = nan: must be a finite number >= 0"),
        ({"dim": 0}, "dim = 0: must be a finite number > 0"),
        ({"eta": 0}, "eta = 0: must be a finite number > 0"),
        ({"lam": -0.1}, "lam = -0.1: must be a finite number >= 0"),
        ({"sigma": "big"}, "sigma = 'big': must be a finite number >= 0"),
        ({"batch_size": 0}, "batch_size = 0: must be a finite number > 0"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ParameterError) as error:
        direction_averaged_steps(**(SHELLS | EXAMPLE | {"batch_size": 100} | change))
    assert str(error.value) == message


@pytest.mark.parametrize("ratio", [0.9, 1e-3, 1e-12, 1e-200])
def test_noise_dominated_average_at_any_depth(ratio):
    steps = direction_averaged_steps(
        1.0, ratio, dim=100, eta=1e-3, lam=1e-7, sigma=1, batch_size=100
    )
    # (λ ρ₀/s√d)² = 1e-14
    assert steps == pytest.approx(0.1 / 2e-10 * -math.log(ratio), rel=1e-12)
