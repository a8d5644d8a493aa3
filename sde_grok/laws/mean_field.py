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

from sde_grok.checks import ParameterError, number
from sde_grok.laws.crossover import checked, direction_averaged_steps, half_normal
from sde_grok.laws.elementwise import elementwise

__all__ = ["mean_field_steps"]

Array = NDArray[np.float64]

FASTEST = 1e4
STRONGEST = 1e5
MOST_EVALUATIONS = 50_000
MEMORY = "such that 1/(1 − beta1) steps are a short memory of the passage"


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
        Decay of Adam's moments a step, in [0, 1); memories of many passages are beyond the method.

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
    relative error of order 1/d at fixed V*/V_∞ > 1; near the floor fluctuations pass first, and the
    law is late (`matched_steps` is not). Measured against the joint rung at d = 128, λρ₀/(s√d) = 0.1, 0.5, 1
    and 6.3: −0.01, +0.17, +0.27 and +0.31 %, ± 0.02 %. A memory below 1e-4 of the passage is left
    out, and noise below 1e-5 of the pull is taken as that.
    """
    from scipy.integrate import solve_ivp  # noqa: PLC0415  (a twentieth of a second)

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
    unit: float = direction_averaged_steps(
        start, core, dim=dim, eta=eta, lam=lam, sigma=sigma, batch_size=batch_size
    )
    if unit == math.inf:
        return math.inf
    rate_m, rate_v = (1 - beta1) * unit, (1 - beta2) * unit
    z, weight = half_normal()
    x_largest = float(z[-1]) * math.sqrt(start / dim)
    s = max(s, lam * x_largest / STRONGEST)
    pull, speed = lam * x_largest / s, eta * unit * lam / s
    noise = (eta / x_largest) ** 2 * unit
    goal = core / dim / x_largest**2
    evaluations = 0

    def slopes(_: float, state: Array) -> Any:
        """Of x, m/λ and c in units of the largest x, and ln(v/s²), over k in `unit`s."""
        nonlocal evaluations
        evaluations += 1
        if evaluations > MOST_EVALUATIONS:
            raise ParameterError("beta1", beta1, MEMORY)
        x, m, c, log_v = state.reshape(-1, 4).T
        mean_v = pull**2 * (x**2 + c) + 1
        m, dm = (m, rate_m * (x - m)) if rate_m < FASTEST else (x, 0 * x)
        v = np.exp(log_v) if rate_v < FASTEST else mean_v
        root = np.sqrt(v)
        rates = (
            -speed * m / root,
            dm,
            -2 * speed * c / root + noise / v,
            min(rate_v, FASTEST) * (mean_v / v - 1),
        )
        return np.ravel(rates, order="F")

    def excess(_: float, state: Array) -> float:
        x, _m, c, _log_v = state.reshape(-1, 4).T
        return float(np.sum(weight * (x**2 + c))) / goal - 1

    excess.terminal = True  # type: ignore[attr-defined]
    x = z / z[-1]
    path: Any = solve_ivp(
        slopes,
        (0, math.inf),
        np.ravel((x, x, 0 * x, np.log1p((pull * x) ** 2)), order="F"),
        events=excess,
        method="LSODA",
        rtol=1e-8,
        atol=1e-12,
        lband=3,  # coordinates do not see each other
        uband=3,
    )
    if not path.t_events[0].size:
        raise ParameterError("beta1", beta1, MEMORY)
    return float(path.t_events[0][0] * unit)


def _above_floor(y: float, *, eta: float, lam: float, s: float) -> bool:
    """Whether E x² falls at y: 2ηλy/√v > η²s²/v with v = λ²y + s²."""
    return 2 * lam * y * math.sqrt(lam**2 * y + s**2) > eta * s**2
