"""Rungs of the ladder as laws of a delay: their constant is the noise σ.

Under coupled shrinkage, with s = σ/√b: σ is fitted to the delay of the calibration cells, is √(bv) with v
as measured there, or that of the predicted runs themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from sde_grok import laws
from sde_grok.checks import ParameterError
from sde_grok.predictions.calibration import Constants, Law
from sde_grok.predictions.cells import At, Observed
from sde_grok.predictions.cores import CORES, composed, uncalibrated

__all__ = ["RUNGS", "fitted_noise", "measured_noise", "own_noise"]

Steps = Callable[[At, float, float], float]
"""What is known, squared radius of the core and σ → delay in steps."""

SPAN = 1e9  # how far σ is sought from that of the leading law


def radial(at: At, core: float, sigma: float) -> float:
    """Mean passage of the radial rung, to order 1/d."""
    gamma = at["lam"] * math.sqrt(at["batch_size"]) / sigma
    if core > at["rho2_mem"]:  # its mean may be outward
        return math.inf
    time = laws.law_limit(at["rho2_mem"], core, dim=at["dim"], gamma=gamma, q2=at["eta"])
    return time / at["eta"]


def leading(at: At, core: float, sigma: float) -> float:
    """Theorem 3's leading term."""
    axes = {"eta": at["eta"], "lam": at["lam"], "batch_size": at["batch_size"]}
    return float(laws.transition_time(at["rho2_mem"], core, **axes, sigma=sigma))


def crossover(at: At, core: float, sigma: float) -> float:
    """Reduced rung without noise in θ, averaged over directions."""
    if core > at["rho2_mem"]:
        return math.inf
    dim, eta, lam, b = (at[name] for name in ("dim", "eta", "lam", "batch_size"))
    return averaged(at["rho2_mem"], core, dim, eta, lam, b, sigma)


@lru_cache(maxsize=100_000)  # a millisecond each, and asked for in many folds
def averaged(
    start: float, core: float, dim: float, eta: float, lam: float, b: float, sigma: float
) -> float:
    """Crossover law of numbers."""
    return laws.direction_averaged_steps(
        start, core, dim=dim, eta=eta, lam=lam, batch_size=b, sigma=sigma
    )


def matched(at: At, core: float, sigma: float) -> float:
    """Reduced rung: the crossover law with the floor of the radial rung."""
    found = crossover(at, core, sigma)
    return found + radial(at, core, sigma) - leading(at, core, sigma) if found < math.inf else found


KNOWN_TO_RUNGS = ("rho2_mem", "dim", "eta", "lam", "batch_size")
RUNGS: Final[dict[str, Steps]] = {
    "radial rung": radial,
    "crossover law": crossover,
    "reduced rung": matched,
}


def fitted_noise(name: str, core: str) -> Law:
    """A rung with σ such that the mean delay of a calibration cell is right; of several, their mean."""
    rung, found = RUNGS[name], CORES[core]

    def calibrated(cells: Sequence[Observed]) -> Constants:
        constants = found.calibrated(cells)
        roots = [
            log_noise(name, cell.at, found.radius(constants, cell.at), float(np.mean(cell.delays)))
            for cell in cells
        ]
        inside = [root for root in roots if root is not None]
        if not inside:
            raise ParameterError("runs", name, "a cell whose delay the rung has for some sigma")
        return {**constants, "sigma": math.exp(np.mean(inside))}

    def steps(constants: Constants, at: At) -> float:
        return rung(at, found.radius(constants, at), constants["sigma"])

    return composed(f"{name}, σ fitted", core, steps, calibrated, ("sigma",))


def log_noise(name: str, at: At, core: float, delay: float) -> float | None:
    """Find ln σ with which a rung has a delay; None if there is none."""
    unit = leading(at, core, 1.0)
    if not 0 < unit < math.inf:
        return None
    known = tuple(at[column] for column in KNOWN_TO_RUNGS)
    return root(name, known, core, delay, math.log(delay / unit))


@lru_cache(maxsize=10_000)  # the same cell calibrates in many folds
def root(
    name: str, known: tuple[float, ...], core: float, delay: float, start: float
) -> float | None:
    """Find ln σ near `start`, that of the leading law."""
    from scipy.optimize import brentq  # noqa: PLC0415

    rung, at = RUNGS[name], dict(zip(KNOWN_TO_RUNGS, known, strict=True))

    def excess(log_sigma: float) -> float:
        steps = rung(at, core, math.exp(log_sigma))
        return math.log(min(steps, SPAN * delay) / delay)

    width = 0.05
    while width < math.log(SPAN):
        if excess(start - width) < 0 < excess(start + width):
            return float(brentq(excess, start - width, start + width, xtol=1e-9))
        width *= 3
    return None


def measured_noise(name: str, core: str) -> Law:
    """A rung with σ = √(b v), v as measured at grokking in the calibration cells."""
    rung, found = RUNGS[name], CORES[core]

    def calibrated(cells: Sequence[Observed]) -> Constants:
        logs = [math.log(c.at["mean_sqrt_v_grok"] * math.sqrt(c.at["batch_size"])) for c in cells]
        return {**found.calibrated(cells), "sigma": math.exp(np.mean(logs))}

    def steps(constants: Constants, at: At) -> float:
        return rung(at, found.radius(constants, at), constants["sigma"])

    return composed(f"{name}, √v of the calibration", core, steps, calibrated, ("sigma",))


def own_noise(name: str, core: str, event: str) -> Law:
    """A rung with √v of the predicted runs themselves: nothing is calibrated."""
    rung, found, column = RUNGS[name], CORES[core], f"mean_sqrt_v_{event}"

    def steps(_: Constants, at: At) -> float:
        sigma = at[column] * math.sqrt(at["batch_size"])
        return rung(at, found.radius({}, at), sigma)

    later = (column,) if event == "grok" else ()
    return composed(f"{name}, √v at {event}", core, steps, uncalibrated, later=later)
