"""The balance of loss and shrinkage: a bound for any logits, met by equal margins."""

import math
from functools import partial

import numpy as np
import pytest
from scipy.optimize import brentq

from sde_grok.checks import ParameterError
from sde_grok.laws import exponents
from sde_grok.laws.balance import balanced_radius

approx = partial(pytest.approx, abs=0)

NETWORK = {"lam": 1e-3, "degree": 3, "classes": 59}


def loss_and_pull(logits, targets):
    """Mean cross-entropy, and Σ_k p_k (z_y − z_k) averaged over examples: −θ·∇L/h."""
    z = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    right = np.arange(len(targets)), targets
    pull = np.sum(p * (z[right][:, None] - z), axis=1)
    return -np.mean(np.log(p[right])), np.mean(pull)


@pytest.mark.parametrize("margin", [0.1, 2.0, 8.0, 30.0])
def test_equal_margins_meet_the_bound(margin):
    logits = margin * np.eye(59)
    loss, pull = loss_and_pull(logits, np.arange(59))
    bound = balanced_radius(loss, **NETWORK)
    assert 3 * pull / NETWORK["lam"] == approx(bound, rel=1e-12 * 59 / loss)  # rounding of the loss


@pytest.mark.parametrize("seed", range(5))
def test_no_logits_of_examples_that_are_right_exceed_the_bound(seed):
    rng = np.random.default_rng(seed)
    logits = (
        rng.normal(size=(200, 59))
        + rng.uniform(4, 12, size=(200, 1)) * np.eye(59)[rng.integers(59, size=200)]
    )
    loss, pull = loss_and_pull(logits, logits.argmax(axis=1))
    assert 0.3 < 3 * pull / NETWORK["lam"] / balanced_radius(loss, **NETWORK) < 1


def test_a_homogeneous_network_at_rest_is_at_the_radius():
    a, lam = 2e-4, 3e-4

    def force(rho):  # d/dρ of ln(1 + 58 e^{−aρ³}) + λρ²/2
        x = 58 * math.exp(-a * rho**3)
        return lam * rho - 3 * a * rho**2 * x / (1 + x)

    rho = brentq(force, 25, 60, xtol=1e-13)
    loss = math.log1p(58 * math.exp(-a * rho**3))
    assert balanced_radius(loss, lam=lam, degree=3, classes=59) == approx(rho**2, rel=1e-10)


def test_a_small_loss_has_the_balance_of_an_exponential():
    ratios = [
        balanced_radius(loss, **NETWORK) * 1e-3 / (3 * loss * math.log(58 / loss))
        for loss in (1e-3, 1e-4)
    ]
    assert ratios == approx([1, 1], rel=1e-3)
    assert (1 - ratios[0]) / (1 - ratios[1]) == approx(10, rel=0.05)


def test_there_is_neither_learning_rate_nor_batch_size_in_it():
    def radius(eta, batch_size, lam):
        return balanced_radius(0.03, lam=lam, degree=3, classes=59)

    assert exponents(radius, {"eta": 1e-3, "batch_size": 25, "lam": 1e-3}) == approx((0, 0, -1))


def test_no_loss_and_the_loss_of_a_guess_have_no_radius():
    assert balanced_radius(0.0, **NETWORK) == 0
    assert balanced_radius(math.log(59), **NETWORK) == pytest.approx(0, abs=1e-9)
    assert balanced_radius([0.0, 0.1], **NETWORK).shape == (2,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss", -0.1),
        ("loss", 4.1),
        ("lam", 0.0),
        ("degree", 0),
        ("classes", 1),
        ("loss", math.nan),
    ],
)
def test_bad_input_is_named(field, value):
    with pytest.raises(ParameterError, match=f"^{field} = "):
        balanced_radius(**{"loss": 0.1, **NETWORK, field: value})
