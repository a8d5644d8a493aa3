"""The laws that compete for the delay of cells that they were not calibrated on.

A law is composed of a formula and of a core: the radius measured in the predicted runs themselves, which
is known at the end; one predicted from the calibration cells by `core_radius_law`; or, where nothing is
calibrated, that of the initialization. Only laws of the last two are forecasts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sde_grok import laws
from sde_grok.checks import ParameterError
from sde_grok.fits.candidates import LAWS as CANDIDATES
from sde_grok.fits.candidates import Candidate
from sde_grok.fits.relative import determined
from sde_grok.predictions.calibration import Constants, Law
from sde_grok.predictions.cells import At, Observed
from sde_grok.predictions.cores import CORES, composed, referred, uncalibrated
from sde_grok.predictions.noise import RUNGS, fitted_noise, measured_noise, own_noise

__all__ = ["LAWS", "forecasts"]

Array = NDArray[np.float64]
# --- Laws that are linear in their constants ----------------------------------------------------


def columns(name: str, at: At, core: float) -> Array:
    """Delays of a law of `sde_grok.laws` at its unit constants, one a constant."""
    law = CANDIDATES[name]
    known = {**at, "rho2_start": at["rho2_mem"], "rho2_core": core}
    design = law.design({column: np.array([known[column]]) for column in law.columns})
    return np.asarray(design[0], np.float64)


def proportional(name: str, core: str) -> Law:
    """A law with one factor C: the mean over runs of the delay over the law's at C = 1."""
    found = CORES[core]

    def unit(constants: Constants, at: At) -> float:
        return float(columns(name, at, found.radius(constants, at))[0])

    def calibrated(cells: Sequence[Observed]) -> Constants:
        constants = found.calibrated(cells)
        return {**constants, "constant": factor(name, cells, partial(unit, constants))}

    def steps(constants: Constants, at: At) -> float:
        return constants["constant"] * unit(constants, at)

    return composed(name, core, steps, calibrated, ("constant",))


def factor(name: str, cells: Sequence[Observed], unit: Callable[[At], float]) -> float:
    """Mean over runs of the delay over the law's, in the cells in which that is a time."""
    units = [unit(cell.at) for cell in cells]
    ratios = [cell.delays / u for cell, u in zip(cells, units, strict=True) if 0 < u < math.inf]
    if not ratios:
        raise ParameterError("runs", name, "a cell in which the law is finite and > 0")
    return float(np.mean(np.concatenate(ratios)))


def theorem_3(core: str) -> Law:
    """Theorem 3 with σ, c_τ and c_τ⁽²⁾, by least squares of relative errors over runs."""
    law, found = CANDIDATES["theorem_3"], CORES[core]

    def design(constants: Constants, at: At) -> Array:
        return columns("theorem_3", at, found.radius(constants, at))

    def calibrated(cells: Sequence[Observed]) -> Constants:
        constants = found.calibrated(cells)
        return constants | least_squares(law, [design(constants, c.at) for c in cells], cells)

    def steps(constants: Constants, at: At) -> float:
        fitted = np.array([constants[constant] for constant in law.constants])
        return float(law.predict(design(constants, at)[None, :], fitted)[0])

    return composed("theorem_3", core, steps, calibrated, law.constants)


def power() -> Law:
    """C η^p λ^q b^r, by least squares of relative errors over runs."""
    law = CANDIDATES["power_law"]

    def design(at: At) -> Array:
        return np.array([1.0, *(math.log(at[axis]) for axis in law.columns)])

    def calibrated(cells: Sequence[Observed]) -> Constants:
        return least_squares(law, [design(c.at) for c in cells], cells)

    def steps(constants: Constants, at: At) -> float:
        fitted = np.array([constants[constant] for constant in law.constants])
        return float(law.predict(design(at)[None, :], fitted)[0])

    return composed("power_law", "", steps, calibrated, law.constants)


def least_squares(
    law: Candidate, rows: Sequence[Array], cells: Sequence[Observed]
) -> dict[str, float]:
    """Constants of a law from its design at cells, if there are more cells than constants."""
    x = np.repeat(rows, [c.delays.size for c in cells], axis=0)
    if len(cells) <= x.shape[1] or not (np.isfinite(x).all() and determined(x)):
        raise ParameterError("runs", len(cells), f"cells that determine {x.shape[1]} constants")
    fitted = law.fit(x, np.concatenate([c.delays for c in cells]), law.lower)
    return dict(zip(law.constants, fitted.tolist(), strict=True))


