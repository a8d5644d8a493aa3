"""Fits of power laws: planted exponents are found, with the errors of least squares."""

import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.results import Estimate
from sde_grok.runs.powers import fit_powers

RNG = np.random.default_rng(3)
ETA, BATCH = RNG.uniform(0.1, 10, size=(2, 40))
GROUPS = ["a", "b"] * 20
SCATTER = np.exp(0.1 * RNG.normal(size=40))


def test_planted_exponents_are_found():
    found = fit_powers(3 * ETA**-1.5 * BATCH**0.25, {"eta": ETA, "batch_size": BATCH})
    assert found.names == ("eta", "batch_size")
    assert found.exponents == pytest.approx([-1.5, 0.25], rel=1e-12)
    assert found.freedom == 37


def test_one_exponent_and_its_error_are_polyfits():
    values = ETA**0.7 * SCATTER
    slope, covariance = np.polyfit(np.log(ETA), np.log(values), 1, cov=True)
    expected = Estimate(slope[0], np.sqrt(covariance[0, 0]))
    assert fit_powers(values, {"eta": ETA}).exponent("eta") == pytest.approx(expected, rel=1e-10)


def test_the_error_is_that_of_many_fits():
    planted, fits = {"eta": ETA, "batch_size": BATCH}, []
    for seed in range(400):
        scatter = np.exp(0.1 * np.random.default_rng(seed).normal(size=40))
        fits.append(fit_powers(ETA**2 * scatter, planted))
    seen = np.std([fit.exponents for fit in fits], axis=0)
    said = np.sqrt(np.mean([np.diag(fit.covariance) for fit in fits], axis=0))
    assert seen == pytest.approx(said, rel=0.15)  # 4 errors of a deviation from 400


def test_groups_have_a_constant_each():
    constant = np.where(np.array(GROUPS) == "a", 2.0, 700.0)
    values = constant * ETA**-1.0
    assert fit_powers(values, {"eta": ETA}, GROUPS).exponents == pytest.approx([-1.0], rel=1e-12)
    assert fit_powers(values, {"eta": ETA}, GROUPS).freedom == 37
    assert fit_powers(values, {"eta": ETA}).exponent("eta").stderr > 0.1


def test_what_does_not_vary_has_no_exponent():
    found = fit_powers(ETA**2, {"eta": ETA, "lam": np.full(40, 1e-3)})
    assert found.names == ("eta",)
    assert found.freedom == 38


def test_combinations_have_the_error_of_the_covariance():
    fit = fit_powers(ETA * SCATTER, {"eta": ETA, "batch_size": BATCH})
    found = fit.combination(eta=2.0, batch_size=-1.0)
    assert found.value == pytest.approx(2 * fit.exponents[0] - fit.exponents[1])
    (a, c), (_, b) = fit.covariance
    assert found.stderr == pytest.approx(np.sqrt(4 * a - 4 * c + b))
    assert fit.combination(lam=1.0) == Estimate(0.0, 0.0)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("values", ([1.0, -1.0, 2.0], {"eta": [1.0, 2.0, 3.0]})),
        ("values", ([1.0, np.nan, 2.0], {"eta": [1.0, 2.0, 3.0]})),
        ("values", ([1.0, 2.0], {"eta": [1.0, 2.0]})),
        ("values", ([], {"eta": []})),
        ("eta", ([1.0, 2.0, 3.0], {"eta": [1.0, 2.0]})),
        ("eta", ([1.0, 2.0, 3.0], {"eta": [0.0, 1.0, 2.0]})),
        ("groups", ([1.0, 2.0, 3.0], {"eta": [1.0, 2.0, 3.0]}, ["a", "b"])),
    ],
)
def test_bad_input_is_named(field, arguments):
    with pytest.raises(ParameterError, match=f"^{field} = "):
        fit_powers(*arguments)
