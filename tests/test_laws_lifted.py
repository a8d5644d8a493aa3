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


@pytest.mark.parametrize("lam", [0.01, 0.3])
def test_little_noise_lifts_by_c_g(lam):
    """To first order in η, and to 1/d: fluctuations in the curvature of the rest."""
    d = 1e6
    of = {**NOISE, "dim": d, "eta": 1e-11}
    lift = lifted_radius(lam, **MARGIN, **of) - margin_radius(lam, **MARGIN)
    given = {k: of[k] for k in ("dim", "sigma", "batch_size")}
    assert lift == pytest.approx(1e-11 / lam * margin_c_g(lam, **MARGIN, **given), rel=2e-4)


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
    edge = largest_shrinkage(**MARGIN)
    assert margin_c_g(edge * (1 - 1e-12), **MARGIN, **given) > 1e4 * flat


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


def test_no_rest():
    with pytest.raises(ParameterError, match=r"^lam = "):
        lifted_radius(50.0, **MARGIN, **NOISE)
