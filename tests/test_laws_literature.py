"""Laws of the literature: formulas, exponents, relations between them, and the square-root rule."""

import math
from functools import partial

import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.laws.batch_rule import square_root_rule
from sde_grok.laws.crossover import crossover_steps
from sde_grok.laws.exponents import exponents
from sde_grok.laws.literature import (
    constant_law,
    gradient_flow_law,
    norm_first_passage_law,
    norm_separation_law,
    omnigrok_law,
    pinned_norm_law,
    ridge_lower_bound,
)
from sde_grok.laws.measured import (
    COLLAPSE,
    FALL,
    MEMORIZATION,
    RISE,
    collapse_law,
    memorization_law,
    stagewise_law,
)
from sde_grok.laws.passage import mean_passage_time
from sde_grok.laws.transition import isotropic_constants, transition_time

approx = partial(pytest.approx, abs=0, rel=1e-13)  # a logarithm, an exponential, a few roundings

POINT = {"rho2_start": 8000.0, "rho2_core": 4900.0, "eta": 1e-3, "lam": 1e-4, "batch_size": 100.0}
LAWS = {  # law, what it takes besides, its value as printed, its exponents in η, b and λ
    "constant": (constant_law, {"constant": 3.0}, 3 / (2 * 1e-7), (-1, 0, -1)),
    "separation": (
        norm_separation_law,
        {"constant": 0.7},
        0.7 * math.log(8000 / 4900) / 1e-7,
        (-1, 0, -1),
    ),
    "first passage": (
        norm_first_passage_law,
        {"kappa": 0.3},
        math.log(8000 / 4900) / (2 * 0.3 * 1e-7),
        (-1, 0, -1),
    ),
    "omnigrok": (omnigrok_law, {}, math.log(math.sqrt(8000 / 4900)) / 1e-7, (-1, 0, -1)),
    "pinned": (
        pinned_norm_law,
        {"constant": 900.0},
        900 * math.exp(7.5 * (math.sqrt(8000 / 4900) - 1)),
        (0, 0, 0),
    ),
    "gradient flow": (gradient_flow_law, {"init_scale": 5.0}, math.log(5) / 1e-7, (-1, 0, -1)),
    "ridge": (
        ridge_lower_bound,
        {"rho2_core": 49.0, "memorization_steps": 0.0},
        math.log(4000 / 49) / 4e-7,
        (-1, 0, -1),
    ),
    "collapse": (
        collapse_law,
        {"constant": 0.02},
        0.02 * math.log(8000 / 4900) / (1e-3 * math.sqrt(1e-4) * 100**0.25),
        COLLAPSE,
    ),
    "memorization": (
        memorization_law,
        {"constant": 20.0},
        20 * 1e-3**-0.78 * 1e-4**0.04 * 100**-0.52,
        MEMORIZATION,
    ),
}
EACH = pytest.mark.parametrize("name", LAWS)


@EACH
def test_law_as_printed(name):
    law, constants, expected, _ = LAWS[name]
    assert law(**(POINT | constants)) == approx(expected)


@EACH
def test_exponents(name):
    law, constants, _, expected = LAWS[name]
    assert exponents(law, POINT | constants) == pytest.approx(expected, abs=1e-14)


@EACH
def test_arrays_broadcast(name):
    law, constants, *_ = LAWS[name]
    eta = np.array([[1e-3], [2e-3]])
    steps = law(**(POINT | constants | {"eta": eta, "batch_size": np.array([100, 200, 400])}))
    assert steps.shape == (2, 3)
    assert steps[1, 2] == law(**(POINT | constants | {"eta": 2e-3, "batch_size": 400}))


@EACH
@pytest.mark.parametrize("bad", [{"eta": 0}, {"lam": -1}, {"batch_size": 0}, {"rho2_start": -1}])
def test_common_signature_is_checked_even_where_ignored(name, bad):
    law, constants, *_ = LAWS[name]
    (field,) = bad
    with pytest.raises(ParameterError, match=f"{field} = "):
        law(**(POINT | constants | bad))


