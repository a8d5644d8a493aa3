"""A linear student beside its teacher, in the eigenbasis of the examples that it has seen.

Of n < d examples x with isotropic Gaussian features of variance 1, the covariance Σ xxᵀ/n has d − n
eigenvalues 0, and n that are spread as the law of Marchenko and Pastur has it. With r = √(n/d),

    h(φ) = (1 + r² − 2r cos φ)/r²,    dF/dφ = (2/π) sin²φ/(1 + r² − 2r cos φ),    0 <= φ <= π,
    F(φ) = {φ + r sin φ − (1/r² − 1)[arctan(r sin φ/(1 − r cos φ)) − r sin φ]}/π,

where F is the fraction of the n below h(φ). Marchenko & Pastur, Mat. Sb. 72 (1967) 507, is the source;
the angle makes their density, ∝ √((h₊ − h)(h − h₋))/h, one that is smooth and has an elementary integral.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from sde_grok.checks import integer, number
from sde_grok.landscapes.landscape import Landscape
from sde_grok.landscapes.quadratic import quadratic

__all__ = ["linear_student", "student_curvatures"]


def linear_student(dim: int, examples: int, *, teacher: float = 1.0) -> Landscape:
    """Losses of linear regression on fewer examples than parameters, without noise in the labels.

    L = ½ Σ hᵢ (θᵢ − tᵢ)², with hᵢ of `student_curvatures`, is half the mean square error on the
    examples, and ½ ‖θ − t‖² that on new ones. Nothing but shrinkage moves the d − n coordinates that
    the examples do not span, and it leads them to 0, where the test loss is ½ (1 − n/d) ‖t‖²: one that
    is to be reached must be larger.

    Parameters
    ----------
    dim : int
        Parameters d >= 2.
    examples : int
        Examples n, 1 <= n < d.
    teacher : float
        Norm ‖t‖ >= 0, spread evenly: tᵢ = ‖t‖/√d.

    Returns
    -------
    Landscape
        Its first n coordinates are those that the examples span.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """
    curvatures = student_curvatures(dim, examples)
    centre = number("teacher", teacher, low=0) / math.sqrt(curvatures.size)
    return quadratic(curvatures, centre, test_curvatures=np.ones(curvatures.size))


def student_curvatures(dim: int, examples: int) -> NDArray[np.float64]:
    """Eigenvalues hᵢ of the examples' covariance, typical ones: quantiles of their law.

    Parameters
    ----------
    dim, examples : int
        As of `linear_student`.

    Returns
    -------
    (d,) array
        h(φᵢ) with F(φᵢ) = (i − ½)/n for i = 1 … n, ascending (see the module), then d − n zeros.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """
    d = integer("dim", dim, low=2)
    n = integer("examples", examples, low=1, high=d - 1)
    r = math.sqrt(n / d)
    phi = [brentq(_excess, 0.0, math.pi, args=(r, (i + 0.5) / n), xtol=1e-14) for i in range(n)]
    seen = (1 + r * r - 2 * r * np.cos(phi)) / (r * r)
    return np.concatenate([seen, np.zeros(d - n)])


def _excess(phi: float, r: float, fraction: float) -> float:
    """F(φ) less a fraction."""
    sine = r * math.sin(phi)
    below = phi + sine - (1 / r**2 - 1) * (math.atan2(sine, 1 - r * math.cos(phi)) - sine)
    return below / math.pi - fraction
