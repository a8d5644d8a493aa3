"""What discrete observation does to a first passage.

A chain looked at every `dt` overshoots its barrier before it is seen there, and passes later than
the continuous path. To leading order it behaves like a continuous path with a barrier moved away.
"""

from __future__ import annotations

import math
from typing import Final

from sde_grok.checks import ParameterError, number
from sde_grok.dual import sqrt
from sde_grok.laws.elementwise import elementwise

__all__ = ["BARRIER_SHIFT", "evaluated_steps", "monitored_core"]

BARRIER_SHIFT: Final = 0.5825971579390107
"""−ζ(1/2)/√(2π), the mean overshoot of a Gaussian random walk in units of its step."""


@elementwise
def monitored_core(rho_core: float, *, q: float, dt: float, inward: bool) -> float:
    """Barrier that the continuous law needs to describe a chain monitored every `dt`.

    Inward ρ* − 0.5826 q√Δt, outward ρ* + 0.5826 q√Δt.

    Parameters
    ----------
    rho_core : float
        Radius ρ* >= 0 (not squared) at which the chain is stopped.
    q : float
        Noise amplitude q >= 0 of the radius, parameter units per square root of time.
    dt : float
        Time Δt >= 0 between two looks: η for an optimizer watched at every step.
    inward : bool
        Whether the barrier is passed from outside.

    Returns
    -------
    float
        Radius of the equivalent barrier. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or if the shift is as large as ρ* inward.

    Notes
    -----
    Claim `monitoring`. Provenance: derived by Siegmund (Sequential Analysis, 1985) and Broadie,
    Glasserman and Kou (Mathematical Finance 7, 1997), after Chernoff (1965). Leading order in √Δt; the
    next term delays the passage by Δt/4, whatever the drift (derived, `theory/monitoring.py`).
    Assumes additive noise, as the radius has, and Gaussian steps small against the distance
    travelled.
    """
    core = number("rho_core", rho_core, low=0)
    q = number("q", q, low=0)
    dt = number("dt", dt, low=0)
    if not isinstance(inward, bool):
        raise ParameterError("inward", inward, "True or False")
    shift = BARRIER_SHIFT * q * sqrt(dt)
    if inward and shift > 0 and shift >= core:
        raise ParameterError(
            "dt", dt, f"small enough that the shift {shift:g} is below rho_core = {core:g}"
        )
    return core - shift if inward else core + shift


@elementwise
def evaluated_steps(steps: float, *, every: float) -> float:
    """Mean time T + m/2 at which a passage at T is noticed by an evaluation every m steps.

    Parameters
    ----------
    steps : float
        Passage time T >= 0 in optimizer steps; infinite if there is none.
    every : float
        Evaluation interval m >= 0 in optimizer steps.

    Returns
    -------
    float
        Optimizer steps. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: derived, for a passage in continuous time; if T is a whole number of steps, the shift
    is (m − 1)/2. Assumes that T varies by more than m, or has no relation to the grid: its
    phase is then uniform, and the noticed time has the additional standard deviation m/√12. In a
    difference of two noticed times, as a delay T_grok − T_mem is, the shifts cancel, and the
    standard deviation is m/√6.
    """
    every = number("every", every, low=0)
    return steps if steps == math.inf else number("steps", steps, low=0) + every / 2
