"""What rows have in common: who claims, counts of cells, the most precise number, and commands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError
from sde_grok.claims import Comparison
from sde_grok.results import Estimate
from sde_grok.runs.reference import classes

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ABSTRACT",
    "LEAST",
    "MOST",
    "REPORTED",
    "VALIDATE",
    "most_precise",
    "neurons",
    "pooled",
    "ratio",
    "script",
    "share",
]

ABSTRACT = "claimed by arXiv 2606.30388 (its abstract)"
REPORTED = "claimed by arXiv 2606.30388 (as reported)"
VALIDATE = "sde-grok validate"
LEAST = 5  # cells of which a share says something
EXCEPTIONS = 0.1  # of the cells, that a claim on all of them admits
MOST = 0.5  # a share that would not tell the claim from its opposite

SCRIPTS = {"theorem-2": "generalization_radius", "eta-over-b": "shell_noise"}


def script(claim: str) -> str:
    """Command that checks a claim of `theory/`."""
    return f"python theory/{SCRIPTS.get(claim, claim.replace('-', '_'))}.py"


def most_precise(comparisons: Iterable[Comparison]) -> Estimate | None:
    """What was measured with the least error; None if nothing was."""
    known = [c.measured for c in comparisons if math.isfinite(c.measured.value)]
    return min(known, key=lambda e: e.stderr, default=None)


def share(what: str, meets: Sequence[bool]) -> Comparison | None:
    """Compare the share of cells in which a claim is met with 1: a count, without error.

    None for fewer than LEAST cells. Cells are medians of seeds, so that chance hardly enters; a claim
    on all cells admits EXCEPTIONS.
    """
    if len(meets) < LEAST:
        return None
    found = Estimate(float(np.mean(meets)))
    return Comparison(what, found, Estimate(1.0), EXCEPTIONS, claimed=True)


def pooled(parts: Iterable[Sequence[bool]]) -> Estimate | None:
    """Share over all parts; None of nothing."""
    every = [meets for part in parts for meets in part]
    return Estimate(float(np.mean(every))) if every else None


def ratio(number: Estimate, unit: float) -> Estimate:
    """A number in units of another."""
    return Estimate(number.value / unit, number.stderr / unit)


def neurons(frame: pd.DataFrame) -> NDArray[np.int64] | None:
    """Weights of each neuron: embedding rows, hidden units, readout rows.

    They add up to the number of parameters. None if the network is not of the packaged runs' kind.
    """
    run: dict[str, Any] = frame.iloc[0].to_dict()
    sizes = [run["embedding"], run["width"]]
    if run["model"] != "mlp" or not np.isfinite(sizes).all():
        return None
    try:
        n = classes(str(run["task"]))
    except ParameterError:
        return None
    embedding, width = map(int, sizes)
    return np.repeat([embedding, 2 * embedding, width], [n, width, n])
