"""Exact variance of the passage time of the radial Ornstein–Uhlenbeck process.

Process, symbols and units as in `sde_grok.laws.passage`: κ = d/2, x = γV/q², noise floor at x = κ.
The passage from x₀ to x* is made of independent passages through the points between, so that the
variance, like the mean, is an integral over them:

    Var T = (1/2γ)² ∫ w(x) dx,    w(x) = x ∫∫ f(s) f(t) (t − s) ln(p_t/p_s) ds dt,

    inward:   f(t) = (1+t)^{κ−1} e^{−xt},  p_t = t/(1+t),  0 < s, t < ∞,
    outward:  f(t) = (1−t)^{κ−1} e^{xt},   p_t = t/(1−t),  0 < s, t < 1.

It comes from ln E e^{−αT} = −α E T + α² Var T/2 − … with the transform as a quotient of U or M:
their integrals (DLMF 13.4.4, 13.4.1) expanded in α, by parts, symmetrised in s and t. The mean is
(1/2γ) ∫ u dx with u = ∫ f dt, and x w' + (κ−x) w = ∓2x u² (− inward, + outward).

Nothing cancels: (t − s) ln(p_t/p_s) >= 0. The integral over x is elementary, and that over s and t
is done by the trapezoidal rule in two logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from sde_grok.dual import exp_or_inf
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.limits import leading_law
from sde_grok.laws.passage import checked_process, dimensionless
from sde_grok.laws.quadrature import FURTHEST, NEGLIGIBLE, geometric

__all__ = ["log_passage_time_variance", "passage_time_variance"]

Array = NDArray[np.float64]

WIDEST_STEP = 1 / 6
BLOCK = 32
DISTANCES = np.geomspace(1e-9, FURTHEST, 256)


@elementwise
def passage_time_variance(
    rho2_start: float, rho2_core: float, *, dim: float, gamma: float, q2: float
) -> float:
    """Variance Var T of the first-passage time from V₀ = `rho2_start` to V* = `rho2_core`.

    (1/2γ)² ∫ w(x) dx between x* and x₀, with w as in the module. Without noise (q² = 0) it is 0
    where V* is reached; without contraction (γ = 0) the outward variance is
    2(V*² − V₀²)/(d²(d+2)q⁴) and the inward one infinite.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0; inward if V₀ > V*, outward if V₀ < V*.
    dim : float
        Dimension 0 < d < 1e12; not only integers.
    gamma : float
        Contraction rate γ >= 0, per unit of time.
    q2 : float
        Noise intensity q² >= 0, squared parameter units per unit of time.

    Returns
    -------
    float
        Var T in squared units of t = kη; infinite where the mean is, or beyond the range of floats
        (see `log_passage_time_variance`). Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `radial-variance`. Provenance: derived, from the radial model of arXiv 2606.30388 (known
    here second-hand). Assumes ∇L = 0, isotropic noise and time-continuous observation. DLMF §13.4.
    """
    log_variance = log_passage_time_variance(rho2_start, rho2_core, dim=dim, gamma=gamma, q2=q2)
    return exp_or_inf(log_variance)


@elementwise
def log_passage_time_variance(
    rho2_start: float, rho2_core: float, *, dim: float, gamma: float, q2: float
) -> float:
    """Natural logarithm of the passage-time variance, finite even where the variance overflows.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0.
    dim, gamma, q2 : float
        Dimension d > 0, contraction rate γ >= 0, noise intensity q² >= 0.

    Returns
    -------
    float
        ln Var T, with T in units of t = kη; inf where the mean is infinite, −inf where T is a
        number. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived, as for `passage_time_variance`.
    """
    start, core, dim, gamma, q2 = checked_process(rho2_start, rho2_core, dim, gamma, q2)
    if start == core:
        return -math.inf
    if q2 == 0:
        return -math.inf if leading_law(start, core, gamma=gamma) < math.inf else math.inf
    inward = start > core
    if inward and (gamma == 0 or (core == 0 and dim >= 2)):
        return math.inf
    if gamma == 0:
        log_squares = math.log(core - start) + math.log(core + start)
        return math.log(2 / (dim + 2)) + log_squares - 2 * (math.log(dim) + math.log(q2))
    x_core = dimensionless("gamma rho2_core/q2", gamma * core, q2)
    gap = dimensionless("gamma (rho2_start - rho2_core)/q2", gamma * abs(start - core), q2)
    if core == 0:
        log_variance = _log_to_origin(gap, dim / 2)
    else:
        log_variance = (_log_inward if inward else _log_outward)(x_core, gap, dim / 2)
    return log_variance - 2 * math.log(2 * gamma)


def _log_inward(x_core: float, gap: float, kappa: float) -> float:
    """Logarithm of ∫_{x*}^{x*+gap} w dx, with s and t = e^y."""

    def log_f(y: Array) -> Array:
        """f(t) dt/dy at x*."""
        return y + (kappa - 1) * np.logaddexp(0, y) - x_core * np.exp(y)

    def ramp(t: Array) -> Array:
        return _ramp(gap * t, x_core, gap)

    def log_left(y: Array) -> Array:  # next to a larger t, ln(p_t/p_s) < 1/s
        return log_f(y) + np.log(ramp(np.exp(y))) - np.logaddexp(0, y)

    def log_right(y: Array) -> Array:  # next to a smaller s, t − s < 1+t
        return log_f(y) + np.logaddexp(0, y)

    peak = math.log(_positive_root(x_core, kappa + 1 - x_core))  # of log_right
    y, step = _nodes(log_left, log_right, peak)
    log_sum = _log_pair_sum(y, log_f(y), log_expit(y), np.exp(y), ramp)
    return math.log(gap) + 2 * math.log(step) + log_sum


def _log_outward(x_core: float, gap: float, kappa: float) -> float:
    """Logarithm of ∫_{x*−gap}^{x*} w dx, with s and t = 1/(1+e^{−y}).

    There ln p_t = y, and t − s = (p_t − p_s)(1−t)(1−s).
    """
    peak = math.log(_positive_root(kappa + 1, x_core - kappa))  # of log_f
    beyond = peak > 0  # t is close to 1 then, and x*t best counted from x*

    def log_f(y: Array) -> Array:
        """f(t) (1−t) dt/dy at x*."""
        growth = -x_core * expit(-y) if beyond else x_core * expit(y)
        return y - (kappa + 2) * np.logaddexp(0, y) + growth

    def ramp(t: Array) -> Array:
        return _ramp(gap * t, x_core, -gap)

    def log_left(y: Array) -> Array:
        return log_f(y) + np.log(ramp(expit(y)))

    y, step = _nodes(log_left, log_f, peak)
    log_sum = _log_pair_sum(y, log_f(y), y, expit(y), ramp, fall=kappa * step)
    return math.log(gap) + 2 * math.log(step) + log_sum + (2 * x_core if beyond else 0.0)


def _ramp(z: Array, x_core: float, change: float) -> Array:
    """∫_0^1 (x* + change·v) e^{−zv} dv: over x = x* + change·v, x e^{∓(x−x*)(s+t)}."""
    level, small = -np.expm1(-z) / z, np.minimum(z, 1e-3)  # ∫ e^{−zv} dv
    series = 1 / 2 - small / 3 + small**2 / 8 - small**3 / 30
    slanted = np.where(z > small, (level - np.exp(-z)) / z, series)  # ∫ v e^{−zv} dv
    return np.asarray(x_core * level + change * slanted)


def _positive_root(a: float, b: float) -> float:
    """Positive root e of a e² − b e − 1 = 0, for a > 0."""
    root = math.hypot(b, 2 * math.sqrt(a))
    return (b + root) / (2 * a) if b > 0 else 2 / (root - b)


def _nodes(
    log_left: Callable[[Array], Array], log_right: Callable[[Array], Array], peak: float
) -> tuple[Array, float]:
    """Nodes over all that is not negligible, and their step.

    On its right an integrand falls off like e^{−xt} or a normal density, or exponentially at the
    rate of κ + 1; the length of that is a measure of the width of the peak. On its left there may
    be a long tail e^y besides.
    """
    with np.errstate(over="ignore", divide="ignore"):
        left, right = _reach(log_left, peak, -1), _reach(log_right, peak, 1)
    step = min(WIDEST_STEP, right / 24)
    count = np.arange(-math.ceil(left / step), math.ceil(right / step) + 1, dtype=np.float64)
    return peak + step * count, step


def _reach(log_f: Callable[[Array], Array], peak: float, sign: int) -> float:
    """Distance from the peak beyond which the integrand is negligible."""
    values = log_f(peak + sign * DISTANCES)
    last = int(np.flatnonzero(values > np.max(values) - NEGLIGIBLE)[-1])
    return float(DISTANCES[min(last + 1, len(DISTANCES) - 1)])


def _log_pair_sum(
    y: Array,
    log_f: Array,
    log_p: Array,
    t: Array,
    ramp: Callable[[Array], Array],
    *,
    fall: float = math.inf,
) -> float:
    """Logarithm of Σ f_i f_j (e^{y_i} − e^{y_j}) (ln p_i − ln p_j) ramp(t_i + t_j) over all nodes.

    Beyond the last node, with the other one kept, terms fall off like (n + const) e^{−n·fall}.
    """
    top = float(np.max(log_f + 0.5 * (y + np.log(ramp(2 * t)))))
    f, e = np.exp(log_f - top), np.exp(y)

    def terms(i: slice, j: slice) -> Array:
        row = np.s_[i, None]
        f_f = f[row] * f[j] * ramp(t[row] + t[j])
        return np.asarray(f_f * (e[row] - e[j]) * (log_p[row] - log_p[j]))

    total = 0.0
    for first in range(0, len(y), BLOCK):  # half of the square, in pieces that fit into a cache
        block = terms(slice(first, first + BLOCK), slice(first, None))
        total += 2 * float(np.sum(block)) - float(np.sum(block[:, :BLOCK]))
    more = geometric(fall)
    between = np.arange(len(y) - 1, 0, -1)
    last = terms(slice(-1, None), slice(0, -1))
    tail = 2 * more * float(np.sum(last * (1 + (1 + more) / between)))
    return 2 * top + math.log(total + tail)


def _log_to_origin(x_start: float, kappa: float) -> float:
    """Logarithm of the variance of 2γT from x₀ to 0, κ < 1, where 2γT = ln(1 + x₀/G).

    G has the gamma law of shape β = 1−κ: as U(a, κ, x) = x^β U(a+β, 1+β, x) (DLMF 13.2.40),

        E e^{−αT} = ∫ (x₀/g + 1)^{−a} g^{β−1} e^{−g} dg / Γ(β),    a = α/2γ.

    Trapezoidal rule in v, ln g = v − e^{−v}/β, which shortens a left tail as slow as g^β.
    """
    beta = 1 - kappa
    v = np.arange(-4.5, math.log1p(1 / beta) + 6, 1 / 1024)
    log_g = v - np.exp(-v) / beta
    weight = np.exp(beta * log_g - np.exp(log_g)) * (1 + np.exp(-v) / beta)
    weight /= np.sum(weight)
    time = np.logaddexp(0, math.log(x_start) - log_g)
    return math.log(float(np.sum(weight * (time - np.sum(weight * time)) ** 2)))
