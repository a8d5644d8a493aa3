"""Rows on the generalization core: what its radius depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sde_grok.fits.sample import AXES
from sde_grok.laws import isotropic_c_g
from sde_grok.results import Estimate
from sde_grok.validate.rows.evidence import SYMBOLS, Evidence, Group, place
from sde_grok.validate.rows.shared import (
    REPORTED,
    displayed,
    measured,
    neurons,
    whose,
    with_means,
)
from sde_grok.validate.rows.statistics import regression
from sde_grok.validate.verdicts import Part, Row

__all__ = ["CORE_ROWS"]

ONE, NOTHING = Estimate(1.0), Estimate(0.0)
POWER = 0.05  # of an exponent of ρ²: 12 % a factor of ten
HALF = 0.5  # of the lift, or of a share


def free(evidence: Evidence) -> Row:
    """Exponents of η and b in ρ_G²."""
    axes = ("eta", "batch_size")
    parts = with_means(c for group in evidence.coupled for c in exponents(group, axes))
    shown = displayed(of_part(parts, "eta"), POWER)
    return Row(
        id="rho-g-free",
        claim="ρ_G² is a function of λ alone: free of η and b.",
        provenance="measured here, on real networks",
        quantity=f"exponent of η in ρ_G², with a constant for each λ (network: {whose(shown)}; "
        "simulated: two circuits); that of b must be 0, too",
        closed_form=NOTHING,
        simulated=evidence.simulated("two-circuits", "ρ_G², joint rung: exponent of eta"),
        network=measured(shown),
        comparisons=parts,
        resolution=POWER,
        sources=evidence.sources((), ["two-circuits"]),
        needs=tuple(map(name_of, axes)),
    )


def name_of(axis: str) -> str:
    """Name of that part of a claim."""
    return f"exponent of {SYMBOLS[axis]} in ρ_G²"


def of_part(parts: Sequence[Part], axis: str) -> list[Part]:
    """Those on one axis."""
    return [p for p in parts if p.part == name_of(axis)]


def exponents(group: Group, axes: Sequence[str]) -> Iterator[Part]:
    """Compare exponents in ρ_G² with 0: of η and b with a constant for each λ, of λ without."""
    cells = group.medians().dropna(subset=["rho2_grok"])
    logs = {axis: np.log(cells[axis]) for axis in AXES}
    for axis in axes:
        labels = [0.0] * len(cells) if axis == "lam" else list(cells["lam"])
        found, freedom = regression(np.log(cells["rho2_grok"]), logs, labels)
        if axis in found:
            where, name = place(group.title, cells), name_of(axis)
            yield Part(
                f"{where}: {name}", found[axis], NOTHING,
                claimed=True, freedom=freedom, where=where, part=name, decay=group.decay,
            )  # fmt: skip


def goldilocks(evidence: Evidence) -> Row:
    """Exponents of all axes in ρ_G², for both kinds of shrinkage."""
    parts = with_means(c for group in evidence.groups for c in exponents(group, AXES))
    shown = displayed(of_part(parts, "lam"), POWER)
    return Row(
        id="goldilocks",
        claim="Networks generalize in one shell of norms, whatever leads there: ρ_G² is a number "
        "of the task.",
        provenance="claimed by Omnigrok, arXiv 2210.01117 (as reported)",
        quantity=f"exponent of λ in ρ_G² (network: {whose(shown)}; simulated: two circuits); those of "
        "η and b must be 0, too",
        closed_form=NOTHING,
        simulated=evidence.simulated("two-circuits", "ρ_G², joint rung: exponent of lam"),
        network=measured(shown),
        comparisons=parts,
        resolution=POWER,
        sources=evidence.sources((), ["two-circuits"]),
        needs=tuple(map(name_of, AXES)),
    )


def lifted(evidence: Evidence) -> Row:
    """How much of the isotropic model's lift ρ_G² has."""
    parts = with_means(c for group in evidence.coupled if (c := lift(group)) is not None)
    shown = displayed(parts, HALF)
    return Row(
        id="rho-g-lifted",
        claim="Gradient noise lifts ρ_G² by (η/λ)c_G, c_G = dσ/(2√b) (Theorem 2).",
        provenance=f"{REPORTED}; c_G is derived, of the isotropic model",
        quantity="lift over (η/λ)c_G (network: by the cells' mean √v at grokking as σ/√b, "
        f"{whose(shown)}; simulated: floor of discrete Adam)",
        closed_form=ONE,
        simulated=evidence.simulated("theorem-2", "discrete, coupled: floor over (η/λ)c_G"),
        network=measured(shown),
        comparisons=parts,
        resolution=HALF,
        sources=evidence.sources((), ["theorem-2"]),
    )


def lift(group: Group) -> Part | None:
    """Fit ρ_G² = ρ_0²(λ) + a (η/λ)c_G over the cells, and compare a with 1."""
    cells = group.medians().dropna(subset=["rho2_grok", "mean_sqrt_v_grok"])
    sizes = neurons(group.every)
    if sizes is None or cells.empty:
        return None
    sigma = cells["mean_sqrt_v_grok"] * np.sqrt(cells["batch_size"])
    c_g = isotropic_c_g(
        dim=sizes.dim, sigma=sigma.to_numpy(), batch_size=cells["batch_size"].to_numpy()
    )
    column = {"lift": cells["eta"] / cells["lam"] * c_g}
    found, freedom = regression(cells["rho2_grok"], column, list(cells["lam"]))
    if "lift" not in found:
        return None
    where, name = place(group.title, cells), "lift of ρ_G² over (η/λ)c_G"
    return Part(
        f"{where}: {name}", found["lift"], ONE,
        claimed=True, freedom=freedom, where=where, part=name,
    )  # fmt: skip


CORE_ROWS = (free, lifted, goldilocks)
