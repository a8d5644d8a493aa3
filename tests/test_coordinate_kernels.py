"""The rungs in d dimensions: their kernels against the naive path, and their sources of noise."""

import naive
import numpy as np
import pytest
from numba import njit

from sde_grok import DenseNoise, DiagonalNoise, IsotropicNoise, Landscape
from sde_grok.results import Status

SYSTEMS = ["discrete", "joint", "reduced"]
DIM = 5
DEVIATIONS = np.array([0.5, 1.0, 2.0, 0.0, 3.0])
FACTOR = np.random.default_rng(1).normal(size=(DIM, 3))  # rank 3


@njit
def _well(theta, parameters, out):
    """∇L of L = a‖θ‖⁴/4 + Σ cᵢθᵢ²/2: the first couples all coordinates."""
    square = 0.0
    for x in theta:
        square += x * x
    for i in range(theta.size):
        out[i] = (parameters[0] * square + parameters[1 + i]) * theta[i]


PARAMETERS = np.array([0.3, 0.1, 1.0, 0.0, -0.2, 0.5])
WELL = Landscape("well", _well, PARAMETERS)

CASES = {
    "isotropic": {"noise": IsotropicNoise(2.0)},
    "diagonal": {"noise": DiagonalNoise(DEVIATIONS), "optimizer": {"eps": 0.1}},
    "dense": {"noise": DenseNoise(FACTOR), "optimizer": {"eps": 0.01}},
    "coupled": {"noise": IsotropicNoise(1.0), "optimizer": {"decay": "coupled", "lam": 0.5}},
    "landscape": {"landscape": WELL, "optimizer": {"lam": 0.0}},
    "all": {
        "landscape": WELL,
        "noise": DenseNoise(FACTOR),
        "optimizer": {"decay": "coupled", "beta1": 0.5, "beta2": 0.9},
    },
    "outward": {
        "geometry": {"rho_start": 1.0, "rho_core": 1.02, "direction": "outward"},
        "optimizer": {"lam": 0.001},
    },
    "large seed": {"seed": 2**64 - 1},
}


def compare(escape, system, case):
    """Run both and compare path by path; return the result."""
    case = {"noise": IsotropicNoise(2.0), "seed": 4, "max_steps": 150} | case
    case["geometry"] = {"dim": DIM} | case.get("geometry", {})
    result = escape(system, n_paths=8, keep_end_state=True, **case)
    noise, landscape = case["noise"], case.get("landscape")
    factor = noise.factor if isinstance(noise, DenseNoise) else np.diag(noise.deviations(DIM))
    for path in range(result.n_paths):
        expected = naive.walk(
            system,
            escape.optimizer(**case.get("optimizer", {})),
            escape.geometry(**case["geometry"]),
            factor,
            (lambda x: (PARAMETERS[0] * x @ x + PARAMETERS[1:]) * x) if landscape else naive.flat,
            seed=case["seed"],
            path=path,
            max_steps=case["max_steps"],
            dt=case.get("dt", 1.0),
            correct_bias=case.get("correct_bias", False),
        )
        assert result.status[path] == expected.status
        assert result.steps[path] == expected.time
        assert result.rho2_end[path] == pytest.approx(expected.rho2, rel=1e-11)
        for (name, field), state in zip(result.end_state.items(), expected.state, strict=True):
            np.testing.assert_allclose(field[path], state, rtol=1e-9, atol=1e-12, err_msg=name)
    return result


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_equals_naive(escape, system, case):
    assert Status.HIT in compare(escape, system, case).status


@pytest.mark.parametrize("system", ["discrete", "joint"])
def test_bias_correction(escape, system):
    compare(escape, system, {"correct_bias": True, "optimizer": {"eps": 0.01}, "dt": 1.0})


@pytest.mark.parametrize("dt", [0.25, 2.0])
@pytest.mark.parametrize("correct_bias", [False, True])
def test_time_step_of_the_joint_rung(escape, dt, correct_bias):
    compare(escape, "joint", {"dt": dt, "correct_bias": correct_bias, "max_steps": 100})


@pytest.mark.parametrize("dt", [0.25, 2.0])
def test_time_step_of_the_reduced_rung(escape, dt):
    compare(escape, "reduced", {"dt": dt})


def test_adam_has_no_other_time_step(escape):
    with pytest.raises(ValueError, match="dt"):
        escape("discrete", dt=0.5)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("dim", [1, 2, 31, 32, 33, 70])
def test_dimensions_around_the_block_of_normals(escape, system, dim):
    geometry = {"dim": dim, "rho_start": 1.0, "rho_core": 0.8}
    result = escape(system, n_paths=9, max_steps=60, geometry=geometry, keep_end_state=True)
    for path in (0, 8):
        expected = naive.walk(
            system,
            escape.optimizer(),
            escape.geometry(**geometry),
            2 * np.eye(dim),
            seed=1,
            path=path,
            max_steps=60,
        )
        assert (result.status[path], result.steps[path]) == (expected.status, expected.time)
        np.testing.assert_allclose(result.end_state["theta"][path], expected.state[0], rtol=1e-9)


def ends(result):
    return [result.steps, result.status, result.rho2_end, *result.end_state.values()]


@pytest.mark.parametrize("system", SYSTEMS)
def test_noise_can_be_said_in_three_ways(escape, system):
    """Isotropic noise is diagonal noise of equal deviations, bit for bit; dense noise to rounding."""
    geometry = {"dim": DIM}
    same = [IsotropicNoise(1.5), DiagonalNoise(np.full(DIM, 1.5)), DenseNoise(1.5 * np.eye(DIM))]
    isotropic, diagonal, dense = (
        ends(escape(system, noise=noise, geometry=geometry, keep_end_state=True)) for noise in same
    )
    for i, j, k in zip(isotropic, diagonal, dense, strict=True):
        assert np.array_equal(i, j)
        np.testing.assert_allclose(k, i, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("system", SYSTEMS)
def test_parameters_need_no_new_landscape(escape, system):
    """A landscape of zero gradient is the flat one; other parameters make another."""
    flat = escape(system, geometry={"dim": DIM})
    zero = escape(system, geometry={"dim": DIM}, landscape=Landscape("0", _well, np.zeros(6)))
    other = escape(system, geometry={"dim": DIM}, landscape=Landscape("1", _well, PARAMETERS))
    assert np.array_equal(flat.rho2_end, zero.rho2_end)
    assert not np.any(flat.rho2_end == other.rho2_end)


@pytest.mark.parametrize("system", SYSTEMS)
def test_start_is_uniform_on_the_shell(escape, system):
    """One step of almost no length shows the start: E θθᵀ = ρ₀²/d I, and no mean."""
    result = escape(
        system,
        n_paths=20_000,
        max_steps=1,
        optimizer={"eta": 1e-12},
        noise=DiagonalNoise(np.ones(3)),
        keep_end_state=True,
    )
    theta = result.end_state["theta"]
    np.testing.assert_allclose(result.rho2_end, 4, rtol=1e-9)
    # Standard deviation of a mean of 20 000: below 0.01, of a second moment below 0.009.
    assert np.all(np.abs(theta.mean(axis=0)) < 0.05)
    assert np.all(np.abs(theta.T @ theta / 20_000 - 4 / 3 * np.eye(3)) < 0.05)
