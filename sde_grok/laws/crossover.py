"""Crossover law: shrinkage through Adam between noise-dominated and sign-like contraction.

On a flat landscape with coupled decay each coordinate obeys, per optimizer step k,

    dx/dk = −ηλx / √(s² + λ²x²),   s = σ/√b,

in which the root is Adam's √v. For λx ≪ s the contraction is exponential, at the rate ηλ/s; for
λx ≫ s it is linear, one η a step whatever λ and b. Momentum, the memory of v, bias correction and
noise in x are left out. Provenance: derived.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from sde_grok.checks import number
from sde_grok.laws.elementwise import elementwise

__all__ = ["crossover_steps", "direction_averaged_steps"]

Array = NDArray[np.float64]


@elementwise
def crossover_steps(
    x_start: float, x_core: float, *, eta: float, lam: float, sigma: float, batch_size: float
) -> float:
    """Steps [F(x₀) − F(x*)]/η in which one coordinate shrinks from x₀ to x*.

    F(x) = (1/λ)[√(s²+λ²x²) − s artanh(s/√(s²+λ²x²))], with the limits (s/ηλ) ln(x₀/x*) for
    λx ≪ s and (x₀ − x*)/η for λx ≫ s.

    Parameters
    ----------
    x_start, x_core : float
        Coordinate at the start and at the end, x₀ and x* >= 0, in parameter units.
    eta : float
        Learning rate η > 0.
    lam : float
        Coupled shrinkage λ >= 0.
    sigma : float
        Standard deviation σ >= 0 of one example's gradient, per coordinate.
    batch_size : float
        Batch size b > 0.

    Returns
    -------
    float
        Number of optimizer steps; infinite if x* is never reached. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived; a noiseless, time-continuous law (see the module).
    """
    start = number("x_start", x_start, low=0)
    core = number("x_core", x_core, low=0)
    eta, lam, s = _checked(eta, lam, sigma, batch_size)
    if start == core:
        return 0.0
    if start < core or lam == 0 or (core == 0 and s > 0):
        return math.inf
    if s == 0:
        return (start - core) / eta
    log_ratio = math.log(start / core)
    return float(_steps(np.array(log_ratio), np.array(lam * start / s))) * s / (eta * lam)


def _steps(log_ratio: Array, u: Array) -> Array:
    """ηλ/s times the steps from x₀ to x₀e^{−ℓ}, ℓ = `log_ratio`, with u = λx₀/s.

    λF/s = r − artanh(1/r), r = √(1+u²); artanh(1/r) = ln((r+1)/u), so that the difference is
    (r₀ − r₁) + ℓ + ln((r₁+1)/(r₀+1)), and r₀ − r₁ = (u₀² − u₁²)/(r₀+r₁).
    """
    r_start, r_end = np.hypot(1, u), np.hypot(1, u * np.exp(-log_ratio))
    drop = -(u**2) * np.expm1(-2 * log_ratio) / (r_start + r_end)
    return np.asarray(drop + log_ratio + np.log1p(-drop / (r_start + 1)))


@elementwise
def direction_averaged_steps(
    rho2_start: float,
    rho2_core: float,
    *,
    dim: float,
    eta: float,
    lam: float,
    sigma: float,
    batch_size: float,
) -> float:
    """Steps k at which Σ xᵢ(k)² = V*, started in a random direction with Σ xᵢ(0)² = V₀.

    The start coordinates are taken as normal, N(0, V₀/d), and the sum as d times the mean over
    that law: for large d the direction is uniform, and the fluctuations vanish. The mean is a
    Gauss–Legendre rule of 200 nodes over 0 <= z <= 9 in the standard normal z.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0.
    dim : float
        Dimension d > 0.
    eta, lam, sigma, batch_size : float
        As for `crossover_steps`.

    Returns
    -------
    float
        Number of optimizer steps; infinite if V* is never reached. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived; relative error of order 1/d, besides the model's (see the module).
    """
    start = number("rho2_start", rho2_start, low=0)
    core = number("rho2_core", rho2_core, low=0)
    dim = number("dim", dim, low=0, open_low=True)
    eta, lam, s = _checked(eta, lam, sigma, batch_size)
    if start == core:
        return 0.0
    if start < core or core == 0 or lam == 0:
        return math.inf
    z, weight = _half_normal()
    x = z * math.sqrt(start / dim)

    def excess(k: float) -> float:
        fraction = np.exp(-2 * _shrinkage(x, k, eta=eta, lam=lam, s=s))
        return float(np.sum(weight * z**2 * fraction)) - core / start

    longest = math.log(start / core)
    last = eta and (x[-1] + s / lam * longest) / eta  # every coordinate is there by then
    return brentq(excess, 0.0, last, xtol=1e-12 * last, rtol=1e-12)
