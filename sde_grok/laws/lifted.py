"""Rest of a margin with noise: how far gradient noise lifts the core (Theorem 2 on a margin).

On L = c ℓ(u), ℓ = e^{−u} and u = aρ^h, with the noise Σ = ℓ^{2w} σ²I of one example and the
preconditioner s = ℓ^w σ/√b that it makes, the radius on the reduced rung obeys in t = kη

    dρ = [(d−1)η/(2ρ) − Φ′(ρ)] dt + √η dB,    Φ′ = (λρ + L′(ρ))/s(ρ),

and rests with the density ρ^{d−1} e^{−2Φ/η}. Of w = 0, ½, 1 the noise is constant, as the loss, or as
the residual squared. For little noise its mean is, by Laplace's method,

    E ρ² = ρ_G² + (η/Φ″) [d − ½ − ρΦ‴/(2Φ″)] + O(η²),    Φ″ = λ h(u − p)/s,    p = (h−2)/h,

which for constant noise is Theorem 2's form with, k = h(u − p),

    c_G = (s/k) [d − 1 + k/2 − h²u/(2k)]    →    (dσ/2√b) · 2/k    for large d:

the noise floor, divided by the stiffness of the rest. Where noise falls with the loss the lift does
not go as η/λ: with ℓ = λρ²/(chu) at rest it goes as η λ^{w−1}, up to logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_simpson, simpson
from scipy.optimize import brentq

from sde_grok.checks import ParameterError, number
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.margin import margin_barrier, margin_radius

__all__ = ["lifted_radius", "margin_c_g"]

POINTS = 4001  # to either side of the mode
FALL = 45.0  # of the log density, beyond which it is left out
NARROW = 1e-7  # of a width over the mode: what it adds to the mode is less than rounding
OVERFLOW = 300.0  # e^{wu} is a float there

Array = NDArray[np.float64]


@elementwise
def lifted_radius(
    lam: float,
    *,
    rate: float,
    degree: float,
    scale: float,
    dim: float,
    eta: float,
    sigma: float,
    batch_size: float,
    noise_power: float = 0.0,
) -> float:
    """Mean squared norm E ρ² at rest on L = c e^{−aρ^h} with noise (see the module).

    Parameters
    ----------
    lam : float
        Coupled shrinkage λ > 0, up to `largest_shrinkage`.
    rate, degree, scale : float
        a, h and c, as for `largest_shrinkage`.
    dim : float
        Dimension d >= 1.
    eta : float
        Learning rate η > 0.
    sigma : float
        Standard deviation σ > 0 of one example's gradient in the centre, per coordinate.
    batch_size : float
        Batch size b > 0.
    noise_power : float
        w >= 0: the noise's standard deviation goes as ℓ^w.

    Returns
    -------
    float
        Squared parameter units. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or λ has no rest.

    Notes
    -----
    Claim `lifted-core`. Provenance: derived; the stationary density, integrated by Simpson's rule
    from the barrier of the flow without noise on: escapes into the centre are left out. Assumes noise-dominated v that
    follows its noise at once, as the reduced rung has it.
    """
    core = math.sqrt(margin_radius(lam, rate=rate, degree=degree, scale=scale))
    if core == 0:
        raise ParameterError(
            "lam", lam, "below the largest shrinkage, where the rest is the centre"
        )
    dim, eta = number("dim", dim, low=1), number("eta", eta, low=0, open_low=True)
    s = number("sigma", sigma, low=0, open_low=True) / math.sqrt(
        number("batch_size", batch_size, low=0, open_low=True)
    )
    w = number("noise_power", noise_power, low=0)

    def slope(rho: Array) -> Array:
        """Slope of the logarithm of the density."""
        u = rate * rho**degree
        force = lam * rho - scale * degree * u / rho * np.exp(-u)
        with np.errstate(over="ignore"):  # then the density has ended
            return (dim - 1) / rho - 2 / eta * force * np.exp(np.minimum(w * u, OVERFLOW)) / s

    mode = _mode(slope, core)
    width = _width(slope, mode, lam)
    if width < NARROW * mode:
        return mode * mode
    inner = (
        math.sqrt(margin_barrier(lam, rate=rate, degree=degree, scale=scale)) if degree > 2 else 0.0
    )
    low = _end(slope, mode, -width, max(inner, 1e-9 * mode))
    high = _end(slope, mode, width, math.inf)
    rho = np.concatenate([np.linspace(low, mode, POINTS), np.linspace(mode, high, POINTS)[1:]])
    log_density = cumulative_simpson(slope(rho), x=rho, initial=0)
    density = np.exp(log_density - log_density.max())
    return float(simpson(density * rho * rho, x=rho) / simpson(density, x=rho))


def _mode(slope: Callable[..., Any], core: float) -> float:
    """Most likely radius, from the rest without noise outwards."""
    far = core
    while slope(far) > 0:
        far *= 1.2
    return float(brentq(slope, core * (1 - 1e-9), far, rtol=1e-14)) if far > core else core


def _width(slope: Callable[..., Any], mode: float, lam: float) -> float:
    """Standard deviation of the radius about its mode, of the Gaussian that fits there."""
    step = 1e-5 * mode
    curvature = float(slope(mode - step) - slope(mode + step)) / (2 * step)
    if not curvature > 0:
        raise ParameterError("lam", lam, "so small that there is a rest that is stable with noise")
    return 1 / math.sqrt(curvature)


def _end(slope: Callable[..., Any], mode: float, step: float, limit: float) -> float:
    """Where the density has fallen by e^{−FALL}, in steps that double, or the limit."""
    here, fallen = mode, 0.0
    while fallen > -FALL:
        there = here + step
        if step < 0 and there <= limit:
            return limit
        x = np.linspace(here, there, 33)
        fallen += float(simpson(slope(x), x=x))
        here, step = there, 1.3 * step
    return here


@elementwise
def margin_c_g(
    lam: float,
    *,
    rate: float,
    degree: float,
    scale: float,
    dim: float,
    sigma: float,
    batch_size: float,
) -> float:
    """Coefficient c_G of Theorem 2 on a margin with constant noise (see the module).

        c_G = (s/k) [d − 1 + k/2 − h²u/(2k)],    s = σ/√b,    k = h(u − p).

    Parameters
    ----------
    lam, rate, degree, scale, dim, sigma, batch_size : float
        As for `lifted_radius`; λ below `largest_shrinkage`, where u = p.

    Returns
    -------
    float
        c_G, so that (η/λ) c_G is the lift where that is small. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or λ has no rest.

    Notes
    -----
    Provenance: derived, by Laplace's method. In many dimensions it is below `isotropic_c_g`, that of
    the flat landscape, where k > 2: the margin is stiff.
    """
    rho2 = margin_radius(lam, rate=rate, degree=degree, scale=scale)
    hu = degree * rate * rho2 ** (degree / 2)
    k = hu - (degree - 2)
    dim = number("dim", dim, low=1)
    s = number("sigma", sigma, low=0) / math.sqrt(
        number("batch_size", batch_size, low=0, open_low=True)
    )
    return s / k * (dim - 1 + k / 2 - degree * hu / (2 * k)) if k > 0 else math.inf
