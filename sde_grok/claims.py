"""What a derivation in `theory/` found: a claim, its checks, and the verdict that follows from them.

A script of `theory/` states one claim, checks its algebra (`Residual`) and its numbers
(`Comparison`), and returns a `Verdict`. Nothing here or there decides a verdict by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from sde_grok.results import Estimate

__all__ = [
    "FALSE_ALARM",
    "LARGEST_Z",
    "Comparison",
    "Provenance",
    "Residual",
    "Verdict",
    "kolmogorov_distance",
    "report",
    "within",
]

Provenance = Literal["claimed", "derived", "measured"]
LARGEST_Z = 4.0
FALSE_ALARM = 2 * float(ndtr(-LARGEST_Z))
"""Probability 6e-5 that a comparison fails by chance."""


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
    claimed : bool
        Whether the expected number is what a paper claims, or a regularity seen in measured
        networks. If it is not met, that is a result; if a derived one is not, that is an error of
        ours.
    freedom : float
        Degrees of freedom of the standard error, if it is estimated from few numbers.
    """

    what: str
    measured: Estimate
    expected: Estimate
    allowed: float = 0.0
    claimed: bool = False
    freedom: float = math.inf

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
    def room(self) -> float:
        """Difference that may be: by chance, at the rate FALSE_ALARM, or as allowed."""
        t = (
            float(stdtrit(self.freedom, 1 - FALSE_ALARM / 2))
            if self.freedom < math.inf
            else LARGEST_Z
        )
        return t * self.stderr + self.allowed * (abs(self.expected.value) or 1.0)

    @property
    def used(self) -> float:
        """Part of the room that the difference takes; beyond 1 it does not hold."""
        return abs(self.difference) / self.room if self.room > 0 else math.inf

    @property
    def holds(self) -> bool:
        """Whether the difference may be."""
        return abs(self.difference) <= self.room

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {
            "what": self.what,
            "measured": self.measured._asdict(),
            "expected": self.expected._asdict(),
            "allowed": self.allowed,
            "claimed": self.claimed,
            "room": self.room,
            "z": self.z,
            "fraction": self.fraction,
            "holds": self.holds,
        }

    def __str__(self) -> str:
        off = [f"{self.fraction:+.2%}"] if math.isfinite(self.fraction) else []
        off += [f"{self.z:+.1f} σ"] if math.isfinite(self.z) else []
        off += [f"{self.freedom:g} degrees of freedom"] if self.freedom < math.inf else []
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
        measured here: a regularity of networks that no derivation gives.
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

    def __post_init__(self) -> None:
        if not self.symbolic or not self.numeric:
            message = f"{self.claim}: a verdict needs checks of the algebra and of the numbers"
            raise ValueError(message)

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
        return (*self.errors, *(str(c) for c in self.numeric if c.claimed and not c.holds))

    @property
    def errors(self) -> tuple[str, ...]:
        """What of that is an error of ours: it was derived, neither claimed nor measured."""
        algebra = [f"{r.what}: residual {r.expression}" for r in self.symbolic if not r.holds]
        return (*algebra, *(str(c) for c in self.numeric if not c.claimed and not c.holds))

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
            "numeric": [c.as_dict() for c in self.numeric],
        }


def kolmogorov_distance(probability: NDArray[np.float64]) -> float:
    """√n times the largest distance of a distribution function from that of n numbers.

    Parameters
    ----------
    probability : (n,) array
        Its values at the numbers, in their order.

    Returns
    -------
    float
        √n sup |F − F_n|, Kolmogorov's statistic.
    """
    n = probability.size
    below = np.arange(n) / n  # the empirical one just before each number; just after, 1/n more
    return math.sqrt(n) * float(
        np.max(np.maximum(probability - below, below + 1 / n - probability))
    )


def within(
    name: str,
    values: Sequence[float],
    deviations: Sequence[float | Estimate],
    limit: float = 0.01,
) -> str:
    """Say for which of the values tried the deviation is within `limit`, and the worst.

    Parameters
    ----------
    name : str
        What the values are, as "b".
    values : sequence of float
        Values tried.
    deviations : sequence of float or Estimate
        Relative deviation of the law at each; with a standard error if it was simulated. One that
        may be within the limit by less than 2 standard errors, or beyond, is called open.
    limit : float
        Deviation up to which the law is called valid.

    Returns
    -------
    str
        One phrase with the numbers.
    """
    found = [Estimate(*d) if isinstance(d, tuple) else Estimate(d) for d in deviations]
    good = [abs(d.value) + 2 * d.stderr <= limit for d in found]
    bad = [not abs(d.value) - 2 * d.stderr <= limit for d in found]
    sizes = [abs(d.value) if math.isfinite(d.value) else math.inf for d in found]
    worst = sizes.index(max(sizes))
    spread = f" ± {found[worst].stderr:.1%}" if found[worst].stderr > 0 else ""
    most = f"{found[worst].value:+.2%}{spread} at {name} = {values[worst]:.4g}"
    percent = f"{100 * limit:g} %"
    groups = {
        f"within {percent}": good,
        "open": [not g and not b for g, b in zip(good, bad, strict=True)],
    }
    said = [
        f"{words} at {name} = {', '.join(f'{v:.4g}' for v, m in zip(values, mask, strict=True) if m)}"
        for words, mask in groups.items()
        if any(mask)
    ]
    return ", ".join(said or [f"not within {percent} at any {name} tried"]) + f"; {most}"


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
    return int(bool(verdict.errors))
