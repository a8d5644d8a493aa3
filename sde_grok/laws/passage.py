"""Exact passage times of the radial Ornstein–Uhlenbeck process (the radial rung, ∇L = 0).

The squared radius V = ρ² obeys

    dV = (d q² − 2γV) dt + 2q √V dB,

with d the dimension, γ the contraction rate and q² the noise intensity. T is the first time at
which V, started at V₀, equals V*. In the variables κ = d/2 and x = γV/q² (the noise floor is at
x = κ) everything is a confluent hypergeometric function; at network dimension those overflow, so
each is written as an integral of a positive function over y ∈ ℝ and evaluated in log space.

Units: V in squared parameter units, q² in those per unit of time, γ and α per unit of time; T in
units of time t = kη, so that optimizer steps are T/η.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln

from sde_grok.checks import ParameterError, number
from sde_grok.dual import differentiable, exp_or_inf, log
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.limits import leading_law
from sde_grok.laws.quadrature import log_integral, log_series

__all__ = ["laplace_transform", "log_mean_passage_time", "mean_passage_time"]

Array = NDArray[np.float64]


@elementwise
def mean_passage_time(
    rho2_start: float, rho2_core: float, *, dim: float, gamma: float, q2: float
) -> float:
    """Mean first-passage time E T from V₀ = `rho2_start` to V* = `rho2_core`.

    With κ = d/2, x = γV/q² and the Tricomi and Kummer functions U and M,

        inward:   E T = (1/2γ) ∫_{x*}^{x₀} U(1, 1+κ, x) dx,
        outward:  E T = (1/2γ) ∫_{x₀}^{x*} M(1, 1+κ, x)/κ dx.

    Without noise (q² = 0) the path is V₀ e^{−2γt}; without contraction (γ = 0) the outward mean
    is (V* − V₀)/(d q²) and the inward one infinite.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0; inward if V₀ > V*, outward if V₀ < V*.
    dim : float
        Dimension 1e-9 <= d < 1e12; not only integers.
    gamma : float
        Contraction rate γ >= 0, per unit of time.
    q2 : float
        Noise intensity q² >= 0, squared parameter units per unit of time.

    Returns
    -------
    float
        E T in units of t = kη; infinite where V* may never be reached, or beyond the range of
        floats (see `log_mean_passage_time`). Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claims `radial-mean` and `radial-rung`. Provenance: derived, from the radial model of arXiv
    2606.30388 (known here second-hand). Assumes ∇L = 0, isotropic noise and time-continuous
    observation. DLMF §13.4.
    """
    log_mean = log_mean_passage_time(rho2_start, rho2_core, dim=dim, gamma=gamma, q2=q2)
    return exp_or_inf(log_mean)


@elementwise
def log_mean_passage_time(
    rho2_start: float, rho2_core: float, *, dim: float, gamma: float, q2: float
) -> float:
    """Natural logarithm of the mean first-passage time, finite even where the mean overflows.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0.
    dim, gamma, q2 : float
        Dimension d > 0, contraction rate γ >= 0, noise intensity q² >= 0.

    Returns
    -------
    float
        ln E T, with T in units of t = kη; inf where V* may never be reached, −inf where
        V₀ = V*. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived, as for `mean_passage_time`. DLMF 13.4.4 and 13.4.1 with a = 1.
    """
    start, core, dim, gamma, q2 = checked_process(rho2_start, rho2_core, dim, gamma, q2)
    if start == core:
        return -math.inf
    if q2 == 0:
        return log(leading_law(start, core, gamma=gamma))
    inward = start > core
    if inward and (gamma == 0 or (core == 0 and dim >= 2)):
        return math.inf
    if gamma == 0:
        return log(core - start) - log(dim) - log(q2)
    log_x_integral, slopes = (
        (_log_inward, _inward_slopes) if inward else (_log_outward, _outward_slopes)
    )
    x_core = dimensionless("gamma rho2_core/q2", gamma * core, q2)
    gap = dimensionless("gamma (rho2_start - rho2_core)/q2", gamma * abs(start - core), q2)
    log_integral_of_u: float = differentiable(log_x_integral, slopes, x_core, gap, dim / 2)
    return log_integral_of_u - log(2 * gamma)


def _log_inward(x_core: float, gap: float, kappa: float) -> float:
    """Logarithm of ∫_{x*}^{x*+gap} U(1, 1+κ, x) dx = ∫_0^∞ (1+t)^{κ−1} e^{−x*t}(1−e^{−gap t}) dt/t.

    With t = e^y; DLMF 13.4.4 integrated over x.
    """

    def log_f(y: Array) -> Array:
        t = np.exp(y)
        return (kappa - 1) * np.logaddexp(0, y) - x_core * t + _log1mexp(gap * t)

    def slope(y: float) -> float:
        t = math.exp(y)
        return (kappa - 1) * t / (1 + t) - x_core * t + _bose(gap * t)

    return log_integral(log_f, slope, rise=1.0, fall=math.inf if x_core > 0 else 1 - kappa)


def _log_outward(x_core: float, gap: float, kappa: float) -> float:
    """Logarithm of ∫_{x*−gap}^{x*} M(1, 1+κ, x)/κ dx = ∫_0^1 (1−t)^{κ−1} e^{x*t}(1−e^{−gap t}) dt/t.

    With t = 1/(1+e^{−y}), dt/t = (1−t) dy; DLMF 13.4.1 integrated over x.
    """

    def log_f(y: Array) -> Array:
        t = expit(y)
        return -kappa * np.logaddexp(0, y) + x_core * t + _log1mexp(gap * t)

    def slope(y: float) -> float:
        t, complement = _logistic(y)
        return (x_core * t + _bose(gap * t)) * complement - kappa * t

    return log_integral(log_f, slope, rise=1.0, fall=kappa)


def _inward_slopes(
    log_whole: float, x_core: float, gap: float, kappa: float
) -> tuple[float, float]:
    """Derivatives of `_log_inward` in x* and in the gap: U(1, 1+κ, x) at the ends.

    At x* = 0 it is infinite, but x* = γV*/q² is 0 whatever γ and q² are.
    """
    at_core, at_start = (
        math.exp(_log_tricomi(1.0, 1 + kappa, x) - log_whole) if x > 0 else 0.0
        for x in (x_core, x_core + gap)
    )
    return at_start - at_core, at_start


def _outward_slopes(
    log_whole: float, x_core: float, gap: float, kappa: float
) -> tuple[float, float]:
    """Derivatives of `_log_outward` in x* and in the gap: M(1, 1+κ, x)/κ at the ends."""
    at_core, at_start = (
        math.exp(_log_kummer(1.0, 1 + kappa, x) - log_whole)
        for x in (x_core, max(0.0, x_core - gap))
    )
    return at_core - at_start, at_start


@elementwise
def laplace_transform(
    alpha: float, rho2_start: float, rho2_core: float, *, dim: float, gamma: float, q2: float
) -> float:
    """Laplace transform E exp(−αT) of the first-passage time from V₀ to V*.

    With κ = d/2, x = γV/q² and a = α/2γ,

        inward:   E e^{−αT} = U(a, κ, x₀) / U(a, κ, x*),
        outward:  E e^{−αT} = M(a, κ, x₀) / M(a, κ, x*).

    At α = 0 it is the probability that V* is ever reached. Without contraction (γ = 0) U and M
    give way to the Bessel functions K and I, without noise T is a number.

    Parameters
    ----------
    alpha : float
        Rate α >= 0, per unit of time.
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0.
    dim, gamma, q2 : float
        Dimension d > 0, contraction rate γ >= 0, noise intensity q² >= 0.

    Returns
    -------
    float
        E exp(−αT) in [0, 1]. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived, as for `mean_passage_time`. DLMF 13.4.4, 13.4.1 and 13.2.2; for γ = 0,
    DLMF 10.32.10 and 10.25.2.
    """
    alpha = number("alpha", alpha, low=0)
    start, core, dim, gamma, q2 = checked_process(rho2_start, rho2_core, dim, gamma, q2)
    if start == core:
        return 1.0
    if q2 == 0:
        time = leading_law(start, core, gamma=gamma)
        return math.exp(-alpha * time) if time < math.inf else 0.0
    inward, kappa = start > core, dim / 2
    if inward and core == 0 and dim >= 2:
        return 0.0
    if alpha == 0:
        transient = inward and gamma == 0 and dim > 2
        return (core / start) ** (kappa - 1) if transient else 1.0
    if gamma == 0:
        log_bessel, name, high = (
            _log_bessel_k if inward else _log_bessel_i,
            "alpha rho2/(2 q2)",
            1e24,
        )
        z_start, z_core = (dimensionless(name, alpha / 2 * v, q2, high=high) for v in (start, core))
        return math.exp(min(0.0, log_bessel(z_start, kappa) - log_bessel(z_core, kappa)))
    log_confluent, high = (_log_tricomi, 1e80) if inward else (_log_kummer, 1e12)
    a = dimensionless("alpha/(2 gamma)", alpha / 2, gamma, high=1e12)
    x_start, x_core = (
        dimensionless("gamma rho2/q2", gamma * v, q2, high=high) for v in (start, core)
    )
    return math.exp(min(0.0, log_confluent(a, kappa, x_start) - log_confluent(a, kappa, x_core)))


def _log_tricomi(a: float, b: float, x: float) -> float:
    """Logarithm of Γ(a) U(a, b, x) = ∫_0^∞ e^{−xt} t^{a−1} (1+t)^{b−a−1} dt, t = e^y (DLMF 13.4.4)."""

    def log_f(y: Array) -> Array:
        return a * y + (b - a - 1) * np.logaddexp(0, y) - x * np.exp(y)

    def slope(y: float) -> float:
        t = math.exp(y)
        return a + (b - a - 1) * t / (1 + t) - x * t

    return log_integral(log_f, slope, rise=a, fall=math.inf if x > 0 else 1 - b)


def _log_kummer(a: float, b: float, x: float) -> float:
    """Logarithm of M(a, b, x), up to a constant that does not depend on x.

    For a < b, ∫_0^1 e^{xt} t^{a−1} (1−t)^{b−a−1} dt with t = 1/(1+e^{−y}) (DLMF 13.4.1); else the
    series Σ (a)_n x^n / ((b)_n n!) (DLMF 13.2.2), whose terms then have a single maximum.
    """
    if a >= b:
        return _log_kummer_series(a, b, x)

    def log_f(y: Array) -> Array:
        return a * y - b * np.logaddexp(0, y) + x * expit(y)

    def slope(y: float) -> float:
        t, complement = _logistic(y)
        return a - b * t + x * t * complement

    return log_integral(log_f, slope, rise=a, fall=b - a)


def _log_kummer_series(a: float, b: float, x: float) -> float:
    if x == 0:
        return 0.0
    half = (x - b - 1) / 2
    largest = half + math.hypot(half, math.sqrt(a * x))  # (a+n) x = (b+n)(n+1), nearly

    def log_term(n: Array) -> Array:
        rising = gammaln(a + n) - gammaln(a) - gammaln(b + n) + gammaln(b)
        return np.asarray(rising + n * math.log(x) - gammaln(n + 1))

    return log_series(log_term, largest)


def _log_bessel_k(z: float, kappa: float) -> float:
    """Logarithm of 2 z^{−ν/2} K_ν(2√z) = ∫ exp(νy − e^{−y} − z e^y) dy, ν = κ−1 (DLMF 10.32.10)."""

    def log_f(y: Array) -> Array:
        return (kappa - 1) * y - np.exp(-y) - z * np.exp(y)

    def slope(y: float) -> float:
        return kappa - 1 + math.exp(-y) - z * math.exp(y)

    return log_integral(log_f, slope, fall=math.inf if z > 0 else 1 - kappa)


def _log_bessel_i(z: float, kappa: float) -> float:
    """Logarithm of Γ(κ) z^{−ν/2} I_ν(2√z) = Σ z^n / ((κ)_n n!), ν = κ−1 (DLMF 10.25.2)."""
    if z == 0:
        return 0.0

    def log_term(n: Array) -> Array:
        return np.asarray(n * math.log(z) - gammaln(kappa + n) + gammaln(kappa) - gammaln(n + 1))

    half = (kappa + 1) / 2
    return log_series(log_term, z / (half + math.sqrt(half**2 + z)))


def checked_process(
    rho2_start: float, rho2_core: float, dim: float, gamma: float, q2: float
) -> tuple[float, float, float, float, float]:
    return (
        number("rho2_start", rho2_start, low=0),
        number("rho2_core", rho2_core, low=0),
        number("dim", dim, low=1e-9, high=1e12),
        number("gamma", gamma, low=0),
        number("q2", q2, low=0),
    )


def dimensionless(name: str, over: float, under: float, *, high: float = 1e80) -> float:
    """Return a dimensionless parameter, refused where it leaves the range of the integrals."""
    value = over / under
    if over != 0 and not 1e-80 < value < high:
        raise ParameterError(name, value, f"0 or within 1e-80...{high:g}")
    return value


def _logistic(y: float) -> tuple[float, float]:
    """T = 1/(1+e^{−y}) and 1−t."""
    return 1 / (1 + math.exp(-y)), 1 / (1 + math.exp(y))


def _bose(z: float) -> float:
    """z/(e^z − 1), held at 0 where it underflows."""
    return z / math.expm1(z) if z < 700.0 else 0.0


def _log1mexp(z: Array) -> Array:
    """ln(1 − e^{−z})."""
    return np.asarray(np.log(-np.expm1(-z)))
