"""The init shell: explicit moments, the LeCun case, and one simulation."""

import math

import numpy as np
import pytest
import stats_tools

from sde_grok.checks import ParameterError
from sde_grok.laws import init_shell_mean, init_shell_sd

SIZES, VARIANCES = [3, 50, 8], [0.5, 0.02, 2.0]


def test_moments_term_by_term():
    # E ρ² = Σ p σ²; Var ρ² = Σ p (E x⁴ − σ⁴), with E x⁴ = 3σ⁴ or, uniform on ±√3σ, 9σ⁴/5
    assert init_shell_mean(SIZES, VARIANCES) == pytest.approx(1.5 + 1.0 + 16.0)
    fourth = 3 * 0.25 + 50 * 0.0004 + 8 * 4.0
    assert init_shell_sd(SIZES, VARIANCES) == pytest.approx(math.sqrt(2 * fourth))
    uniform = init_shell_sd(SIZES, VARIANCES, entries="uniform")
    assert uniform == pytest.approx(math.sqrt(0.8 * fourth))


def test_lecun_scaling():
    sizes = np.repeat([256, 512], [512, 254])
    harmonic = len(sizes) / np.sum(1 / sizes)
    assert init_shell_mean(sizes, 1 / sizes) == pytest.approx(766)
    assert init_shell_sd(sizes, 1 / sizes) == pytest.approx(math.sqrt(2 * 766 / harmonic))


def test_one_variance_for_all():
    assert init_shell_mean(SIZES, 0.3) == init_shell_mean(SIZES, [0.3] * 3)
    assert init_shell_sd(SIZES, 0.3) == init_shell_sd(SIZES, [0.3] * 3)
    assert init_shell_sd(7, 1) == pytest.approx(math.sqrt(14))  # χ² of 7 degrees


@pytest.mark.statistical
@pytest.mark.parametrize("entries", ["normal", "uniform"])
def test_variance_of_simulated_shells(entries):
    """E (ρ² − mean)² is the variance: false-alarm rate that of one comparison in `stats_tools`."""
    rng = np.random.default_rng(20)
    shape = (40_000, sum(SIZES))
    x = rng.standard_normal(shape) if entries == "normal" else rng.uniform(-1, 1, shape) * 3**0.5
    rho2 = np.sum(x**2 * np.repeat(VARIANCES, SIZES), axis=1)
    square = (rho2 - init_shell_mean(SIZES, VARIANCES)) ** 2
    stderr = np.std(square) / math.sqrt(len(square))
    expected = init_shell_sd(SIZES, VARIANCES, entries=entries) ** 2
    stats_tools.check_z(f"init shell, {entries}", np.mean(square), stderr, expected)


@pytest.mark.parametrize(
    ("sizes", "variances", "message"),
    [
        ([3, 0], 1, "sizes = 0: must be an integer >= 1"),
        ([2.5], 1, "sizes = 2.5: must be an integer >= 1"),
        ([], 1, "sizes = []: must be at least one integer >= 1"),
        ([3], -1, "variances = -1: must be a finite number >= 0"),
        ([3], ["a"], "variances = 'a': must be a finite number >= 0"),
        ([3, 4, 5], [1, 2], "variances = [1, 2]: must be one number, or one for each of 3 sizes"),
    ],
)
def test_bad_input(sizes, variances, message):
    with pytest.raises(ParameterError) as error:
        init_shell_mean(sizes, variances)
    assert str(error.value) == message


def test_unknown_entries():
    with pytest.raises(ParameterError, match="entries = 'cauchy': must be one of normal, uniform"):
        init_shell_sd([3], 1, entries="cauchy")
