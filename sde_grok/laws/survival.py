"""Law of the inward passage time of the radial Ornstein–Uhlenbeck process: P(T > t) and density.

Process, symbols and units as in `sde_grok.laws.passage`: κ = d/2, x = γV/q², noise floor at x = κ.
The law is recovered from its Laplace transform

    E e^{−αT} = U(a, κ, x₀) / U(a, κ, x*),     a = α/2γ,

by `sde_grok.laws.inversion`, with U at complex a from

    Γ(a) U(a, κ, x) = ∫_0^∞ e^{−az} (1 + t)^κ e^{−xt} dz,     t = 1/(e^z − 1),

which is DLMF 13.4.4 with e^{−z} = t/(1+t). All is analytic for Re z > 0. The path of z leads from 0
through the saddle point to infinity, at the angle −arg(a)/2, where e^{−az} falls off even for
Re a < 0:

    z = ζ − iT g(ζ),     T = tan(arg(a)/2),     g = τ ln[(1 + ε e^{ζ/τ})/(1 + ε)],

with g = ζ, a straight line, for ε → ∞, and g = 0 up to ζ ≈ τ ln(1/ε) for ε → 0.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sde_grok.checks import ParameterError, number
from sde_grok.laws import inversion
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.inversion import LogTransform, log1p
from sde_grok.laws.limits import leading_law
from sde_grok.laws.passage import checked_process, dimensionless, log_mean_passage_time
from sde_grok.laws.variance import log_passage_time_variance

__all__ = ["passage_density", "survival_function"]

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

STEP = 1 / 10  # in the variable of the trapezoidal rule, near the saddle in units of its width
WIDEST_STEP = 1 / 8  # in ln t
TURN = 1 / 2
LONGEST = 680.0  # of ln 2γ E T: 1/a is a float
SHORTEST = -138.0  # of ln t/E T: P(T <= t) = 0 there for all starts floats can tell from the core


class _Law(NamedTuple):
    constant: float | None  # T, where it is a number
    log_mean: float = 0.0
    spread: float = 0.0  # Var T/(E T)²
    log_transform: LogTransform = np.zeros_like  # of T/E T

    def in_means(self, time: float) -> float:
        if time == 0:
            return 0.0
        return math.exp(min(max(math.log(time) - self.log_mean, SHORTEST), -SHORTEST))


@elementwise
def survival_function(
    time: float, rho2_start: float, rho2_core: float, *, dim: float, gamma: float, q2: float
) -> float:
    """Probability P(T > t) that V, started at V₀, has not come down to V* by the time t.

    Parameters
    ----------
    time : float
        Time t >= 0, in units of t = kη.
    rho2_start, rho2_core : float
        Squared radii V₀ >= V* >= 0.
    dim : float
        Dimension 0 < d < 1e12; not only integers.
    gamma : float
        Contraction rate γ > 0, per unit of time.
    q2 : float
        Noise intensity q² >= 0, squared parameter units per unit of time.

    Returns
    -------
    float
        P(T > t) in [0, 1]: a step at ln(V₀/V*)/2γ without noise; 1 where V* is never reached, or
        where the mean is beyond 1e295/γ, near the end of the range of floats. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or the passage outward.

    Notes
    -----
    Claim `radial-law`. Provenance: derived, as for `mean_passage_time`. Assumes ∇L = 0, isotropic
    noise and time-continuous observation. Method: `sde_grok.laws.inversion`. Absolute error at most

        1e-14 + 2e-15 V*/(V₀ − V*) + 4e-15 E T/√Var T + 1e-18 d,

    which is rounding, as measured on exact cases, with mpmath, and by halving all steps; up to 1e-7
    for a core below 1e-3 of the floor in about two dimensions. One value takes some 10 ms.
    """
    law, time = _law_checked(time, rho2_start, rho2_core, dim, gamma, q2)
    if law.constant is not None:
        return float(time < law.constant)
    t = law.in_means(time)
    return inversion.survival(law.log_transform, t, mean=1.0, variance=law.spread)


@elementwise
def passage_density(
    time: float, rho2_start: float, rho2_core: float, *, dim: float, gamma: float, q2: float
) -> float:
    """Probability density f(t) = −dP(T > t)/dt of the first-passage time from V₀ down to V*.

    Parameters
    ----------
    time, rho2_start, rho2_core, dim, gamma, q2
        As for `survival_function`.

    Returns
    -------
    float
        f(t) >= 0 per unit of time; where T is a number, infinite there and 0 elsewhere; 0 where V*
        is never reached, or where the mean is beyond 1e295/γ. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or the passage outward.

    Notes
    -----
    Provenance: derived, as for `survival_function`; absolute error that of the survival function,
    some five times over, divided by the lesser of t and √Var T.
    """
    law, time = _law_checked(time, rho2_start, rho2_core, dim, gamma, q2)
    if law.constant is not None:
        return math.inf if time == law.constant else 0.0
    t = law.in_means(time)
    in_means = inversion.density(law.log_transform, t, mean=1.0, variance=law.spread)
    return in_means * math.exp(-law.log_mean)


def _law_checked(
    time: float, rho2_start: float, rho2_core: float, dim: float, gamma: float, q2: float
) -> tuple[_Law, float]:
    start, core, dim, _, q2 = checked_process(rho2_start, rho2_core, dim, gamma, q2)
    gamma = number("gamma", gamma, low=0, open_low=True)
    if start < core:
        raise ParameterError("rho2_core", core, f"<= rho2_start = {start:g}: inward only")
    return _law(start, core, dim, gamma, q2), number("time", time, low=0)


@lru_cache(maxsize=64)
def _law(start: float, core: float, dim: float, gamma: float, q2: float) -> _Law:
    if start == core or q2 == 0:
        return _Law(leading_law(start, core, gamma=gamma))
    log_mean = log_mean_passage_time(start, core, dim=dim, gamma=gamma, q2=q2)
    log_rate = math.log(2 * gamma) + log_mean
    if log_rate > LONGEST:
        return _Law(math.inf)
    log_variance = log_passage_time_variance(start, core, dim=dim, gamma=gamma, q2=q2)
    x_start, x_core = (dimensionless("gamma rho2/q2", gamma * v, q2) for v in (start, core))

    def log_transform(alpha: Complex) -> Complex:
        a = alpha * math.exp(-log_rate)
        return _log_tricomi(a, dim / 2, x_start) - _log_tricomi(a, dim / 2, x_core)

    return _Law(None, log_mean, math.exp(log_variance - 2 * log_mean), log_transform)


def _log_tricomi(a: Complex, kappa: float, x: float) -> Complex:
    """Logarithm of Γ(a) U(a, κ, x), for Im a >= 0, a ≠ 0, and x > 0 or, with κ < 1, x = 0.

    Trapezoidal rule in r, ζ = ln(1 + e^{−r}), so that r is ln t where the path is real. The tails
    e^{−az} for ζ → ∞ and, if x = 0, t^{κ−1} for t → ∞ are summed as geometric series.
    """
    a = a[:, None]
    slope = np.tan(np.angle(a) / 2)  # T
    centre, width, turn, log_epsilon = _saddle(a, kappa, x, slope)
    left = centre + 34 + math.log1p(kappa + x)
    if x > 0:
        right = np.log((kappa + 10 * math.sqrt(kappa) + 100) * (1 + slope**2) / x) - centre
    else:
        right = 40 + np.log1p(abs(a)) - centre
    r, dr = _nodes(centre, width, left, right)
    zeta, e = np.log1p(np.exp(-r)), np.exp(-r)
    g, dg = _bend(zeta / turn, log_epsilon)
    half = slope * turn * g / 2  # of −Im z
    s, c = np.sin(half), np.cos(half)
    t = 1 / (e - 2 * s**2 * (1 + e) - 2j * s * c * (1 + e))
    log_f = kappa * log1p(t) - a * (zeta - 2j * half) - x * t - zeta - r
    top = np.max(log_f.real, axis=1, keepdims=True)
    f = np.exp(log_f - top) * (1 - 1j * slope * dg) * dr
    f[:, :1] *= 1 + _tail(a * (1 - 1j * slope) * WIDEST_STEP)
    if x == 0:
        f[:, -1] *= 1 + _tail((1 - kappa) * WIDEST_STEP)
    return np.asarray(top[:, 0] + np.log(np.sum(f, axis=1)))


def _saddle(a: Complex, kappa: float, x: float, slope: Array) -> tuple[Array, Array, Array, Array]:
    """Where the nodes are centred, in ln t, and their width there; τ and ln ε of the path.

    The integrand per unit of ln t is stationary where x t² + (x−κ+1) t = a. For |a| < 1 it has a
    plateau of length 1/|a| on the left; a/|a| then gives a point near its edge.
    """
    scaled = a / np.minimum(abs(a), 1)
    b = x - kappa + 1
    root = np.sqrt(b**2 + 4 * x * scaled)
    t = 2 * scaled / (b + root) if b > 0 else (root - b) / (2 * x)
    curvature = x * t - (kappa - scaled - 1) * t / (1 + t) ** 2
    width = np.cos(np.angle(a) / 2) / np.sqrt(np.maximum(abs(curvature), 1))
    z = log1p(np.asarray(1 / t, dtype=np.complex128))
    angle = np.clip(-np.angle(z), 0, np.angle(a) / 2)
    zeta = abs(z) * np.cos(angle)
    g = zeta * np.clip(np.tan(angle) / np.maximum(slope, 1e-300), 1e-6, 1 - 1e-12)
    turn = TURN * np.minimum(1, np.maximum(zeta, 1 / abs(scaled)))
    log_epsilon = np.log(-np.expm1(-g / turn)) - np.log(np.expm1((zeta - g) / turn))
    return -np.log(np.expm1(zeta)), width, turn, log_epsilon


def _nodes(centre: Array, width: Array, left: Array, right: Array) -> tuple[Array, Array]:
    """Nodes r and their weights: close together at the centre, then WIDEST_STEP apart."""
    widest = WIDEST_STEP / STEP
    ratio = width / widest
    first = np.max(np.log(2 / ratio) + np.maximum(left / widest, 19))
    last = np.max(np.log(2 / ratio) + np.maximum(right / widest, 1))
    p = STEP * np.arange(-math.ceil(first / STEP), math.ceil(last / STEP) + 1)
    u = ratio * np.sinh(p)
    return centre + widest * np.arcsinh(u), STEP * width * np.cosh(p) / np.hypot(1, u)


def _bend(u: Array, log_epsilon: Array) -> tuple[Array, Array]:
    """g/τ = ln[(1 + ε e^u)/(1 + ε)] and its derivative."""
    part, rest = expit(log_epsilon), expit(-log_epsilon)
    kept = part + rest * np.exp(-u)
    near = np.log1p(rest * np.expm1(-np.minimum(u, 1)))
    return u + np.where(u < 1, near, np.log(kept)), part / kept


def _tail(decay: Any) -> Any:
    """Σ e^{−n decay} over n >= 1."""
    return np.exp(-decay) / -np.expm1(-decay)