def test_stages_add_up():
    rise, fall = (
        c * 1e-3**p.eta * 1e-4**p.lam * 100**p.batch_size for c, p in [(2, RISE), (30, FALL)]
    )
    assert stagewise_law(**POINT, rise_constant=2, fall_constant=30) == approx(rise + fall)
    mixed = exponents(stagewise_law, POINT | {"rise_constant": 2, "fall_constant": 30})
    means = (rise * np.array(RISE) + fall * np.array(FALL)) / (rise + fall)
    assert mixed == pytest.approx(means, abs=1e-13)


def test_contraction_laws_are_one():
    steps = omnigrok_law(**POINT)
    scale = math.sqrt(8000 / 4900)
    assert norm_separation_law(**POINT, constant=0.5) == approx(steps)
    assert norm_first_passage_law(**POINT) == approx(steps)
    assert gradient_flow_law(**POINT, init_scale=scale) == approx(steps)
    assert 2 * ridge_lower_bound(**(POINT | {"rho2_start": 16000})) == approx(steps)


def test_what_is_never_reached():
    outward = POINT | {"rho2_start": 4000}
    for law in (omnigrok_law, norm_separation_law, norm_first_passage_law):
        assert law(**outward) == law(**(POINT | {"lam": 0})) == math.inf
    assert collapse_law(**outward, constant=1) == math.inf
    assert ridge_lower_bound(**outward) == 0
    assert ridge_lower_bound(**POINT, memorization_steps=1e9) == 0
    still = POINT | {"lam": 0}
    assert constant_law(**still, constant=1) == math.inf
    assert gradient_flow_law(**still, init_scale=2) == math.inf
    assert stagewise_law(**still, rise_constant=1, fall_constant=1) == math.inf
    assert pinned_norm_law(**(POINT | {"rho2_core": 1e-3}), constant=1) == math.inf


def test_ridge_regression_keeps_the_bound():
    """Gradient descent with m = 300 features, n = 10 examples and the zero teacher."""
    rng = np.random.default_rng(5)
    m, n, eta, lam, loss = 300, 10, 0.02, 0.02, 0.01
    phi, theta = rng.normal(size=(n, m)) / math.sqrt(m) * 3, rng.normal(size=m)
    eigenvalues = np.linalg.eigvalsh(phi @ phi.T)
    largest = np.max(np.sum(phi**2, axis=1))  # B²
    t1_bound = n * math.log(6 * largest * theta @ theta / loss) / (2 * eta * eigenvalues[0])
    test, train = [], []  # λ_min = 9/m: the covariance of the features is isotropic
    for _ in range(20_000):
        train.append(np.sum((phi @ theta) ** 2) / (2 * n))
        test.append(9 / m * theta @ theta)
        theta -= eta * (phi.T @ (phi @ theta) / n + lam * theta)
    t1, t2 = np.max(np.flatnonzero(np.array(train) >= loss)), np.argmax(np.array(test) <= loss)
    radii = ((m - n) * 1.0, loss / (9 / m))
    given = {"eta": eta, "lam": lam, "batch_size": n}
    assert 0 < t1 <= t1_bound
    assert 0 < ridge_lower_bound(*radii, **given, memorization_steps=t1_bound) <= t2 - t1
    # the core is reached by contraction from ‖θ₀‖² = 300 ± 25: twice the bound and ln 2/(2ηλ)
    contraction = 2 * ridge_lower_bound(*radii, **given) + math.log(2) / (2 * eta * lam)
    assert t2 == pytest.approx(contraction, abs=4 * 25 / 300 / (2 * eta * lam))


C = np.array([0.25, 1, 4, 9])
RATE = {"eta": 1e-3, "lam": 1e-2, "batch_size": 100.0, "factor": C}
RADII = (20.0, 8.0)


