"""Adam's moments beside their mean field: the formulas are what the recursions do."""

import math
from functools import partial

import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.laws.moments import momentum_noise, second_moment_lag

approx = partial(pytest.approx, abs=0)

POINT = {"noise_trace": 12.0, "gradient_norm2": 3.0, "batch_size": 4.0, "beta1": 0.9}
FALL = {"fall": 5.0, "steps": 300, "beta2": 0.99}


def v_over_mean_square(fall, steps, beta2):
    """Follow v, one step at a time."""
    v, square = 1.0, 1.0
    for k in range(1, steps + 1):
        square = fall ** (-k / steps)
        v = beta2 * v + (1 - beta2) * square
    return v / square


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9, 0.99])
def test_momentum_keeps_what_its_weights_keep(beta1):
    weights = (1 - beta1) * beta1 ** np.arange(10_000)
    kept = math.sqrt(np.sum(weights**2) * 12 / 4 / 3)
    assert momentum_noise(**POINT | {"beta1": beta1}) == approx(kept, rel=1e-12)


@pytest.mark.parametrize(
    "case", [{}, {"fall": 0.2}, {"fall": 400.0}, {"steps": 1}, {"beta2": 0.5}, {"fall": 1.0}]
)
def test_the_lag_is_that_of_the_recursion(case):
    assert second_moment_lag(**FALL | case) == approx(v_over_mean_square(**FALL | case), rel=1e-11)


def test_the_lag_where_the_fall_is_as_fast_as_the_memory():
    fall = 0.99**-300
    lag = second_moment_lag(**FALL | {"fall": fall})
    assert lag == approx(1 + 0.01 * 300, rel=1e-9)
    assert second_moment_lag(2.0, steps=1, beta2=0.5) == 1.5


def test_the_lag_of_a_slow_fall_settles():
    slow = {"fall": math.exp(4000 / 500), "steps": 4000, "beta2": 0.99}
    assert second_moment_lag(**slow) == approx(0.01 / (1 - 0.99 * math.exp(1 / 500)), rel=1e-6)


def test_arrays_broadcast():
    assert momentum_noise([1.0, 4.0], 1.0, batch_size=1, beta1=0.5) == approx(
        [3**-0.5, 2 * 3**-0.5], rel=1e-15
    )
    assert second_moment_lag([1.0, 2.0], steps=10, beta2=0.9).shape == (2,)


@pytest.mark.parametrize(
    ("field", "value"),
    [("noise_trace", -1.0), ("gradient_norm2", 0.0), ("batch_size", 0), ("beta1", 1.0)],
)
def test_bad_input_of_the_noise_is_named(field, value):
    with pytest.raises(ParameterError, match=f"^{field} = "):
        momentum_noise(**POINT | {field: value})


@pytest.mark.parametrize(("field", "value"), [("fall", 0.0), ("steps", 0), ("beta2", 1.0)])
def test_bad_input_of_the_lag_is_named(field, value):
    with pytest.raises(ParameterError, match=f"^{field} = "):
        second_moment_lag(**FALL | {field: value})