def staged() -> Law:
    """The rise and the fall of the norm, each constant from its own stage."""
    name = "stagewise_law"
    stages = {"rise_constant": ("T_mem", "T_peak"), "fall_constant": ("T_peak", "T_grok")}

    def calibrated(cells: Sequence[Observed]) -> Constants:
        return {
            constant: max(
                float(np.mean([(c.at[b] - c.at[a]) / columns(name, c.at, 1.0)[i] for c in cells])),
                0.0,  # a largest norm before memorization: no rise
            )
            for i, (constant, (a, b)) in enumerate(stages.items())
        }

    def steps(constants: Constants, at: At) -> float:
        return float(columns(name, at, 1.0) @ [constants[constant] for constant in stages])

    return composed(name, "", steps, calibrated, tuple(stages))


# --- Laws without constants ---------------------------------------------------------------------


def without_constants(name: str, core: str) -> Law:
    """A law of the registry at unit constants, or with none."""
    found = CORES[core]

    def steps(_: Constants, at: At) -> float:
        return float(columns(name, at, found.radius({}, at))[0])

    return composed(name, core, steps, uncalibrated)


# --- Two starts ---------------------------------------------------------------------------------


def two_starts() -> Law:
    """The exploratory law B, with core, peak and the loss there predicted from the calibration."""
    core = CORES["predicted"]

    def unit(constants: Constants, at: At) -> float:
        return laws.two_start_law(
            at["rho2_mem"],
            top(constants, at),
            rho2_core=core.radius(constants, at),
            eta=at["eta"],
            lam=at["lam"],
            batch_size=at["batch_size"],
            constant=1.0,
        )

    def calibrated(cells: Sequence[Observed]) -> Constants:
        constants = {
            **core.calibrated(cells),
            "rho2_peak": referred(cells, "rho2_peak", laws.PEAK_RADIUS),
            "train_loss_peak": referred(cells, "train_loss_peak", 1.0),
        }
        constant = factor("two_start_law", cells, partial(unit, constants))
        return {**constants, "constant": constant}

    return composed(
        "two_start_law",
        "predicted",
        lambda constants, at: constants["constant"] * unit(constants, at),
        calibrated,
        ("constant", "rho2_peak", "train_loss_peak"),
        exploratory=True,
    )


def top(constants: Constants, at: At) -> float:
    """Where the norm turns: it rises while the loss is above that of its peak, L_P ∝ λ."""
    lam = constants["lam_reference"]
    if at["train_loss_mem"] <= constants["train_loss_peak"] * at["lam"] / lam:
        return at["rho2_mem"]
    level = constants["rho2_peak"]
    peak = laws.peak_radius_law(at["lam"], rho2_reference=level, lam_reference=lam)
    return max(at["rho2_mem"], peak)


# --- All of them --------------------------------------------------------------------------------


ONE_CONSTANT = ("norm_separation_law", "norm_first_passage_law", "pinned_norm_law")
BY_RADIUS = ("measured", "predicted")


def all_laws() -> list[Law]:
    """Laws in the order of the table."""
    found = [proportional("constant_law", ""), staged(), power()]
    for core in BY_RADIUS:
        found += [proportional(name, core) for name in (*ONE_CONSTANT, "theorem_3_leading")]
        found += [theorem_3(core), proportional("collapse_law", core)]
        # With σ fitted the pull is lost in √v, and the reduced rung is the radial one.
        found += [fitted_noise(name, core) for name in ("radial rung", "crossover law")]
        found += [measured_noise(name, core) for name in RUNGS]
    found.append(two_starts())
    for core in ("measured", "initial"):
        found += [without_constants(name, core) for name in ("omnigrok_law", "ridge_lower_bound")]
        event = "grok" if core == "measured" else "mem"
        found += [own_noise(name, core, event) for name in RUNGS]
    return found


LAWS: Final = {(law.name, law.radius): law for law in all_laws()}
"""Laws by name and by where their core is from.

Beside the collapse with a predicted core, ("collapse_law", "predicted"), stands an exploratory law of two
starts. They were found among some 600 configurations of 25 kinds that were scored on the same 149 packaged
runs, so that neither form, nor the exponents of the radii, are blind to them.

`gradient_flow_law` is not here: it needs a scale of the initialization above 1. `mean_field_steps` is
the reduced rung to the memory of Adam's moments, some ten steps of thousands.
"""


def forecasts() -> dict[tuple[str, str], Law]:
    """Laws that need nothing of the predicted runs beyond memorization."""
    return {key: law for key, law in LAWS.items() if not law.later}
