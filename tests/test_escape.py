"""`simulate_escape`: the same bits however it is run, and what its statuses mean."""

import numpy as np
import pytest
from numba import njit

from sde_grok import (
    DenseNoise,
    DiagonalNoise,
    Landscape,
    LongEscapeWarning,
)
from sde_grok.results import Status

SYSTEMS = ["radial", "reduced", "joint", "discrete"]
IN_D_DIMENSIONS = SYSTEMS[1:]
OUTWARD = {"rho_start": 1.0, "rho_core": 1.02, "direction": "outward"}
ANY = pytest.mark.parametrize("system", SYSTEMS)
IN_D = pytest.mark.parametrize("system", IN_D_DIMENSIONS)
PRECISION = pytest.mark.parametrize("precision", ["double", "single"])


@njit
def _bowl(theta, parameters, out):
    for i in range(theta.size):
        out[i] = parameters[i] * theta[i]


@njit
def _cliff(theta, parameters, out):
    """No force, but non-finite numbers inside the radius given: inf if the second is > 0, or nan."""
    square = 0.0
    for x in theta:
        square += x * x
    for i in range(theta.size):
        out[i] = 0.0
        if square < parameters[0] ** 2:
            out[i] = np.inf if parameters[1] > 0 else np.nan


@njit
def _flaw(theta, parameters, out):
    """No force, but not a number where the first coordinate is large."""
    for i in range(theta.size):
        out[i] = np.nan if theta[0] > parameters[0] else 0.0


@njit
def _huge(theta, parameters, out):
    for i in range(theta.size):
        out[i] = parameters[0]


BOWL = Landscape("bowl", _bowl, [0.1, 1.0, -0.3])


# --- The same bits ----------------------------------------------------------------------------

CASES = {
    "flat": {},
    "diagonal": {"noise": DiagonalNoise([0.5, 1.0, 2.0])},
    "landscape and dense": {
        "landscape": BOWL,
        "noise": DenseNoise([[1.0, 0.0], [0.5, 1.0], [-1.0, 0.2]]),
        "optimizer": {"decay": "coupled", "eps": 0.1},
        "max_steps": 110,
    },
    "bias": {"correct_bias": True, "landscape": BOWL},
    "outward": {"geometry": OUTWARD, "optimizer": {"lam": 0.001}, "max_steps": 150},
    "monitored": {"discrete_monitoring": True, "dt": 0.7},
}
ALLOWED = [
    *[("radial", case) for case in ("flat", "outward", "monitored")],
    *[(system, case) for system in IN_D_DIMENSIONS for case in [*list(CASES)[:3], "outward"]],
    *[(system, "bias") for system in ("joint", "discrete")],
]
WAYS = [
    {"threads": 2},
    {"threads": 2, "chunk": 1},
    {"threads": 2, "chunk": 7, "lanes": 8},
    {"threads": 1, "chunk": 64, "lanes": 16},
    {"threads": 2, "chunk": 1000, "lanes": 64},
    {"threads": 1, "n_paths": 10},
    {"threads": 2, "n_paths": 1, "lanes": 8},
]


def numbers(result):
    return [result.steps, result.status, result.rho2_end, *result.end_state.values()]


@PRECISION
@pytest.mark.parametrize(("system", "case"), ALLOWED)
def test_same_bits_however_it_is_run(escape, system, case, precision):
    settings = {"n_paths": 150, "max_steps": 72, "keep_end_state": True, "precision": precision}
    settings |= CASES[case]
    expected = escape(system, threads=1, chunk=1000, lanes=64, **settings)
    # The comparison means little unless paths differ and lanes are refilled at different times.
    assert {Status.HIT, Status.CENSORED} == set(expected.status)
    assert len({*zip(expected.steps, expected.rho2_end, strict=True)}) > 75
    for way in WAYS:
        got = escape(system, **(settings | way))
        for one, other in zip(numbers(got), numbers(expected), strict=True):
            assert np.array_equal(one, other[: got.n_paths]), way


@ANY
def test_path_ten_of_a_thousand(escape, system):
    few, many = escape(system, n_paths=10), escape(system, n_paths=1000)
    for one, other in zip(numbers(few), numbers(many), strict=True):
        assert np.array_equal(one, other[:10])
    assert len(np.unique(many.steps)) > 20


