"""`simulate_escape`: the same bits however it is run, and what its statuses and warnings mean."""

import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from numba import njit

from sde_grok import (
    DenseNoise,
    DiagonalNoise,
    Interrupted,
    IsotropicNoise,
    Landscape,
    LongEscapeWarning,
    ParameterError,
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


# --- Warnings, progress, Ctrl-C ---------------------------------------------------------------

HOPELESS = {"optimizer": {"lam": 1e-3}, "geometry": {"rho_core": 0.01, "dim": 20}}


@ANY
def test_hopeless_run_is_announced_before_it_starts(escape, system):
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            LongEscapeWarning, match=r"10\^\d+ steps, beyond max_steps = 1000000000:"
        ):
            escape(system, max_steps=10**9, dt=1.0, **HOPELESS)
    assert time.perf_counter() - began < 2


@ANY
def test_progress_is_called(escape, system):
    seen = []
    result = escape(system, progress=seen.append)
    assert seen
    last = seen[-1]
    assert (last.done, last.n_paths, last.fraction) == (40, 40, 1)
    assert last.path_steps >= result.path_steps or system == "radial"


@ANY
@pytest.mark.filterwarnings("ignore::sde_grok.LongEscapeWarning")
def test_ctrl_c_ends_a_run_within_a_second(escape, system):
    at = []

    def press(progress):
        at.append((time.perf_counter(), progress))
        if len(at) == 2:
            raise KeyboardInterrupt

    with pytest.raises(
        Interrupted, match=r"0 of 50000 paths were finished, .* path-steps"
    ) as caught:
        escape(
            system, progress=press, max_steps=10**9, dt=1.0, n_paths=50_000, threads=2, **HOPELESS
        )
    assert time.perf_counter() - at[-1][0] < 1
    assert isinstance(caught.value, KeyboardInterrupt)
    assert caught.value.progress.n_paths == 50_000
    assert caught.value.progress.path_steps >= at[-1][1].path_steps > 0


INTERRUPTED = """
import warnings
from sde_grok import *
warnings.simplefilter("ignore")
try:
    simulate_escape(
        Optimizer(eta=0.01, batch_size=4, lam=1e-3), Geometry(rho_start=2, rho_core=0.01, dim=500),
        IsotropicNoise(2.0), system="joint", n_paths=1000, max_steps=10**9, seed=1, threads=2,
        progress=lambda progress: progress.path_steps and print("running", flush=True),
    )
except Interrupted as error:
    print(error)
"""


@pytest.mark.slow
def test_sigint_ends_a_process_within_a_second():
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout.readline() == "running\n"
        pressed = time.perf_counter()
        run.send_signal(signal.SIGINT)
        said = run.stdout.read()
        assert run.wait(timeout=10) == 0
        assert time.perf_counter() - pressed < 1.5
    assert "interrupted: 0 of 1000 paths were finished" in said


# --- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "system", "changes"),
    [
        ("system", "rung five", {}),
        ("n_paths", "radial", {"n_paths": 0}),
        ("max_steps", "radial", {"max_steps": 0}),
        ("max_steps", "joint", {"max_steps": 2**32}),
        ("seed", "radial", {"seed": -1}),
        ("seed", "radial", {"seed": 2**64}),
        ("dt", "radial", {"dt": 0.0}),
        ("dt", "discrete", {"dt": 0.5}),
        ("precision", "radial", {"precision": "half"}),
        ("threads", "radial", {"threads": 0}),
        ("chunk", "radial", {"chunk": 0}),
        ("lanes", "radial", {"lanes": 12}),
        ("lanes", "radial", {"lanes": 128}),
        ("s", "radial", {"s": 0.0}),
        ("s", "joint", {"s": 1.0}),
        ("correct_bias", "reduced", {"correct_bias": True}),
        ("correct_bias", "radial", {"correct_bias": True}),
        ("landscape", "radial", {"landscape": BOWL}),
        ("noise", "radial", {"noise": DiagonalNoise([1, 1, 1])}),
        ("sigma", "radial", {"noise": IsotropicNoise(0), "optimizer": {"eps": 0}}),
        ("sigmas", "joint", {"noise": DiagonalNoise([1, 1])}),
        ("factor", "joint", {"noise": DenseNoise([[1.0], [1.0]])}),
    ],
)
def test_refuses(escape, field, system, changes):
    with pytest.raises(ParameterError, match=rf"^{field} = .*: must be ") as caught:
        escape(system, **changes)
    assert caught.value.field == field


def test_prediction_never_stops_a_run(escape):
    """The warning's closed form has a range of its own, which is not that of the simulation."""
    result = escape("reduced", noise=IsotropicNoise(1e-45), optimizer={"eps": 1.0})
    assert np.all(result.status == Status.HIT)


@IN_D
@pytest.mark.parametrize("lanes", [8, 64])
def test_gradient_that_raises_or_is_not_written_fails_its_path_alone(escape, system, lanes):
    @njit
    def raising(theta, parameters, out):
        if theta[0] > parameters[0]:
            raise ValueError
        if theta[0] > -parameters[0]:
            for i in range(theta.size):
                out[i] = 0.0

    def after_a_step(limit):
        landscape = Landscape("raising", raising, [limit])
        settings = {"n_paths": 200, "max_steps": 1, "lanes": lanes, "keep_end_state": True}
        return escape(system, landscape=landscape, **settings)

    first = after_a_step(10.0).end_state["theta"][:, 0]  # a short step from the start
    failed = after_a_step(0.8).status == Status.FAILED
    clear = np.abs(np.abs(first) - 0.8) > 0.1
    assert 0.2 < np.mean(failed) < 0.8
    assert np.array_equal(failed[clear], np.abs(first[clear]) > 0.8)


def test_time_step_beyond_the_range_of_the_exponential(escape):
    with pytest.raises(ParameterError, match="dt = 50000"):
        escape("radial", dt=50_000.0, max_steps=10**6)


def test_gradient_that_does_not_compile(escape):
    @njit
    def wrong(theta, parameters, out):
        out[:] = theta.no_such_thing

    with pytest.raises(ParameterError, match="gradient = 'wrong': must be compilable"):
        escape("reduced", landscape=Landscape("wrong", wrong))
