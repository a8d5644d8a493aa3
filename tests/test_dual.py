"""Dual numbers: every operation against mpmath's derivative, and what they refuse."""

import math
import operator

import mpmath as mp
import numpy as np
import pytest

from sde_grok.checks import ParameterError, number
from sde_grok.dual import Dual, differentiable, exp, exp_or_inf, expm1, log, log1p, sqrt

OPERATIONS = {
    "x + 2": lambda x: x + 2,
    "2 + x": lambda x: 2 + x,
    "x − 2": lambda x: x - 2,
    "2 − x": lambda x: 2 - x,
    "3x": lambda x: 3 * x,
    "x/3": lambda x: x / 3,
    "3/x": lambda x: 3 / x,
    "x x": lambda x: x * x,
    "x/(1+x)": lambda x: x / (1 + x),
    "x − 3x": lambda x: x - 3 * x,
    "x^1.7": lambda x: x**1.7,
    "2^x": lambda x: 2**x,
    "x^x": lambda x: x**x,
    "−x": operator.neg,
    "|x|": abs,
}
FUNCTIONS = {
    exp: mp.exp,
    expm1: mp.expm1,
    log: mp.log,
    log1p: lambda x: mp.log(1 + x),
    sqrt: mp.sqrt,
}


def dual(value):
    return Dual(value, np.array([1.0]))


def check(actual, function, x):
    assert actual.value == pytest.approx(float(function(mp.mpf(x))), rel=1e-15)
    assert actual.gradient[0] == pytest.approx(float(mp.diff(function, x)), rel=1e-13)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("x", [0.3, 2.5])
def test_operators(name, x):
    check(OPERATIONS[name](dual(x)), OPERATIONS[name], x)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_functions(function):
    check(function(dual(0.7)), FUNCTIONS[function], 0.7)
    assert function(0.7) == float(function(dual(0.7)).value)
    assert type(function(0.7)) is float


def test_gradients_of_several_variables():
    x, y = Dual(2.0, np.array([1.0, 0.0])), Dual(3.0, np.array([0.0, 1.0]))
    out = x * y - x / y
    assert out.gradient == pytest.approx([3 - 1 / 3, 2 + 2 / 9])


def test_comparisons_are_those_of_the_values():
    x = dual(2.0)
    assert x > 1
    assert x >= 2
    assert x < dual(3.0)
    assert x <= 2
    assert x == 2.0
    assert x != dual(2.5)


def test_absolute_value_of_a_negative_number():
    assert abs(dual(-2.0)).gradient[0] == -1


def test_numpy_floats_leave_arithmetic_to_dual_numbers():
    assert (np.float64(3) * dual(2.0)).gradient[0] == 3
    assert (np.float64(3) / dual(2.0)).gradient[0] == pytest.approx(-0.75)


def test_a_gradient_is_never_lost_on_the_way_to_a_float():
    with pytest.raises(TypeError):
        float(dual(1.0))
    with pytest.raises(TypeError):
        math.log(dual(1.0))
    with pytest.raises(TypeError):
        np.asarray(dual(1.0), dtype=float)


def test_given_slopes():
    out = differentiable(math.pow, lambda p, x, n: (n * p / x,), dual(2.0), 3.0)
    assert (out.value, out.gradient[0]) == (8.0, 12.0)
    assert differentiable(math.pow, lambda *_: (), 2.0, 3.0) == 8.0
    with pytest.raises(TypeError, match="pow has no derivative in one of its arguments"):
        differentiable(math.pow, lambda p, x, n: (n * p / x,), 2.0, dual(3.0))


def test_checks_pass_dual_numbers_on():
    x = dual(2.0)
    assert number("eta", x, low=0) is x
    with pytest.raises(ParameterError, match="eta = "):
        number("eta", dual(-2.0), low=0)


def test_arrays_are_refused():
    for operation in (lambda x, a: x + a, lambda x, a: a * x, lambda x, a: x / a):
        with pytest.raises(TypeError, match="does not mix with arrays"):
            operation(dual(2.0), np.array([1.0, 2.0]))


def test_zero():
    assert not dual(0.0)
    assert (dual(0.0) ** 0).gradient[0] == 0


def test_exponential_beyond_floats():
    assert exp_or_inf(1.5) == math.exp(1.5)
    assert exp_or_inf(1e4) == math.inf
    assert math.isnan(exp_or_inf(math.nan))
    assert exp_or_inf(dual(2.0)).gradient[0] == pytest.approx(math.exp(2))


def test_repr():
    assert repr(dual(2.0)) == "Dual(2.0, array([1.]))"
