"""What a derivation in `theory/` found: a claim, its checks, and the verdict that follows from them.

A script of `theory/` states one claim, checks its algebra (`Residual`) and its numbers
(`Comparison`), and returns a `Verdict`. Nothing here or there decides a verdict by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sde_grok.results import Estimate

__all__ = ["LARGEST_Z", "Comparison", "Provenance", "Residual", "Verdict", "report", "within"]

Provenance = Literal["claimed", "derived", "measured"]
LARGEST_Z = 4.0  # false-alarm rate 6e-5 a comparison


@dataclass(frozen=True)
class Residual:
    """A symbolic check: what is left of an identity, 0 if it holds.

    Parameters
    ----------
    what : str
        The identity, in words or as a formula.
    expression : object
        A SymPy expression, simplified; kept as text.
    """

    what: str
    expression: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "expression", str(self.expression))

    @property
    def holds(self) -> bool:
        """Whether nothing is left."""
        return bool(self.expression == "0")


@dataclass(frozen=True)
class Comparison:
    """A numeric check: a measured number beside the one that the claim expects.

    Parameters
    ----------
    what : str
        What was measured, and where.
    measured : Estimate
        The number and its standard error; 0 for a computed one.
    expected : Estimate
        What the claim says; with a standard error if it was measured, too.
    allowed : float
        Error that the claim admits, as a fraction of the expected number (as it is if that is 0):
        the size of the terms that an approximate law leaves out, or the accuracy of a computed
        number.
    """

    what: str
    measured: Estimate
    expected: Estimate
    allowed: float = 0.0

    @property
    def stderr(self) -> float:
        """Standard error of the difference."""
        return math.hypot(self.measured.stderr, self.expected.stderr)

    @property
    def difference(self) -> float:
        """Measured minus expected."""
        return self.measured.value - self.expected.value

    @property
    def z(self) -> float:
        """Difference in standard errors; nan if there are none."""
        return self.difference / self.stderr if self.stderr > 0 else math.nan

    @property
    def fraction(self) -> float:
        """Difference as a fraction of the expected number; nan if that is 0."""
        expected = self.expected.value
        return self.difference / abs(expected) if expected else math.nan

    @property
    def holds(self) -> bool:
        """Whether the difference is chance, or within what is allowed."""
        room = LARGEST_Z * self.stderr + self.allowed * (abs(self.expected.value) or 1.0)
        return abs(self.difference) <= room

    def __str__(self) -> str:
        off = [f"{self.fraction:+.2%}"] if math.isfinite(self.fraction) else []
        off += [f"{self.z:+.1f} σ"] if math.isfinite(self.z) else []
        off += [f"allowed {self.allowed:.2g}"] if self.allowed else []
        return f"{self.what}: {self.measured}, expected {self.expected} ({', '.join(off)})"


@dataclass(frozen=True)
class Verdict:
    """A claim and what was found.

    Parameters
    ----------
    claim : str
        Its id in `theory/claims.toml`.
    provenance : {"claimed", "derived", "measured"}
        Claimed by arXiv 2606.30388 or another paper (as reported), derived from the model here, or
        measured on real networks.
    symbolic : sequence of Residual
        Checks of the algebra.
    numeric : sequence of Comparison
        Checks of the numbers.
    validity : str
        Range of validity found, with its numbers.
    data : mapping
        What the script's figure shows.
    table : sequence of mappings
        Rows of numbers that belong to the verdict, all with the same columns.
    """

    claim: str
    provenance: Provenance
    symbolic: Sequence[Residual]
    numeric: Sequence[Comparison]
    validity: str
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    table: Sequence[Mapping[str, float]] = ()

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return not self.contradictions

    @property
    def conclusion(self) -> str:
        """Say it in a word: "holds" or "contradicted"."""
        return "holds" if self.holds else "contradicted"

    @property
    def contradictions(self) -> tuple[str, ...]:
        """What does not hold, with its numbers."""
        algebra = [f"{r.what}: residual {r.expression}" for r in self.symbolic if not r.holds]
        return (*algebra, *(str(c) for c in self.numeric if not c.holds))

    @property
    def is_failure(self) -> bool:
        """Whether an error of ours is found: a contradiction of what was derived, not claimed."""
        algebra = any(not r.holds for r in self.symbolic)
        return algebra or (self.provenance == "derived" and not self.holds)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and words, without the data of the figure."""
        return {
            "claim": self.claim,
            "provenance": self.provenance,
            "verdict": self.conclusion,
            "validity": self.validity,
            "table": [dict(row) for row in self.table],
            "symbolic": [
                {"what": r.what, "residual": r.expression, "holds": r.holds} for r in self.symbolic
            ],
            "numeric": [
                {
                    "what": c.what,
                    "measured": c.measured._asdict(),
                    "expected": c.expected._asdict(),
                    "allowed": c.allowed,
                    "z": c.z,
                    "fraction": c.fraction,
                    "holds": c.holds,
                }
                for c in self.numeric
            ],
        }


def within(
    name: str, values: Sequence[float], deviations: Sequence[float], limit: float = 0.01
) -> str:
    """Say for which of the values tried the deviation is within `limit`, and the worst.

    Parameters
    ----------
    name : str
        What the values are, as "b".
    values : sequence of float
        Values tried.
    deviations : sequence of float
        Relative deviation of the law at each.
    limit : float
        Deviation up to which the law is called valid.

    Returns
    -------
    str
        One phrase with the numbers.
    """
    good = [value for value, off in zip(values, deviations, strict=True) if abs(off) <= limit]
    worst = max(range(len(values)), key=lambda i: abs(deviations[i]))
    most = f"{deviations[worst]:+.2%} at {name} = {values[worst]:g}"
    if not good:
        return f"not within {limit:.0%} at any {name} tried: {most}"
    if len(good) == len(values):
        return f"within {limit:.0%} at all {name} tried, {min(values):g} to {max(values):g}: {most}"
    return f"within {limit:.0%} at {name} = {', '.join(f'{v:g}' for v in good)}; {most}"


def report(verdict: Verdict) -> int:
    """Print a verdict; return the exit code of its script, 1 for an error of ours."""
    print(f"{verdict.claim} ({verdict.provenance}): {verdict.conclusion}")
    for residual in verdict.symbolic:
        print(f"  algebra  {residual.what}: residual {residual.expression}")
    for comparison in verdict.numeric:
        mark = "" if comparison.holds else "  <- contradicted"
        print(f"  numbers  {comparison}{mark}")
    print(f"  range    {verdict.validity}")
    for i, row in enumerate(verdict.table):
        if i == 0:
            print("  table    " + " ".join(f"{name:>14}" for name in row))
        print("           " + " ".join(f"{value:14.6g}" for value in row.values()))
    return int(verdict.is_failure)
