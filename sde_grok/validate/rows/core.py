"""Rows on the generalization core: what its radius depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sde_grok.claims import Comparison
from sde_grok.fits.sample import AXES
from sde_grok.laws import isotropic_c_g
from sde_grok.results import Estimate
from sde_grok.validate.rows.evidence import SYMBOLS, Evidence, Group, place, regression
from sde_grok.validate.rows.shared import REPORTED, VALIDATE, most_precise, neurons, script
from sde_grok.validate.verdicts import Row

__all__ = ["CORE_ROWS"]

ONE, NOTHING = Estimate(1.0), Estimate(0.0)
POWER = 0.05  # of an exponent of ρ²: 12 % a factor of ten
HALF = 0.5  # of the lift, or of a share


def free(evidence: Evidence) -> Row:
    """Exponents of η and b in ρ_G²."""
    comparisons = tuple(
        c for group in evidence.coupled for c in exponents(group, ("eta", "batch_size"))
    )
    return Row(
        id="rho-g-free",
        claim="ρ_G² is a function of λ alone: free of η and b.",
        provenance="measured here, on real networks",
        quantity="exponents of η and b in ρ_G², with a constant for each λ (network: the most "
        "precise; simulated: of η, two circuits)",
        closed_form=NOTHING,
        simulated=evidence.simulated("two-circuits", "ρ_G², joint rung: exponent of eta"),
        network=most_precise(comparisons),
        comparisons=comparisons,
        resolution=POWER,
        sources=(script("core-radius"), script("two-circuits")),
    )


def exponents(group: Group, axes: Sequence[str]) -> Iterator[Comparison]:
    """Compare exponents in ρ_G² with 0: of η and b with a constant for each λ, of λ without."""
    cells = group.medians().dropna(subset=["rho2_grok"])
    logs = {axis: np.log(cells[axis]) for axis in AXES}
    for axis in axes:
        labels = [0.0] * len(cells) if axis == "lam" else list(cells["lam"])
        found, freedom = regression(np.log(cells["rho2_grok"]), logs, labels)
        if axis in found:
            what = f"{place(group.title, cells)}: exponent of {SYMBOLS[axis]} in ρ_G²"
            yield Comparison(what, found[axis], NOTHING, claimed=True, freedom=freedom)


def goldilocks(evidence: Evidence) -> Row:
    """Exponents of all axes in ρ_G², for both kinds of shrinkage."""
    comparisons = tuple(c for group in evidence.groups for c in exponents(group, AXES))
    of_lam = [c for c in comparisons if c.what.endswith("exponent of λ in ρ_G²")]
    return Row(
        id="goldilocks",
        claim="Networks generalize in one shell of norms, whatever leads there: ρ_G² is a number "
        "of the task.",
        provenance="claimed by Omnigrok, arXiv 2210.01117 (as reported)",
        quantity="exponents of η, λ and b in ρ_G² (network: of λ, the most precise; simulated: of λ, "
        "two circuits)",
        closed_form=NOTHING,
        simulated=evidence.simulated("two-circuits", "ρ_G², joint rung: exponent of lam"),
        network=most_precise(of_lam),
        comparisons=comparisons,
        resolution=POWER,
        sources=(script("core-radius"), script("two-circuits")),
    )


def lifted(evidence: Evidence) -> Row:
    """How much of the isotropic model's lift ρ_G² has."""
    comparisons = [c for group in evidence.coupled if (c := lift(group)) is not None]
    return Row(
        id="rho-g-lifted",
        claim="Gradient noise lifts ρ_G² by (η/λ)c_G, c_G = dσ/(2√b) (Theorem 2).",
        provenance=f"{REPORTED}; c_G is derived, of the isotropic model",
        quantity="lift over (η/λ)c_G (network: by the cells' mean √v at grokking as σ/√b, the most "
        "precise; simulated: floor of discrete Adam)",
        closed_form=ONE,
        simulated=evidence.simulated("theorem-2", "discrete, coupled: floor over (η/λ)c_G"),
        network=most_precise(comparisons),
        comparisons=tuple(comparisons),
        resolution=HALF,
        sources=(VALIDATE, script("theorem-2")),
    )


def lift(group: Group) -> Comparison | None:
    """Fit ρ_G² = ρ_0²(λ) + a (η/λ)c_G over the cells, and compare a with 1."""
    cells = group.medians().dropna(subset=["rho2_grok", "mean_sqrt_v_grok"])
    sizes = neurons(group.frame)
    if sizes is None or cells.empty:
        return None
    sigma = cells["mean_sqrt_v_grok"] * np.sqrt(cells["batch_size"])
    c_g = isotropic_c_g(
        dim=int(sizes.sum()), sigma=sigma.to_numpy(), batch_size=cells["batch_size"].to_numpy()
    )
    column = {"lift": cells["eta"] / cells["lam"] * c_g}
    found, freedom = regression(cells["rho2_grok"], column, list(cells["lam"]))
    if "lift" not in found:
        return None
    what = f"{place(group.title, cells)}: lift of ρ_G² over (η/λ)c_G"
    return Comparison(what, found["lift"], ONE, claimed=True, freedom=freedom)


CORE_ROWS = (free, lifted, goldilocks)
