"""Rows on the init shell and the memorization shell, and on the order of the shells.

Numbers of a cell (η, λ, b) are medians of its seeds. The memorization shell is that of cells in which
each run groks later than it memorizes: elsewhere there is no delay to start from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sde_grok.claims import Comparison
from sde_grok.laws import init_shell_mean, init_shell_sd
from sde_grok.results import Estimate
from sde_grok.validate.rows.evidence import Evidence, Group, place, regression
from sde_grok.validate.rows.shared import (
    ABSTRACT,
    MOST,
    REPORTED,
    VALIDATE,
    most_precise,
    neurons,
    pooled,
    ratio,
    script,
    share,
)
from sde_grok.validate.verdicts import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SHELL_ROWS"]

ONE, NOTHING = Estimate(1.0), Estimate(0.0)
RADIUS = 0.05  # of ρ_Θ²: what would tell k from another count of neurons
POWER = 0.05  # of an exponent of ρ²: 12 % a factor of ten
SAME_RATIO = 0.02  # of an exponent that η/b is said not to leave
SLOPES = 1.0  # of their ratio: a power law has about 3 for λ that are 3 times each other
LINEAR = 0.1  # part by which slopes of ln ρ_M² in λ may differ


def init_shell(evidence: Evidence) -> Row:
    """ρ_Θ² over k, with the thickness of the shell as the error of a seed."""
    drawn = evidence.found("init-shell", "mean of ρ², normal, k = 80")
    by_name = {group.name: group for group in evidence.groups}  # seeds are the same for both decays
    comparisons = [c for group in by_name.values() if (c := start(group)) is not None]
    return Row(
        id="init-shell",
        claim="Random initialisations lie on a thin shell: ρ_Θ² = k ± √(2k/p̃), LeCun scaling.",
        provenance=f"{REPORTED}; the moments are derived",
        quantity="ρ_Θ²/k, errors by the law's thickness (network: the most precise)",
        closed_form=ONE,
        simulated=ratio(drawn.measured, drawn.expected.value) if drawn else None,
        network=most_precise(comparisons),
        comparisons=tuple(comparisons),
        resolution=RADIUS,
        sources=(VALIDATE, script("nesting"), script("init-shell")),
    )


def start(group: Group) -> Comparison | None:
    """Compare ρ_Θ² over the seeds with k; None unless it is a LeCun initialisation of known shape."""
    frame = group.frame
    seeds = frame.groupby("seed")["rho2_init"].first().dropna()
    sizes = neurons(frame)
    lecun = all(frame["init"] == "lecun") and all(frame["init_scale"] == 1.0)
    if seeds.empty or sizes is None or not lecun:
        return None
    k = init_shell_mean(sizes, 1 / sizes)
    thickness = init_shell_sd(sizes, 1 / sizes) / math.sqrt(len(seeds))
    what = f"{group.name} ({len(seeds)} seeds): ρ_Θ²/k, k = {k:g}"
    return Comparison(what, ratio(Estimate(float(seeds.mean()), thickness), k), ONE, claimed=True)


def order(
    evidence: Evidence, cells: Callable[[Group], pd.DataFrame], pair: Sequence[str], meaning: str
) -> tuple[tuple[Comparison, ...], Estimate | None]:
    """Shares of cells in which one squared radius is above another: comparisons, and the pooled one."""
    outer, inner = pair
    found = {}
    for group in evidence.groups:
        medians = group.medians(cells(group)).dropna(subset=list(pair))
        if len(medians):
            found[place(group.title, medians)] = list(medians[outer] > medians[inner])
    compared = [share(f"{where}: share of {meaning}", meets) for where, meets in found.items()]
    return tuple(c for c in compared if c is not None), pooled(found.values())


def init_around_memorization(evidence: Evidence) -> Row:
    """ρ_Θ > ρ_M."""
    meaning, pair = "cells with ρ_Θ > ρ_M", ("rho2_init", "rho2_mem")
    comparisons, network = order(evidence, lambda group: group.frame, pair, meaning)
    return Row(
        id="nesting-init-m",
        claim="The init shell encloses the memorization shell: ρ_Θ > ρ_M.",
        provenance=ABSTRACT,
        quantity=f"share of {meaning} (network: of all)",
        closed_form=ONE,
        simulated=None,
        network=network,
        comparisons=comparisons,
        resolution=MOST,
        sources=(VALIDATE, script("nesting")),
    )


def memorization_around_core(evidence: Evidence) -> Row:
    """ρ_M > ρ_G."""
    meaning, pair = "cells with ρ_M > ρ_G", ("rho2_mem", "rho2_grok")
    comparisons, network = order(evidence, lambda group: group.delayed, pair, meaning)
    return Row(
        id="nesting-m-g",
        claim="The memorization shell encloses the core: ρ_M > ρ_G, where grokking is delayed.",
        provenance=ABSTRACT,
        quantity=f"share of {meaning} (network: of all)",
        closed_form=ONE,
        simulated=None,
        network=network,
        comparisons=comparisons,
        resolution=MOST,
        sources=(VALIDATE, script("nesting")),
    )


def u_shape(evidence: Evidence) -> Row:
    """Whether ρ_M² is least inside lines of cells along η or b."""
    found = {}
    for group in evidence.coupled:
        cells = group.medians(group.delayed).dropna(subset=["rho2_mem"])
        if inside := [0 < at.argmin() < at.size - 1 for at in lines(cells)]:
            found[place(group.title, cells)] = inside
    compared = [
        share(f"{where}: least ρ_M² inside, share of {len(inside)} lines along η or b", inside)
        for where, inside in found.items()
    ]
    return Row(
        id="u-shape",
        claim="ρ_M² is U-shaped in η/b: it falls first, and rises from |c_M|/(2c_M⁽²⁾) on.",
        provenance=REPORTED,
        quantity="share with the least ρ_M² inside: of lines of three cells or more that differ in "
        "η or b alone (network: of all); of landscapes (simulated)",
        closed_form=ONE,
        simulated=evidence.simulated("u-shape", "share of * landscapes with a minimum at η/b > 0"),
        network=pooled(found.values()),
        comparisons=tuple(c for c in compared if c is not None),
        resolution=MOST,
        sources=(VALIDATE, script("u-shape")),
    )


def lines(cells: pd.DataFrame) -> Iterator[Any]:
    """ρ_M² of three cells or more along η or b, others alike, in the order of η/b."""
    for fixed in (["lam", "batch_size"], ["lam", "eta"]):
        for _, line in cells.groupby(fixed):
            if len(line) > 2:
                at = (line["eta"] / line["batch_size"]).sort_values().index
                yield line["rho2_mem"].loc[at].to_numpy()


def eta_over_b(evidence: Evidence) -> Row:
    """Exponent of η in ρ_M² beside a function of η/b."""
    comparisons = [c for group in evidence.coupled if (c := beside_ratio(group)) is not None]
    return Row(
        id="rho-m-eta-over-b",
        claim="ρ_M² depends on η and b by η/b alone.",
        provenance=REPORTED,
        quantity="exponent of η in ρ_M² beside a parabola in ln(η/b) for each λ (network: the most "
        "precise); of η and b together (simulated: two circuits)",
        closed_form=NOTHING,
        simulated=evidence.simulated(
            "eta-over-b", "ρ_M², two circuits, joint rung: exponents of η and b together"
        ),
        network=most_precise(comparisons),
        comparisons=tuple(comparisons),
        resolution=POWER,
        sources=(VALIDATE, script("eta-over-b")),
    )


def beside_ratio(group: Group) -> Comparison | None:
    """Compare the exponent of η in ρ_M² at the same η/b and λ with 0."""
    cells = group.medians(group.delayed).dropna(subset=["rho2_mem"])
    u = np.log(cells["eta"] / cells["batch_size"])
    columns: dict[str, Any] = {}
    for lam in cells["lam"].unique():
        here = (cells["lam"] == lam).to_numpy(float)
        columns |= {f"{lam} u": here * u, f"{lam} u²": here * u**2}
    columns["eta"] = np.log(cells["eta"])
    found, freedom = regression(np.log(cells["rho2_mem"]), columns, list(cells["lam"]))
    if "eta" not in found:
        return None
    what = f"{place(group.title, cells)}: exponent of η in ρ_M² at the same η/b"
    return Comparison(what, found["eta"], NOTHING, SAME_RATIO, claimed=True, freedom=freedom)


def falls_with_lambda(evidence: Evidence) -> Row:
    """Slopes of ln ρ_M² in λ, one above the other."""
    comparisons = [c for group in evidence.coupled for c in slopes(group)]
    paths = evidence.found("eta-over-b", "d ln ρ_M²/dλ, two circuits, λ = 0.0001*")
    return Row(
        id="rho-m-lambda",
        claim="ρ_M² falls as e^{−O(λ)}: ln ρ_M² is linear in λ.",
        provenance=REPORTED,
        quantity="slope of ln ρ_M² in λ below a λ over that above (network: the most precise; "
        "simulated: two circuits)",
        closed_form=ONE,
        simulated=ratio(paths.measured, paths.expected.value) if paths else None,
        network=most_precise(comparisons),
        comparisons=tuple(comparisons),
        resolution=SLOPES,
        sources=(VALIDATE, script("eta-over-b")),
    )


def slopes(group: Group) -> Iterator[Comparison]:
    """Compare the ratio of slopes at each inner λ with 1: mean over (η, b), error of its scatter."""
    cells = group.medians(group.delayed).dropna(subset=["rho2_mem"])
    table = cells.pivot_table(index=["eta", "batch_size"], columns="lam", values="rho2_mem")
    lams = np.array(table.columns, float)
    for i in range(1, len(lams) - 1):
        three = slice(i - 1, i + 2)
        logs = np.log(table.iloc[:, three].dropna().to_numpy())
        below, above = (np.diff(logs) / np.diff(lams[three])).T if len(logs) else ([], [])
        ratios = np.array(below) / np.array(above)
        if ratios.size < 2:
            continue
        mean = Estimate(float(ratios.mean()), float(ratios.std(ddof=1)) / math.sqrt(ratios.size))
        seen = cells[cells["lam"].isin(lams[three])]
        what = f"{place(group.title, seen)}: ratio of slopes at λ {lams[i]:g}"
        yield Comparison(what, mean, ONE, LINEAR, claimed=True, freedom=ratios.size - 1)


SHELL_ROWS = (
    init_shell,
    init_around_memorization,
    memorization_around_core,
    u_shape,
    eta_over_b,
    falls_with_lambda,
)
