"""A pinned norm: only the angle of two circuits moves, and its passage is a law."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import beta
from stats_tools import Z

from sde_grok import IsotropicNoise, Optimizer, simulate_grokking
from sde_grok.landscapes import circuits

SCRIPT = Path(__file__).resolve().parent.parent / "theory" / "pinned_norm.py"
RADIUS = 1.3


@pytest.fixture(scope="module")
def pinned():
    spec = importlib.util.spec_from_file_location("pinned_norm_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def times(script, kind, optimizer, radius=RADIUS):
    found = script.simulated(kind, radius, 1, optimizer, pinned=True)
    return found.times(found.generalized)


@pytest.mark.parametrize("kind", ["constant", "loss", "residual"])
def test_the_pace_of_rotation_has_the_derived_slope(pinned, monkeypatch, kind):
    """d ln T/d ln R = (1−w) h u − (h−2) at an angle, where noise decides and drift leads."""
    monkeypatch.setattr(pinned, "DEVIATION", 1e6)
    angle, step = np.array([1.1]), 1e-4
    radii = [RADIUS * math.exp(-step), RADIUS * math.exp(step)]
    first, last = (pinned.turning(kind, radius, angle)[0] for radius in radii)
    u = RADIUS**2 * (math.cos(1.1) ** 2 + 3 * math.sin(1.1) ** 2)
    slope = -math.log(last / first) / (2 * step)
    assert slope == pytest.approx((1 - pinned.FALL[kind]) * 2 * u, rel=1e-6, abs=1e-8)


def test_without_a_loss_the_passage_is_that_of_a_random_walk_on_a_sphere(pinned):
    """Two coordinates and no drift: T'' = −2/D, so that T = (φ₁² − φ²)/D, and T₂ follows."""
    n, end, variance = 2000, 1.2, 1e-3
    width = end / n
    angle = (np.arange(n) + 0.5) * width
    none = np.full(n, 1e-12)
    mean = pinned.remaining(none, variance, np.ones(n), width)
    square = pinned.remaining(none, variance, 2 * mean, width)
    assert mean[:-1] == pytest.approx((end**2 - angle[:-1] ** 2) / variance, rel=2e-3, abs=2)
    assert square[0] == pytest.approx(5 / 3 * end**4 / variance**2, rel=3e-3)


def test_a_long_passage_has_no_memory(pinned):
    """Where drag is stronger than drift, T is exponentially distributed; where not, it is sharp."""
    assert pinned.passage("constant", 3e-3, 2.0)[1] == pytest.approx(1, abs=0.02)
    assert pinned.passage("constant", 3e-5, 1.2)[1] < 0.13


def test_a_random_direction_starts_where_a_beta_law_has_it(pinned):
    """With a fast drift to the end T is a function of the start alone: its mean is an integral."""
    share = np.linspace(0, 1, 20001)[1:-1]
    halves = [d / 2 for d in pinned.DIMS]
    density = share ** (halves[1] - 1) * (1 - share) ** (halves[0] - 1) / beta(*halves)
    end = pinned.end_angle(RADIUS)
    angle = np.arcsin(np.sqrt(share))
    pace = pinned.turning("constant", RADIUS, angle)
    slowness = np.where(angle < end, 1 / pace, 0)
    left = np.cumsum((slowness * np.gradient(angle))[::-1])[::-1]
    expected = np.sum(density * left) * (share[1] - share[0])
    found = pinned.passage("constant", 1e-7, RADIUS)[0] * 1e-7
    assert found == pytest.approx(expected, rel=2e-3)


@pytest.mark.statistical
def test_shrinkage_has_no_say_on_a_pinned_norm(pinned):
    """Decoupled shrinkage moves along the radius, up to ηλ of a step."""
    with_it = pinned.optimizer(1e-3)
    without = Optimizer(eta=1e-3, lam=0.0, batch_size=with_it.batch_size, decay="decoupled")
    a, b = (times(pinned, "loss", o).steps for o in (with_it, without))
    assert np.corrcoef(a, b)[0, 1] > 0.99  # the same noise
    assert a.mean() == pytest.approx(b.mean(), rel=0.01)


@pytest.mark.statistical
@pytest.mark.parametrize("wrong", [False, True])
def test_the_passage_of_the_angle_is_that_of_paths(pinned, monkeypatch, wrong):
    """With constant noise, within 5 %; not if it is taken for half as much again."""
    found = times(pinned, "constant", pinned.optimizer(1e-3))
    if wrong:
        monkeypatch.setattr(pinned, "DEVIATION", 1.5 * pinned.DEVIATION)
    mean = pinned.passage("constant", 1e-3, RADIUS)[0]
    room = Z * found.mean.stderr + 0.05 * mean
    assert (abs(found.mean.value - mean) < room) is not wrong


@pytest.mark.statistical
def test_memory_of_v_takes_from_the_exponent_of_eta(pinned):
    """Noise that follows the residual: v of 1000 steps is late, one of 10 is not."""
    exponents = {}
    for beta2 in (0.9, 0.999):
        fast, slow = (
            times(pinned, "residual", pinned.optimizer(eta, beta2=beta2)).mean
            for eta in (1e-3, 3e-4)
        )
        value = math.log(fast.value / slow.value) / math.log(1e-3 / 3e-4)
        error = math.hypot(fast.stderr / fast.value, slow.stderr / slow.value) / math.log(1 / 0.3)
        exponents[beta2] = value, error
    (short, error), (long, other) = exponents.values()
    assert long - short > Z * math.hypot(error, other)


@pytest.mark.statistical
def test_the_variation_falls_as_the_root_of_the_dimension(pinned):
    """Radius √4 times larger, rates 4 times smaller, σ half: steps are the same, at d = 256."""
    small = times(pinned, "constant", pinned.optimizer(1e-3))
    large = simulate_grokking(
        pinned.optimizer(1e-3),
        IsotropicNoise(pinned.DEVIATION * math.sqrt(pinned.BATCH) / 4),
        circuits(
            [128, 128], [0.25, 0.75], [-2.5, 0.75], degree=2, form="exponential", noise="constant"
        ),
        rho_start=2 * RADIUS,
        dim=256,
        system="joint",
        n_paths=64,
        max_steps=15_000,
        seed=1,
        pinned=True,
        train_loss=0.1,
        test_loss=0.1,
    )
    many = large.times(large.generalized)
    a, b = pinned.spread(small), pinned.spread(many)
    assert many.mean.value == pytest.approx(small.mean.value, rel=0.1)
    assert abs(a.value / 2 - b.value) < Z * math.hypot(a.stderr / 2, b.stderr)
    assert b.value < 0.7 * a.value
