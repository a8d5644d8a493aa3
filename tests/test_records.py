"""The checked values that describe a problem: what they keep, and what they refuse."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numba import njit

from sde_grok import (
    FLAT,
    DenseNoise,
    DiagonalNoise,
    Geometry,
    IsotropicNoise,
    Landscape,
    Optimizer,
    ParameterError,
)
from sde_grok.checks import choice, integer, number
from sde_grok.laws.limits import law_limit
from sde_grok.paths import default_lanes, default_time_step
from sde_grok.problem import Numerics, Problem

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(1e-6, 1e6)
part = st.floats(0, 1, exclude_max=True)
not_numbers = st.sampled_from([None, "one", math.nan, math.inf, -math.inf, True, [1.0], 1j])


@given(finite, finite, finite, st.booleans(), st.booleans())
def test_number_is_within_its_range(value, low, high, open_low, open_high):
    assume(low < high)
    inside = (low < value if open_low else low <= value) and (
        value < high if open_high else value <= high
    )
    bounds = {"low": low, "high": high, "open_low": open_low, "open_high": open_high}
    if inside:
        checked = number("x", value, **bounds)
        assert checked == value
        assert type(checked) is float
    else:
        with pytest.raises(ParameterError, match=r"^x = "):
            number("x", value, **bounds)


@given(not_numbers)
def test_number_refuses(value):
    with pytest.raises(ParameterError, match=r"^x = .*: must be a finite number"):
        number("x", value)


@pytest.mark.parametrize("value", [3, 3.0, np.int32(3), np.uint64(3)])
def test_integer_accepts(value):
    checked = integer("n", value, low=1)
    assert (checked, type(checked)) == (3, int)


@pytest.mark.parametrize("value", [0, -1, 2.5, math.nan, math.inf, True, "3", None])
def test_integer_refuses(value):
    with pytest.raises(ParameterError, match=r"^n = .*: must be an integer >= 1"):
        integer("n", value, low=1)


def test_error_says_field_value_and_range():
    with pytest.raises(ParameterError, match=r"^side = 'up': must be one of in, out$") as caught:
        choice("side", "up", ("in", "out"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.field, again.value, str(again)) == ("side", "up", str(caught.value))


@given(
    positive, st.integers(1, 10**9), positive, part, part, st.sampled_from(["coupled", "decoupled"])
)
def test_optimizer_keeps_what_it_is_given(eta, batch_size, lam, beta1, beta2, decay):
    given = {
        "eta": eta,
        "batch_size": batch_size,
        "lam": lam,
        "beta1": beta1,
        "beta2": beta2,
        "eps": 0.0,
        "decay": decay,
    }
    optimizer = Optimizer(**given)
    assert dataclasses.asdict(optimizer) == given
    assert (optimizer.coupled, optimizer.decoupled) == (
        (lam, 0) if decay == "coupled" else (0, lam)
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.eta = 1.0


@pytest.mark.parametrize(
    ("field", "values"),
    {
        "eta": [0, -1, math.nan],
        "batch_size": [0, 1.5, -3],
        "lam": [-1e-9, math.inf],
        "beta1": [-0.1, 1],
        "beta2": [-0.1, 1],
        "eps": [-1e-12],
        "decay": ["Coupled", None],
    }.items(),
)
def test_optimizer_refuses(field, values):
    for value in values:
        with pytest.raises(ParameterError) as caught:
            Optimizer(**({"eta": 1e-3, "batch_size": 100, "lam": 0.01} | {field: value}))
        assert caught.value.field == field


@given(positive, positive, st.integers(1, 10**6), st.sampled_from(["inward", "outward"]))
def test_geometry_has_the_core_on_its_side(start, core, dim, direction):
    settings = {"rho_start": start, "rho_core": core, "dim": dim, "direction": direction}
    if core < start if direction == "inward" else core > start:
        geometry = Geometry(**settings)
        assert dataclasses.asdict(geometry) == settings
        assert geometry.inward == (direction == "inward")
    else:
        with pytest.raises(ParameterError, match=r"^rho_core = "):
            Geometry(**settings)


def test_geometry_may_start_at_the_centre_only_outward():
    assert Geometry(rho_start=0, rho_core=1, dim=1, direction="outward").rho_start == 0
    with pytest.raises(ParameterError, match=r"^rho_start = "):
        Geometry(rho_start=0, rho_core=1, dim=1)


@given(st.lists(st.just(0.0) | st.floats(1e-100, 1e3), min_size=1, max_size=6))
def test_noise_deviations_agree(sigmas):
    d = len(sigmas)
    diagonal = DiagonalNoise(sigmas)
    assert np.array_equal(diagonal.deviations(d), sigmas)
    assert DenseNoise(np.diag(sigmas)).deviations(d) == pytest.approx(np.array(sigmas), abs=0)
    assert np.array_equal(IsotropicNoise(sigmas[0]).deviations(d), [sigmas[0]] * d)
    for noise in (diagonal, DenseNoise(np.diag(sigmas))):
        with pytest.raises(ParameterError, match=f"as long as the dimension {d + 1}"):
            noise.deviations(d + 1)


def test_noise_is_a_copy_that_nobody_changes():
    sigmas = np.ones(3)
    noise = DiagonalNoise(sigmas)
    sigmas[0] = 5
    assert noise.deviations(3)[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        noise.sigmas[0] = 5


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (IsotropicNoise, -1),
        (IsotropicNoise, math.nan),
        (DiagonalNoise, [1, -1]),
        (DiagonalNoise, []),
        (DiagonalNoise, [[1.0]]),
        (DiagonalNoise, "ones"),
        (DenseNoise, [1.0]),
        (DenseNoise, [[math.inf]]),
        (DenseNoise, [[1.0], [1.0, 2.0]]),
    ],
)
def test_noise_refuses(kind, value):
    with pytest.raises(ParameterError, match=r"^(sigma|sigmas|factor) = "):
        kind(value)


@njit
def _none(theta, parameters, out):
    out[:] = 0.0


def test_landscape_keeps_a_copy_of_its_parameters():
    parameters = np.array([1.0, 2.0])
    landscape = Landscape("none", _none, parameters)
    parameters[0] = 7
    assert np.array_equal(landscape.parameters, [1, 2])
    with pytest.raises(ValueError, match="read-only"):
        landscape.parameters[0] = 7
    assert FLAT.gradient is None


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("gradient", (lambda theta, parameters, out: None, [])),
        ("gradient", (3, [])),
        ("parameters", (_none, [math.nan])),
        ("parameters", (_none, [[1.0]])),
        ("parameters", (_none, "many")),
    ],
)
def test_landscape_refuses(field, arguments):
    with pytest.raises(ParameterError) as caught:
        Landscape("none", *arguments)
    assert caught.value.field == field


def problem(system="radial", *, lam=0.1, sigma=1.0, dim=10, start=2.0, core=1.0, **changes):
    settings = {"landscape": FLAT, "noise": IsotropicNoise(sigma)} | changes
    direction = "inward" if core < start else "outward"
    return Problem(
        optimizer=Optimizer(eta=1e-3, batch_size=100, lam=lam, decay="decoupled"),
        geometry=Geometry(rho_start=start, rho_core=core, dim=dim, direction=direction),
        system=system,
        **settings,
    )


@given(positive, positive, st.integers(1, 10**6), positive, positive)
def test_default_time_step_resolves_the_shortest_scale(lam, sigma, dim, start, core):
    """A hundredth of 1/(γ + d q²/ρ²) at the core."""
    assume(abs(core / start - 1) > 1e-3)
    p = problem(lam=lam, sigma=sigma, dim=dim, start=start, core=core)
    gamma, q2 = p.rates
    duration = default_time_step(p, 10**12, bridge=True) * p.optimizer.eta
    scale = 0.01 / (gamma + dim * q2 / core**2)
    at_the_floor = 0.01 / (3 * gamma)  # if no path comes near the core
    passage = 0.02 * law_limit(start**2, core**2, dim=dim, gamma=gamma, q2=q2)
    assert any(
        duration == pytest.approx(min(step, passage)) for step in (scale, max(scale, at_the_floor))
    )
    assert default_time_step(p, 100, bridge=False) == 1
    assert default_time_step(problem("reduced"), 100, bridge=False) == 1


@given(st.integers(1, 10**7), st.sampled_from(["radial", "reduced", "joint", "discrete"]))
def test_default_lanes_fit_the_cache(dim, system):
    lanes = default_lanes(problem(system, dim=dim))
    assert lanes % 8 == 0
    assert 8 <= lanes <= 64
    numbers = {"radial": 0, "reduced": 2}.get(system, 4) * dim
    assert lanes == 8 or lanes * numbers * 8 <= 2**19
    assert lanes == 64 or (lanes + 8) * numbers * 8 > 2**19


def test_exact_mean_applies_to_flat_isotropic_problems():
    assert problem("joint").log_exact_mean_steps == problem("radial").log_exact_mean_steps
    assert problem("joint", noise=DiagonalNoise(np.ones(10))).log_exact_mean_steps is None
    assert problem("joint", landscape=Landscape("none", _none)).log_exact_mean_steps is None


@given(st.integers(1, 2**63 - 1), st.floats(1e-9, 1e9))
def test_steps_fit_the_random_counter(max_steps, dt):
    settings = {
        "n_paths": 1,
        "first_path": 0,
        "seed": 0,
        "bridge": False,
        "precision": "double",
        "threads": 1,
    }
    settings |= {"chunk": None, "lanes": 8, "keep_end_state": False}
    if dt > max_steps:
        with pytest.raises(ParameterError, match=r"^dt = "):
            Numerics(max_steps=max_steps, dt=dt, **settings)
    elif max_steps <= (2**32 - 1) * dt:
        assert Numerics(max_steps=max_steps, dt=dt, **settings).max_steps == max_steps
    else:
        with pytest.raises(ParameterError, match=r"^max_steps = "):
            Numerics(max_steps=max_steps, dt=dt, **settings)
