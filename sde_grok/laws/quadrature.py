"""Logarithms of positive integrals and sums too large or too peaked for floating point."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

__all__ = ["log_integral", "log_series"]

Array = NDArray[np.float64]

NEGLIGIBLE = 46.0  # e^-46 = 1e-20
FURTHEST = 450.0  # of y: e^y times 1e±80 is a normal float
WIDEST_STEP = 1 / 16


def log_integral(
    log_f: Callable[[Array], Array],
    slope: Callable[[float], float],
    *,
    rise: float = math.inf,
    fall: float = math.inf,
) -> float:
    """Logarithm of ∫ exp(log_f(y)) dy over the real line, for an integrand with one maximum.

    Trapezoidal rule, whose error for an analytic integrand decays exponentially in 1/step. The
    integrands of the passage times are functions of e^y, analytic for |Im y| < π/2 at least, and
    vary on the scale of 1, or of their own width if that is less: hence the step. Exponential
    tails, however slow, are summed as geometric series.

    Parameters
    ----------
    log_f : callable
        Vectorised log-integrand.
    slope : callable
        Its derivative: positive left of the peak, negative right of it, for |y| <= 450.
    rise, fall : float
        Limits > 0 of the slope at −∞ and of minus the slope at +∞; infinite if there is none.

    Returns
    -------
    float
        log ∫ exp(log_f(y)) dy, to 1e-12 besides the rounding errors of log_f.
    """
    peak = brentq(slope, -FURTHEST, FURTHEST, xtol=1e-12)
    top = float(log_f(np.array(peak)))
    left = _reach(log_f, slope, peak, -1, rise)
    right = _reach(log_f, slope, peak, 1, fall)
    step = min(WIDEST_STEP, (left + right) / 64)
    nodes = np.arange(-math.ceil(left / step), math.ceil(right / step) + 1, dtype=np.float64)
    y = peak + step * nodes
    f = np.exp(np.minimum(log_f(y) - top, 0.0))  # rounding may lift it above the top
    tails = f[0] * geometric(rise * step) + f[-1] * geometric(fall * step)
    return top + math.log(step * float(np.sum(f) + tails))


def _reach(
    log_f: Callable[[Array], Array],
    slope: Callable[[float], float],
    peak: float,
    sign: int,
    rate: float,
) -> float:
    """Distance from the peak beyond which the integrand is negligible or exponential."""
    furthest = FURTHEST - sign * peak
    bottom = float(log_f(np.array(peak))) - NEGLIGIBLE + min(0.0, math.log(rate))
    distance = 1e-9
    while distance < furthest:
        y = peak + sign * distance
        exponential = abs(slope(y + sign) + sign * rate) < 1e-14
        if exponential or float(log_f(np.array(y))) < bottom:
            return distance
        distance *= 1.25
    return furthest


def geometric(x: float) -> float:
    """Σ e^{−nx} over n >= 1."""
    return math.exp(-x) / -math.expm1(-x)


def log_series(log_term: Callable[[Array], Array], largest: float) -> float:
    """Logarithm of Σ exp(log_term(n)) over n >= 0, for terms with their maximum near `largest`.

    The terms must fall off about as fast as those of a Poisson law of that mean. Where they are
    that smooth, every m-th of them times m is the same sum, as for the trapezoidal rule.
    """
    width = math.sqrt(largest)
    stride = max(1, int(width / 4))
    first = max(0.0, math.floor(largest - 10 * width))
    log_terms = log_term(np.arange(first, largest + 12 * width + 60, stride))
    top = float(np.max(log_terms))
    return top + math.log(stride * float(np.sum(np.exp(log_terms - top))))