def test_noise_dominated_law_respects_the_square_root_rule():
    assert square_root_rule(transition_time, *RADII, **RATE, sigma=1.0) == approx(np.ones(4))
    decoupled = square_root_rule(omnigrok_law, *RADII, **RATE, decay="decoupled")
    assert decoupled == approx(np.ones(4))


def test_coupled_law_without_batch_size_does_not():
    for law, constants in [(omnigrok_law, {}), (constant_law, {"constant": 1.0})]:
        assert square_root_rule(law, *RADII, **RATE, **constants) == approx(np.sqrt(C))
    leading = square_root_rule(transition_time, *RADII, **RATE, sigma=1.0, decay="decoupled")
    assert leading == approx(1 / np.sqrt(C))


@pytest.mark.parametrize("name", ["collapse", "memorization"])
def test_ratio_of_a_power_law(name):
    law, constants, _, power = LAWS[name]
    expected = C ** (1 + power.eta / 2 + power.batch_size)
    assert square_root_rule(law, *RADII, **RATE, **constants) == approx(expected)


def test_exact_mean_respects_the_square_root_rule():
    def exact(start, core, *, eta, lam, batch_size):
        return mean_passage_time(start, core, dim=10, gamma=lam * batch_size**0.5, q2=eta) / eta

    # the same x for both, within the rounding of the quadrature
    assert square_root_rule(exact, *RADII, **RATE) == pytest.approx(np.ones(4), rel=1e-12)


def test_theorem_3_respects_the_rule_if_its_constants_go_as_in_the_isotropic_model():
    def derived(start, core, *, eta, lam, batch_size):
        noise = {"batch_size": batch_size, "sigma": 1.0}
        constants = isotropic_constants(start, core, dim=10, **noise)
        return transition_time(start, core, eta=eta, lam=lam, **noise, **constants._asdict())

    assert square_root_rule(derived, *RADII, **RATE) == approx(np.ones(4))
    constant = square_root_rule(transition_time, *RADII, **RATE, sigma=1.0, c_tau2=1.0)
    assert np.all(np.diff(constant) > 0)


def test_rule_holds_where_noise_dominates_only():
    quiet, loud = (
        square_root_rule(crossover_steps, 1.0, 0.5, **RATE, sigma=sigma) for sigma in (1e-9, 1e3)
    )
    # (λx/s)² = 1e-8 and less beside 1; s²/(λx)² = 1e-15 with a logarithm
    assert loud == pytest.approx(np.ones(4), rel=1e-7)
    assert quiet == pytest.approx(np.sqrt(C), rel=1e-12)


def test_rule_is_undefined_for_no_time_and_for_ever():
    still = {"factor": 2, "eta": 1, "lam": 0, "batch_size": 1}
    assert math.isnan(square_root_rule(omnigrok_law, 2.0, 1.0, **still))
    assert math.isnan(square_root_rule(omnigrok_law, 1.0, 1.0, **(still | {"lam": 1})))


@pytest.mark.parametrize(
    ("law", "given", "message"),
    [
        (constant_law, {"constant": 0}, "constant = 0: must be a finite number > 0"),
        (norm_first_passage_law, {"kappa": -1}, "kappa = -1: must be a finite number > 0"),
        (gradient_flow_law, {"init_scale": 1}, "init_scale = 1: must be a finite number > 1"),
        (
            pinned_norm_law,
            {"constant": 1, "rho2_core": 0},
            "rho2_core = 0: must be a finite number > 0",
        ),
        (
            memorization_law,
            {"constant": 1, "lam": 0},
            "lam = 0: must be a finite number > 0",
        ),
        (
            partial(square_root_rule, omnigrok_law),
            {"factor": 2, "decay": "both"},
            "decay = 'both': must be one of coupled, decoupled",
        ),
    ],
)
def test_bad_input(law, given, message):
    with pytest.raises(ParameterError) as error:
        law(**(POINT | given))
    assert str(error.value) == message
