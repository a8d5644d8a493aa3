"""The initialisation shell: the law of ρ² = ‖θ‖² for independent random entries.

A parameter vector of k independent sub-vectors (neurons), the j-th of p_j entries with mean 0 and
variance σ_j², has ρ² with mean Σ p_j σ_j² and variance (μ₄ − 1) Σ p_j σ_j⁴, where μ₄ is the fourth
moment of an entry in units of σ_j⁴: 3 for normal, 9/5 for uniform entries.

LeCun scaling σ_j² = 1/p_j makes the mean k and, for normal entries, the standard deviation
√(2k/p̃), p̃ the harmonic mean of the p_j: the shell of radius O(k) and thickness O(√(k/p̃)), both
in ρ², that arXiv 2606.30388 claims (as reported second-hand). Provenance of the moments: derived.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sde_grok.checks import ParameterError, choice, integer, number

__all__ = ["init_shell_mean", "init_shell_sd"]

Array = NDArray[np.float64]

FOURTH_MOMENT: Final = {"normal": 3.0, "uniform": 9 / 5}


def init_shell_mean(sizes: ArrayLike, variances: ArrayLike) -> float:
    """Mean Σ p_j σ_j² of the squared radius ρ² at initialisation.

    Parameters
    ----------
    sizes : iterable of int
        Sizes p_j >= 1 of the independent sub-vectors.
    variances : float or iterable of float
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
    Provenance: derived; exact for independent entries.
    """
    p, sigma2 = _checked(sizes, variances)
    mu4 = FOURTH_MOMENT[choice("entries", entries, tuple(FOURTH_MOMENT))]
    return float(np.sqrt((mu4 - 1) * np.sum(p * sigma2**2)))


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
    return np.array(p), np.array(sigma2)
