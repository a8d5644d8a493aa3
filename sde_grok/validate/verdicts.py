"""The verdict table: one row a claim of the theory, and the rule that decides it.

A row has comparisons (see `sde_grok.claims.Comparison`), each of a number with the one that the claim
expects, and a resolution: the difference that matters. A claim on networks is compared with measured
runs alone, a claim that no network can tell (that of the joint SDE) with simulations. The rule:

1. A comparison decides if its room, 4 standard errors by the t law and what the claim admits, is at
   most the resolution, or if the difference is larger even than the room.
2. undecided with this data: no comparison decides.
3. holds: all that decide hold, their differences at most their rooms.
4. contradicted: none that decides holds.
5. holds in a range: some do and some do not; the reason names where.

Nobody decides otherwise: a verdict is computed from the comparisons wherever it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sde_grok.claims import Comparison, Verdict
from sde_grok.results import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from sde_grok.validate.ladder import RungResult

__all__ = ["RULE", "Decision", "Row", "decides", "verdict_rows"]

Decision = Literal["holds", "holds in a range", "contradicted", "undecided with this data"]

RULE = (
    "A comparison decides if its room (4 standard errors by the t law, and what the claim admits) is "
    "at most the row's resolution, or if the difference is larger even than the room. A claim holds "
    "if all comparisons that decide hold, is contradicted if none of them does, holds in a range if "
    "some do, and is undecided with this data if no comparison decides. Claims on networks are "
    "decided by measured runs alone, those that no network can tell by simulations."
)
UNKNOWN = Estimate(math.nan, math.nan)


def decides(comparison: Comparison, resolution: float) -> bool:
    """Whether a comparison can tell a difference of the size of `resolution`, or told a larger one."""
    if not math.isfinite(comparison.difference) or not math.isfinite(comparison.room):
        return False
    return comparison.room <= resolution or not comparison.holds


@dataclass(frozen=True)
class Row:
    """A claim, its three numbers, and the comparisons that decide it.

    Attributes
    ----------
    id : str
        Short name of the row.
    claim : str
        The claim in a sentence.
    provenance : str
        Who claims it, or where it was derived or measured.
    quantity : str
        What the three numbers are, with their unit.
    closed_form, simulated, network : Estimate or None
        What the claim's law says, what simulations of its model gave, and what measured runs gave.
    comparisons : tuple of Comparison
        All that may decide; each says where.
    resolution : float
        Difference that the data must be able to tell, in the unit of the comparisons.
    sources : tuple of str
        Commands that make the numbers again.
    """

    id: str
    claim: str
    provenance: str
    quantity: str
    closed_form: Estimate | None
    simulated: Estimate | None
    network: Estimate | None
    comparisons: tuple[Comparison, ...]
    resolution: float
    sources: tuple[str, ...]

    @property
    def deciding(self) -> tuple[Comparison, ...]:
        """The comparisons that decide."""
        return tuple(c for c in self.comparisons if decides(c, self.resolution))

    @property
    def verdict(self) -> Decision:
        """What the rule says."""
        held = [c.holds for c in self.deciding]
        if not held:
            return "undecided with this data"
        if all(held):
            return "holds"
        return "holds in a range" if any(held) else "contradicted"

    @property
    def reason(self) -> str:
        """One line: the comparison that says most, by how many standard errors and per cent."""
        held = [c for c in self.deciding if c.holds]
        failed = [c for c in self.deciding if not c.holds]
        if not self.deciding:
            return self._why_undecided()
        if not failed:
            return f"nearest to failing: {max(held, key=_used)}"
        clearest = f"not {max(failed, key=_used)}"
        if not held:
            return clearest
        where = "; ".join(c.what for c in held)
        others = len(failed) - 1
        return f"{clearest}{f', nor {others} more' if others else ''}; holds for {where}"

    def _why_undecided(self) -> str:
        finite = [c for c in self.comparisons if math.isfinite(c.room)]
        if not finite:
            return "nothing to compare"
        finest = min(finite, key=lambda c: c.room)
        return f"room {finest.room:.2g}, more than the resolution {self.resolution:g}: {finest}"

    @property
    def deviation(self) -> Estimate:
        """Network less closed form; simulated, if there is no network; nan if there is neither."""
        found = self.network or self.simulated
        if found is None or self.closed_form is None:
            return UNKNOWN
        stderr = math.hypot(found.stderr, self.closed_form.stderr)
        return Estimate(found.value - self.closed_form.value, stderr)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        numbers = {name: getattr(self, name) for name in ("closed_form", "simulated", "network")}
        return {
            "id": self.id,
            "claim": self.claim,
            "provenance": self.provenance,
            "quantity": self.quantity,
            **{name: None if x is None else x._asdict() for name, x in numbers.items()},
            "deviation": self.deviation._asdict(),
            "verdict": self.verdict,
            "reason": self.reason,
            "resolution": self.resolution,
            "comparisons": [
                c.as_dict() | {"decides": decides(c, self.resolution)} for c in self.comparisons
            ],
            "sources": list(self.sources),
        }


def _used(comparison: Comparison) -> float:
    """Part of the room that the difference takes, 0 of none."""
    return comparison.used if comparison.room > 0 or comparison.difference else 0.0


def verdict_rows(
    runs: pd.DataFrame | None,
    verdicts: Mapping[str, Verdict],
    ladder: Sequence[RungResult],
    *,
    seed: int = 0,
) -> list[Row]:
    """Fill in the table.

    Parameters
    ----------
    runs : pandas.DataFrame, optional
        Measured runs, as from `sde_grok.fits.table.load_table`; columns that are not there leave
        their claims undecided. By default the packaged runs.
    verdicts : mapping of str to Verdict
        What scripts of `theory/` found, by claim: simulated numbers are taken from there.
    ladder : sequence of RungResult
        What `check_ladder` found.
    seed : int
        Of random draws; there are none at present.

    Returns
    -------
    list of Row

    Raises
    ------
    MissingExtra
        If pandas is not installed, or lifelines where times are censored.
    """
    from sde_grok.validate.rows import ROWS, gathered  # noqa: PLC0415  they need pandas

    evidence = gathered(runs, verdicts, ladder)
    return [row(evidence) for row in ROWS]
