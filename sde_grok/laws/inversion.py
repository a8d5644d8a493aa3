"""Law of a positive random variable T from its Laplace transform φ(α) = E e^{−αT}.

With a path from −i∞ to i∞ that keeps to the right of the singularities, and a law φ₀ that is known
in closed form,

    P(T > t) = P₀(T > t) + (1/2πi) ∫ e^{αt} (φ₀ − φ)/α dα,     f(t) = (1/2πi) ∫ e^{αt} φ dα.

Here φ₀ is the inverse Gaussian law of the same mean m and variance v, and the path a parabola, its
steepest descent: with k = √(mt/v) and c₀ = km/t,

    αt = (w² − k²)/2,  w = c + ir,      ln φ₀ = c₀(k − w),      |e^{αt} φ₀| ∝ e^{−r²/2},
    P₀(T > t) = Φ(c₀ − k) − e^{2kc₀} Φ(−c₀ − k).

For other laws e^{αt}φ falls off much like that, and the trapezoidal rule in r converges
exponentially where the singularities are on α <= 0: for sums and mixtures of exponential laws, sums
of scaled χ², first-passage times of diffusions. A narrow law is no harder than a broad one; where a
narrow and a broad one come together the path is made wider, and the sum longer.

Here c = k, which is α = 0 for r = 0; or 3, should k be less, to keep away from the singularities. In
the left tail the path starts further right, at the α₀ for which Chernoff's bound e^{αt}φ(α) on
P(T <= t) is least. It is twice as open there as that of the law tilted by e^{−α₀t}, and

    P(T <= t) = (1/2πi) ∫ e^{αt} φ/α dα.

Not for laws with jumps, but for one at 0: they make φ grow to the left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx, ndtr

from sde_grok.checks import ParameterError, number
from sde_grok.laws.elementwise import elementwise

__all__ = ["LogTransform", "density", "grouped", "log1p", "scaled_chi2", "survival"]

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
LogTransform = Callable[[Complex], Complex]

CLEARANCE = 3.0  # rounding errors grow by e^{9/2}
VERTICES = np.arange(25) / 2 * (1 + np.arange(25) / 5)  # right of the first: 0 ... 70
EARLY_OPENING = 2.0  # times that of the tilted law, which may be a narrow one and a broad one
RIGHT_TAIL = 200.0  # e^{−20000} there, e^{−40000} for an exponential law
NEGLIGIBLE = 40.0  # e^-40 = 4e-18
BANDWIDTH = 36.0  # 2π/step: errors of e^{−36δ}, with δ ≈ 1 the distance of the singularities
BLOCK = 54  # nodes: to r = 9.5, e^{−r²/2} = 3e-20, on the first path
FURTHEST = 160.0
GROWTH = 3.0  # of ln|e^{αt}φ|
WIDENINGS = 12


class _Path(NamedTuple):
    """The parabola αt = α₀t + (w² − c²)/2, w = c + ir."""

    start: float  # α₀t
    opening: float  # c
    early: bool  # t in the left tail
    k: float = 0.0
    saddle: float = 0.0  # c₀
    outcome: float | None = None  # P(T > t), where it is 0 or 1 to rounding

    def alpha_t(self, w: Complex) -> Complex:
        return self.start + (w - self.opening) * (w + self.opening) / 2


@elementwise
def survival(log_transform: LogTransform, time: float, *, mean: float, variance: float) -> float:
    """Probability P(T > t) by numerical inversion (see the module).

    Parameters
    ----------
    log_transform : callable
        ln φ(α) = ln E e^{−αT} for an array of complex α, Im α >= 0; the branch does not matter.
    time : float
        Time t >= 0.
    mean, variance : float
        Mean m > 0 and variance v > 0 of T, in units of t and t². They choose the path: a factor
        of 1.5 in v does no harm.

    Returns
    -------
    float
        P(T > t) in [0, 1]. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Absolute error, measured on exponential, gamma, χ² and inverse Gaussian laws, and on mixtures
    and sums of those: 1e-14, or 1e-16 m/√v if that is more, besides the errors of ln φ. Some 60 to
    200 values of φ are taken, more with (t − m)/√(vt/m); where that exceeds 200 the result is 0.
    """
    time = number("time", time, low=0)
    path = _path(log_transform, time, mean, variance)
    if path.outcome is not None:
        return path.outcome
    k, saddle = path.k, path.saddle

    def weighted(w: Complex, alpha_t: Complex, phi: Complex) -> Complex:
        if path.early:
            return np.asarray(-w / alpha_t * phi)
        k_less_w = -2 * alpha_t / (k + np.sqrt(k**2 + 2 * alpha_t))
        reference = np.exp(alpha_t + saddle * k_less_w)
        return np.asarray(w / alpha_t * (reference - phi))

    beyond = math.exp(-((saddle - k) ** 2) / 2) * erfcx((saddle + k) / math.sqrt(2)) / 2
    reference = 1.0 if path.early else float(ndtr(saddle - k) - beyond)
    probability = reference + _integral(weighted, log_transform, time, path)
    return float(np.clip(probability, 0.0, 1.0))


@elementwise
def density(log_transform: LogTransform, time: float, *, mean: float, variance: float) -> float:
    """Probability density f(t) by numerical inversion (see the module).

    Parameters
    ----------
    log_transform, time, mean, variance
        As for `survival`.

    Returns
    -------
    float
        f(t) >= 0 per unit of time, 0 at t = 0. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Absolute error that of `survival`, divided by the lesser of t and √v.
    """
    time = number("time", time, low=0)
    path = _path(log_transform, time, mean, variance)
    if path.outcome is not None:
        return 0.0

    total = _integral(lambda w, _, phi: w * phi, log_transform, time, path)
    return float(np.maximum(0.0, total / time))


def _path(log_transform: LogTransform, time: float, mean: float, variance: float) -> _Path:
    mean = number("mean", mean, low=0, open_low=True)
    variance = number("variance", variance, low=0, open_low=True)
    if time == 0:
        return _Path(math.inf, 0.0, early=True, outcome=1.0)
    k = math.sqrt(mean / variance * time)
    saddle = k * (mean / time)
    if saddle >= max(k + 1, CLEARANCE):
        return _early_path(log_transform, time, k)
    c = max(k, CLEARANCE)
    outcome = 0.0 if k - saddle > RIGHT_TAIL else None
    return _Path((c - k) * (c + k) / 2, c, early=False, k=k, saddle=saddle, outcome=outcome)


def _early_path(log_transform: LogTransform, time: float, k: float) -> _Path:
    """Through the least of Chernoff's bounds, as open as the integrand is wide there."""

    def log_bound(alpha_t: Array) -> Array:
        alpha = np.asarray(alpha_t / time, dtype=np.complex128)
        return np.asarray(alpha_t + log_transform(alpha).real)

    c = max(k + 1, CLEARANCE) + VERTICES
    trials = (c - k) * (c + k) / 2
    bounds = log_bound(trials)
    lowest = int(np.argmin(bounds))
    if bounds[lowest] < -NEGLIGIBLE:
        return _Path(math.inf, 0.0, early=True, outcome=1.0)
    start = float(trials[lowest])
    left, middle, right = log_bound(start * np.array([0.75, 1.0, 1.25]))
    curvature = max(0.0, float(left - 2 * middle + right)) / 0.25**2 + 1  # the 1 of 1/α; × α₀²
    opening = max(EARLY_OPENING * start / math.sqrt(curvature), CLEARANCE)
    return _Path(start, opening, early=True)


