"""Landscapes: gradients are those of the losses, and the loss ends where it should."""

import numpy as np
import pytest

from sde_grok import ParameterError, landscapes
from sde_grok.kernels.outcome import LOSS, NOISE, TEST
from sde_grok.landscapes import circuits, loss_at_margin, margin, quadratic

D = 6
LANDSCAPES = {
    "logistic": circuits([2, 4], [1.0, 2.0], [-1.0, 2.0]),
    "exponential": circuits([2, 4], [1.0, 2.0], [0.5, 2.0], form="exponential", degree=2, scale=3),
    "fractional": circuits([1, 2, 3], [0.5, 1, 2], [0, 1, 2], degree=2.7, noise="loss"),
    "margin": margin(D, 1.5),
    "quadratic": quadratic(
        np.arange(D), np.linspace(-1, 1, D), test_curvatures=np.ones(D), test_centre=0.3
    ),
}


def evaluate(landscape, theta):
    """∇L and the three numbers of (n, d) points."""
    n, d = theta.shape
    S, measured = np.zeros((d, 2, n)), np.full((3, n), np.nan)
    S[:, 0, :] = theta.T
    landscape.in_lanes(S, n, landscape.parameters, np.empty((2, d)), measured)
    return S[:, 1, :].T, measured


@pytest.mark.parametrize("landscape", LANDSCAPES.values(), ids=LANDSCAPES)
def test_the_gradient_is_that_of_the_loss(landscape):
    theta = np.random.default_rng(0).normal(size=(5, D))
    gradient, _ = evaluate(landscape, theta)
    for i in range(D):
        step = 1e-5 * np.eye(D)[i]
        up, down = (evaluate(landscape, theta + s * step)[1][LOSS] for s in (1, -1))
        np.testing.assert_allclose(gradient[:, i], (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


def test_noise_follows_the_loss():
    theta = np.random.default_rng(0).normal(size=(5, D))
    for form, scale in (("logistic", 1.0), ("exponential", 2.0)):
        loss, residual, constant = (
            evaluate(margin(D, 1.0, form=form, scale=scale, noise=noise), theta)[1]
            for noise in ("loss", "residual", "constant")
        )
        np.testing.assert_allclose(loss[NOISE] ** 2, loss[LOSS] / scale, rtol=1e-12)
        if form == "exponential":
            np.testing.assert_allclose(residual[NOISE], loss[LOSS] / scale, rtol=1e-12)
        else:
            np.testing.assert_allclose(residual[NOISE], -np.expm1(-loss[LOSS]), rtol=1e-12)
        assert np.all(constant[NOISE] == 1)


def test_only_what_generalizes_counts_in_the_test():
    theta = np.ones((1, D))
    memorizing, general = circuits([3, 3], [5.0, 1e-9], [0.0, 1.0]), margin(3, 1.0, form="logistic")
    seen = evaluate(memorizing, theta)[1]
    assert seen[LOSS, 0] < 1e-10
    np.testing.assert_allclose(seen[TEST], evaluate(general, theta[:, :3])[1][LOSS], rtol=1e-12)


BAD = {
    "no block": (lambda: circuits([], [], []), "dims"),
    "unequal": (lambda: circuits([1, 2], [1.0], [1.0, 1.0]), "dims"),
    "negative": (lambda: circuits([1], [-1.0], [1.0]), "train"),
    "low degree": (lambda: margin(3, 1.0, degree=1.5), "degree"),
    "form": (lambda: margin(3, 1.0, form="hinge"), "form"),
    "noise": (lambda: margin(3, 1.0, noise="none"), "noise"),
    "curvature": (lambda: quadratic([1.0, -1.0]), "curvatures"),
    "no curvature": (lambda: quadratic([]), "curvatures"),
    "centre": (lambda: quadratic([1.0, 2.0], [1.0, 2.0, 3.0]), "centre"),
}


@pytest.mark.parametrize(("make", "field"), BAD.values(), ids=BAD)
def test_bad_landscapes_are_refused(make, field):
    with pytest.raises(ParameterError) as error:
        make()
    assert error.value.field == field


@pytest.mark.parametrize("z", [-3000.0, -800.0, -1.0, 0.0, 2.0, 900.0])
def test_logistic_losses_at_any_margin(z):
    """ln(1 + e^{−z}), which is −z where e^{−z} is no float; in the kernels, too."""
    expected = float(np.logaddexp(0.0, -z))
    assert loss_at_margin(z) == pytest.approx(expected, rel=1e-15)
    misled = circuits([1, 1], [1.0, 1.0], [z, 0.0], degree=2)
    assert landscapes.evaluate(misled, [1.0, 0.0]).test_loss == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: circuits(3, [1.0], [1.0]), "dims"),
        (lambda: circuits([3], 1.0, [1.0]), "train"),
        (lambda: landscapes.evaluate(circuits([3], [1.0], [1.0]), "a"), "theta"),
        (lambda: landscapes.evaluate(circuits([2], [1.0], [1.0]), [[1.0, 2.0], [3.0]]), "theta"),
        (lambda: loss_at_margin(-3000.0, form="exponential"), "margin"),
    ],
)
def test_what_is_no_landscape_or_point_is_named(call, field):
    with pytest.raises(ParameterError) as error:
        call()
    assert error.value.field == field
