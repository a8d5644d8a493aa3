"""Margins lifted by noise: the density's mean, its first order, and where it ends."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from sde_grok.checks import ParameterError
from sde_grok.laws import (
    isotropic_c_g,
    largest_shrinkage,
    lifted_radius,
    margin_barrier,
    margin_c_g,
    margin_radius,
)

MARGIN = {"rate": 0.7, "degree": 3.0, "scale": 2.0}
NOISE = {"dim": 50.0, "eta": 1e-3, "sigma": 2.0, "batch_size": 64.0}


def by_quadrature(lam, w, **changes):
    """E ρ² of the density as it is written, with ∫ (λρ + L′)/s dρ by quadrature, too."""
    a, h, c = MARGIN["rate"], MARGIN["degree"], MARGIN["scale"]
    of = {**NOISE, **changes}
    s = of["sigma"] / math.sqrt(of["batch_size"])
    core = math.sqrt(margin_radius(lam, **MARGIN))

    def force(rho):
        u = a * rho**h
        return (lam * rho - c * h * u / rho * math.exp(-u)) * math.exp(w * u) / s

    def density(rho):
        potential = quad(force, core, rho, epsabs=1e-13, epsrel=1e-12)[0]
        return (rho / core) ** (of["dim"] - 1) * math.exp(-2 / of["eta"] * potential)

    grid = np.linspace(0.7 * core, 1.7 * core, 4001)
    p = np.array([density(rho) for rho in grid])
    return np.sum(p * grid**2) / np.sum(p)


@pytest.mark.parametrize("w", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("lam", [0.01, 0.3])
def test_the_mean_is_that_of_the_density(lam, w):
    found = lifted_radius(lam, **MARGIN, **NOISE, noise_power=w)
    assert found == pytest.approx(by_quadrature(lam, w), rel=1e-8)


@pytest.mark.parametrize(("dim", "eta"), [(1.0, 1e-7), (8.0, 1e-7), (128.0, 1e-7), (1e6, 1e-11)])
@pytest.mark.parametrize("lam", [0.01, 0.3])
def test_little_noise_lifts_by_c_g(lam, dim, eta):
    """To first order in η."""
    of = {**NOISE, "dim": dim, "eta": eta}
    lift = lifted_radius(lam, **MARGIN, **of) - margin_radius(lam, **MARGIN)
    given = {k: of[k] for k in ("dim", "sigma", "batch_size")}
    assert lift == pytest.approx(eta / lam * margin_c_g(lam, **MARGIN, **given), rel=2e-4)


@pytest.mark.parametrize(
    ("lam", "changes"),
    [
        (0.01, {"dim": 1.0, "eta": 1.0}),
        (1e-4, {"dim": 1.0, "eta": 0.01}),
        (0.01, {"dim": 2.0, "eta": 0.1}),
        (1e-4, {"dim": 8.0, "eta": 0.1}),
    ],
)
def test_a_wall_inside_and_a_long_tail_outside(lam, changes):
    """Far from a Gaussian: from the barrier on, by the potential λρ²/2 + L in closed form."""
    of = {**NOISE, **changes}
    s = of["sigma"] / math.sqrt(of["batch_size"])
    inner = math.sqrt(margin_barrier(lam, **MARGIN))
    far = 40 * math.sqrt(of["dim"] * of["eta"] * s / (2 * lam)) + 10
    rho = np.linspace(inner, far, 2_000_001)
    loss = MARGIN["scale"] * np.exp(-MARGIN["rate"] * rho ** MARGIN["degree"])
    log_p = (of["dim"] - 1) * np.log(rho) - 2 / of["eta"] * (lam * rho**2 / 2 + loss) / s
    p = np.exp(log_p - log_p.max())
    expected = np.sum(p * rho**2) / np.sum(p)
    assert lifted_radius(lam, **MARGIN, **of) == pytest.approx(expected, rel=1e-6)


def test_no_noise_to_speak_of_lifts_nothing():
    of = {**NOISE, "eta": 1e-300, "sigma": 1e-300, "batch_size": 1e300}
    core = margin_radius(0.01, **MARGIN)
    assert lifted_radius(0.01, **MARGIN, **of, noise_power=10.0) == pytest.approx(core, rel=1e-8)


@pytest.mark.parametrize(("w", "power"), [(0.0, -1.0), (0.5, -0.5), (1.0, 0.0)])
def test_the_lift_goes_as_a_power_of_lambda(w, power):
    """η d s λ^{w−1} (ρ²/chu)^w/(h(u−p)), the rest of which is known."""
    of = {**NOISE, "dim": 1e6, "eta": 1e-10}
    h, p = MARGIN["degree"], (MARGIN["degree"] - 2) / MARGIN["degree"]
    scaled = []
    for lam in (1e-3, 0.1):
        rho2 = margin_radius(lam, **MARGIN)
        u = MARGIN["rate"] * rho2 ** (h / 2)
        lift = lifted_radius(lam, **MARGIN, **of, noise_power=w) - rho2
        scaled.append(lift * h * (u - p) / (rho2 / (MARGIN["scale"] * h * u)) ** w)
    found = math.log(scaled[1] / scaled[0]) / math.log(100)
    assert found == pytest.approx(power, abs=2e-3)


def test_much_noise_leaves_the_floor():
    """Beyond the margin shrinkage and noise alone decide: V∞ = ησd/(2λ√b)."""
    of = {**NOISE, "dim": 200.0, "eta": 0.1}
    floor = 0.1 * 2.0 * 200 / (2 * 0.05 * 8)
    assert lifted_radius(0.05, **MARGIN, **of) == pytest.approx(floor, rel=1e-6)


def test_c_g_is_less_than_on_the_flat_landscape_where_the_rest_is_stiff():
    given = {k: NOISE[k] for k in ("dim", "sigma", "batch_size")}
    flat = isotropic_c_g(**given)
    lams = np.array([1e-4, 1e-2, 0.3])
    assert np.all(margin_c_g(lams, **MARGIN, **given) < flat)
    assert margin_c_g(largest_shrinkage(**MARGIN), **MARGIN, **given) == math.inf


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dim", 0.5),
        ("eta", 0.0),
        ("sigma", 0.0),
        ("batch_size", 0.0),
        ("noise_power", -1.0),
        ("rate", -1.0),
    ],
)
def test_bad_parameters_are_named(field, value):
    with pytest.raises(ParameterError, match=f"^{field} = "):
        lifted_radius(0.01, **{**MARGIN, **NOISE, field: value})


@pytest.mark.parametrize(("lam", "degree"), [(50.0, 3.0), (2.8, 2.0)])
def test_no_rest(lam, degree):
    """For h = 2 the rest at the largest shrinkage, 2ac, is the centre."""
    with pytest.raises(ParameterError, match=r"^lam = "):
        lifted_radius(lam, **{**MARGIN, "degree": degree}, **NOISE)
