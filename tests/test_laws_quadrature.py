"""The quadrature against integrals and sums that have a name."""

import math

import numpy as np
import pytest
from scipy.special import betaln, gammaln

from sde_grok.laws import quadrature
from sde_grok.laws.quadrature import log_integral, log_series


def gamma_integral(a):
    """∫ e^{ay − e^y} dy = Γ(a): an exponential tail and a double-exponential one."""
    return log_integral(
        lambda y: a * y - np.exp(y), lambda y: a - math.exp(y) if y < 700 else -math.inf, rise=a
    )


def beta_integral(a, b):
    """∫ e^{ay}/(1+e^y)^{a+b} dy = B(a, b): two exponential tails."""
    return log_integral(
        lambda y: a * y - (a + b) * np.logaddexp(0, y),
        lambda y: a - (a + b) / (1 + math.exp(-y)),
        rise=a,
        fall=b,
    )


@pytest.mark.parametrize("a", [1e-70, 1e-9, 0.01, 0.5, 1.0, 3.0, 40.0, 1e4, 1e8])
def test_gamma(a):
    # rounding of ay, of a size a ln a, and of a ln a − a
    assert gamma_integral(a) == pytest.approx(gammaln(a), rel=1e-15, abs=1e-12)


@pytest.mark.parametrize("a", [1e-9, 0.3, 2.0, 500.0])
@pytest.mark.parametrize("b", [1e-9, 0.3, 2.0, 500.0])
def test_beta(a, b):
    rounding = 450 * (a + b) * 1e-16  # of the two terms, at the end of the range
    assert beta_integral(a, b) == pytest.approx(betaln(a, b), rel=1e-14, abs=1e-12 + rounding)


def test_halving_the_step_changes_nothing(monkeypatch):
    before = [gamma_integral(0.3), gamma_integral(200.0), beta_integral(0.01, 7.0)]
    monkeypatch.setattr(quadrature, "WIDEST_STEP", 1 / 37)
    after = [gamma_integral(0.3), gamma_integral(200.0), beta_integral(0.01, 7.0)]
    assert after != before
    assert after == pytest.approx(before, rel=1e-13)


@pytest.mark.parametrize("mean", [0.0, 1e-3, 1.0, 30.0, 70.0, 1e3, 1e6])
def test_poisson_series(mean):
    def log_term(n):
        return np.where(n == 0, 0, n * math.log(mean or 1e-300)) - gammaln(n + 1)

    # rounding of ln n!, of a size n ln n
    assert log_series(log_term, mean) == pytest.approx(mean, rel=1e-14, abs=1e-15)
