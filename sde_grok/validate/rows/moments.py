"""Rows on what the reduced description assumes: fast moments, small and isotropic gradient noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from sde_grok.claims import Comparison
from sde_grok.fits.sample import AXES
from sde_grok.fits.table import imported
from sde_grok.laws import momentum_noise, participation_ratio
from sde_grok.results import Estimate
from sde_grok.runs.reference import classes
from sde_grok.validate.rows.evidence import Evidence, Group, place
from sde_grok.validate.rows.shared import (
    LEAST,
    MOST,
    REPORTED,
    displayed,
    measured,
    neurons,
    pooled,
    share,
)
from sde_grok.validate.verdicts import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOMENT_ROWS"]

ONE, NOTHING = Estimate(1.0), Estimate(0.0)
EVENTS = {"mem": "memorization", "peak": "norm peak", "grok": "grokking"}
CLOSE = 0.1  # relative deviation up to which a moment is at its mean field, and noise isotropic
HALF = 0.5  # of what an m without any h in it would have, or of an isotropic covariance

Value = Callable[[Group, str], "pd.Series"]
Shares = tuple[tuple[Comparison, ...], Estimate | None]


def medians(group: Group, values: pd.Series) -> pd.Series:
    """Medians of the cells of a value of each run, where it was measured; indexed by (η, λ, b)."""
    return values.groupby([group.frame[axis] for axis in AXES]).median().dropna()


def cells(
    evidence: Evidence, value: Value, events: tuple[str, ...]
) -> Iterator[tuple[str, pd.Series]]:
    """Medians of the cells of each group with coupled shrinkage at each event, and where."""
    for group in evidence.coupled:
        for event in events:
            found = medians(group, value(group, event))
            if len(found) >= LEAST:
                where = place(group.title, found.index.to_frame(index=False))
                yield f"{where}, {EVENTS[event]}", found


def mean(x: pd.Series) -> tuple[Estimate, int]:
    """Mean over cells, with the error of their scatter, and its degrees of freedom."""
    return Estimate(float(x.mean()), float(x.std()) / np.sqrt(len(x))), len(x) - 1


def slow_m(evidence: Evidence) -> Row:
    """‖m − h‖²/‖h‖² beyond what noise leaves in m."""
    found = {where: mean(x) for where, x in cells(evidence, m_beyond_noise, tuple(EVENTS))}
    comparisons = tuple(
        Comparison(
            f"{where}: ‖m − h‖²/‖h‖² beyond noise",
            off,
            NOTHING,
            CLOSE**2,
            claimed=True,
            freedom=freedom,
        )
        for where, (off, freedom) in found.items()
    )
    return Row(
        id="slow-manifold-m",
        claim="Adam's first moment is fast: m stays at its mean field h (Observation 1).",
        provenance=REPORTED,
        quantity="‖m − h‖²/‖h‖² beyond noise, mean over cells (network: coupled, the most precise that decides); 1 is an m "
        "without any h in it",
        closed_form=NOTHING,
        simulated=None,
        network=measured(displayed(comparisons, HALF)),
        comparisons=comparisons,
        resolution=HALF,
        sources=evidence.sources(["slow-manifold"]),
    )


def m_beyond_noise(group: Group, event: str) -> pd.Series:
    """‖m − h‖²/‖h‖² less (1−β₁)/(1+β₁) tr C/‖h‖² of each run, nan where it was not measured."""
    frame = group.frame
    names = [f"{x}_{event}" for x in ("m_deviation", "noise_trace", "gradient_norm2")]
    known = frame.dropna(subset=[*names, "beta1"])
    noise = momentum_noise(
        known[names[1]].to_numpy(),
        known[names[2]].to_numpy(),
        batch_size=known["batch_size"].to_numpy(),
        beta1=known["beta1"].to_numpy(),
    )
    return (known[names[0]] ** 2 - np.asarray(noise) ** 2).reindex(frame.index)


def in_cells(
    evidence: Evidence, value: Value, limit: float, events: tuple[str, ...], meaning: str
) -> Shares:
    """Shares of cells with a value of at most `limit`: comparisons, and the pooled one."""
    found = {where: list(x <= limit) for where, x in cells(evidence, value, events)}
    compared = [share(f"{where}: share of {meaning}", meets) for where, meets in found.items()]
    return tuple(c for c in compared if c is not None), pooled(found.values())


def slow_v(evidence: Evidence) -> Row:
    """Share of cells with v near E g²."""
    meaning = f"cells with ‖v − E g²‖/‖E g²‖ ≤ {CLOSE:g}"
    comparisons, network = in_cells(evidence, v_deviation, CLOSE, tuple(EVENTS), meaning)
    return Row(
        id="slow-manifold-v",
        claim="Adam's second moment is fast: v stays at its mean field h² + diag C (Observation 1).",
        provenance=REPORTED,
        quantity=f"share of {meaning} (network: of all, at all events)",
        closed_form=ONE,
        simulated=None,
        network=network,
        comparisons=comparisons,
        resolution=MOST,
        sources=evidence.sources(["slow-manifold"]),
    )


def v_deviation(group: Group, event: str) -> pd.Series:
    """‖v − E g²‖/‖E g²‖ of each run."""
    return group.frame[f"v_deviation_{event}"]


def small_noise(evidence: Evidence) -> Row:
    """Share of cells with noise of a minibatch no larger than the gradient."""
    meaning = "cells with tr Σ/b ≤ ‖∇L‖²"
    comparisons, network = in_cells(evidence, over_signal, 1.0, ("mem", "grok"), meaning)
    return Row(
        id="small-covariance",
        claim="The covariance of the gradient is small: tr Σ/b ≤ ‖∇L‖² (Observation 2).",
        provenance=REPORTED,
        quantity=f"share of {meaning} (network: of all, at both events)",
        closed_form=ONE,
        simulated=None,
        network=network,
        comparisons=comparisons,
        resolution=MOST,
        sources=evidence.sources(["isotropic-noise"]),
    )


def over_signal(group: Group, event: str) -> pd.Series:
    """Noise of a minibatch over the gradient, tr Σ/b over ‖∇L‖², of each run."""
    frame = group.frame
    return frame[f"noise_total_{event}"] / frame["batch_size"] / frame[f"noise_signal_{event}"]


def isotropic(evidence: Evidence) -> Row:
    """Participation ratio of Σ over the largest that n examples allow."""
    found = {where: mean(x) for where, x in cells(evidence, directions, ("mem", "grok"))}
    comparisons = tuple(
        Comparison(f"{where}: participation of Σ", part, ONE, CLOSE, claimed=True, freedom=freedom)
        for where, (part, freedom) in found.items()
    )
    return Row(
        id="isotropic-covariance",
        claim="The covariance of the gradient is isotropic: Σ ≈ σ²I (Observation 2), as far as n "
        "examples allow: they span n − 1 directions.",
        provenance=REPORTED,
        quantity="participation ratio (tr Σ)²/tr Σ² over the least of the dimension and n − 1, n the "
        "number of training examples (where known), mean over cells (network: coupled, the most precise "
        "that decides)",
        closed_form=ONE,
        simulated=None,
        network=measured(displayed(comparisons, HALF)),
        comparisons=comparisons,
        resolution=HALF,
        sources=evidence.sources(["isotropic-noise"]),
    )


def directions(group: Group, event: str) -> pd.Series:
    """Participation ratio over the largest possible of each run, nan where that is not known."""
    frame, sizes = group.frame, neurons(group.every)
    dim = np.nan if sizes is None else min(sizes.dim, max(examples(group) - 1, 1))
    names = [f"noise_total_{event}", f"noise_square_{event}"]
    known = frame.dropna(subset=names)
    ratio = participation_ratio(*(known[name].to_numpy() for name in names))
    return (known[names[0]] * 0 + np.asarray(ratio) / dim).reindex(frame.index)


def examples(group: Group) -> float:
    """Number of training examples: a part of the table of the task; infinite if it is not known."""
    run = group.every.iloc[0]
    part = float(imported().to_numeric(run.get("train_fraction", np.nan), errors="coerce"))
    return float(int(part * classes(str(run["task"])) ** 2)) if 0 < part <= 1 else np.inf


MOMENT_ROWS = (slow_m, slow_v, small_noise, isotropic)
