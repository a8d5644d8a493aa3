"""Exact exponents: power laws, high-order differences, an identity, and the names of regimes."""

import math

import numpy as np
import pytest

from sde_grok import laws
from sde_grok.checks import ParameterError
from sde_grok.dual import log, sqrt
from sde_grok.laws import Exponents, exponents, regime

AT = {"eta": 1e-3, "batch_size": 2500.0, "lam": 0.01}
SHELL = {"rho2_start": 128.0, "rho2_core": 32.0, "dim": 128, "sigma": 1.0}


def radial(start, core, dim, law=laws.mean_passage_time, loud=1.0):
    def steps(eta, batch_size, lam):
        return law(start, core, dim=dim, gamma=lam * sqrt(batch_size), q2=loud * eta) / eta

    return steps


def below(core):
    return lambda eta, batch_size, lam: (
        laws.kramers_limit(core, dim=10, gamma=lam * sqrt(batch_size), q2=100 * eta) / eta
    )


def on_shell(law, **changes):
    given = {**SHELL, **changes}
    return lambda **at: law(**given, **at)


LAWS = {
    "radial mean": radial(128.0, 32.0, 128),
    "radial mean below the floor": radial(128.0, 0.3, 3, loud=100.0),
    "radial mean outward": radial(0.1, 1.0, 3, loud=100.0),
    "radial mean from the centre": radial(0.0, 1.0, 3, loud=100.0),
    "law limit": radial(128.0, 32.0, 128, laws.law_limit),
    "Kramers limit": below(0.1),
    "leading law": lambda eta, batch_size, lam: (
        laws.leading_law(4.0, 1.0, gamma=lam * sqrt(batch_size)) / eta
    ),
    "one coordinate": lambda **at: laws.crossover_steps(1.0, 0.5, sigma=1.0, **at),
    "direction average": on_shell(laws.direction_averaged_steps),
    "direction average, sign-like": on_shell(laws.direction_averaged_steps, sigma=0.02),
    "matched": on_shell(laws.matched_steps),
}


def differences(law, name, h=2e-3):
    """Derivative of ln T over ln of one parameter, by central differences of order 8 in h."""
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    value = {n: math.log(law(**{**AT, name: AT[name] * math.exp(n * h)})) for n in range(-4, 5)}
    return sum(w * (value[n] - value[-n]) for n, w in weights.items()) / h


@pytest.mark.parametrize("name", LAWS)
def test_exponents_equal_differences(name):
    exact = exponents(LAWS[name], AT)
    for parameter in AT:
        # rounding: 1e-12 of the law over h; truncation: h⁸ times a ninth derivative
        assert getattr(exact, parameter) == pytest.approx(
            differences(LAWS[name], parameter), abs=2e-9
        )


def test_power_law_with_a_logarithm():
    law = lambda eta, batch_size, lam: 3 * log(7.0) / eta / sqrt(lam) * batch_size**-0.25
    assert exponents(law, AT) == pytest.approx((-1, -0.25, -0.5), rel=1e-14)


def test_noise_dominated_and_sign_like_limits():
    quiet = {"eta": 1e-9, "batch_size": 1.0, "lam": 1e-4}
    assert exponents(LAWS["matched"], quiet) == pytest.approx((-1, -0.5, -1), abs=1e-4)
    large = {"eta": 1e-9, "batch_size": 1e12, "lam": 1.0}
    assert exponents(LAWS["matched"], large) == pytest.approx((-1, 0, 0), abs=1e-5)


@pytest.mark.parametrize("b", [1.0, 100.0, 1e4, 1e6])
def test_coupled_laws_see_lambda_root_b_alone(b):
    local = exponents(LAWS["matched"], {**AT, "batch_size": b})
    assert local.batch_size == pytest.approx(local.lam / 2, rel=1e-12)


