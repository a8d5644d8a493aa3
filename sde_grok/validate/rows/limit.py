"""The row that no network can tell: the SDE of Adam's state, beside Adam itself."""

from __future__ import annotations

import math

from sde_grok.claims import Comparison
from sde_grok.results import Estimate
from sde_grok.validate.ladder import RungResult
from sde_grok.validate.rows.evidence import Evidence
from sde_grok.validate.rows.shared import VALIDATE, displayed, measured
from sde_grok.validate.verdicts import Row

__all__ = ["LIMIT_ROWS", "sde_limit"]

ONE = Estimate(1.0)
SMALL = 0.05  # of a mean time; the rungs below leave out more where they are off


def sde_limit(evidence: Evidence) -> Row:
    """Mean time of the joint SDE over that of discrete Adam, in each row of the ladder."""
    joint = [r for r in evidence.ladder if r.rung == "joint"]
    comparisons = tuple(c for r in joint if (c := over_adam(r)) is not None)
    return Row(
        id="sde-limit",
        claim="Adam is described by an SDE of its joint state (θ, m, v): dS = μ dt + √(η/b) σ dW.",
        provenance="claimed by arXiv 2606.30388 (as reported) and 2205.10287",
        quantity="mean escape time of the joint SDE over that of discrete Adam, flat landscape "
        "(simulated: the most precise that decides)",
        closed_form=ONE,
        simulated=measured(displayed(comparisons, SMALL)),
        network=None,
        comparisons=comparisons,
        resolution=SMALL,
        sources=(VALIDATE,),
    )


def over_adam(r: RungResult) -> Comparison | None:
    """Compare the ratio of the means with 1; None if paths were left over."""
    means = r.from_rung_above
    if means is None or r.hit_fraction < 1:
        return None
    ratio = means.measured.value / means.expected.value
    parts = (x.stderr / x.value for x in (means.measured, means.expected))
    what = f"{r.decay}, λ {r.lam:g}, b {r.batch_size}: joint SDE over discrete Adam"
    return Comparison(what, Estimate(ratio, ratio * math.hypot(*parts)), ONE, claimed=True)


LIMIT_ROWS = (sde_limit,)
