"""The linear student: its spectrum, its losses, and gradient descent on it as a limit of Adam."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from sde_grok import Geometry, IsotropicNoise, Optimizer, ParameterError, simulate_escape
from sde_grok.grokking import simulate_grokking
from sde_grok.landscapes.evaluate import evaluate
from sde_grok.landscapes.student import linear_student, student_curvatures

SIZES = [(2, 1), (64, 16), (256, 192), (1000, 999), (5000, 3)]
D, N, TEACHER, RHO = 48, 12, 1.5, 20.0
PLAIN = 1e9  # ε beside which √v is nothing


def density(h, dim, examples):
    """Marchenko and Pastur's density of the eigenvalues that are not 0."""
    y = dim / examples
    low, high = (1 - math.sqrt(y)) ** 2, (1 + math.sqrt(y)) ** 2
    return math.sqrt(max((high - h) * (h - low), 0.0)) / (2 * math.pi * h)


@pytest.mark.parametrize(("dim", "examples"), SIZES)
def test_curvatures_are_quantiles(dim, examples):
    h = student_curvatures(dim, examples)
    assert np.all(h[examples:] == 0)
    assert np.all(np.diff(h[:examples]) > 0)
    low = (1 - math.sqrt(dim / examples)) ** 2
    for i in {0, examples // 2, examples - 1}:
        below = quad(density, low, h[i], args=(dim, examples), epsabs=1e-10, limit=400)[0]
        assert below == pytest.approx((i + 0.5) / examples, abs=1e-6)


def test_curvatures_have_the_trace_of_isotropic_features():
    """Σ hᵢ = d, but for what n midpoints miss of an integral."""
    for dim, examples in ((64, 16), (256, 128), (1024, 512)):
        total = student_curvatures(dim, examples).sum()
        assert total == pytest.approx(dim, rel=0.1 / examples)


def test_curvatures_are_those_of_random_examples():
    """Means over 40 draws, by rank: their errors are below 1 %, and d is finite."""
    draws = np.random.default_rng(0).normal(size=(40, 64, 256))
    seen = np.linalg.eigvalsh(draws @ draws.transpose(0, 2, 1) / 64)
    np.testing.assert_allclose(seen.mean(axis=0), student_curvatures(256, 64)[:64], rtol=0.03)


def test_losses_are_those_of_regression():
    """In a basis turned by hand, on examples that have these eigenvalues."""
    h = student_curvatures(D, N)
    rng = np.random.default_rng(1)
    left = np.linalg.qr(rng.normal(size=(N, N)))[0]
    x = left @ np.column_stack([np.diag(np.sqrt(N * h[:N])), np.zeros((N, D - N))])
    theta, teacher = rng.normal(size=(5, D)), np.full(D, TEACHER / math.sqrt(D))
    off = (theta - teacher) @ x.T
    found = evaluate(linear_student(D, N, teacher=TEACHER), theta)
    np.testing.assert_allclose(found.train_loss, np.mean(off**2, axis=1) / 2, rtol=1e-12)
    np.testing.assert_allclose(found.gradient, off @ x / N, rtol=1e-11, atol=1e-13)
    risk = np.sum((theta - teacher) ** 2, axis=1) / 2
    np.testing.assert_allclose(found.test_loss, risk, rtol=1e-12)


def descent(eta, lam):
    """Gradient descent, as Adam has it."""
    return Optimizer(
        eta=eta * PLAIN, eps=PLAIN, lam=lam, batch_size=1, beta1=0.0, beta2=0.0, decay="coupled"
    )


def end(optimizer, landscape, steps):
    """θ of four paths after some steps."""
    options = {"system": "discrete", "n_paths": 4, "seed": 7, "keep_end_state": True}
    shell = Geometry(rho_start=RHO, rho_core=1e-6, dim=D)
    noise = IsotropicNoise(0.0)
    return simulate_escape(optimizer, shell, noise, landscape, max_steps=steps, **options)


@pytest.mark.filterwarnings("ignore::sde_grok.LongEscapeWarning")
@pytest.mark.parametrize("steps", [1, 30, 3000])
def test_adam_with_a_large_epsilon_is_gradient_descent(steps):
    eta, lam = 0.1, 1e-3
    h, t = student_curvatures(D, N), TEACHER / math.sqrt(D)
    start = end(descent(eta, 0.0), linear_student(D, N, teacher=0.0), 1).end_state["theta"]
    start = start / (1 - eta * h)  # where it was a step before
    np.testing.assert_allclose(np.linalg.norm(start, axis=1), RHO, rtol=1e-6)
    rest = h * t / (h + lam)
    expected = rest + (start - rest) * (1 - eta * (h + lam)) ** steps
    found = end(descent(eta, lam), linear_student(D, N, teacher=TEACHER), steps)
    np.testing.assert_allclose(found.end_state["theta"], expected, rtol=1e-6, atol=1e-9)


def test_without_shrinkage_it_memorizes_and_never_generalizes():
    options = {"train_loss": 0.01, "test_loss": 4.0, "system": "discrete", "n_paths": 8, "seed": 2}
    noise, student = IsotropicNoise(0.0), linear_student(D, N, teacher=TEACHER)
    still, shrunk = (
        simulate_grokking(
            descent(0.1, lam), noise, student, rho_start=RHO, dim=D, max_steps=4000, **options
        )
        for lam in (0.0, 0.01)
    )
    assert np.isfinite(still.memorized.steps).all()
    assert np.isnan(still.generalized.steps).all()
    assert np.isfinite(shrunk.generalized.steps).all()
    assert (shrunk.generalized.steps > 10 * shrunk.memorized.steps).all()


BAD = {
    "no examples": ({"dim": 4, "examples": 0}, "examples"),
    "as many examples": ({"dim": 4, "examples": 4}, "examples"),
    "small": ({"dim": 1, "examples": 1}, "dim"),
    "teacher": ({"dim": 4, "examples": 2, "teacher": -1.0}, "teacher"),
}


@pytest.mark.parametrize(("arguments", "field"), BAD.values(), ids=BAD)
def test_bad_students_are_refused(arguments, field):
    with pytest.raises(ParameterError) as error:
        linear_student(**arguments)
    assert error.value.field == field
