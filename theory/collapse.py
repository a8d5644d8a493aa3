"""Claim collapse: τ/ln(ρ_M²/ρ_G²) ∝ η⁻¹ λ^−½ b^−¼, tested on a task that it was not found on.

The law was found on Z₁₂₇ addition and S₅ composition (350 000 parameters, batches from 100). Here it
predicts Z₅₉ addition (27 712 parameters, b = 25 to 400, coupled shrinkage): all cells (η, λ, b) in
which all runs grok later than they memorize. Exponents are fitted to the means of the cells, with the
errors of their scatter, over all b and between neighbouring ones. Laws are judged with one constant
each, from the cell η = 1e-3, λ = 3e-4, b = 100, by the mean error of the other runs.

On a flat landscape with coupled shrinkage any delay is F(λ√b/σ)/η, so that e_b = e_λ/2: the law is of
that form with F(x) = x^−½, the leading term of Theorem 3 with F(x) = 1/x.

Provenance: measured here; no derivation is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.laws import collapse_law, exponents, transition_time
from sde_grok.results import Estimate
from sde_grok.runs.cells import Point
from sde_grok.runs.delays import delay_ratios, fit_delays, log_ratio, mean_error, with_delay
from sde_grok.runs.powers import PowerFit
from sde_grok.runs.reference import Cell, load_cells, load_z59_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "collapse"
REFERENCE = Point(1e-3, 3e-4, 100)  # cell that sets each law's constant
FOUND_ON = {"z127": "Z127", "s5": "S5"}


def law_exponents() -> list[sp.Expr]:
    """Residuals of x ∂ ln τ/∂x = −1, −½, −¼ for x = η, λ, b, of τ = L F(λ√b)/η with F(x) = x^−½."""
    eta, lam, b, log_of_radii = sp.symbols("eta lambda b L", positive=True)
    log_t = sp.log(log_of_radii / sp.sqrt(lam * sp.sqrt(b)) / eta)
    powers = {eta: -1, lam: -sp.Rational(1, 2), b: -sp.Rational(1, 4)}
    return [sp.simplify(x * sp.diff(log_t, x) - e) for x, e in powers.items()]


def z59(decay: str) -> list[Cell]:
    """Cells on Z₅₉."""
    return [cell for cell in load_cells(load_z59_runs()) if cell.decay == decay]


def compared(cells: Sequence[Cell], expected: Mapping[str, float]) -> list[Comparison]:
    """Compare the exponents, those of b between neighbouring batch sizes, and e_b with e_λ/2."""
    whole = fit_delays(cells)
    found = [(f"exponent of {axis}", whole, axis) for axis in whole.names]
    for pair in pairwise(sorted({c.batch_size for c in cells})):
        local = fit_delays([c for c in cells if c.batch_size in pair])
        found.append((f"exponent of b from {pair[0]:g} to {pair[1]:g}", local, "batch_size"))
    relation = whole.combination(batch_size=1, lam=-0.5)
    return [
        *(
            Comparison(
                f"delay/ln(ρ_M²/ρ_G²) on Z59: {what}",
                fit.exponent(axis),
                Estimate(expected[axis]),
                claimed=True,
                freedom=fit.freedom,
            )
            for what, fit, axis in found
        ),
        Comparison("e_b − e_λ/2", relation, Estimate(0.0), claimed=True, freedom=whole.freedom),
    ]


def check(law=collapse_law, *, seed: int = 0) -> Verdict:
    """Check the algebra, and `law` on a task that is new to it; nothing is drawn."""
    symbolic = [
        Residual(f"exponent of {axis} in the law", residual)
        for axis, residual in zip(Point._fields, law_exponents(), strict=True)
    ]
    eta, lam, b = REFERENCE
    at = {**REFERENCE._asdict(), "constant": 1.0}
    numeric = [
        Comparison(
            "law, ρ² 8000 → 4900, C = 1, in steps",
            Estimate(law(8000.0, 4900.0, **at)),
            Estimate(math.log(8000 / 4900) / (eta * math.sqrt(lam * math.sqrt(b)))),
            allowed=1e-12,  # rounding
        )
    ]
    cells = {
        name: with_delay([c for c in load_cells() if c.task == task])
        for task, name in FOUND_ON.items()
    }
    cells["Z59"] = with_delay(z59("coupled"))
    expected = exponents(law, {"rho2_start": 8000.0, "rho2_core": 4900.0} | at)._asdict()
    numeric += compared(cells["Z59"], expected)
    ratios = {
        name: delay_ratios(law, of, reference=REFERENCE, constant=1.0) for name, of in cells.items()
    }
    words = [errors(name, of, ratios[name]) for name, of in cells.items()]
    words += [shared(cells), with_adamw()]
    data = {"cells": cells, "ratios": ratios}
    return Verdict(CLAIM, "measured", symbolic, numeric, "; ".join(words), data)


def errors(name: str, cells: Sequence[Cell], ratios: Sequence[Any]) -> str:
    """How far off the law is, and Theorem 3's leading term with the same radii."""
    leading = delay_ratios(transition_time, cells, reference=REFERENCE, sigma=1.0)
    return (
        f"mean error on {name} ({len(cells)} cells) "
        f"{mean_error(cells, ratios, reference=REFERENCE):.0%}, of Theorem 3's leading term "
        f"{mean_error(cells, leading, reference=REFERENCE):.0%}"
    )


def in_words(fit: PowerFit) -> str:
    """Exponents with their errors."""
    shown = ", ".join(f"{axis} {fit.exponent(axis)}" for axis in fit.names)
    return f"{shown} ({fit.freedom} degrees of freedom)"


def shared(cells: Mapping[str, Sequence[Cell]]) -> str:
    """Exponents that the tasks share."""
    return (
        f"exponents of all tasks: {in_words(fit_delays([c for of in cells.values() for c in of]))}"
    )


def with_adamw() -> str:
    """Exponents with decoupled shrinkage, where there is a delay to speak of."""
    cells = z59("decoupled")
    delayed = with_delay(cells)
    return (
        f"AdamW: {len(delayed)} of {len(cells)} cells have a delay, {in_words(fit_delays(delayed))}"
    )


def figure(data: Mapping[str, Any]) -> Figure:
    """Measured delay over the law's, by cell: mean and range of the seeds, constants by task."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure()
    axes = figure.subplots()
    for marker, (name, cells) in zip("so^", data["cells"].items(), strict=True):
        ratios = data["ratios"][name]
        steps = [np.mean(c.delays / r) / log_ratio(c) for c, r in zip(cells, ratios, strict=True)]
        means = np.array([r.mean() for r in ratios])
        low, high = means - [r.min() for r in ratios], [r.max() for r in ratios] - means
        axes.errorbar(steps, means, yerr=[low, high], fmt=marker, mfc="none", lw=0.8, label=name)
    axes.axhline(1, color="0.6", lw=0.8)
    ticks = [0.5, 0.7, 1, 1.5, 2]
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=r"$C\,\eta^{-1}\lambda^{-1/2}b^{-1/4}$, steps",
        ylabel=r"$\tau/\ln(\rho_M^2/\rho_G^2)$, measured over predicted",
    )
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.legend()
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
