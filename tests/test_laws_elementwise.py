"""Laws written for numbers accept arrays."""

from typing import NamedTuple

import numpy as np
import pytest

from sde_grok import laws
from sde_grok.checks import ParameterError
from sde_grok.laws import leading_law
from sde_grok.laws.elementwise import elementwise, elementwise_fields


@elementwise
def difference(a: float, b: float = 0.0, *, unit: float = 1.0) -> float:
    """Return (a − b)/unit."""
    return (a - b) / unit


def test_numbers_give_a_float():
    assert type(difference(3, unit=2)) is float
    assert difference(np.float64(3), 1) == 2
    assert difference.__doc__ == "Return (a − b)/unit."


def test_arrays_broadcast():
    out = difference([[1], [2]], np.array([0, 1, 2]), unit=np.float64(2))
    assert out.tolist() == [[0.5, 0, -0.5], [1, 0.5, 0]]
    assert difference(1, unit=[]).shape == (0,)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"could not be broadcast|cannot be broadcast"):
        difference([1, 2], [1, 2, 3])


def test_one_bad_element_is_named():
    with pytest.raises(ParameterError, match="rho2_core = -1: must be a finite number >= 0"):
        leading_law(2, [1, -1], gamma=1)


def test_public_names_are_documented():
    assert all(getattr(laws, name).__doc__ for name in laws.__all__)


class Pair(NamedTuple):
    total: float
    ratio: float


@elementwise_fields
def pair(a: float, *, b: float) -> Pair:
    return Pair(a + b, a / b)


def test_fields_of_numbers_are_numbers_and_of_arrays_arrays():
    assert pair(3, b=2) == (5, 1.5)
    out = pair([[2], [4]], b=[1, 2])
    assert isinstance(out, Pair)
    assert out.total.tolist() == [[3, 4], [5, 6]]
    assert out.ratio.tolist() == [[2, 1], [4, 2]]
