"""Balance of a margin and shrinkage: where the mean flow of a homogeneous network rests.

The margin of a network of degree h grows as ρ^h, so that its loss is an exponential, or for two
classes a logistic function, of u = aρ^h:

    L = c e^{−u},    or    L = c ln(1 + e^{−u}).

With coupled shrinkage the mean flow, whatever its preconditioner, rests where −L′(ρ) = λρ. In
logarithms, with p = (h−2)/h,

    ln(λ_max/λ) = ψ(u) − min ψ,    ψ = u − p ln u,    or    ψ = ln(1 + e^u) − p ln u,

and λ_max = h c a^{2/h} e^{−min ψ}. ψ is convex, so that beside the centre there is no rest for
λ > λ_max, and two below it: the inner one a barrier, the outer one stable, the core. For the
exponential the minimum is at u = p, and with u = py and E = ln(λ_max/λ)/p

    y − 1 − ln y = E,    y = −W(−e^{−1−E}),

W Lambert's function (DLMF 4.13): W₋₁ gives the outer rest and W₀ the inner. Newton's method solves
it in the logarithm, where e^{−1−E} would underflow. For h = 2 there is only the outer rest, in the
centre at λ_max = 2ac.

Units: ρ in parameter units, a those to the power −h, L and c of loss, λ of loss per squared
parameter unit. There is neither η nor b in it; noise about the rest is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.optimize import brentq
from scipy.special import expit

from sde_grok.checks import ParameterError, number
from sde_grok.dual import differentiable, exp, exp_or_inf, expm1, log, log1p, value_of
from sde_grok.laws.elementwise import elementwise

__all__ = [
    "largest_shrinkage",
    "logistic_radius",
    "loss_at_rest",
    "margin_barrier",
    "margin_radius",
    "shrinkage_at_loss",
]


@elementwise
def largest_shrinkage(*, rate: float, degree: float, scale: float) -> float:
    """Largest λ at which L = c e^{−aρ^h} has a rest, h c a^{2/h} (p/e)^p with p = (h−2)/h.

    There the core and the barrier meet, at aρ^h = p.

    Parameters
    ----------
    rate : float
        a > 0.
    degree : float
        Degree of homogeneity h >= 2.
    scale : float
        Loss c > 0 of the centre.

    Returns
    -------
    float
        λ_max in units of loss per squared parameter unit. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or λ_max beyond that of floats.

    Notes
    -----
    Provenance: derived; the minimum of ψ (see the module).
    """
    rate, degree, scale, p = _checked(rate, degree, scale)
    return _largest(rate, degree, scale, p - p * log(p) if p > 0 else 0.0)


@elementwise
def margin_radius(lam: float, *, rate: float, degree: float, scale: float) -> float:
    """Squared norm ρ² of the core, the outer rest of L = c e^{−aρ^h}; ln(2ac/λ)/a for h = 2.

    Parameters
    ----------
    lam : float
        Coupled shrinkage λ > 0, up to `largest_shrinkage`.
    rate, degree, scale : float
        As for `largest_shrinkage`.

    Returns
    -------
    float
        Squared norm, in squared parameter units. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range; if λ is larger than any with a rest, that λ is named.

    Notes
    -----
    Claim `margin-rest`. Provenance: derived, from stationarity of the mean flow; branch W₋₁ of DLMF 4.13.
    """
    rate, degree, scale, p = _checked(rate, degree, scale)
    return _power(_core(lam, rate, degree, scale, p) / rate, 2 / degree)


@elementwise
def margin_barrier(lam: float, *, rate: float, degree: float, scale: float) -> float:
    """Squared norm ρ² of the barrier, the inner and unstable rest of L = c e^{−aρ^h}.

    Below it shrinkage wins, and the mean flow ends in the centre. For small λ, (λ/ahc)^{2/(h−2)}.

    Parameters
    ----------
    lam : float
        Coupled shrinkage λ > 0, up to `largest_shrinkage`.
    rate, scale : float
        As for `largest_shrinkage`.
    degree : float
        Degree of homogeneity h > 2.

    Returns
    -------
    float
        Squared norm, in squared parameter units; 0 below the range of floats. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range; if λ is larger than any with a rest, that λ is named.

    Notes
    -----
    Provenance: derived, from stationarity of the mean flow; branch W₀ of DLMF 4.13.
    """
    degree = number("degree", degree, low=2, open_low=True)
    rate, degree, scale, p = _checked(rate, degree, scale)
    excess = _excess(lam, largest_shrinkage(rate=rate, degree=degree, scale=scale))
    w = _newton(lambda x: -math.expm1(-x), lambda x: -math.expm1(-x), excess / p)  # y = e^{−w}
    return exp_or_inf(2 / degree * (log(p) - w - log(rate)))


@elementwise
def loss_at_rest(lam: float, *, rate: float, degree: float, scale: float) -> float:
    """Loss L = λρ²/(h u) of the core, u = aρ^h; λ/(2a) for h = 2.

    Parameters
    ----------
    lam : float
        Coupled shrinkage λ > 0, up to `largest_shrinkage`.
    rate, degree, scale : float
        As for `largest_shrinkage`.

    Returns
    -------
    float
        L in units of c. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range; if λ is larger than any with a rest, that λ is named.

    Notes
    -----
    Provenance: derived; −ρL′ = h u L balances λρ².
    """
    rate, degree, scale, p = _checked(rate, degree, scale)
    lam = number("lam", lam, low=0, open_low=True)
    u = _core(lam, rate, degree, scale, p)
    return lam / degree / _power(rate, 2 / degree) * _power(u, -p)


@elementwise
def logistic_radius(lam: float, *, rate: float, degree: float, scale: float) -> float:
    """Squared norm ρ² of the core, the outer rest of L = c ln(1 + e^{−aρ^h}).

    Always inside `margin_radius`, which it tends to for small λ. For h = 2 it is
    ln(2ac/λ − 1)/a.

    Parameters
    ----------
    lam : float
        Coupled shrinkage λ > 0, up to the λ_max of this loss (see the module): ac for h = 2.
    rate, degree : float
        As for `largest_shrinkage`.
    scale : float
        c > 0, the loss of the centre over ln 2.

    Returns
    -------
    float
        Squared norm, in squared parameter units. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range; if λ is larger than any with a rest, that λ is named.

    Notes
    -----
    Provenance: derived, from stationarity of the mean flow; a root between the minimum of ψ and
    the core of the exponential.
    """
    rate, degree, scale, p = _checked(rate, degree, scale)
    if p == 0:
        excess = _excess(lam, _largest(rate, degree, scale, log(2.0)))
        u = excess + log1p(-expm1(-excess))  # ln(2e^excess − 1)
    else:
        lowest = differentiable(_logistic_lowest, lambda _, p: (-math.log(_turning(p)),), p)
        excess = _excess(lam, _largest(rate, degree, scale, lowest))
        u = differentiable(_logistic_core, _logistic_slopes, excess, p)
    return _power(u / rate, 2 / degree)


@elementwise
def shrinkage_at_loss(loss: float, *, rate: float, degree: float, scale: float) -> float:
    """Shrinkage λ at which the core of L = c ln(1 + e^{−aρ^h}) has the loss L.

    With u = −ln(e^{L/c} − 1), λ = h c a^{2/h} u^p (1 − e^{−L/c}). Beyond it nothing that shrinks to the core
    reaches this loss.

    Parameters
    ----------
    loss : float
        L > 0, below that of the largest λ with a rest.
    rate, degree, scale : float
        As for `logistic_radius`.

    Returns
    -------
    float
        λ in units of loss per squared parameter unit. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `grokking-edge`. Provenance: derived, from stationarity of the mean flow; the inverse of
    the loss at `logistic_radius`.
    """
    rate, degree, scale, p = _checked(rate, degree, scale)
    lowest = _turning(value_of(p)) if value_of(p) > 0 else 0.0
    most = value_of(scale) * math.log1p(math.exp(-lowest))
    loss = number("loss", loss, low=0, open_low=True, high=most)
    u = -log(expm1(loss / scale))
    residual = -expm1(-loss / scale)
    return degree * scale * _power(rate, 2 / degree) * _power(u, p) * residual


def _checked(rate: float, degree: float, scale: float) -> tuple[float, float, float, float]:
    """Return a, h, c and p = (h−2)/h."""
    degree = number("degree", degree, low=2)
    scale = number("scale", scale, low=0, open_low=True)
    return number("rate", rate, low=0, open_low=True), degree, scale, (degree - 2) / degree


def _power(base: float, exponent: float) -> float:
    power: float = base**exponent
    return power


def _largest(rate: float, degree: float, scale: float, lowest: float) -> float:
    """λ_max = h c a^{2/h} e^{−min ψ}."""
    largest = degree * scale * _power(rate, 2 / degree) * exp(-lowest)
    if not 0 < largest < math.inf:
        allowed = "such that the largest shrinkage is in the range of floats"
        raise ParameterError("scale", value_of(scale), allowed)
    return largest


def _excess(lam: float, largest: float) -> float:
    """ln(λ_max/λ) of a checked λ, exact for λ near λ_max."""
    lam = number("lam", lam, low=0, open_low=True, high=value_of(largest), open_high=False)
    near = largest < 2 * lam
    return log1p((largest - lam) / lam) if near else log(largest) - log(lam)


def _core(lam: float, rate: float, degree: float, scale: float, p: float) -> float:
    """U = aρ^h at the core of the exponential."""
    excess = _excess(lam, largest_shrinkage(rate=rate, degree=degree, scale=scale))
    if p == 0:
        return excess
    return p + p * _newton(math.log1p, lambda x: x / (1 + x), excess / p)  # y = 1 + x


def _newton(part: Callable[[float], float], rise: Callable[[float], float], excess: float) -> float:
    """Root x >= 0 of x − φ(x) = E, with φ = `part` and 1 − φ′ = `rise`.

    Newton's method from E + √(2E), which is above the root for φ = ln(1+x) and 1 − e^{−x}: the left
    side is convex, so that the steps descend to the root, to rounding in six.
    """

    def root(excess: float) -> float:
        x = excess + math.sqrt(2 * excess)
        for _ in range(6):
            x -= (x - part(x) - excess) / rise(x) if x > 0 else 0.0
        return x

    x: float = differentiable(root, lambda x, _: (1 / rise(x) if x > 0 else math.inf,), excess)
    return x


def _turning(p: float) -> float:
    """U at the minimum of ψ = ln(1 + e^u) − p ln u, p > 0: u/(1 + e^{−u}) = p."""
    return brentq(lambda u: u * float(expit(u)) - p, p, 2 * p, xtol=1e-300, rtol=1e-15)


def _logistic(u: float, p: float) -> float:
    """ψ = ln(1 + e^u) − p ln u."""
    return u + math.log1p(math.exp(-u)) - p * math.log(u)


def _logistic_lowest(p: float) -> float:
    return _logistic(_turning(p), p)


def _logistic_core(excess: float, p: float) -> float:
    """Root of ψ(u) = min ψ + `excess` beyond the minimum.

    It is below 2(ψ − p + p ln 2p), since ln(1 + e^u) > u and ln u <= u/2p − 1 + ln 2p.
    """
    low = _turning(p)
    level = _logistic(low, p) + excess
    high = 2 * (level - p + p * math.log(2 * p))
    return brentq(lambda u: _logistic(u, p) - level, low, high, xtol=1e-300, rtol=1e-15)


def _logistic_slopes(u: float, excess: float, p: float) -> tuple[float, ...]:
    """Derivatives of the root: ψ′ du = d(excess) + ln(u/u_min) dp."""
    slope = float(expit(u)) - p / u
    by_excess = 1 / slope if excess > 0 and slope > 0 else math.inf
    return by_excess, by_excess * (math.log(u) - math.log(_turning(p)))