@ANY
def test_seeds_differ(escape, system):
    ends = [
        escape(system, seed=seed, max_steps=72, dt=1.0, n_paths=8) for seed in (0, 1, 2**32, 2**63)
    ]
    steps = np.array([end.steps for end in ends])
    assert len({tuple(row) for row in steps}) == len(ends)


# --- Statuses ---------------------------------------------------------------------------------


def consistent(result, geometry):
    """What must hold of every result."""
    hit, failed = result.status == Status.HIT, result.status == Status.FAILED
    censored = result.status == Status.CENSORED
    assert np.all(hit | failed | censored)
    assert np.all(np.isnan(result.steps) == failed)
    assert np.all(result.steps[censored] == result.max_steps)
    assert np.all(result.steps[hit] <= result.max_steps)
    assert np.all(result.steps[hit] > 0)
    side, core2 = 1 if geometry.inward else -1, geometry.rho_core**2
    # Single precision knows the core to 6·10⁻⁸.
    assert np.all(side * result.rho2_end[hit] <= side * core2 * (1 + side * 1e-6))
    assert np.all(side * result.rho2_end[censored] > side * core2)


@PRECISION
@pytest.mark.parametrize("direction", ["inward", "outward"])
@pytest.mark.parametrize(
    ("system", "dt"),
    [(s, dt) for s in SYSTEMS for dt in (1.0, 0.7, 0.3) if s != "discrete" or dt == 1],
)
def test_statuses(escape, system, precision, direction, dt):
    changes = {"precision": precision, "dt": dt, "max_steps": 71, "n_paths": 200}
    if direction == "outward":
        changes |= {"geometry": OUTWARD, "optimizer": {"lam": 0.001}, "max_steps": 149}
    result = escape(system, **changes)
    assert {Status.HIT, Status.CENSORED} == set(result.status)
    consistent(result, escape.geometry(**changes.get("geometry", {})))


@ANY
@pytest.mark.parametrize(
    ("max_steps", "dt"), [(1, 0.3), (21, 0.7), (1933, 0.0345), (5, 2.0), (7, 7.0)]
)
def test_censored_exactly_at_max_steps(escape, system, max_steps, dt):
    if system == "discrete":
        dt = 1.0
    with pytest.warns(LongEscapeWarning):
        result = escape(system, max_steps=max_steps, dt=dt, optimizer={"lam": 1e-6}, n_paths=3)
    assert np.all(result.status == Status.CENSORED)
    assert np.all(result.steps == max_steps)


@IN_D
@PRECISION
@pytest.mark.parametrize("kind", ["inf", "nan"])
def test_non_finite_gradient_fails_the_path(escape, system, precision, kind):
    cliff = Landscape("cliff", _cliff, [1.5, 1.0 if kind == "inf" else -1.0])
    changes = {"landscape": cliff, "precision": precision, "n_paths": 300, "max_steps": 34}
    result = escape(system, **changes)
    # The core at 1 is behind the cliff at 1.5: nobody may reach it.
    assert {Status.CENSORED, Status.FAILED} == set(result.status)
    consistent(result, escape.geometry())
    assert not np.any(np.isfinite(result.rho2_end[result.status == Status.FAILED]))