def test_direction_average_has_derivatives_in_the_radii():
    from sde_grok.dual import Dual  # noqa: PLC0415

    start, core = Dual(128.0, np.array([1.0, 0.0])), Dual(32.0, np.array([0.0, 1.0]))
    given = {"dim": 128, "sigma": 1.0, **AT}
    exact = laws.direction_averaged_steps(start, core, **given).gradient
    h = 1e-3
    plus, minus = laws.direction_averaged_steps([128 + h, 128 - h], 32.0, **given)
    assert exact[0] == pytest.approx((plus - minus) / (2 * h), rel=1e-6)
    plus, minus = laws.direction_averaged_steps(128.0, [32 + h, 32 - h], **given)
    assert exact[1] == pytest.approx((plus - minus) / (2 * h), rel=1e-6)


def test_a_law_without_the_parameters_has_no_exponents():
    assert exponents(lambda **_: 3.0, AT) == (0, 0, 0)
    assert all(math.isnan(e) for e in exponents(lambda **_: math.inf, AT))


def test_no_exponents_where_there_is_no_time():
    never = on_shell(laws.direction_averaged_steps, rho2_core=0.0)
    assert all(math.isnan(e) for e in exponents(never, AT))


def test_a_law_that_cannot_be_differentiated_says_so():
    mean_field = on_shell(laws.mean_field_steps, beta1=0.9, beta2=0.999)
    with pytest.raises(TypeError, match="is not made of differentiable parts"):
        exponents(mean_field, AT)


def test_a_finite_mean_to_the_origin_has_exponents():
    law = radial(1.0, 0.0, 1, loud=100.0)
    assert exponents(law, AT).batch_size == pytest.approx(differences(law, "batch_size"), abs=2e-9)


def test_a_monitored_law_has_exponents():
    def law(eta, batch_size, lam):
        core = laws.monitored_core(2.0, q=sqrt(eta), dt=eta, inward=True)
        return (
            laws.mean_passage_time(9.0, core**2, dim=3, gamma=lam * sqrt(batch_size), q2=eta) / eta
        )

    for name in AT:
        assert getattr(exponents(law, AT), name) == pytest.approx(differences(law, name), abs=2e-9)


def test_arrays_of_points():
    batches = [100.0, 2500.0]
    local = exponents(LAWS["matched"], {**AT, "batch_size": batches})
    assert isinstance(local, Exponents)
    each = [exponents(LAWS["matched"], {**AT, "batch_size": b}) for b in batches]
    assert local.lam.tolist() == [e.lam for e in each]


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (
            {"eta": 1, "lam": 1},
            r"at = \['eta', 'lam'\]: must be a point with a value of batch_size",
        ),
        ({**AT, "lam": 0}, "lam = 0: must be a finite number > 0"),
    ],
)
def test_bad_points(at, message):
    with pytest.raises(ParameterError, match=message):
        exponents(LAWS["matched"], at)


@pytest.mark.parametrize(
    ("local", "name"),
    [
        ((-1, -0.5, -1), "noise-dominated"),
        ((-0.95, -0.52, -1.04), "noise-dominated"),
        ((-1, -0.25, -0.5), "crossover"),
        ((-1, -0.01, -0.02), "sign-like"),
        ((-0.5, -0.7, -1.4), "floor-limited"),
        ((math.nan, math.nan, math.nan), "floor-limited"),
    ],
)
def test_regimes(local, name):
    assert regime(Exponents(*local)) == name


def test_tolerance_of_a_regime():
    assert regime(Exponents(-1, -0.4, -0.8), tolerance=0.3) == "noise-dominated"
    with pytest.raises(
        ParameterError, match=r"tolerance = 0.5: must be a finite number > 0 and < 0.5"
    ):
        regime(Exponents(-1, -0.4, -0.8), tolerance=0.5)


def test_regimes_of_arrays():
    batches = [[100.0, 10_000.0], [1e6, 1e8]]
    local = exponents(LAWS["matched"], {**AT, "batch_size": batches})
    assert regime(local).tolist() == [["noise-dominated", "crossover"], ["sign-like", "sign-like"]]
