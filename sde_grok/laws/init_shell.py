"""The initialisation shell: the law of ρ² = ‖θ‖² for independent random entries.

A parameter vector of k independent sub-vectors (neurons), the j-th of p_j entries with mean 0 and
variance σ_j², has ρ² with mean Σ p_j σ_j² and variance (μ₄ − 1) Σ p_j σ_j⁴, where μ₄ is the fourth
moment of an entry in units of σ_j⁴: 3 for normal, 9/5 for uniform entries.

LeCun scaling σ_j² = 1/p_j makes the mean k and, for normal entries, the standard deviation
√(2k/p̃), p̃ the harmonic mean of the p_j: the shell of radius O(k) and thickness O(√(k/p̃)), both
in ρ², that arXiv 2606.30388 claims (as reported second-hand). Provenance of the moments: derived.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import erf

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.laws.inversion import grouped, scaled_chi2, survival

__all__ = ["init_shell_mean", "init_shell_quantile", "init_shell_sd"]

Array = NDArray[np.float64]

BLOCK, LAST_FREQUENCY = 512, 2**20
FOURTH_MOMENT: Final = {"normal": 3.0, "uniform": 9 / 5}


def init_shell_mean(sizes: ArrayLike, variances: ArrayLike) -> float:
    """Mean Σ p_j σ_j² of the squared radius ρ² at initialisation.

    Parameters
    ----------
    sizes : sequence of int
        Sizes p_j >= 1 of the independent sub-vectors.
    variances : float or sequence of float
        Variances σ_j² >= 0 of their entries, in squared parameter units: one for all, or one each.

    Returns
    -------
    float
        Mean of ρ² in squared parameter units.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or the number of variances is not that of the sizes.

    Notes
    -----
    Claim `nesting`. Provenance: derived. Holds whatever the law of the entries, for mean 0.
    """
    p, sigma2 = _checked(sizes, variances)
    return float(np.sum(p * sigma2))


def init_shell_sd(sizes: ArrayLike, variances: ArrayLike, *, entries: str = "normal") -> float:
    """Standard deviation √[(μ₄ − 1) Σ p_j σ_j⁴] of the squared radius ρ² at initialisation.

    Parameters
    ----------
    sizes, variances
        As for `init_shell_mean`.
    entries : {"normal", "uniform"}
        Law of the entries, both with mean 0: μ₄ = 3 or 9/5.

    Returns
    -------
    float
        Standard deviation of ρ² in squared parameter units.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or the number of variances is not that of the sizes.

    Notes
    -----
    Claim `init-shell`. Provenance: derived; exact for independent entries.
    """
    p, sigma2 = _checked(sizes, variances)
    mu4 = FOURTH_MOMENT[choice("entries", entries, tuple(FOURTH_MOMENT))]
    return float(np.sqrt((mu4 - 1) * np.sum(p * sigma2**2)))


def init_shell_quantile(
    level: ArrayLike, sizes: ArrayLike, variances: ArrayLike, *, entries: str = "normal"
) -> float | Array:
    """Squared radius ρ² that an initialisation stays below with probability `level`.

    Normal entries make ρ² = Σ σ_j² χ²_{p_j}, of Laplace transform Π (1 + 2ασ_j²)^{−p_j/2}, which is
    inverted along a path of steepest descent. Uniform entries make ρ² bounded; its characteristic
    function, a product of error functions, is summed on a grid (Davies, Biometrika 60, 1973).

    Parameters
    ----------
    level : float or array_like
        Probabilities in (0, 1).
    sizes, variances
        As for `init_shell_mean`; not all variances 0.
    entries : {"normal", "uniform"}
        Law of the entries, both with mean 0; uniform ones must be four of about the same variance,
        or more.

    Returns
    -------
    float or array
        Quantiles in squared parameter units, of the shape of `level`.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or the number of variances is not that of the sizes.

    Notes
    -----
    Provenance: derived; standard methods. The error is that of the probability, 1e-12.
    """
    levels = [number("level", x, low=0, high=1, open_low=True) for x in np.ravel(level).tolist()]
    p, sigma2 = _checked(sizes, variances)
    mean, sd = init_shell_mean(p, sigma2), init_shell_sd(p, sigma2, entries=entries)
    if sd == 0:
        raise ParameterError("variances", variances, "> 0, at least one of them")
    low, high = max(0.0, mean - 38 * sd), mean + 38 * sd
    if entries == "normal":
        above: Callable[[float], Any] = partial(
            survival, scaled_chi2(p, sigma2), mean=mean, variance=sd**2
        )
        while above(high) > 1 - max(levels):
            high *= 2
    else:
        above = _uniform_survival(p, sigma2, sd)
    quantiles = [
        brentq(lambda rho2, x=x: above(rho2) - (1 - x), low, high, xtol=1e-300, rtol=1e-13)
        for x in levels
    ]
    return np.reshape(quantiles, np.shape(level)) if np.ndim(level) else float(quantiles[0])


def _uniform_survival(p: Array, sigma2: Array, sd: float) -> Callable[[float], float]:
    """P(ρ² > t) = ½ + Σ Im[ψ(ω_k) e^{−iω_k t}]/(π(k+½)), ω_k = (k+½) Δ, ψ(ω) = E e^{iωρ²}.

    With Δ = 2π over 80 standard deviations nothing is left out, for t within 38 of them from the
    mean, but the ω_k beyond which ψ is negligible: |ψ| falls as ω^{−p/2}.
    """
    unit = 2 * np.pi / (80 * sd)
    random = sigma2 > 0
    powers, scales = grouped(p[random], sigma2[random])
    blocks = []
    for first in range(0, LAST_FREQUENCY, BLOCK):
        k = np.arange(first, first + BLOCK) + 0.5
        z = np.sqrt(-3j * unit * k[:, None] * scales)
        log_psi = np.log(np.sqrt(np.pi) / 2 * erf(z) / z) @ powers
        blocks.append((unit * k, np.exp(log_psi) / (np.pi * k)))
        if abs(blocks[-1][1][-1]) < 1e-15:
            break
    else:
        raise ParameterError(
            "sizes", p.tolist(), "four or more uniform entries of about the same variance"
        )
    omega, psi = np.concatenate(blocks, axis=1)
    return lambda t: 0.5 + float(np.sum((psi * np.exp(-1j * omega * t)).imag))


def _checked(sizes: ArrayLike, variances: ArrayLike) -> tuple[Array, Array]:
    given_sizes, given_variances = np.ravel(np.asarray(sizes)), np.ravel(np.asarray(variances))
    p = [float(integer("sizes", size, low=1)) for size in given_sizes.tolist()]
    sigma2 = [number("variances", variance, low=0) for variance in given_variances.tolist()]
    if not p:
        raise ParameterError("sizes", sizes, "at least one integer >= 1")
    if len(sigma2) not in {1, len(p)}:
        raise ParameterError(
            "variances", variances, f"one number, or one for each of {len(p)} sizes"
        )
    return np.array(p), np.broadcast_to(np.array(sigma2), len(p))
