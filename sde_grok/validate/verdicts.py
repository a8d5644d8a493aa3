"""The verdict table: one row a claim of the theory, and the rule that decides it.

A row has comparisons (see `sde_grok.claims.Comparison`), each of a number with the one that the claim
expects, and a resolution: the difference that matters. A claim on networks is compared with measured
runs alone, a claim that no network can tell (that of the joint SDE) with simulations. The rule:

1. A comparison fails if the difference is larger than its room: 4 standard errors by the t law and
   what the claim admits. It holds if the room is at most the resolution and the difference at most
   the room and half of the resolution: not excluded, and close. Otherwise it cannot tell.
2. A group (a task and kind of shrinkage, a range) fails if a part of the claim fails there, and holds
   if all parts of the claim do.
3. The mean over groups of one kind stands for them where none of them fails: if it fails, they all do;
   if it holds, it counts as one that holds.
4. holds: some groups hold, none fails. contradicted: some fail, none holds. holds in a range: both;
   the reason names where. undecided with this data: neither.

Nobody decides otherwise: a verdict is computed from the comparisons wherever it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from sde_grok.claims import Comparison, Verdict
from sde_grok.results import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from sde_grok.validate.ladder import RungResult

__all__ = ["RULE", "Decision", "Part", "Row", "decides", "resolution_of", "verdict_rows"]

Decision = Literal["holds", "holds in a range", "contradicted", "undecided with this data"]

CLOSE = 0.5  # of the resolution: how far off a number may be that is said to hold

RULE = (
    "A comparison fails if the difference is larger than its room (4 standard errors by the t law, and "
    "what the claim admits). It holds if the room is at most the resolution and the difference at most "
    "the room and half of the resolution: not excluded, and close. Otherwise it cannot tell. A group "
    "(a task and kind of shrinkage, or a range) holds if every part of the claim holds there, and fails "
    "if one fails. The mean over the tasks of one kind stands for them where none of them fails by "
    "itself. A claim holds if groups hold and none fails, is contradicted if groups fail and none "
    "holds, holds in a range if some hold and others fail, and is undecided with this data otherwise. "
    "Claims on networks are decided by measured runs alone, those that no network can tell by "
    "simulations."
)
UNKNOWN = Estimate(math.nan, math.nan)


@dataclass(frozen=True)
class Part(Comparison):
    """A comparison of one part of a claim in one group of runs.

    Parameters
    ----------
    where : str
        The group: all parts must hold there. By default the comparison is a group by itself.
    part : str
        The part of the claim, by the name that it has in every group.
    decay : str
        Kind of shrinkage of the runs.
    resolution : float
        Difference that matters here; nan for that of the row.
    over : tuple of str
        The groups that it is the mean of; none if it is of one.
    """

    where: str = ""
    part: str = ""
    decay: str = "coupled"
    resolution: float = math.nan
    over: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        more = {"where": self.where, "part": self.part, "over": list(self.over)}
        return super().as_dict() | more


def resolution_of(comparison: Comparison, of_row: float) -> float:
    """Difference that matters in a comparison, by default that of its row."""
    own = comparison.resolution if isinstance(comparison, Part) else math.nan
    return of_row if math.isnan(own) else own


def decides(comparison: Comparison, resolution: float) -> bool:
    """Whether a comparison fails, or is as fine and as close as one that holds must be."""
    if not math.isfinite(comparison.difference) or not math.isfinite(comparison.room):
        return False
    resolution = resolution_of(comparison, resolution)
    close = abs(comparison.difference) <= CLOSE * resolution
    return not comparison.holds or (close and comparison.room <= resolution)


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
    needs : tuple of str
        Parts of the claim that a group must have, all of them, to hold.
    beside : tuple of Comparison
        The same of runs that the claim's source is not about: they decide nothing.
    notes : tuple of str
        Runs that are not among those compared, and why.
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
    needs: tuple[str, ...] = ()
    beside: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def deciding(self) -> tuple[Comparison, ...]:
        """The comparisons that decide."""
        return tuple(c for c in self.comparisons if decides(c, self.resolution))

    @property
    def groups(self) -> dict[str, bool | None]:
        """Whether the claim holds in each group, None where that cannot be told."""
        parts = self._by_group()
        found = {name: self._told(of) for name, of in parts.items() if not _over(of)}
        for name, of in parts.items():
            over = _over(of)
            if not over or any(found.get(x) is False for x in over):
                continue
            found[name] = self._told(of)
            if found[name] is False:  # some of them are off, and nothing says which
                found |= dict.fromkeys(over, False)
        return found

    def _by_group(self) -> dict[str, list[Comparison]]:
        found: dict[str, list[Comparison]] = {}
        for i, c in enumerate(self.comparisons):
            where = c.where if isinstance(c, Part) else ""
            found.setdefault(where or f"{c.what} [{i}]", []).append(c)
        return found

    def _told(self, parts: Sequence[Comparison]) -> bool | None:
        decided = [c for c in parts if decides(c, self.resolution)]
        if not all(c.holds for c in decided):
            return False
        there = {c.part for c in decided if isinstance(c, Part)}
        whole = len(decided) == len(parts) and there.issuperset(self.needs)
        return True if whole else None

    @property
    def verdict(self) -> Decision:
        """What the rule says."""
        found = set(self.groups.values())
        if {True, False} <= found:
            return "holds in a range"
        if False in found:
            return "contradicted"
        return "holds" if True in found else "undecided with this data"

    @property
    def reason(self) -> str:
        """One line: the comparison that says most, by how many standard errors and per cent."""
        beside = f"; decides nothing: {_finest(self.beside)}" if self.beside else ""
        return self._why() + beside + "".join(f"; {note}" for note in self.notes)

    def _why(self) -> str:
        groups, by_group = self.groups, self._by_group()
        if self.verdict == "undecided with this data":
            return self._why_undecided()
        if self.verdict == "holds":
            held = [c for name, told in groups.items() if told for c in by_group[name]]
            return f"nearest to failing: {max(held, key=_used)}"
        failed = [c for c in self.deciding if not c.holds]
        clearest, others = max(failed, key=_used), len(failed) - 1
        said = f"not {clearest}{f', nor {others} more' if others else ''}"
        names = [_name(name, by_group[name]) for name, told in groups.items() if told]
        return f"{said}; holds for {'; '.join(names)}" if names else f"not {clearest}"

    def _why_undecided(self) -> str:
        finite = [c for c in self.comparisons if math.isfinite(c.room)]
        open_ = [c for c in finite if not decides(c, self.resolution)]
        if not finite:
            return "nothing to compare"
        if not open_:
            return f"nowhere all of {'; '.join(self.needs)}; nearest to failing: {_finest(finite)}"
        c = min(open_, key=lambda c: c.room / resolution_of(c, self.resolution))
        resolution = resolution_of(c, self.resolution)
        if c.room > resolution:
            return f"room {c.room:.2g}, more than the resolution {resolution:.3g}: {c}"
        off = abs(c.difference)
        return f"off by {off:.2g}, more than half of the resolution {resolution:.3g}: {c}"

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
            "comparisons": [self._plain(c) for c in self.comparisons],
            "beside": [c.as_dict() for c in self.beside],
            "sources": list(self.sources),
        }

    def _plain(self, c: Comparison) -> dict[str, Any]:
        resolution = resolution_of(c, self.resolution)
        more = {"resolution": resolution, "decides": decides(c, self.resolution)}
        return c.as_dict() | more


def _over(parts: Sequence[Comparison]) -> set[str]:
    """Groups that these are the means of."""
    return {name for c in parts if isinstance(c, Part) for name in c.over}


def _name(where: str, parts: Sequence[Comparison]) -> str:
    """Name of a group, and of the part if there is one alone."""
    return parts[0].what if len(parts) == 1 else where


def _finest(comparisons: Sequence[Comparison]) -> Comparison:
    """The comparison with the least room."""
    return min(comparisons, key=lambda c: c.room if math.isfinite(c.room) else math.inf)


def _used(comparison: Comparison) -> float:
    """Part of the room that the difference takes, 0 of none."""
    return comparison.used if comparison.room > 0 or comparison.difference else 0.0


def verdict_rows(
    runs: pd.DataFrame | None,
    verdicts: Mapping[str, Verdict],
    ladder: Sequence[RungResult],
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
    rows = [row(evidence) for row in ROWS]
    return [replace(row, notes=(*row.notes, *evidence.notes)) for row in rows]
