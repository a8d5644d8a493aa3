"""Radii of the memorization shell and of the generalization core (Theorems 1 and 2).

Theorem 1 expands ρ_M² in powers of η/b, Theorem 2 ρ_G² in powers of η/λ. Both forms are claimed by
arXiv 2606.30388, as reported second-hand; their coefficients are not given there. Here they are
fitted, or derived in two models: the noise floor of the flat landscape for c_G, and for c_M a
quadratic landscape of which everything is known.

The quadratic landscape has the loss ½h|x|² in n directions x, counts as memorized once
|x|² <= X_M, and is flat in the other d − n directions y. With a constant preconditioner s,

    dx = −g x dt + q dB,   dy = −γ y dt + q dB',   q² = (η/b) σ²/s²,

started at |x|² = X₀ > X_M and |y|² = Y₀. Then τ, the first time at |x|² = X_M, does not depend on
y, and with φ(α) = E e^{−ατ},

    E ρ_M² = X_M + Y₀ φ(2γ) + (d−n)(q²/2γ)(1 − φ(2γ)).

Noise widens the flat directions meanwhile and changes the time in which they shrink.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sde_grok.checks import ParameterError, choice, number
from sde_grok.dual import expm1, sqrt
from sde_grok.laws.elementwise import elementwise, elementwise_fields
from sde_grok.laws.passage import laplace_transform, mean_passage_time

__all__ = [
    "MemorizationCoefficients",
    "RadiusFit",
    "fit_memorization_radius",
    "generalization_radius",
    "isotropic_c_g",
    "memorization_minimum",
    "memorization_radius",
    "quadratic_memorization_coefficients",
    "quadratic_memorization_radius",
]

Array = NDArray[np.float64]


class MemorizationCoefficients(NamedTuple):
    """(ρ_M⁽⁰⁾)², c_M and c_M⁽²⁾ of Theorem 1, in squared parameter units (times b/η, b²/η²)."""

    rho2_zero: float
    c_m: float
    c_m2: float


class RadiusFit(NamedTuple):
    """The three coefficients of Theorem 1 as fitted, and their 3 × 3 covariance."""

    rho2_zero: float
    c_m: float
    c_m2: float
    covariance: Array


@elementwise
def memorization_radius(
    *, eta: float, batch_size: float, rho2_zero: float, c_m: float, c_m2: float = 0.0
) -> float:
    """Theorem 1: ρ_M² = (ρ_M⁽⁰⁾)² + (η/b) c_M + (η/b)² c_M⁽²⁾.

    Parameters
    ----------
    eta : float
        Learning rate η >= 0.
    batch_size : float
        Batch size b > 0.
    rho2_zero : float
        Squared radius (ρ_M⁽⁰⁾)² >= 0 without noise.
    c_m, c_m2 : float
        Coefficients c_M and c_M⁽²⁾, of either sign.

    Returns
    -------
    float
        Squared radius; where the expansion does not hold, it may be negative. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: claimed by arXiv 2606.30388, as reported second-hand, up to O((η/b)³).
    """
    u = number("eta", eta, low=0) / number("batch_size", batch_size, low=0, open_low=True)
    rho2_zero = number("rho2_zero", rho2_zero, low=0)
    return rho2_zero + u * number("c_m", c_m) + u * u * number("c_m2", c_m2)


@elementwise
def memorization_minimum(*, c_m: float, c_m2: float) -> float:
    """Ratio η/b = |c_M|/(2c_M⁽²⁾) at which Theorem 1 has its minimum.

    Parameters
    ----------
    c_m, c_m2 : float
        Coefficients c_M and c_M⁽²⁾.

    Returns
    -------
    float
        η/b; nan unless c_M < 0 < c_M⁽²⁾: without that there is no U. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is not a finite number.

    Notes
    -----
    Claim `u-shape`. Provenance: claimed by arXiv 2606.30388, as reported second-hand.
    """
    c_m, c_m2 = number("c_m", c_m), number("c_m2", c_m2)
    return -c_m / (2 * c_m2) if c_m < 0 < c_m2 else math.nan


def fit_memorization_radius(
    eta_over_b: ArrayLike, rho2: ArrayLike, stderr: ArrayLike | None = None
) -> RadiusFit:
    """Fit Theorem 1 to measured radii by weighted least squares.

    Parameters
    ----------
    eta_over_b : (n,) array_like
        Ratios η/b >= 0, at least three of them different.
    rho2 : (n,) array_like
        Squared radii ρ_M² measured there.
    stderr : (n,) array_like, optional
        Their standard errors, > 0. If not given, they are taken as all the same and estimated from
        the scatter about the fit.

    Returns
    -------
    RadiusFit
        The coefficients and their covariance; nan if there are three points and no `stderr`.

    Raises
    ------
    ParameterError
        If the arrays do not match or hold something out of range.
    """
    x, y = _column("eta_over_b", eta_over_b), _column("rho2", rho2)
    weight = np.ones_like(x) if stderr is None else 1 / _column("stderr", stderr, open_low=True)
    if not x.shape == y.shape == weight.shape:
        raise ParameterError("rho2", np.asarray(rho2), f"one number for each of {x.size} points")
    if np.unique(x).size < 3:
        raise ParameterError("eta_over_b", x, "at least three different numbers")
    scale = float(x.max()) ** np.arange(3)
    q, r = np.linalg.qr(weight[:, None] * x[:, None] ** np.arange(3) / scale)
    coefficients = np.linalg.solve(r, q.T @ (weight * y))
    inverse = np.linalg.inv(r)
    covariance = inverse @ inverse.T
    if stderr is None:
        residual = y - (x[:, None] ** np.arange(3) / scale) @ coefficients
        freedom = x.size - 3
        covariance *= float(residual @ residual) / freedom if freedom else math.nan
    rho2_zero, c_m, c_m2 = (coefficients / scale).tolist()
    return RadiusFit(rho2_zero, c_m, c_m2, covariance / np.outer(scale, scale))


def _column(field: str, values: ArrayLike, *, open_low: bool = False) -> Array:
    column = np.asarray(values)
    if column.ndim != 1:
        raise ParameterError(field, column, "an array of one dimension")
    return np.array([number(field, v, low=0, open_low=open_low) for v in column.tolist()])


@elementwise
def generalization_radius(*, eta: float, lam: float, rho2_zero: float, c_g: float) -> float:
    """Theorem 2: ρ_G² = (ρ_G⁽⁰⁾)² + (η/λ) c_G.

    Parameters
    ----------
    eta : float
        Learning rate η >= 0.
    lam : float
        Shrinkage λ > 0.
    rho2_zero : float
        Squared radius (ρ_G⁽⁰⁾)² >= 0 without noise.
    c_g : float
        Coefficient c_G, of either sign; `isotropic_c_g` in the isotropic model.

    Returns
    -------
    float
        Squared radius; where the expansion does not hold, it may be negative. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: claimed by arXiv 2606.30388, as reported second-hand, up to O(η²/λ²) and with
    c_G = O(1/√b).
    """
    u = number("eta", eta, low=0) / number("lam", lam, low=0, open_low=True)
    return number("rho2_zero", rho2_zero, low=0) + u * number("c_g", c_g)


@elementwise
def isotropic_c_g(*, dim: float, sigma: float, batch_size: float, decay: str = "coupled") -> float:
    """Coefficient c_G = dσ/(2√b) of Theorem 2 in the isotropic model; d/2 for decoupled decay.

    Parameters
    ----------
    dim : float
        Dimension d > 0.
    sigma : float
        Standard deviation σ >= 0 of one example's gradient, per coordinate.
    batch_size : float
        Batch size b > 0.
    decay : {"coupled", "decoupled"}
        Decoupled decay makes c_G free of σ and b.

    Returns
    -------
    float
        c_G, so that (η/λ) c_G is the noise floor. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `theorem-2`. Provenance: derived. The floor V_∞ = dq²/(2γ) of the radial rung in the
    noise-dominated regime, q² = η, γ = λ√b/σ (coupled) or λ (decoupled); the core is taken as the
    floor above (ρ_G⁽⁰⁾)².
    """
    dim = number("dim", dim, low=0, open_low=True)
    sigma = number("sigma", sigma, low=0)
    b = number("batch_size", batch_size, low=0, open_low=True)
    coupled = choice("decay", decay, ("coupled", "decoupled")) == "coupled"
    return dim * sigma / (2 * sqrt(b)) if coupled else dim / 2


@elementwise
def quadratic_memorization_radius(
    x2_start: float,
    x2_core: float,
    *,
    y2_start: float,
    fitted_dim: float,
    dim: float,
    fitted_rate: float,
    gamma: float,
    noise: float,
    eta: float,
    batch_size: float,
) -> float:
    """Mean squared radius E ρ_M² at memorization on the quadratic landscape (see the module).

    Parameters
    ----------
    x2_start, x2_core : float
        X₀ and X_M, squares of the distance |x| at the start and at memorization, X₀ >= X_M > 0.
    y2_start : float
        Y₀ >= 0, squared radius of the flat directions at the start.
    fitted_dim, dim : float
        Number n > 0 of the directions with loss, and of all, d >= n.
    fitted_rate : float
        Contraction rate g > 0 in those with loss: (h + λ)/s with coupled decay.
    gamma : float
        Contraction rate γ >= 0 in the flat ones: λ/s with coupled decay.
    noise : float
        Noise intensity per unit of η/b, σ²/s² >= 0.
    eta, batch_size : float
        Learning rate η >= 0 and batch size b > 0.

    Returns
    -------
    float
        E ρ_M² in squared parameter units. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claims `theorem-1`, `eta-over-b`. Provenance: derived; exact for the model, but for the rounding of 1 − φ, of
    order 1e-13/(γτ). Assumes a constant s. For s = σ/√b, c_M is O(√b), and the expansion one in
    η/√b.
    """
    given = _landscape(x2_start, x2_core, y2_start, fitted_dim, dim, fitted_rate, gamma)
    x_start, x_core, y_start, n, d, g, gamma = given
    u = number("eta", eta, low=0) / number("batch_size", batch_size, low=0, open_low=True)
    q2 = u * number("noise", noise, low=0)
    if gamma == 0:
        growth = q2 * mean_passage_time(x_start, x_core, dim=n, gamma=g, q2=q2)
        return x_core + y_start + (d - n) * growth
    phi = laplace_transform(2 * gamma, x_start, x_core, dim=n, gamma=g, q2=q2)
    return x_core + y_start * phi + (d - n) * q2 / (2 * gamma) * (1 - phi)


@elementwise_fields
def quadratic_memorization_coefficients(
    x2_start: float,
    x2_core: float,
    *,
    y2_start: float,
    fitted_dim: float,
    dim: float,
    fitted_rate: float,
    gamma: float,
    noise: float,
) -> MemorizationCoefficients:
    """Coefficients of Theorem 1 on the quadratic landscape: E ρ_M² to second order in η/b.

    With κ = n/2, a = γ/g, A₁ = a(a−κ+1) and A₂ = a(a+1)(a−κ+1)(a−κ+2)/2,

        φ(2γ) = φ₀ [1 + A₁Δ₁ q²/g + (A₁²Δ₁/X_M − A₂Δ₂) (q²/g)² + …],   φ₀ = (X_M/X₀)^a,
        Δ₁ = 1/X_M − 1/X₀,   Δ₂ = 1/X_M² − 1/X₀².

    Parameters
    ----------
    x2_start, x2_core, y2_start, fitted_dim, dim, fitted_rate, gamma, noise : float
        As for `quadratic_memorization_radius`.

    Returns
    -------
    MemorizationCoefficients
        What `memorization_radius` takes. Arrays broadcast, and make them arrays.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived; DLMF 13.7.3. A small-noise expansion, asymptotic, in n q²/(g X_M).
    (ρ_M⁽⁰⁾)² − X_M = Y₀ φ₀ falls as e^{−O(λ)}, as Theorem 1 claims. c_M < 0 needs noise to delay
    memorization, n/2 > 1 + a, and Y₀ large. The U needs c_M⁽²⁾ > 0, too. With loss in all n
    directions a < 1; then c_M⁽²⁾ is largest where c_M passes 0, and is positive there only for
    n/2 < 1 + a + (1+a)(1+r)/|f|, f = a − 1 − (1+a)r + 2a r^a (1−r)/(1−r^a), r = X_M/X₀. So the
    U of this expansion occurs in a window of Y₀ and n; the exact curve may also have its minimum
    far beyond the expansion.
    """
    given = _landscape(x2_start, x2_core, y2_start, fitted_dim, dim, fitted_rate, gamma)
    x_start, x_core, y_start, n, d, g, gamma = given
    unit = number("noise", noise, low=0)
    a, bracket = gamma / g, gamma / g - n / 2 + 1
    a1, a2 = a * bracket, a * (a + 1) * bracket * (bracket + 1) / 2
    delta1, delta2 = 1 / x_core - 1 / x_start, 1 / x_core / x_core - 1 / x_start / x_start
    log_ratio = math.log(x_start / x_core)
    phi0 = math.exp(-a * log_ratio)
    decay_time = -expm1(-a * log_ratio) / (2 * gamma) if gamma > 0 else log_ratio / (2 * g)
    c_m = y_start * phi0 * a1 * delta1 / g + (d - n) * decay_time
    c_m2 = y_start * phi0 * (a1 * a1 * delta1 / x_core - a2 * delta2) / g / g
    c_m2 -= (d - n) * phi0 * bracket * delta1 / (2 * g) / g
    return MemorizationCoefficients(x_core + y_start * phi0, unit * c_m, unit * unit * c_m2)


def _landscape(
    x2_start: float,
    x2_core: float,
    y2_start: float,
    fitted_dim: float,
    dim: float,
    fitted_rate: float,
    gamma: float,
) -> tuple[float, float, float, float, float, float, float]:
    """Return X₀, X_M, Y₀, n, d, g and γ."""
    x_core = number("x2_core", x2_core, low=0, open_low=True)
    n = number("fitted_dim", fitted_dim, low=0, open_low=True)
    return (
        number("x2_start", x2_start, low=x_core),
        x_core,
        number("y2_start", y2_start, low=0),
        n,
        number("dim", dim, low=n),
        number("fitted_rate", fitted_rate, low=0, open_low=True),
        number("gamma", gamma, low=0),
    )
