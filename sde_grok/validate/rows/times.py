"""Rows on the delay from memorization to grokking: its exponents, and the test by the batch size.

Exponents of networks are of censored fits with the errors of the scatter of cells. They decide where
their room is at most half of the exponent that is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sde_grok.laws import constant_law, exponents, transition_time
from sde_grok.results import Estimate
from sde_grok.validate.rows.evidence import SYMBOLS, Evidence, Group, TimeFit
from sde_grok.validate.rows.shared import (
    REPORTED,
    displayed,
    measured,
    script,
    whose,
    with_means,
)
from sde_grok.validate.verdicts import Part, Row

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
ALONE = {
    "coupled": "exponent of b in T_grok − T_mem, coupled",
    "decoupled": "exponent of b in T_grok − T_mem, AdamW",
}
BOTH = "the one less the other"
ADAMW = ("b-test", "of discrete Adam, decoupled")

Fit = Callable[[Group], TimeFit | None]


@dataclass(frozen=True)
class Exponent:
    """A row on the exponent of one axis in a time, decided by runs of one kind of shrinkage."""

    id: str
    claim: str
    provenance: str
    time: str
    axis: str
    expected: float
    fit: Fit
    decay: str

    def __call__(self, evidence: Evidence) -> Row:
        """Compare the exponent on each task."""
        name = f"exponent of {SYMBOLS[self.axis]} in {self.time}"
        decay, resolution = self.decay, abs(self.expected) / 2
        other = "coupled" if decay == "decoupled" else ""  # no time over a logarithm is of AdamW
        (parts, commands, notes), (beside, more, _) = (
            self.compared(evidence, d, name) for d in (decay, other)
        )
        shown = displayed(parts, resolution)
        return Row(
            id=self.id,
            claim=self.claim,
            provenance=self.provenance,
            quantity=f"{name} (network: {whose(shown)}; simulated: flat landscape, T in steps)",
            closed_form=Estimate(self.expected),
            simulated=evidence.simulated(*FLAT[self.axis]),
            network=measured(shown),
            comparisons=parts,
            resolution=resolution,
            sources=(*commands, *more, script(FLAT[self.axis][0])),
            beside=beside,
            notes=tuple(notes),
        )

    def compared(
        self, evidence: Evidence, decay: str, name: str
    ) -> tuple[tuple[Part, ...], list[str], list[str]]:
        """Comparisons of runs of one kind of shrinkage, commands that make them again, and notes."""
        parts, commands, notes = [], [], []
        for group in evidence.groups:
            fit = self.fit(group) if group.decay == decay else None
            if fit and (part := compared(fit, self.axis, self.expected, fit.where, name, decay)):
                parts.append(part)
                commands += [fit.command] if fit.command else []
                notes += [unseen(fit)] if fit.unknown else []
        return with_means(parts), commands, notes


def compared(
    fit: TimeFit, axis: str, expected: float, where: str, name: str, decay: str
) -> Part | None:
    """Compare a fitted exponent; None if it was not fitted."""
    found = fit.exponent(axis)
    if found is None:
        return None
    return Part(
        f"{fit.where}: {name}", found, Estimate(expected), ROUNDING,
        claimed=True, freedom=fit.freedom, where=where, part=name, decay=decay,
    )  # fmt: skip


def unseen(fit: TimeFit) -> str:
    """How many runs a fit leaves out, and why."""
    return (
        f"{fit.unknown} runs of {fit.where} that did not grok are left out, as their ρ_G is not known: "
        "long times are missing"
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
        decay="coupled",
    )


def inverse(axis: str) -> Exponent:
    """Exponent of an axis in a delay ∝ 1/(ηλ)."""
    return Exponent(
        id={"eta": "delay-eta", "lam": "delay-lambda"}[axis],
        claim=f"The delay T_grok − T_mem of AdamW is ∝ 1/(ηλ): its exponent of {SYMBOLS[axis]}.",
        provenance="recomputed from the runs released with arXiv 2606.13753 (AdamW)",
        time="T_grok − T_mem",
        axis=axis,
        expected=getattr(FREE, axis),
        fit=plain,
        decay="decoupled",
    )


def b_test(evidence: Evidence) -> Row:
    """Exponents of b with coupled and with decoupled shrinkage, and their difference."""
    claimed = THEOREM_3.batch_size - FREE.batch_size
    parts: list[Part] = []
    commands: list[str] = []
    for one in evidence.coupled:
        for other in evidence.groups:
            if (other.decay, other.name) == ("decoupled", one.name):
                fits = [fit for fit in (one.delay_fit, other.delay_fit) if fit]
                found = pair(*fits) if len(fits) == 2 else []
                parts += found
                commands += [fit.command for fit in fits if found and fit.command]
    means = with_means(parts)
    shown = displayed([p for p in means if p.part == BOTH], abs(claimed) / 2)
    flat = [evidence.simulated(*at) for at in (FLAT["batch_size"], ADAMW)]
    return Row(
        id="b-test",
        claim="The batch size tells coupled from decoupled shrinkage: T ∝ b^−½ against T free of b.",
        provenance=f"{REPORTED}; derived for decoupled shrinkage",
        quantity=f"exponent of b in T_grok − T_mem, coupled less AdamW (network: {whose(shown)}; "
        "simulated: flat landscape); each of them must be as claimed, too",
        closed_form=Estimate(claimed),
        simulated=minus(flat[0], flat[1]) if flat[0] and flat[1] else None,
        network=measured(shown),
        comparisons=means,
        resolution=abs(claimed) / 2,
        sources=(*commands, script("b-test")),
        needs=(*ALONE.values(), BOTH),
    )


def pair(coupled: TimeFit, decoupled: TimeFit) -> list[Part]:
    """Compare both exponents of b, and their difference; nothing if one was not fitted."""
    where = f"{coupled.where} and {decoupled.where}"
    expected = {"coupled": THEOREM_3.batch_size, "decoupled": FREE.batch_size}
    fits = {"coupled": coupled, "decoupled": decoupled}
    alone = [
        part
        for decay, fit in fits.items()
        if (part := compared(fit, "batch_size", expected[decay], where, ALONE[decay], "both"))
    ]
    if len(alone) < 2:
        return []
    one, other = alone
    return [
        *alone,
        Part(
            f"{where}: {BOTH}",
            minus(one.measured, other.measured),
            minus(one.expected, other.expected),
            ROUNDING,
            claimed=True,
            freedom=min(one.freedom, other.freedom),
            where=where,
            part=BOTH,
            decay="both",
        ),
    ]


def minus(one: Estimate, other: Estimate) -> Estimate:
    """Difference of independent numbers."""
    return Estimate(one.value - other.value, (one.stderr**2 + other.stderr**2) ** 0.5)


TIME_ROWS = (
    theorem_3("eta", "η⁻¹"),
    theorem_3("lam", "λ⁻¹"),
    theorem_3("batch_size", "b^−½"),
    inverse("eta"),
    inverse("lam"),
    b_test,
)
