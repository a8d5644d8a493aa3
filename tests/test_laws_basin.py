"""From where two circuits end in the one that generalizes, and the shrinkage beyond which none does."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sde_grok.checks import ParameterError
from sde_grok.laws import (
    generalizing_fraction,
    largest_shrinkage,
    logistic_radius,
    shrinkage_at_loss,
)

CIRCUITS = {"degree": 3.0, "dim_memorizing": 24, "dim_generalizing": 8}


def ends_in_g(rho_m, rho_g, *, ratio, degree, lam=0.05):
    """Whether the mean flow of two circuits, logistic loss, ends with g the larger."""

    def drift(_, x):
        m, g = np.exp(x)
        r = 1 / (1 + math.exp(min(m**degree + ratio * g**degree, 700)))
        return [
            r * degree * m ** (degree - 2) - lam,
            r * degree * ratio * g ** (degree - 2) - lam,
        ]

    end = solve_ivp(drift, (0, 400 / lam), np.log([rho_m, rho_g]), rtol=1e-10, method="LSODA")
    return end.y[1, -1] > end.y[0, -1]


@pytest.mark.parametrize("degree", [2.5, 3.0, 4.0])
@pytest.mark.parametrize("ratio", [1.5, 3.0])
def test_the_line_parts_the_basins(degree, ratio):
    line = ratio ** (-1 / (degree - 2))
    assert ends_in_g(0.9, 0.9 * line * 1.01, ratio=ratio, degree=degree)
    assert not ends_in_g(0.9, 0.9 * line / 1.01, ratio=ratio, degree=degree)


@pytest.mark.parametrize("ratio", [0.5, 1.4, 2.5])
def test_the_part_is_that_of_starts_beyond_the_line(ratio):
    """Of 10⁵ starts, |z| < 4: a false alarm in 16 000, with a fixed seed."""
    theta = np.random.default_rng(0).normal(size=(100_000, 32))
    m, g = np.linalg.norm(theta[:, :24], axis=1), np.linalg.norm(theta[:, 24:], axis=1)
    seen = np.mean(g / m > 1 / ratio)
    expected = generalizing_fraction(ratio, **CIRCUITS)
    assert abs(seen - expected) < 4 * math.sqrt(expected * (1 - expected) / 100_000)


def test_far_ratios_are_in_the_range_of_floats():
    given = {"dim_memorizing": 1, "dim_generalizing": 1}
    found = generalizing_fraction([1e300, 2.0, 1e-300, 0.1], degree=[3, 2.00001, 3, 2.1], **given)
    np.testing.assert_array_equal(found[:2], 1.0)
    # P[x > 1 − y] of Beta(½, ½) is (2/π) asin √y, y = (a_g/a_m)^{2/(h−2)}
    assert found[3] == pytest.approx(2 / math.pi * 1e-10, rel=1e-9)
    assert found[2] == pytest.approx(0.0, abs=1e-299)


def test_near_degree_2_the_larger_rate_wins():
    below, above = generalizing_fraction([0.9, 1.1], **{**CIRCUITS, "degree": 2.001})
    assert below < 1e-9
    assert above > 1 - 1e-9


@pytest.mark.parametrize("degree", [2.0, 2.5, 3.0, 4.0])
@pytest.mark.parametrize("lam", [1e-9, 1e-3, 0.2])
def test_shrinkage_at_loss_is_the_inverse(lam, degree):
    given = {"rate": 0.7, "degree": degree, "scale": 1.3}
    u = 0.7 * logistic_radius(lam, **given) ** (degree / 2)
    loss = 1.3 * math.log1p(math.exp(-u))
    assert shrinkage_at_loss(loss, **given) == pytest.approx(lam, rel=1e-12)


def test_a_loss_at_the_end_of_the_range_of_floats():
    """λ ≈ h c a^{2/h} u^p L/c, u = −ln(L/c)."""
    found = shrinkage_at_loss(1e-307, rate=1.0, degree=4.0, scale=1.0)
    assert found == pytest.approx(4 * math.sqrt(307 * math.log(10)) * 1e-307, rel=1e-12)


def test_loss_of_no_rest():
    """Near the centre nothing rests, and the loss there is above that of every core."""
    given = {"rate": 1.0, "degree": 3.0, "scale": 1.0}
    with pytest.raises(ParameterError, match=r"^loss = "):
        shrinkage_at_loss(0.65, **given)
    assert shrinkage_at_loss(0.3, **given) < largest_shrinkage(**given)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rate_ratio", 0.0), ("degree", 2.0), ("dim_memorizing", 0), ("dim_generalizing", -1)],
)
def test_bad_parameters_are_named(field, value):
    given = {"rate_ratio": 2.0, **CIRCUITS, field: value}
    with pytest.raises(ParameterError, match=f"^{field} = "):
        generalizing_fraction(given.pop("rate_ratio"), **given)
