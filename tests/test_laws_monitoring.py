"""The barrier shift of discrete monitoring."""

import math
from functools import partial

import mpmath as mp
import pytest

from sde_grok.checks import ParameterError
from sde_grok.laws import BARRIER_SHIFT, evaluated_steps, monitored_core

approx = partial(pytest.approx, abs=0)  # by default it would forgive 1e-12


def test_barrier_shift_is_minus_zeta_of_one_half():
    with mp.workdps(30):
        expected = float(-mp.zeta(mp.mpf(1) / 2) / mp.sqrt(2 * mp.pi))
    assert expected == BARRIER_SHIFT


def test_monitoring_moves_the_barrier_away():
    inward = monitored_core(2.0, q=0.5, dt=0.04, inward=True)
    outward = monitored_core(2.0, q=0.5, dt=0.04, inward=False)
    assert 2.0 - inward == approx(BARRIER_SHIFT * 0.1, rel=1e-13)
    assert outward - 2.0 == approx(BARRIER_SHIFT * 0.1, rel=1e-13)


@pytest.mark.parametrize("inward", [True, False])
@pytest.mark.parametrize("still", [{"q": 0, "dt": 1}, {"q": 1, "dt": 0}])
def test_no_noise_or_no_wait_no_shift(inward, still):
    assert monitored_core(0, inward=inward, **still) == 0
    assert monitored_core(1.5, inward=inward, **still) == 1.5


def test_arrays_broadcast():
    cores = monitored_core([1.0, 2.0], q=0.1, dt=1e-4, inward=True)
    assert cores == approx([1 - 1e-3 * BARRIER_SHIFT, 2 - 1e-3 * BARRIER_SHIFT], rel=1e-15)


def test_shift_beyond_the_origin():
    with pytest.raises(ParameterError) as error:
        monitored_core(0.5, q=1, dt=1.0, inward=True)
    assert str(error.value) == (
        "dt = 1.0: must be small enough that the shift 0.582597 is below rho_core = 0.5"
    )
    assert monitored_core(0.5, q=1, dt=1.0, inward=False) == 0.5 + BARRIER_SHIFT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rho_core": -1}, "rho_core = -1: must be a finite number >= 0"),
        ({"q": math.inf}, "q = inf: must be a finite number >= 0"),
        ({"dt": None}, "dt = None: must be a finite number >= 0"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ParameterError) as error:
        monitored_core(**{"rho_core": 1.0, "q": 1.0, "dt": 0.01, "inward": True} | change)
    assert str(error.value) == message


def test_an_evaluation_every_m_steps_notices_half_of_it_later():
    assert evaluated_steps(1000, every=200) == 1100
    assert evaluated_steps([0, 7], every=[[0], [2]]).tolist() == [[0, 7], [1, 8]]
    assert evaluated_steps([1.0, math.inf], every=2).tolist() == [2, math.inf]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": -1}, "steps = -1: must be a finite number >= 0"),
        ({"steps": math.nan}, "steps = nan: must be a finite number >= 0"),
        ({"every": -1}, "every = -1: must be a finite number >= 0"),
        ({"every": math.inf}, "every = inf: must be a finite number >= 0"),
    ],
)
def test_bad_evaluations(given, message):
    with pytest.raises(ParameterError, match=message):
        evaluated_steps(**{"steps": 1, "every": 1, **given})


def test_the_direction_is_true_or_false():
    with pytest.raises(ParameterError, match="inward = 'no': must be True or False"):
        monitored_core(1.0, q=1.0, dt=0.01, inward="no")