@IN_D
def test_failed_paths_take_no_part(escape, system):
    result = escape(system, landscape=Landscape("flaw", _flaw, [1.5]), n_paths=300)
    hits = result.steps[result.status == Status.HIT]
    assert 0 < result.failed_fraction < 1
    assert result.hit_fraction + result.failed_fraction == 1
    assert result.mean.value == pytest.approx(hits.mean())
    assert result.mean.stderr == pytest.approx(hits.std(ddof=1) / hits.size**0.5)
    assert result.median == np.sort(hits)[(hits.size + 1) // 2 - 1]
    assert result.survival().probability[-1] == 0


@IN_D
@PRECISION
@pytest.mark.parametrize("direction", ["inward", "outward"])
def test_absurd_step_fails_the_path(escape, system, precision, direction):
    """θ itself stays finite, its square does not."""
    eta = {"double": 1e200, "single": 1e25}[precision]
    geometry = OUTWARD if direction == "outward" else {}
    changes = {"optimizer": {"eta": eta}, "noise": DiagonalNoise(np.ones(3)), "geometry": geometry}
    result = escape(system, precision=precision, **changes)
    assert np.all(result.status == Status.FAILED)


def test_absurd_step_fails_the_radial_path(escape):
    with pytest.warns(LongEscapeWarning):
        result = escape(
            "radial",
            optimizer={"eta": 1e20, "lam": 0.0},
            geometry={"dim": 1},
            dt=1.0,
            discrete_monitoring=True,
            precision="single",
        )
    assert np.all(result.status == Status.FAILED)
    consistent(result, escape.geometry(dim=1))


@pytest.mark.parametrize("system", ["joint", "discrete"])
@PRECISION
def test_overflow_of_the_second_moment_fails_the_path(escape, system, precision):
    """v = ∞ would hold θ still for ever, a path that looks sound."""
    gradient = {"double": 1e200, "single": 1e25}[precision]
    result = escape(system, landscape=Landscape("huge", _huge, [gradient]), precision=precision)
    assert np.all(result.status == Status.FAILED)


# --- Ends -------------------------------------------------------------------------------------


@IN_D
@PRECISION
def test_end_state(escape, system, precision):
    result = escape(system, keep_end_state=True, precision=precision, max_steps=72)
    names = ["theta"] if system == "reduced" else ["theta", "m", "v"]
    assert list(result.end_state) == names
    assert all(array.shape == (40, 3) for array in result.end_state.values())
    norm2 = np.sum(result.end_state["theta"] ** 2, axis=1)
    tolerance = {"double": 1e-14, "single": 1e-6}[precision]
    np.testing.assert_allclose(norm2, result.rho2_end, rtol=tolerance)
    assert not escape(system, precision=precision, max_steps=72).end_state


def test_bridge_finds_earlier_crossings(escape):
    """A monitored path ends at multiples of Δt, and never before a bridged one on the same noise."""
    changes = {"n_paths": 2000, "dt": 5.0, "max_steps": 1000}
    bridged = escape("radial", **changes)
    monitored = escape("radial", discrete_monitoring=True, **changes)
    assert np.all(monitored.steps % 5 == 0)
    assert np.all(bridged.steps % 5 != 0)
    assert np.all(bridged.steps < monitored.steps)
    # More than the half step on average that any observation every Δt adds.
    assert np.mean(monitored.steps - bridged.steps) > 2.5
    assert np.all(bridged.rho2_end == 1)
    assert np.all(monitored.rho2_end <= 1)


def test_path_steps_are_counted(escape):
    for system in IN_D_DIMENSIONS:
        result = escape(system, max_steps=72)
        assert result.path_steps == result.steps.sum()
    result = escape("radial", max_steps=72, dt=1.0)
    assert result.path_steps == np.ceil(result.steps).sum()


def test_exact_mean(escape):
    """Given on the radial rung, where the closed form is for what is simulated."""
    result = escape("radial", n_paths=10)
    # Without noise ln 2/γη; the noise adds to it: d q²/2γ is small against V*.
    assert result.exact_mean_steps == pytest.approx(100 * np.log(2), rel=0.02)
    assert result.exact_mean_steps > 100 * np.log(2)
    assert escape("reduced", n_paths=10).exact_mean_steps is None
    assert result.provenance["seed"] == 1
    assert result.provenance["optimizer"]["lam"] == 1.0


@pytest.mark.parametrize("system", ["joint", "discrete"])
@pytest.mark.parametrize("beta2", [0.999, 1 - 1e-8])
def test_bias_correction_in_single_precision(escape, system, beta2):
    """β₂ itself may be 1 in single precision, its power must not."""
    single, double = (
        escape(
            system,
            optimizer={"beta2": beta2},
            correct_bias=True,
            precision=precision,
            n_paths=500,
        )
        for precision in ("single", "double")
    )
    assert single.hit_fraction == double.hit_fraction == 1
    error = np.hypot(single.mean.stderr, double.mean.stderr)
    assert abs(single.mean.value - double.mean.value) < 4 * error


@pytest.mark.parametrize("dt", [0.28, 0.14, 0.07])
def test_the_look_at_max_steps_is_not_lost_to_rounding(escape, dt):
    with pytest.warns(LongEscapeWarning):
        result = escape("radial", max_steps=7, dt=dt, discrete_monitoring=True, n_paths=1)
    assert result.path_steps == round(7 / dt)
