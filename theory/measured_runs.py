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
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.laws import (
    collapse_law,
    constant_law,
    exponents,
    norm_first_passage_law,
    transition_time,
)
from sde_grok.reference_runs import Cell, load_cells
from sde_grok.results import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "leading-exponents"
TASKS = {"z127": "Z127", "s5": "S5"}
REFERENCE = (1e-3, 1e-4, 100)  # cell that sets each law's constant
AXES = ("eta", "lam", "batch_size")


class Fit(NamedTuple):
    """Exponents by name, their covariance in the same order, and its degrees of freedom."""

    names: Sequence[str]
    exponents: NDArray[np.float64]
    covariance: NDArray[np.float64]
    freedom: int

    def combination(self, **weights: float) -> Estimate:
        """Sum of exponents with weights."""
        w = np.array([weights.get(name, 0.0) for name in self.names])
        return Estimate(float(w @ self.exponents), math.sqrt(w @ self.covariance @ w))


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


def log_ratio(cell: Cell) -> float:
    """ln(ρ_M²/ρ_G²)."""
    return math.log(cell.rho2_mem / cell.rho2_grok)


def point(cell: Cell) -> tuple[float, float, float]:
    """(η, λ, b)."""
    return cell.eta, cell.lam, cell.batch_size


def fit(*tasks: list[Cell], over_log: bool) -> Fit:
    """Least squares of the cells' mean ln(delay [/ln(ρ_M²/ρ_G²)]) over what varies.

    A constant for each task, and exponents that they share.
    """
    cells = [c for task in tasks for c in task]
    y = np.array([np.mean(np.log(c.delays / (log_ratio(c) if over_log else 1))) for c in cells])
    constants = [[float(c in task) for c in cells] for task in tasks]
    columns = np.log([point(c) for c in cells]).T
    varying = {name: x for name, x in zip(AXES, columns, strict=True) if np.ptp(x) > 0}
    x = np.column_stack([*constants, *varying.values()])
    coefficients, *_ = np.linalg.lstsq(x, y, rcond=None)
    freedom = y.size - x.shape[1]
    variance = np.sum((y - x @ coefficients) ** 2) / freedom
    covariance = variance * np.linalg.inv(x.T @ x)
    n = len(tasks)
    return Fit(list(varying), coefficients[n:], covariance[n:, n:], freedom)


def ratios(law, cells: list[Cell], **constants: float) -> list[NDArray[np.float64]]:
    """Measured over predicted delays of each cell, 1 on average in the reference cell."""
    predicted = [
        law(c.rho2_mem, c.rho2_grok, **dict(zip(AXES, point(c), strict=True)), **constants)
        for c in cells
    ]
    raw = [c.delays / p for c, p in zip(cells, predicted, strict=True)]
    unit = next(np.mean(r) for c, r in zip(cells, raw, strict=True) if point(c) == REFERENCE)
    return [r / unit for r in raw]


def mean_error(cells: list[Cell], found: list[NDArray[np.float64]]) -> float:
    """Mean of |predicted − measured|/measured over the runs of the other cells."""
    other = [r for c, r in zip(cells, found, strict=True) if point(c) != REFERENCE]
    return float(np.mean(np.abs(1 / np.concatenate(other) - 1)))


def check(law=transition_time, *, seed: int = 0) -> Verdict:
    """Check the algebra, and the exponents of `law` against measured ones; nothing is drawn."""
    symbolic = [
        *(
            Residual(f"exponent of {x} in the leading term", r)
            for x, r in zip(AXES, leading_term_exponents(), strict=True)
        ),
        Residual("e_b = e_λ/2 on a flat landscape", flat_relation()),
    ]
    eta, lam, b = REFERENCE
    at = {"eta": eta, "lam": lam, "batch_size": b, "sigma": 1.0}
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
    together = fit(*every.values(), over_log=True)
    numeric += [
        Comparison(
            f"delay/ln(ρ_M²/ρ_G²), both tasks: exponent of {axis}",
            together.combination(**{axis: 1}),
            Estimate(claimed[axis]),
            claimed=True,
            freedom=together.freedom,
        )
        for axis in together.names
    ]
    data = {}
    for name, cells in every.items():
        laws = {
            "leading term": ratios(law, cells, sigma=1.0),
            "constant": ratios(constant_law, cells, constant=1.0),
            "norm first passage": ratios(norm_first_passage_law, cells),
            "collapse law": ratios(collapse_law, cells, constant=1.0),
        }
        errors = {key: mean_error(cells, found) for key, found in laws.items()}
        data[name] = {"cells": [point(c) for c in cells], "laws": laws, "errors": errors}
    words = "; ".join([*fitted(every), validity(data)])
    return Verdict(CLAIM, "claimed", symbolic, numeric, words, data)


def fitted(every: Mapping[str, list[Cell]]) -> list[str]:
    """Exponents of each task, of the delay and of the delay over the logarithm."""
    phrases = []
    for name, cells in every.items():
        for over_log, what in ((False, "delay"), (True, "delay/ln")):
            found = fit(cells, over_log=over_log)
            shown = ", ".join(f"{x} {found.combination(**{x: 1})}" for x in found.names)
            phrases.append(f"{name}, {what}: {shown}")
    difference = fit(*every.values(), over_log=True).combination(batch_size=1, lam=-0.5)
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
