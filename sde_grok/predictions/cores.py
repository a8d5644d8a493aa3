"""Where the radius of the core is from: measured in the predicted runs, predicted, or initial."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from sde_grok import laws
from sde_grok.predictions.calibration import Constants, Law
from sde_grok.predictions.cells import At, Observed

__all__ = ["CORES", "Core", "composed", "reference", "referred", "uncalibrated"]

FOUND_ON = {"collapse_law": "Z127, S5", "stagewise_law": "Z127"}


class Core(NamedTuple):
    """Where the radius of the core is from.

    Attributes
    ----------
    radius : callable
        Constants and what is known → squared radius.
    calibrated : callable
        Calibration cells → the constants.
    constants, later, found_on
        As of a `Law`.
    """

    radius: Callable[[Constants, At], float]
    calibrated: Callable[[Sequence[Observed]], dict[str, float]]
    constants: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    found_on: str = ""


def referred(cells: Sequence[Observed], column: str, power: float) -> float:
    """Level of a power of λ at `reference`: the mean over cells of value·(λ/λ_ref)^−power."""
    lam = reference(cells)
    return float(np.mean([cell.at[column] / (cell.at["lam"] / lam) ** power for cell in cells]))


def reference(cells: Sequence[Observed]) -> float:
    """Geometric mean of λ, as λ_ref."""
    lams = [cell.at["lam"] for cell in cells]
    return lams[0] if len(set(lams)) == 1 else math.exp(np.mean(np.log(lams)))


def core_constants(cells: Sequence[Observed]) -> dict[str, float]:
    """ρ²_ref and λ_ref of `core_radius_law`."""
    level = referred(cells, "rho2_grok", laws.CORE_RADIUS)
    return {"rho2_grok": level, "lam_reference": reference(cells)}


def predicted_core(constants: Constants, at: At) -> float:
    """Core by `core_radius_law`."""
    level, lam = constants["rho2_grok"], constants["lam_reference"]
    return laws.core_radius_law(at["lam"], rho2_reference=level, lam_reference=lam)


def uncalibrated(cells: Sequence[Observed]) -> dict[str, float]:
    """Return no constants, of whatever cells."""
    del cells
    return {}


CORES: Final[dict[str, Core]] = {
    "measured": Core(
        radius=lambda _, at: at["rho2_grok"],
        calibrated=uncalibrated,
        later=("rho2_grok",),
    ),
    "predicted": Core(
        radius=predicted_core,
        calibrated=core_constants,
        constants=("rho2_grok",),
        found_on="Z127, S5, Z59",
    ),
    "initial": Core(radius=lambda _, at: at["rho2_init"], calibrated=uncalibrated),
    "": Core(radius=lambda _, at: 1.0, calibrated=uncalibrated),  # of laws that ignore it
}
"""By the name that laws have for it; "" for those without."""


def composed(
    name: str,
    core: str,
    steps: Callable[[Constants, At], float],
    calibrated: Callable[[Sequence[Observed]], Constants],
    constants: tuple[str, ...] = (),
    *,
    later: tuple[str, ...] = (),
    exploratory: bool = False,
) -> Law:
    """A law with what its core needs, and with the tasks that its exponents are from."""
    found = CORES[core]
    return Law(
        name,
        core,
        steps,
        calibrated,
        constants=(*constants, *found.constants),
        found_on=found.found_on or FOUND_ON.get(name, ""),
        later=(*found.later, *later),
        exploratory=exploratory,
    )
