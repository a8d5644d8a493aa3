"""Mean-field law of Adam with coupled shrinkage on a flat landscape: crossover, floor and memory.

Each coordinate x has, per optimizer step k, a mean that momentum and √v pull in, a variance c that
gradient noise feeds, and an Adam v that follows E h² = λ²(x² + c) with its own memory:

    dx/dk = −ηm/√v,                 dm/dk = (1−β₁)(λx − m),
    dc/dk = −2ηλc/√v + η²s²/v,      dv/dk = (1−β₂)(λ²(x² + c) + s² − v),     s = σ/√b,

from m = λx and v = λ²x² + s². These are the moment equations of the joint SDE with √v taken at the
mean. Without memory (β → 0) and noise they are the crossover law, for λx ≪ s the law limit.
Provenance: derived.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from sde_grok.checks import number
from sde_grok.laws.crossover import checked, half_normal
from sde_grok.laws.elementwise import elementwise

__all__ = ["mean_field_steps"]

Array = NDArray[np.float64]


@elementwise
def mean_field_steps(
    rho2_start: float,
    rho2_core: float,
    *,
    dim: float,
    eta: float,
    lam: float,
    sigma: float,
    batch_size: float,
    beta1: float,
    beta2: float,
) -> float:
    """Steps at which the mean of V = ρ² passes V*, with the memory of Adam's moments.

    The start is averaged over directions as in `direction_averaged_steps`. What this law adds to
    that one is the memory of v, 1/(1−β₂) steps, which delays the passage at large batch; the memory
    of m, which hastens it by some 1/(1−β₁) steps; and the noise floor.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0.
    dim : float
        Dimension d > 0.
    eta : float
        Learning rate η > 0.
    lam : float
        Coupled shrinkage λ >= 0.
    sigma : float
        Standard deviation σ > 0 of one example's gradient, per coordinate.
    batch_size : float
        Batch size b > 0.
    beta1, beta2 : float
        Decay of Adam's moments a step, in [0, 1).

    Returns
    -------
    float
        Number of optimizer steps; infinite if V* is not above the floor, at which the mean of V
        ends. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `reduced-rung`. Provenance: derived. The passage of the mean stands for the mean passage:
    relative error of order 1/d, measured against the
    joint rung at d = 128 as less than 0.1 % noise-dominated, and +0.2 to +0.3 % beyond.
    """
    start = number("rho2_start", rho2_start, low=0)
    core = number("rho2_core", rho2_core, low=0)
    dim = number("dim", dim, low=0, open_low=True)
    number("sigma", sigma, low=0, open_low=True)
    eta, lam, s = checked(eta, lam, sigma, batch_size)
    beta1 = number("beta1", beta1, low=0, high=1)
    beta2 = number("beta2", beta2, low=0, high=1)
    if start == core:
        return 0.0
    if start < core or not _above_floor(core / dim, eta=eta, lam=lam, s=s):
        return math.inf
    z, weight = half_normal()
    x_start = z * math.sqrt(start / dim)

    def slopes(_: float, state: Array) -> Array:
        x, m, c, v = state.reshape(-1, 4).T
        root = np.sqrt(v)
        rates = (
            -eta * m / root,
            (1 - beta1) * (lam * x - m),
            -2 * eta * lam * c / root + eta**2 * s**2 / v,
            (1 - beta2) * (lam**2 * (x**2 + c) + s**2 - v),
        )
        return np.ravel(rates, order="F")

    def excess(_: float, state: Array) -> float:
        x, _m, c, _v = state.reshape(-1, 4).T
        return float(np.sum(weight * (x**2 + c))) * dim / core - 1

    excess.terminal = True  # type: ignore[attr-defined]
    begin = (x_start, lam * x_start, 0 * x_start, (lam * x_start) ** 2 + s**2)
    largest = x_start[-1]
    scale = np.tile([largest, lam * largest, largest**2, s**2], z.size)
    path: Any = solve_ivp(
        slopes,
        (0, math.inf),
        np.ravel(begin, order="F"),
        events=excess,
        method="LSODA",
        rtol=1e-8,
        atol=1e-12 * scale,
        lband=3,  # coordinates do not see each other
        uband=3,
    )
    return float(path.t_events[0][0])


def _above_floor(y: float, *, eta: float, lam: float, s: float) -> bool:
    """Whether E x² falls at y: 2ηλy/√v > η²s²/v with v = λ²y + s²."""
    return 2 * lam * y * math.sqrt(lam**2 * y + s**2) > eta * s**2
