"""Mean-field and matched laws: their limits, one against the other, and the joint rung."""

import math

import numpy as np
import pytest
import stats_tools

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.checks import ParameterError
from sde_grok.laws import (
    direction_averaged_steps,
    law_limit,
    leading_law,
    matched_steps,
    mean_field_steps,
    mean_passage_time,
    noise_floor,
)

SHELL = {"rho2_start": 128.0, "rho2_core": 32.0, "dim": 128, "sigma": 1.0, "lam": 0.01}
AT = {"eta": 1e-3, **SHELL}
FORGETFUL = {"beta1": 0.0, "beta2": 0.0}
ADAM = {"beta1": 0.9, "beta2": 0.999}


@pytest.mark.parametrize("batch_size", [2500, 400_000])
def test_without_memory_it_is_the_matched_law_near_the_crossover(batch_size):
    at = {**AT, "eta": 1e-6, "batch_size": batch_size}  # floor 2e-6 of the core
    assert mean_field_steps(**at, **FORGETFUL) == pytest.approx(matched_steps(**at), rel=1e-6)
    assert mean_field_steps(**at, **FORGETFUL) == pytest.approx(
        direction_averaged_steps(**at), rel=4e-6
    )


def test_noise_dominated_it_is_the_law_limit():
    at = {**SHELL, "eta": 1e-3, "batch_size": 1, "lam": 1e-4}  # λθ/s = 1e-4
    core = 2 * noise_floor(dim=128, gamma=1e-4, q2=1e-3)
    at |= {"rho2_start": 4 * core, "rho2_core": core}
    expected = law_limit(4 * core, core, dim=128, gamma=1e-4, q2=1e-3) / 1e-3
    # squared pull λ²V₀/(s²d) = 4e-5, of which half is in √v
    assert mean_field_steps(**at, **FORGETFUL) == pytest.approx(expected, rel=4e-5)


def test_memory_of_v_delays_and_that_of_m_hastens():
    at = {**AT, "batch_size": 10_000}
    forgetful = mean_field_steps(**at, **FORGETFUL)
    slow_v = mean_field_steps(**at, beta1=0.0, beta2=0.999)
    both = mean_field_steps(**at, **ADAM)
    assert slow_v > 1.1 * forgetful
    assert slow_v - both == pytest.approx(10, rel=0.4)  # 1/(1−β₁) steps


def test_core_below_the_floor_is_never_reached():
    at = {**AT, "batch_size": 100}
    floor = noise_floor(dim=128, gamma=0.1, q2=1e-3)  # λ²x² ≪ s² there, but for 5e-4
    assert mean_field_steps(**at | {"rho2_core": 0.999 * floor}, **ADAM) == math.inf
    assert mean_field_steps(**at | {"rho2_core": 1.001 * floor}, **ADAM) < math.inf
    assert mean_field_steps(**at | {"rho2_core": 129.0}, **ADAM) == math.inf
    assert mean_field_steps(**at | {"rho2_core": 128.0}, **ADAM) == 0


def test_matched_law_has_its_three_limits():
    at = {**AT, "batch_size": 400_000}
    assert matched_steps(**at) == pytest.approx(direction_averaged_steps(**at), rel=1e-4)
    at = {**AT, "lam": 1e-5, "batch_size": 1}
    exact = mean_passage_time(128.0, 32.0, dim=128, gamma=1e-5, q2=1e-3) / 1e-3
    assert matched_steps(**at) == pytest.approx(exact, rel=1e-9)
    at = {**AT, "lam": 1e-5, "eta": 1e-12, "batch_size": 1}
    leading = leading_law(128.0, 32.0, gamma=1e-5) / 1e-12
    assert matched_steps(**at) == pytest.approx(leading, rel=1e-6)


def test_matched_law_at_its_edges():
    assert matched_steps(**AT | {"sigma": 0.0}, batch_size=1) == direction_averaged_steps(
        **AT | {"sigma": 0.0}, batch_size=1
    )
    assert matched_steps(**AT | {"rho2_core": 128.0}, batch_size=1) == 0
    with pytest.raises(ParameterError, match=r"rho2_core = 0.0: must be a finite number > 0"):
        matched_steps(**AT | {"rho2_core": 0.0}, batch_size=1)
    with pytest.raises(ParameterError, match=r"rho2_start = 128.0: must be a finite number >= 129"):
        matched_steps(**AT | {"rho2_core": 129.0}, batch_size=1)
    assert matched_steps(**AT | {"lam": 1e-10}, batch_size=1) == math.inf  # e^1000 steps


def test_matched_and_mean_field_agree_between_their_limits():
    batches = np.geomspace(30, 1e5, 6)
    matched = matched_steps(**AT, batch_size=batches)
    field = mean_field_steps(**AT, batch_size=batches, **FORGETFUL)
    # products of pull and floor that matching leaves out, and O(1/d)
    assert field == pytest.approx(matched, rel=1 / 128)


@pytest.mark.statistical
@pytest.mark.slow
def test_mean_field_approaches_the_joint_rung_as_one_over_d():
    """d (law − simulated)/simulated is the same at d = 32 and d = 128, within its error."""
    at = {"eta": 1e-3, "lam": 0.01, "batch_size": 10_000}
    scaled = []
    for dim in (32, 128):
        result = simulate_escape(
            Optimizer(**at),
            Geometry(rho_start=dim**0.5, rho_core=0.5 * dim**0.5, dim=dim),
            IsotropicNoise(1.0),
            system="joint",
            n_paths=4096,
            max_steps=100_000,
            seed=11,
        )
        law = mean_field_steps(float(dim), dim / 4, dim=dim, sigma=1.0, **at, **ADAM)
        mean = result.mean
        scaled.append((dim * (law / mean.value - 1), dim * mean.stderr / mean.value))
    (small, small_error), (large, large_error) = scaled
    stats_tools.check_z(
        "d times the error of the mean-field law", small, small_error, large, large_error
    )
    assert 0 < large / 128 < 0.004


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta1": 1.0}, "beta1 = 1.0: must be a finite number >= 0 and < 1"),
        ({"beta2": -0.1}, "beta2 = -0.1: must be a finite number >= 0 and < 1"),
        ({"sigma": 0}, "sigma = 0: must be a finite number > 0"),
        ({"dim": 0}, "dim = 0: must be a finite number > 0"),
        ({"batch_size": 0}, "batch_size = 0: must be a finite number > 0"),
        ({"rho2_start": -1}, "rho2_start = -1: must be a finite number >= 0"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ParameterError, match=message):
        mean_field_steps(**{**AT, "batch_size": 100, **ADAM, **changes})