def _integral(
    weighted: Callable[[Complex, Complex, Complex], Complex],
    log_transform: LogTransform,
    time: float,
    path: _Path,
) -> float:
    """(1/π) Re ∫_0^∞ of weighted(w, αt, e^{αt}φ) over r, which is conjugate at −r.

    |e^{αt}φ| grows along a path that bends too much, where a narrow law and a broad one come
    together. Then a wider one is taken: straight up it is at most what it is at α₀.
    """
    if path.early:
        bandwidth = BANDWIDTH * max(1.0, path.opening / path.start)  # the pole is at 1/this
    else:
        bandwidth = BANDWIDTH + max(0.0, path.opening - path.saddle)  # the phase is e^{ir(c−c₀)}
    for wider in 2.0 ** np.arange(WIDENINGS):
        tried = path._replace(opening=path.opening * wider)
        total = _sum(weighted, log_transform, time, tried, 2 * math.pi / (bandwidth * wider))
        if total is not None:
            return total / math.pi
    return math.nan


def _sum(
    weighted: Callable[[Complex, Complex, Complex], Complex],
    log_transform: LogTransform,
    time: float,
    path: _Path,
    step: float,
) -> float | None:
    """Trapezoidal sum; None if e^{αt}φ grows along the path."""
    start = np.array([path.start / time], dtype=np.complex128)
    top = path.start + log_transform(start).real[0] if path.start > 0 else 0.0
    r = (np.arange(BLOCK) + 0.5) * step
    total = 0.0
    while r[0] < FURTHEST:
        w = np.asarray(path.opening + 1j * r, dtype=np.complex128)
        alpha_t = path.alpha_t(w)
        log_phi = alpha_t + log_transform(alpha_t / time)
        if not np.max(log_phi.real) < top + GROWTH:
            return None
        f = weighted(w, alpha_t, np.exp(log_phi))
        total += float(np.sum(f.real))
        if np.max(abs(f[-2:])) < 1e-17:
            break
        r = r + len(r) * step
    return total * step


