"""The variance at rest on a parabola: limits, exact linear steps, and AdamW itself."""

import math
from functools import partial

import numpy as np
import pytest
from linear_steps import linear_variance

from sde_grok.checks import ParameterError
from sde_grok.laws import exponents, isotropic_c_g, stationary_variance

approx = partial(pytest.approx, abs=0)

POINT = {"eta": 1e-3, "lam": 0.5, "sigma": 1.0, "batch_size": 4, "decay": "decoupled"}
Z = 4  # of the two comparisons with AdamW: false alarms at 6.3e-5 each, one in 7900 together


@pytest.mark.parametrize(
    ("curvature", "sigma", "lam", "expected"),
    [(1, 1, 1, 2.50e-4), (1, 0.1, 0.5, 4.76e-5), (0.3, 1, 2, 2.17e-4)],
)
def test_values_of_decoupled_decay(curvature, sigma, lam, expected):
    changes = {"sigma": sigma, "lam": lam, "batch_size": 1}
    assert stationary_variance(curvature, **POINT | changes) == approx(expected, rel=3e-3)


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_without_curvature_it_is_the_floor_of_one_coordinate(decay):
    floor = 1e-3 / 0.3 * isotropic_c_g(dim=1, sigma=0.7, batch_size=9, decay=decay)
    changes = {"sigma": 0.7, "lam": 0.3, "batch_size": 9, "decay": decay}
    assert stationary_variance(0.0, **POINT | changes) == approx(floor, rel=1e-14)
    assert stationary_variance(1e-9, **POINT | changes) == approx(floor, rel=1e-7)


def test_coupled_shrinkage_is_curvature():
    free = POINT | {"lam": 0.0}
    held = stationary_variance(1.5, **POINT | {"decay": "coupled"})
    assert held == stationary_variance(2.0, **free)
    assert held == approx(stationary_variance(2.0, **free | {"decay": "coupled"}), rel=1e-15)


def test_a_steep_parabola_forgets_the_shrinkage():
    for decay in ("coupled", "decoupled"):
        steep = stationary_variance(1e9, **POINT | {"decay": decay})
        assert steep == approx(1e-3 * 0.5 / 2e9, rel=1e-8)


def test_exponents_of_steep_and_of_flat_parabolas():
    def local(curvature, decay):
        at = {"eta": 1e-3, "batch_size": 4, "lam": 0.5}
        return exponents(
            lambda **at: stationary_variance(curvature, sigma=1, decay=decay, **at), at
        )

    assert local(1e9, "decoupled") == pytest.approx((1, -0.5, 0), abs=1e-8)
    assert local(1e-9, "decoupled") == pytest.approx((1, 0, -1), abs=1e-8)
    assert local(1e-9, "coupled") == pytest.approx((1, -0.5, -1), abs=1e-8)


def variance_of_linear_steps(curvature, *, eta, lam, sigma, batch_size, decay, beta1):
    """Variance of θ under momentum with √v = s throughout, from its Lyapunov equation."""
    s = sigma / math.sqrt(batch_size)
    pull = curvature + (lam if decay == "coupled" else 0)
    keep = 1 - eta * (lam if decay == "decoupled" else 0)
    return linear_variance(pull, keep, s, s, eta=eta, beta1=beta1)


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
@pytest.mark.parametrize("beta1", [0.0, 0.9])
@pytest.mark.parametrize("curvature", [0.0, 0.2, 5.0])
def test_small_linear_steps_have_the_variance_with_an_error_of_first_order(curvature, beta1, decay):
    def error(eta):
        point = POINT | {"eta": eta, "decay": decay}
        steps = variance_of_linear_steps(curvature, beta1=beta1, **point)
        return steps / stationary_variance(curvature, **point) - 1

    gamma = curvature / 0.5 + (0.5 if decay == "decoupled" else 1)
    assert abs(error(1e-4)) < 1e-4 * gamma / (1 - beta1)
    assert error(1e-3) / error(1e-4) == approx(10, rel=0.1)


def squares_of_adamw(curvature, *, eta, lam, sigma, batch_size, decay, seed):
    """Mean of θ² over eight times of rest, for each of 4000 coordinates, with PyTorch's defaults."""
    rng, s = np.random.default_rng(seed), sigma / math.sqrt(batch_size)
    theta, m, v, squares = np.zeros((4, 4000))
    pull = curvature + (lam if decay == "coupled" else 0)
    keep = 1 - eta * (lam if decay == "decoupled" else 0)
    for k in range(1, 8001):
        gradient = pull * theta + s * rng.standard_normal(theta.size)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        step = m / (1 - 0.9**k) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
        theta = keep * theta - eta * step
        if k > 4000 and k % 500 == 0:
            squares += theta**2 / 8
    return squares


@pytest.fixture(scope="module", params=["coupled", "decoupled"])
def adamw(request):
    """What AdamW came to with σ = 1 and H = 1, ten relaxation times after it began in the minimum."""
    return request.param, squares_of_adamw(1.0, **POINT | {"decay": request.param}, seed=20)


def deviation(squares, expected):
    stderr = np.std(squares, ddof=1) / math.sqrt(squares.size)
    return (np.mean(squares) - expected) / stderr


@pytest.mark.statistical
def test_adamw_has_the_variance(adamw):
    decay, squares = adamw
    assert abs(deviation(squares, stationary_variance(1.0, **POINT | {"decay": decay}))) < Z


@pytest.mark.statistical
@pytest.mark.parametrize(
    "wrong", [{"lam": 0.0}, {"batch_size": 1}, {"eta": 1.1e-3}, {"decay": "other"}]
)
def test_a_wrong_variance_is_rejected(adamw, wrong):
    decay, squares = adamw
    if wrong.get("decay"):
        wrong = {"decay": "decoupled" if decay == "coupled" else "coupled"}
    point = POINT | {"decay": decay} | wrong
    assert abs(deviation(squares, stationary_variance(1.0, **point))) > Z


def test_arrays_broadcast():
    values = stationary_variance([0.0, 1.0], **POINT | {"lam": [[0.1], [0.2], [0.3]]})
    assert values.shape == (3, 2)
    assert values[1, 1] == stationary_variance(1.0, **POINT | {"lam": 0.2})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("curvature", -0.1),
        ("curvature", math.inf),
        ("eta", 0.0),
        ("lam", -1.0),
        ("sigma", 0.0),
        ("batch_size", 0),
        ("decay", "none"),
    ],
)
def test_bad_input_is_named(field, value):
    with pytest.raises(ParameterError, match=f"^{field} = "):
        stationary_variance(**{"curvature": 1.0, **POINT, field: value})


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_something_must_hold_the_coordinate(decay):
    with pytest.raises(ParameterError, match=r"^lam = 0\.0: must be > 0 if the curvature is 0$"):
        stationary_variance(0.0, **POINT | {"lam": 0, "decay": decay})
