"""Rows on the delay from memorization to grokking: its exponents, and the test by the batch size.

Exponents of networks are of censored fits with the errors of the scatter of cells. They decide where
their room is at most half of the exponent that is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sde_grok.claims import Comparison
from sde_grok.laws import constant_law, exponents, transition_time
from sde_grok.results import Estimate
from sde_grok.validate.rows.evidence import SYMBOLS, Evidence, Group, TimeFit
from sde_grok.validate.rows.shared import REPORTED, most_precise, script
from sde_grok.validate.verdicts import Row

__all__ = ["TIME_ROWS", "b_test"]

AT = {"rho2_start": 2.0, "rho2_core": 1.0, "eta": 1e-3, "lam": 1e-4, "batch_size": 100.0}
THEOREM_3 = exponents(partial(transition_time, sigma=1.0), AT)
FREE = exponents(partial(constant_law, constant=1.0), AT)
ROUNDING = 1e-6  # of an exponent
FLAT = {  # simulated on a flat landscape
    "eta": ("regimes", "reduced rung, b = 100, exponent of eta, as claimed"),
    "lam": ("regimes", "reduced rung, b = 100, exponent of lam, as claimed"),
    "batch_size": ("b-test", "of the reduced rung, coupled"),
}
ADAMW = ("b-test", "of discrete Adam, decoupled")

Fit = Callable[[Group], TimeFit | None]


@dataclass(frozen=True)
class Exponent:
    """A row on the exponent of one axis in a time."""

    id: str
    claim: str
    provenance: str
    time: str
    axis: str
    expected: float
    fit: Fit
    decays: tuple[str, ...]

    def __call__(self, evidence: Evidence) -> Row:
        """Compare the exponent on each task."""
        fits = [self.fit(group) for group in evidence.groups if group.decay in self.decays]
        known = [(fit, e) for fit in fits if fit and (e := fit.exponent(self.axis))]
        closed = Estimate(self.expected)
        name = f"exponent of {SYMBOLS[self.axis]} in {self.time}"
        comparisons = tuple(
            Comparison(
                f"{fit.where}: {name}", e, closed, ROUNDING, claimed=True, freedom=fit.freedom
            )
            for fit, e in known
        )
        return Row(
            id=self.id,
            claim=self.claim,
            provenance=self.provenance,
            quantity=f"{name} (network: the most precise; simulated: flat landscape, T in steps)",
            closed_form=closed,
            simulated=evidence.simulated(*FLAT[self.axis]),
            network=most_precise(comparisons),
            comparisons=comparisons,
            resolution=abs(self.expected) / 2,
            sources=(*(fit.command for fit, _ in known), script(FLAT[self.axis][0])),
        )


def over_log(group: Group) -> TimeFit | None:
    """Of the delay over the logarithm of the radii."""
    return group.over_log_fit


def plain(group: Group) -> TimeFit | None:
    """Of the delay."""
    return group.delay_fit


def theorem_3(axis: str, power: str) -> Exponent:
    """Theorem 3's exponent of an axis."""
    name = {"eta": "tau-eta", "lam": "tau-lambda", "batch_size": "tau-b"}[axis]
    return Exponent(
        id=name,
        claim=f"τ_{{M→G}} over ln(ρ_M/ρ_G) goes as {power} (Theorem 3's leading term).",
        provenance=REPORTED,
        time="τ/ln(ρ_M/ρ_G)",
        axis=axis,
        expected=getattr(THEOREM_3, axis),
        fit=over_log,
        decays=("coupled",),
    )


def inverse(axis: str) -> Exponent:
    """Exponent of an axis in a delay ∝ 1/(ηλ)."""
    return Exponent(
        id={"eta": "delay-eta", "lam": "delay-lambda"}[axis],
        claim=f"The delay T_grok − T_mem is ∝ 1/(ηλ): its exponent of {SYMBOLS[axis]}.",
        provenance="recomputed from the runs released with arXiv 2606.13753 (AdamW)",
        time="T_grok − T_mem",
        axis=axis,
        expected=getattr(FREE, axis),
        fit=plain,
        decays=("coupled", "decoupled"),
    )


def b_test(evidence: Evidence) -> Row:
    """Difference of the exponents of b with coupled and with decoupled shrinkage."""
    claimed = Estimate(THEOREM_3.batch_size - FREE.batch_size)
    comparisons, commands = [], []
    for one in evidence.coupled:
        for other in evidence.groups:
            fits = one.delay_fit, other.delay_fit
            if (other.decay, other.name) != ("decoupled", one.name) or None in fits:
                continue
            compared = difference(*fits, claimed)
            comparisons += [compared] if compared else []
            commands += [fit.command for fit in fits if fit]
    flat = [evidence.simulated(*at) for at in (FLAT["batch_size"], ADAMW)]
    return Row(
        id="b-test",
        claim="The batch size tells coupled from decoupled shrinkage: T ∝ b^−½ against T free of b.",
        provenance=f"{REPORTED}; derived for decoupled shrinkage",
        quantity="exponent of b in T_grok − T_mem, coupled less decoupled (simulated: flat landscape)",
        closed_form=claimed,
        simulated=minus(flat[0], flat[1]) if flat[0] and flat[1] else None,
        network=most_precise(comparisons),
        comparisons=tuple(comparisons),
        resolution=abs(claimed.value) / 2,
        sources=(*commands, script("b-test")),
    )


def minus(one: Estimate, other: Estimate) -> Estimate:
    """Difference of independent numbers."""
    return Estimate(one.value - other.value, (one.stderr**2 + other.stderr**2) ** 0.5)


def difference(
    coupled: TimeFit | None, decoupled: TimeFit | None, claimed: Estimate
) -> Comparison | None:
    """Compare the difference of two exponents of b; None if one was not fitted."""
    if not coupled or not decoupled:
        return None
    one, other = coupled.exponent("batch_size"), decoupled.exponent("batch_size")
    if not one or not other:
        return None
    return Comparison(
        f"{coupled.where}, b^({one}), against {decoupled.where}, b^({other})",
        minus(one, other),
        claimed,
        ROUNDING,
        claimed=True,
        freedom=min(coupled.freedom, decoupled.freedom),
    )


TIME_ROWS = (
    theorem_3("eta", "η⁻¹"),
    theorem_3("lam", "λ⁻¹"),
    theorem_3("batch_size", "b^−½"),
    inverse("eta"),
    inverse("lam"),
    b_test,
)
