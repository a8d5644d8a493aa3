"""All that a validation found, and its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sde_grok.claims import Verdict
from sde_grok.validate.claims import Claim
from sde_grok.validate.figures import ladder_figure, network_figure
from sde_grok.validate.ladder import RungResult
from sde_grok.validate.networks import Prediction, summarise
from sde_grok.validate.trained import Trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sde_grok.validate.verdicts import Row

__all__ = ["Checked", "Findings", "with_its_rung"]

Checked = tuple[Claim, Verdict, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """What a validation found.

    Attributes
    ----------
    command : str
        Command that makes the same validation again.
    when : str
        Date of it, in words for the report.
    wall_seconds : float
        Time that it took, but for drawing and writing.
    checked : sequence of (Claim, Verdict, Figure or None)
        The claims of `theory/`.
    rungs : sequence of RungResult
        The ladder.
    predictions : sequence of Prediction
        Packaged runs, and what a flat annulus predicts for them.
    forecasts : sequence of mappings
        Errors of laws calibrated on some cells of the packaged runs, as `prediction_table` has them.
    rows : sequence of Row
        Verdicts on the theory from closed forms, simulations and measured runs together.
    runs : str
        What those measured runs are, in words.
    trained : sequence of Trained
        Networks that were trained for this validation.
    provenance : dict
        What is needed to do it again.
    """

    command: str
    when: str
    wall_seconds: float
    checked: Sequence[Checked]
    rungs: Sequence[RungResult]
    predictions: Sequence[Prediction]
    forecasts: Sequence[Mapping[str, Any]]
    rows: Sequence[Row]
    runs: str
    trained: Sequence[Trained]
    provenance: dict[str, Any]

    @property
    def failures(self) -> list[str]:
        """Checks of what was derived here that fail: errors of the code, not of a paper."""
        claims = [f"{v.claim}: {line}" for _, v, _ in self.checked for line in v.errors]
        return claims + [line for r in self.rungs for line in with_its_rung(r, r.failures)]

    def figures(self) -> dict[str, Figure]:
        """All figures by the names of their files, drawn in the current style."""
        drawn = {"ladder": ladder_figure(self.rungs), "networks": network_figure(self.predictions)}
        drawn |= {Path(c.figure).stem: figure for c, _, figure in self.checked if figure}
        for trained in self.trained:
            drawn |= trained.figures()
        return drawn

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and words: what validate.json holds."""
        return {
            "failures": self.failures,
            "verdicts": [row.as_dict() for row in self.rows],
            "claims": [{"statement": c.statement, **v.as_dict()} for c, v, _ in self.checked],
            "ladder": [result.as_dict() for result in self.rungs],
            "networks": [prediction.as_dict() for prediction in self.predictions],
            "networks_summary": summarise(self.predictions),
            "forecasts": [finite(dict(row)) for row in self.forecasts],
            "trained": [trained.as_dict() for trained in self.trained],
            "provenance": self.provenance,
            "wall_seconds": self.wall_seconds,
        }


def with_its_rung(r: RungResult, remarks: Sequence[str]) -> list[str]:
    """Put the problem and the rung before each remark on it."""
    return [f"{r.decay}, λ = {r.lam:g}, b = {r.batch_size}, {r.rung}: {x}" for x in remarks]


def finite(value: Any) -> Any:
    """The same with null for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
