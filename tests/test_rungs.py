"""The formulas of the rungs, one coordinate at a time: against theory and against each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sde_grok import Geometry, IsotropicNoise, Optimizer
from sde_grok.kernels.sweeps import Coefficients
from sde_grok.landscapes import FLAT
from sde_grok.problem import Problem
from sde_grok.rungs import discrete, joint, reduced
from sde_grok.rungs.radial import radial_rates

# Gauss–Hermite: the mean over a standard normal, exact for polynomials up to degree 19.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(10)
WEIGHTS = WEIGHTS / WEIGHTS.sum()

value = st.floats(-3, 3)
positive = st.floats(0.01, 4)
eta = st.floats(1e-4, 0.1)
beta = st.floats(0, 0.999)


def coefficients(eta=0.01, beta1=0.9, beta2=0.999, eps=1e-8, coupled=0.0, decoupled=0.0):
    return Coefficients(
        eta=eta,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        coupled=coupled,
        decoupled=decoupled,
        alpha1=1 - beta1,
        alpha2=1 - beta2,
        kappa1=(1 - beta1) / eta,
        kappa2=(1 - beta2) / eta,
        root_eta=math.sqrt(eta),
        dt=eta,
        root_dt=math.sqrt(eta),
        stride=1.0,
    )


def close(x):
    return pytest.approx(x, rel=1e-9, abs=1e-12)


@given(value, value, positive, value, positive, eta, beta, beta)
def test_joint_sde_has_the_one_step_moments_of_adam(theta, m, v, h, variance, eta, beta1, beta2):
    """Over a step of η: the means of m and v, the variance of m, and θ given m and v."""
    c = coefficients(eta, beta1, beta2, decoupled=0.3)
    _, new_m, new_v = np.array(
        [discrete.update(theta, m, v, h, variance**0.5 * z, 1.0, c.eps, c) for z in NODES]
    ).T
    _, d_m, d_v = joint.drift(theta, m, v, h, variance, 1.0, c.eps, c)
    mean_m = WEIGHTS @ new_m
    assert mean_m - m == close(eta * d_m)
    assert WEIGHTS @ (new_m - mean_m) ** 2 == close(eta * joint.diffusion(c) ** 2 * variance)
    assert WEIGHTS @ new_v - v == close(eta * d_v)
    # Adam moves θ with the moments that it has just updated.
    z = NODES[3]
    after, m, v = discrete.update(theta, m, v, h, variance**0.5 * z, 1.0, c.eps, c)
    d_theta, _, _ = joint.drift(theta, m, v, h, variance, 1.0, c.eps, c)
    assert after - theta == close(eta * d_theta)


@given(value, value, positive, positive, positive)
def test_reduced_drift_is_joint_drift_on_the_slow_manifold(theta, h, variance, eps, decoupled):
    c = coefficients(eps=eps, decoupled=decoupled)
    m, v = h, h * h + variance
    d_theta, d_m, d_v = joint.drift(theta, m, v, h, variance, 1.0, eps, c)
    assert (d_m, d_v) == (0, 0)
    assert d_theta == close(reduced.drift(theta, h, variance, c))


@given(value, positive, positive, eta, positive)
def test_reduced_formula(h, variance, eps, eta, decoupled):
    """P = √(h² + diag Σ/b) + ε: drift −h/P − λθ, noise √η/P."""
    c = coefficients(eta, eps=eps, decoupled=decoupled)
    P = math.sqrt(h**2 + variance) + eps
    assert reduced.drift(2.0, h, variance, c) == close(-h / P - 2 * decoupled)
    assert reduced.diffusion(h, variance, c) == close(math.sqrt(eta) / P)


@given(value, st.floats(-4, 4).filter(lambda g: abs(g) > 1e-3), eta, beta, beta, positive)
def test_first_step_of_adam_does_not_depend_on_betas(theta, g, eta, beta1, beta2, eps):
    """With bias correction θ₁ = θ₀ − η g/(|g| + ε) (Kingma and Ba 2015, §2.1)."""
    c = coefficients(eta, beta1, beta2, eps)
    B1, B2 = 1 - beta1, 1 - beta2
    ratio, scaled_eps = math.sqrt(B2) / B1, eps * math.sqrt(B2)
    after, _, _ = discrete.update(theta, 0.0, 0.0, g, 0.0, ratio, scaled_eps, c)
    assert after - theta == close(-eta * g / (abs(g) + eps))
    # Euler's step of the joint SDE moves with the old m, which is zero.
    assert joint.drift(theta, 0.0, 0.0, g, 0.0, ratio, scaled_eps, c)[0] == 0


@given(st.lists(value, min_size=3, max_size=10), st.sampled_from(["coupled", "decoupled"]))
def test_radial_rates_are_the_reduced_rung_by_ito(theta, decay):
    """dV = 2θ·dθ + |dθ|²: in the noise-dominated regime its drift is d q² − 2γV, its noise 2q√V."""
    o = Optimizer(eta=0.01, batch_size=9, lam=1e-7, eps=0.02, decay=decay)
    theta, sigma = np.array(theta), 2.0
    c = coefficients(o.eta, eps=o.eps, coupled=o.coupled, decoupled=o.decoupled)
    variance = sigma**2 / o.batch_size
    h = o.coupled * theta
    drift = np.array([reduced.drift(x, y, variance, c) for x, y in zip(theta, h, strict=True)])
    noise = np.array([reduced.diffusion(y, variance, c) for y in h]) * variance**0.5
    problem = Problem(
        optimizer=o,
        geometry=Geometry(rho_start=2.0, rho_core=1.0, dim=theta.size),
        noise=IsotropicNoise(sigma),
        landscape=FLAT,
        system="radial",
    )
    gamma, q2 = problem.rates
    V = theta @ theta
    assert 2 * theta @ drift == pytest.approx(-2 * gamma * V, rel=1e-9)
    assert noise @ noise == pytest.approx(theta.size * q2, rel=1e-9)
    assert np.linalg.norm(2 * theta * noise) == pytest.approx(2 * math.sqrt(q2 * V), rel=1e-9)


@given(positive, positive, eta, st.integers(1, 10_000))
def test_radial_rates(sigma, s, eta, b):
    """γ = λ/s coupled, λ decoupled; q² = (η/b) σ²/s², which is η if noise dominates."""
    coupled, decoupled = (
        Optimizer(eta=eta, batch_size=b, lam=0.3, decay=decay) for decay in ("coupled", "decoupled")
    )
    assert radial_rates(coupled, sigma, s) == close((0.3 / s, eta / b * sigma**2 / s**2))
    assert radial_rates(decoupled, sigma, s) == close((0.3, eta / b * sigma**2 / s**2))
    assert radial_rates(decoupled, sigma, sigma / math.sqrt(b)).q2 == close(eta)
