"""One false-alarm budget for every statistical comparison of the suite, and the comparisons.

Seeds are fixed: a test passes or fails for good. ALPHA_SUITE is the probability that correct code
with other seeds would fail anywhere. Each of at most COMPARISONS comparisons has an equal share
(Bonferroni), which is |z| < 4.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.stats import norm

ALPHA_SUITE = 0.01
COMPARISONS = 176
ALPHA = ALPHA_SUITE / COMPARISONS
Z = float(norm.isf(ALPHA / 2))


class Comparison(NamedTuple):
    """What was compared, and its two-sided significance in standard deviations."""

    what: str
    z: float


MADE: list[Comparison] = []  # those that spend the budget: power tests do not


def check_z(
    what: str, value: float, stderr: float, expected: float, expected_stderr: float = 0.0
) -> float:
    """Assert that a normally distributed number agrees with the expected one; return z."""
    z = (value - expected) / math.hypot(stderr, expected_stderr)
    off = f", {100 * (value / expected - 1):+.3f} %" if expected else ""
    assert abs(z) < Z, (
        f"{what}: {value:.6g} ± {stderr:.2g}, expected {expected:.6g}: z = {z:.2f}{off}"
    )
    MADE.append(Comparison(what, z))
    return z


def check_p(what: str, p: float) -> None:
    """Assert that a p-value is not too small."""
    assert p > ALPHA, f"{what}: p = {p:.2g} < {ALPHA:.2g}"
    MADE.append(Comparison(what, float(norm.isf(p / 2))))


def check_mean(what: str, result, expected: float, expected_stderr: float = 0.0) -> float:
    """Assert that all paths escaped, after the expected mean time."""
    assert result.hit_fraction == 1, f"{what}: {result.hit_fraction:.3%} of the paths escaped"
    return check_z(what, *result.mean, expected, expected_stderr)
