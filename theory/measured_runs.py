"""Claim leading-exponents: the delay goes as η⁻¹ λ⁻¹ b^−½, with the logarithm of the radii.

The leading term of Theorem 3, T = (σ/√b)/(ηλ) ln(ρ_M/ρ_G), has the exponents (η, λ, b) = (−1, −1,
−½), and the delay over ln(ρ_M²/ρ_G²) of measured radii has them, too. Both are fitted here to
measured networks, Z₁₂₇ addition (44 runs) and S₅ composition (24), four seeds a cell (η, λ, b), with
λ <= 3e-4; for λ = 1e-3 memorization and grokking coincide. Seeds spread by 6 to 8 %, the
fits leave more: misfit, which the runs of a cell share. Hence the fits are to the means of the
cells, and the errors are those of their scatter, with 12 degrees of freedom
for both tasks together, whose exponents are taken as the same.

On a flat landscape with coupled shrinkage σ, λ and b act only through λ√b/σ, whatever the regime:
T = F(λ√b/σ)/η has e_b = e_λ/2, if radii and σ are fixed (derived).

Laws are judged with one constant each, from the cell η = 1e-3, λ = 1e-4, b = 100 of the same task,
by the mean error of the other runs.

Provenance: claimed by arXiv 2606.30388 (as reported second-hand), for coupled shrinkage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.laws import (
    collapse_law,
    constant_law,
    exponents,
    norm_first_passage_law,
    transition_time,
)
from sde_grok.results import Estimate
from sde_grok.runs.cells import Point
from sde_grok.runs.delays import delay_ratios, fit_delays, mean_error, point
from sde_grok.runs.powers import PowerFit
from sde_grok.runs.reference import Cell, load_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "leading-exponents"
TASKS = {"z127": "Z127", "s5": "S5"}
REFERENCE = Point(1e-3, 1e-4, 100)  # cell that sets each law's constant


def leading_term_exponents() -> list[sp.Expr]:
    """Residuals of x ∂ ln T/∂x = −1, −1, −½ for x = η, λ, b."""
    eta, lam, b, sigma, log_ratio = sp.symbols("eta lambda b sigma L", positive=True)
    log_t = sp.log(sigma / sp.sqrt(b) / (eta * lam) * log_ratio)
    claimed = {eta: -1, lam: -1, b: -sp.Rational(1, 2)}
    return [sp.simplify(x * sp.diff(log_t, x) - e) for x, e in claimed.items()]


def flat_relation() -> sp.Expr:
    """Residual of b ∂ ln T/∂b = ½ λ ∂ ln T/∂λ for T = F(λ√b/σ)/η."""
    eta, lam, b, sigma = sp.symbols("eta lambda b sigma", positive=True)
    log_t = sp.log(sp.Function("F")(lam * sp.sqrt(b) / sigma) / eta)
    return sp.simplify((b * sp.diff(log_t, b) - lam * sp.diff(log_t, lam) / 2).doit())


def cells_with_delay(task: str) -> list[Cell]:
    """Cells of a task with λ <= 3e-4."""
    return [c for c in load_cells() if c.task == task and c.lam < 1e-3]


def check(law=transition_time, *, seed: int = 0) -> Verdict:
    """Check the algebra, and the exponents of `law` against measured ones; nothing is drawn."""
    symbolic = [
        *(
            Residual(f"exponent of {x} in the leading term", r)
            for x, r in zip(Point._fields, leading_term_exponents(), strict=True)
        ),
        Residual("e_b = e_λ/2 on a flat landscape", flat_relation()),
    ]
    eta, lam, b = REFERENCE
    at = {**REFERENCE._asdict(), "sigma": 1.0}
    claimed = exponents(law, {"rho2_start": 8000.0, "rho2_core": 4900.0} | at)._asdict()
    numeric = [
        Comparison(
            "leading term, ρ² 8000 → 4900, σ = 1, in steps",
            Estimate(law(8000.0, 4900.0, **at)),
            Estimate(math.log(8000 / 4900) / (2 * eta * lam * math.sqrt(b))),
            allowed=1e-12,  # rounding
        )
    ]
    every = {name: cells_with_delay(task) for task, name in TASKS.items()}
    together = fit_delays([c for cells in every.values() for c in cells])
    numeric += [
        Comparison(
            f"delay/ln(ρ_M²/ρ_G²), both tasks: exponent of {axis}",
            together.exponent(axis),
            Estimate(claimed[axis]),
            claimed=True,
            freedom=together.freedom,
        )
        for axis in together.names
    ]
    data = {}
    for name, cells in every.items():
        laws = {
            "leading term": delay_ratios(law, cells, reference=REFERENCE, sigma=1.0),
            "constant": delay_ratios(constant_law, cells, reference=REFERENCE, constant=1.0),
            "norm first passage": delay_ratios(norm_first_passage_law, cells, reference=REFERENCE),
            "collapse law": delay_ratios(collapse_law, cells, reference=REFERENCE, constant=1.0),
        }
        errors = {key: mean_error(cells, found, reference=REFERENCE) for key, found in laws.items()}
        data[name] = {"cells": [point(c) for c in cells], "laws": laws, "errors": errors}
    words = "; ".join([*fitted(every, together), validity(data)])
    return Verdict(CLAIM, "claimed", symbolic, numeric, words, data)


def fitted(every: Mapping[str, list[Cell]], together: PowerFit) -> list[str]:
    """Exponents of each task, of the delay and of the delay over the logarithm."""
    phrases = []
    for name, cells in every.items():
        for over_log, what in ((False, "delay"), (True, "delay/ln")):
            found = fit_delays(cells, over_log=over_log)
            shown = ", ".join(f"{x} {found.exponent(x)}" for x in found.names)
            phrases.append(f"{name}, {what}: {shown}")
    difference = together.combination(batch_size=1, lam=-0.5)
    return [*phrases, f"e_b − e_λ/2, both tasks, delay/ln: {difference}"]


def validity(data: Mapping[str, Any]) -> str:
    """How far off the laws are, and where along λ the leading term is."""
    phrases = []
    for name, found in data.items():
        errors = ", ".join(f"{law} {e:.0%}" for law, e in found["errors"].items())
        phrases.append(f"mean errors on {name}: {errors}")
    found = data["Z127"]
    along = [
        f"{np.mean(1 / ratio) - 1:+.0%} at λ = {lam:g}"
        for (eta, lam, b), ratio in zip(found["cells"], found["laws"]["leading term"], strict=True)
        if (eta, b) == REFERENCE[::2] and lam != REFERENCE[1]
    ]
    phrases.append(f"leading term set at λ = {REFERENCE[1]:g}: {', '.join(along)}")
    return "; ".join(phrases)


def figure(data: Mapping[str, Any]) -> Figure:
    """Measured over predicted delay, by cell: mean and range of the seeds."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 3.8))
    widths = [len(found["cells"]) for found in data.values()]
    panels = figure.subplots(1, len(data), sharey=True, width_ratios=widths)
    for axes, (name, found) in zip(panels, data.items(), strict=True):
        for i, law in enumerate(("leading term", "collapse law")):
            means = np.array([r.mean() for r in found["laws"][law]])
            low = means - [r.min() for r in found["laws"][law]]
            high = [r.max() for r in found["laws"][law]] - means
            x = np.arange(means.size) + 0.2 * i - 0.1
            axes.errorbar(x, means, yerr=[low, high], fmt="so"[i], mfc="none", label=law)
        axes.axhline(1, color="0.6", lw=0.8)
        labels = [f"{eta:.0e}, {lam:.0e}, {b:.0f}" for eta, lam, b in found["cells"]]
        labels = [label.replace("e-0", "e−") for label in labels]
        axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", rotation_mode="anchor")
        axes.set(title=name, yscale="log", xlabel=r"$\eta$, $\lambda$, $b$")
    ticks = [0.3, 0.5, 1, 2, 3]
    panels[0].set_yticks(ticks, [f"{t:g}" for t in ticks])
    panels[0].minorticks_off()
    panels[0].set_ylabel("measured over predicted delay")
    panels[0].legend()
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
