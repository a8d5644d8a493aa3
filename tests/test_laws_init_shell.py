"""The init shell: explicit moments, the LeCun case, and one simulation."""

import math

import mpmath as mp
import numpy as np
import pytest
import stats_tools
from scipy.stats import chi2, norm

from sde_grok.checks import ParameterError
from sde_grok.laws import init_shell_mean, init_shell_quantile, init_shell_sd

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


@pytest.mark.parametrize("p", [1, 2, 7, 766, 359_680])
@pytest.mark.parametrize("level", [1e-6, 0.01, 0.5, 0.99, 1 - 1e-6])
def test_quantiles_of_one_scale_are_those_of_chi2(p, level):
    parts = [1] * p if p < 1000 else [p // 2, p - p // 2]
    for sizes in ([p], parts):
        quantile = init_shell_quantile(level, sizes, 0.3)
        # an error of 1e-12 in the probability
        assert chi2.cdf(quantile / 0.3, p) == pytest.approx(level, rel=0, abs=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("sizes", [[1, 1000], [2, 512]])
def test_quantiles_of_a_broad_part_and_a_narrow_one(sizes):
    rng = np.random.default_rng(22)
    rho2 = sum(rng.chisquare(p, 100_000) / p for p in sizes)
    for level in (0.01, 0.5):
        quantile = init_shell_quantile(level, sizes, 1 / np.array(sizes))
        stderr = math.sqrt(level * (1 - level) / rho2.size)
        what = f"quantile {level} of {sizes}"
        stats_tools.check_z(what, float(np.mean(rho2 < quantile)), stderr, level)


def test_quantiles_of_two_scales_equal_mpmath():
    """σ₁² χ²_2 + σ₂² χ²_4: exponentials, with P(ρ² > t) by partial fractions of the transform."""
    a, b = mp.mpf(1) / 2, mp.mpf(3)  # (1 + a)⁻¹ (1 + b)⁻²

    def above(t):
        s = mp.mpf(t)
        residue = a**2 / (a - b) ** 2 * mp.exp(-s / a)
        double = (b**2 - 2 * a * b) / (b - a) ** 2 + b * (s / b) / (b - a)
        return residue + double * mp.exp(-s / b)

    assert above(0) == pytest.approx(1)
    for level in (0.01, 0.5, 0.999):
        quantile = init_shell_quantile(level, [2, 4], [a / 2, b / 2])
        assert float(above(quantile)) == pytest.approx(1 - level, rel=0, abs=1e-12)


@pytest.mark.parametrize("entries", ["normal", "uniform"])
def test_quantiles_of_a_network_are_nearly_normal(entries):
    sizes = np.repeat([256, 512], [127, 639])
    mean, sd = init_shell_mean(sizes, 1 / sizes), init_shell_sd(sizes, 1 / sizes, entries=entries)
    for level in (0.01, 0.5, 0.99):
        quantile = init_shell_quantile(level, sizes, 1 / sizes, entries=entries)
        # Cornish and Fisher: skewness of 3 sd/mean at most, times (z² − 1)/6
        assert (quantile - mean) / sd == pytest.approx(norm.ppf(level), abs=3 * sd / mean)


def test_quantiles_of_four_uniform_entries():
    """P(ρ² < t) for t <= 3σ² is the volume of a ball in a cube: (π²/2) (t/3σ²)²/16."""
    for t in (0.1, 0.5, 1.0):
        level = math.pi**2 / 32 * t**2
        quantile = init_shell_quantile(level, [1, 3], 2.0, entries="uniform")
        assert quantile == pytest.approx(6 * t, rel=1e-9)


@pytest.mark.statistical
def test_quantiles_of_simulated_uniform_shells():
    rng = np.random.default_rng(21)
    x = rng.uniform(-1, 1, (100_000, sum(SIZES))) * 3**0.5
    rho2 = np.sum(x**2 * np.repeat(VARIANCES, SIZES), axis=1)
    for level in (0.01, 0.5, 0.99):
        quantile = init_shell_quantile(level, SIZES, VARIANCES, entries="uniform")
        stderr = math.sqrt(level * (1 - level) / len(rho2))
        stats_tools.check_z(f"uniform quantile {level}", np.mean(rho2 < quantile), stderr, level)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, [3], 1.0), "level = 0.0: must be a finite number > 0 and < 1"),
        ((1, [3], 1.0), "level = 1: must be a finite number > 0 and < 1"),
        ((0.5, [3, 4], 0.0), "variances = 0.0: must be > 0, at least one of them"),
    ],
)
def test_quantiles_of_nothing(arguments, message):
    with pytest.raises(ParameterError) as error:
        init_shell_quantile(*arguments)
    assert str(error.value) == message


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "variances"), [([3], 1.0), ([1, 100], [1.0, 0.0])])
def test_too_few_uniform_entries(sizes, variances):
    with pytest.raises(ParameterError, match="must be four or more uniform entries of about"):
        init_shell_quantile(0.5, sizes, variances, entries="uniform")


def test_several_levels():
    levels = [[0.1, 0.5], [0.9, 0.99]]
    out = init_shell_quantile(levels, [7], 1.0)
    assert out == pytest.approx(chi2.ppf(levels, 7), rel=1e-11)


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
