"""Participation ratio: how many directions a covariance has, weighted by their variance."""

from __future__ import annotations

from sde_grok.checks import number
from sde_grok.laws.elementwise import elementwise

__all__ = ["participation_ratio"]


@elementwise
def participation_ratio(total: float, square: float) -> float:
    """(tr Σ)²/tr Σ²: d for an isotropic Σ in d dimensions, less for any other, 1 for rank one.

    Parameters
    ----------
    total : float
        tr Σ > 0.
    square : float
        tr Σ² > 0; with Σ (Σᵢᵢ)² in its place it is the ratio of the diagonal.

    Returns
    -------
    float
        Number of directions. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `isotropic-noise`. Provenance: standard; by Cauchy and Schwarz it is at most the rank of Σ,
    which for the gradients of n examples about their mean is n − 1 at most. The largest eigenvalue is
    at least tr Σ over the ratio.
    """
    total = number("total", total, low=0, open_low=True)
    return total**2 / number("square", square, low=0, open_low=True)
