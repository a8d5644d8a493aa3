"""`simulate_escape` towards its user: warnings, progress, Ctrl-C, and what it refuses."""

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
ANY = pytest.mark.parametrize("system", SYSTEMS)
IN_D = pytest.mark.parametrize("system", SYSTEMS[1:])


@njit
def _bowl(theta, parameters, out):
    for i in range(theta.size):
        out[i] = parameters[i] * theta[i]


BOWL = Landscape("bowl", _bowl, [0.1, 1.0, -0.3])


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
