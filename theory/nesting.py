"""Claim nesting: the init shell encloses the memorization shell, and that the core.

    ρ_Θ > ρ_M > ρ_G.

The init shell of k neurons with LeCun scaling, σ_j² = 1/p_j, has E ρ_Θ² = Σ_j p_j σ_j² = k, with
variance Σ_j 2p_jσ_j⁴ for normal entries: for n classes, n + 512 + n neurons of 256, 512 and 512
weights. The radii are those of measured networks at initialisation, at memorization (train accuracy
.99) and at grokking (test accuracy .95). An order ρ_A > ρ_B is said to hold if all runs have it; that of ρ_M and ρ_G is
asked of runs that grok later than they memorize.

Provenance: claimed by arXiv 2606.30388 (its abstract); the moments are derived.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sympy as sp

from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.laws import init_shell_mean, init_shell_sd
from sde_grok.results import Estimate
from sde_grok.runs.reference import classes, load_runs

CLAIM = "nesting"
TASKS = {"z127": "Z127", "s5": "S5"}


def shell_moments() -> tuple[sp.Expr, sp.Expr]:
    """Residuals of mean Σ pσ² and variance Σ 2pσ⁴ for one sub-vector, from one normal entry."""
    x, p = sp.symbols("x p", positive=True)
    sigma = 1 / sp.sqrt(p)  # LeCun
    density = sp.exp(-(x**2) / (2 * sigma**2)) / (sigma * sp.sqrt(2 * sp.pi))
    second, fourth = (2 * sp.integrate(x**n * density, (x, 0, sp.oo)) for n in (2, 4))
    return sp.simplify(p * second - 1), sp.simplify(p * (fourth - second**2) - 2 / p)


def sub_vectors(task: str) -> tuple[list[int], list[float]]:
    """Sizes and variances of the neurons: embedding rows, hidden units, readout rows."""
    n = classes(task)
    sizes = [256] * n + [512] * 512 + [512] * n
    return sizes, [1 / p for p in sizes]


def initial_radius(task: str, runs: list[dict[str, Any]]) -> Estimate:
    """Mean ρ_Θ² over the seeds: runs of one seed share the initialisation."""
    by_seed = {run["seed"]: run["rho2_init"] for run in runs}
    error = init_shell_sd(*sub_vectors(task)) / math.sqrt(len(by_seed))
    return Estimate(float(np.mean(list(by_seed.values()))), error)


def fraction(runs: list[dict[str, Any]], outer: str, inner: str) -> Estimate:
    """Fraction of runs in which one radius is above another; a count, without error."""
    return Estimate(float(np.mean([run[outer] > run[inner] for run in runs])))


def mean_difference(runs: list[dict[str, Any]], outer: str, inner: str) -> Estimate:
    """Mean difference of two squared radii."""
    difference = np.array([run[outer] - run[inner] for run in runs])
    return Estimate(
        float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(difference.size)
    )


def check(law=init_shell_mean, *, seed: int = 0) -> Verdict:
    """Check the algebra, `law` against initialisations, and the order; nothing is drawn."""
    mean, variance = shell_moments()
    symbolic = [
        Residual("E|x|² = 1 of a LeCun neuron", mean),
        Residual("Var|x|² = 2/p of a LeCun neuron", variance),
    ]
    numeric, phrases = [], []
    for task, name in TASKS.items():
        runs = [r for r in load_runs() if r["task"] == task and np.isfinite(r["rho2_grok"])]
        later = [r for r in runs if r["T_grok"] > r["T_mem"]]
        expected = law(*sub_vectors(task))
        numeric.append(Comparison(f"{name}: ρ_Θ²", initial_radius(task, runs), Estimate(expected)))
        for what, some, pair in (
            ("with ρ_Θ > ρ_M, of all runs", runs, ("rho2_init", "rho2_mem")),
            ("with ρ_M > ρ_G, of runs that grok later", later, ("rho2_mem", "rho2_grok")),
        ):
            share = fraction(some, *pair)
            numeric.append(Comparison(f"{name}: share {what}", share, Estimate(1), claimed=True))
        at_once = [r for r in runs if r not in later]
        held = round(fraction(at_once, "rho2_mem", "rho2_grok").value * len(at_once))
        phrases.append(
            f"{name}: ρ_Θ² − ρ_M² = {mean_difference(runs, 'rho2_init', 'rho2_mem')}, "
            f"ρ_M² − ρ_G² = {mean_difference(later, 'rho2_mem', 'rho2_grok')} in {len(later)} runs "
            f"that grok later; ρ_M > ρ_G in {held} of the {len(at_once)} that do not"
        )
    return Verdict(CLAIM, "claimed", symbolic, numeric, "; ".join(phrases))


if __name__ == "__main__":
    raise SystemExit(report(check()))
