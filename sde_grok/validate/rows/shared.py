"""What rows have in common: who claims, counts of cells, the most precise number, and commands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import mul, truediv
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import bdtr, bdtrc

from sde_grok.checks import ParameterError
from sde_grok.claims import FALSE_ALARM, LARGEST_Z, Comparison
from sde_grok.results import Estimate
from sde_grok.runs.reference import classes
from sde_grok.validate.verdicts import Part, decides

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ABSTRACT",
    "LEAST",
    "MOST",
    "REPORTED",
    "VALIDATE",
    "Neurons",
    "displayed",
    "measured",
    "neurons",
    "pooled",
    "ratio",
    "script",
    "share",
    "whose",
    "with_means",
]

ABSTRACT = "claimed by arXiv 2606.30388 (its abstract)"
REPORTED = "claimed by arXiv 2606.30388 (as reported)"
VALIDATE = "sde-grok validate"
LEAST = 5  # cells of which a share says something
EXCEPTIONS = 0.1  # of the cells, that a claim on all of them admits
LARGEST = 10**6  # embedding, width and classes that a network is believed to have
MOST = 0.5  # a share that would not tell the claim from its opposite

SCRIPTS = {"theorem-2": "generalization_radius", "eta-over-b": "shell_noise"}


class Neurons(NamedTuple):
    """Kinds of neurons, by the number of weights of each: no array of them all is needed."""

    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return sum(map(mul, self.sizes, self.counts))

    @property
    def mean(self) -> float:
        """Mean of ρ² of the init shell, Σ pσ² over the neurons: k, as σ² = 1/p (LeCun)."""
        return float(sum(self.counts))

    @property
    def sd(self) -> float:
        """Standard deviation of that ρ², √(2 Σ pσ⁴)."""
        return math.sqrt(2 * sum(map(truediv, self.counts, self.sizes)))


def script(claim: str) -> str:
    """Command that checks a claim of `theory/`."""
    return f"python theory/{SCRIPTS.get(claim, claim.replace('-', '_'))}.py"


def displayed(comparisons: Iterable[Comparison], resolution: float) -> Comparison | None:
    """The comparison to show: one that decides, a mean over tasks rather, with the least room.

    Where none decides, the one with the least room; None if nothing was measured.
    """
    known = [c for c in comparisons if math.isfinite(c.measured.value) and math.isfinite(c.room)]
    deciding = [c for c in known if decides(c, resolution)]
    means = [c for c in deciding if isinstance(c, Part) and c.over]
    return min(means or deciding or known, key=lambda c: c.room, default=None)


def measured(comparison: Comparison | None) -> Estimate | None:
    """The number of a comparison, if there is one."""
    return comparison.measured if comparison else None


def whose(comparison: Comparison | None) -> str:
    """Whose number that is: task and kind of shrinkage."""
    if not isinstance(comparison, Part):
        return "none"
    name = comparison.where.partition(" (")[0]
    return f"{name}, coupled" if comparison.decay == "coupled" and not comparison.over else name


def with_means(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Parts, and the mean over the groups of each kind of shrinkage, where there are two or more."""
    parts = tuple(parts)
    alike: dict[tuple[str, str], list[Part]] = {}
    for p in parts:
        if math.isfinite(p.measured.value) and 0 < p.stderr < math.inf:
            alike.setdefault((p.decay, p.part), []).append(p)
    return (*parts, *(mean_over(of) for of in alike.values() if len(of) > 1))


def mean_over(parts: Sequence[Part]) -> Part:
    """Mean of the groups, weighted by the inverse variances.

    Notes
    -----
    The weights wᵢ, which add up to 1, are estimated with fᵢ degrees of freedom: the variance of the
    mean is that of known weights times 1 + 4 Σ wᵢ(1 − wᵢ)/fᵢ (Meier 1953), and its degrees of freedom
    are 1/Σ(wᵢ²/fᵢ), rounded down. That is for one value in all groups, as the claim has it; they need
    not agree.
    """
    precision = np.array([p.measured.stderr**-2 for p in parts])
    weights, freedom = precision / precision.sum(), np.array([p.freedom for p in parts])
    variance = (1 + 4 * np.sum(weights * (1 - weights) / freedom)) / precision.sum()
    few = float(np.sum(weights**2 / freedom))
    value = float(weights @ [p.measured.value for p in parts])
    one = parts[0]
    kind = {"coupled": "coupled", "decoupled": "AdamW"}.get(one.decay, one.decay)
    where = f"{len(parts)} groups together, {kind}"
    return replace(
        one,
        what=f"{where}: {one.part}",
        measured=Estimate(value, math.sqrt(variance)),
        freedom=max(1, math.floor(1 / few)) if few > 0 else math.inf,
        where=f"all groups, {kind}",
        over=tuple(p.where for p in parts),
    )


def share(what: str, meets: Sequence[bool]) -> Comparison | None:
    """Compare the share of cells in which a claim is met with 1, by the limits of the binomial law.

    A claim on all cells admits EXCEPTIONS. It fails if so few of n cells, each with 1 − EXCEPTIONS,
    meet it with a probability below FALSE_ALARM. It can hold only if so many, each with a half, do:
    a share that coins may have has room for all. None for fewer than LEAST cells.
    """
    n, k = len(meets), sum(meets)
    if n < LEAST:
        return None
    few = next(i for i in range(n + 1) if bdtr(i, n, 1 - EXCEPTIONS) >= FALSE_ALARM / 2)
    by_coins = k > 0 and bdtrc(k - 1, n, MOST) >= FALSE_ALARM / 2
    room = 1.0 if by_coins and k >= few else max(1 - few / n, EXCEPTIONS)
    found = Estimate(k / n, (room - EXCEPTIONS) / LARGEST_Z)
    return Comparison(what, found, Estimate(1.0), EXCEPTIONS, claimed=True)


def pooled(parts: Iterable[Sequence[bool]]) -> Estimate | None:
    """Share over all parts; None of nothing."""
    every = [meets for part in parts for meets in part]
    return Estimate(float(np.mean(every))) if every else None


def ratio(number: Estimate, unit: float) -> Estimate:
    """A number in units of another."""
    return Estimate(number.value / unit, number.stderr / unit)


def neurons(frame: pd.DataFrame) -> Neurons | None:
    """Embedding rows, hidden units, and readout rows: how many there are, and weights of each.

    None if the network is not of the packaged runs' kind, or of no size that one can have.
    """
    run: dict[str, Any] = frame.iloc[0].to_dict()
    try:
        n = classes(str(run["task"]))
    except ParameterError:
        return None
    sizes = np.array([run["embedding"], run["width"], n], float)
    possible = np.all((sizes >= 1) & (sizes <= LARGEST) & (sizes == np.floor(sizes)))
    if run["model"] != "mlp" or not possible:
        return None
    embedding, width = map(int, sizes[:2])
    return Neurons((embedding, 2 * embedding, width), (n, width, n))