def scaled_chi2(sizes: ArrayLike, variances: ArrayLike) -> LogTransform:
    """Log-transform ln φ(α) = −Σ (p_j/2) ln(1 + 2ασ_j²) of the sum Σ σ_j² χ²_{p_j}.

    Parameters
    ----------
    sizes : iterable of float
        Degrees of freedom p_j > 0.
    variances : float or iterable of float
        Scales σ_j² >= 0, one for all or one each.

    Returns
    -------
    callable
        ln φ of an array of complex α, for `survival` and `density`. The mean is Σ p_j σ_j² and the
        variance Σ 2 p_j σ_j⁴.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or the number of variances is not that of the sizes.

    Notes
    -----
    Provenance: standard. Parts of equal variance are taken together.
    """
    p = np.array([number("sizes", size, low=0, open_low=True) for size in np.ravel(sizes).tolist()])
    given = np.array(
        [number("variances", variance, low=0) for variance in np.ravel(variances).tolist()]
    )
    if given.size not in (1, p.size):
        raise ParameterError("variances", variances, f"one number, or {p.size}")
    total, sigma2 = grouped(p, np.broadcast_to(given, p.shape))
    half = total / 2

    def log_transform(alpha: Complex) -> Complex:
        return np.asarray(-log1p(2 * alpha[..., None] * sigma2) @ half)

    return log_transform


def grouped(sizes: Array, variances: Array) -> tuple[Array, Array]:
    """Return the different variances, and before them the total size of each."""
    scales, group = np.unique(variances, return_inverse=True)
    return np.asarray(np.bincount(group, weights=sizes), dtype=np.float64), scales


def log1p(z: Complex) -> Complex:
    """Return ln(1 + z), to rounding for small complex z too (which `numpy.log1p` is not)."""
    small = np.where(abs(z) < 1, z, 0)
    real = np.log1p(small.real * (2 + small.real) + small.imag**2) / 2
    real = np.where(abs(z) < 1, real, np.log(abs(1 + z)))
    return np.asarray(real + 1j * np.arctan2(z.imag, 1 + z.real))
