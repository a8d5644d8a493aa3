"""Participation ratio: the dimension of an isotropic covariance, and less of any other."""

import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.laws.participation import participation_ratio


def of_matrix(covariance):
    return participation_ratio(np.trace(covariance), np.trace(covariance @ covariance))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_an_isotropic_covariance_has_all_directions(scale):
    assert of_matrix(scale * np.eye(7)) == pytest.approx(7, rel=1e-14)


def test_one_example_has_one_direction():
    g = np.arange(1.0, 6.0)
    assert of_matrix(np.outer(g, g)) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("n", [3, 20, 200])
def test_it_is_below_the_rank_and_above_the_reciprocal_of_the_largest_share(n):
    covariance = np.cov(np.random.default_rng(n).normal(size=(30, n)))
    eigenvalues = np.linalg.eigvalsh(covariance)
    found = of_matrix(covariance)
    assert eigenvalues.sum() / eigenvalues[-1] <= found < min(30, n - 1)


def test_arrays_broadcast():
    assert participation_ratio([2.0, 4.0], 4.0).tolist() == [1.0, 4.0]


@pytest.mark.parametrize(("field", "value"), [("total", 0.0), ("square", 0.0), ("square", -1.0)])
def test_bad_input_is_named(field, value):
    with pytest.raises(ParameterError, match=f"^{field} = "):
        participation_ratio(**{"total": 1.0, "square": 1.0, field: value})
