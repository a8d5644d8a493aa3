"""The flat annulus against measured runs: what it predicts from their radii and √v.

Each cell of (task, η, λ, b) starts at the measured ρ²_mem and ends at the measured ρ²_grok, at the
network's own dimension, with s = √v as measured at grokking; all of v is taken for gradient noise,
σ = √(bv).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sde_grok.escape import simulate_escape
from sde_grok.geometry import Geometry
from sde_grok.laws.crossover import direction_averaged_steps
from sde_grok.laws.limits import law_limit, noise_floor
from sde_grok.laws.passage import mean_passage_time
from sde_grok.noise import IsotropicNoise
from sde_grok.optimizer import Optimizer
from sde_grok.results import Estimate
from sde_grok.rungs.radial import radial_rates
from sde_grok.runner import available_threads
from sde_grok.runs.reference import Cell
from sde_grok.validate.seeds import derived_seed

__all__ = ["FlatAnnulus", "Prediction", "predict", "summarise"]

MAX_STEPS = 200_000  # the longest of the measured runs
RADIAL_PATHS = 64
REDUCED_PATHS = 8  # the passage time hardly fluctuates in 350 000 dimensions
REDUCED_TIME_STEPS = 50  # a passage


@dataclass(frozen=True)
class FlatAnnulus:
    """Transition time in optimizer steps, simulated and by closed forms.

    nan where there is none; not simulated where the exact mean is beyond MAX_STEPS.
    """

    radial: Estimate
    reduced: Estimate
    exact_mean: float
    law_limit: float
    crossover: float
    rho2_floor: float


@dataclass(frozen=True)
class Prediction:
    """A cell of measured runs and its prediction; None if the runs start inside the core."""

    cell: Cell
    flat: FlatAnnulus | None

    @property
    def measured(self) -> float:
        """Mean measured delay over the seeds, in steps."""
        return float(np.mean(self.cell.delays))

    @property
    def spread(self) -> float:
        """Standard deviation of the measured delay over the seeds; nan for one seed."""
        delays = self.cell.delays
        return float(np.std(delays, ddof=1)) if delays.size > 1 else math.nan

    @property
    def comparable(self) -> bool:
        """Whether each run has a delay to predict, and there is a prediction."""
        delayed = bool(np.all(self.cell.delays > 0))
        return delayed and self.flat is not None and math.isfinite(self.flat.exact_mean)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        cell, flat = self.cell, self.flat
        return {
            "task": cell.task,
            "eta": cell.eta,
            "lam": cell.lam,
            "batch_size": cell.batch_size,
            "dim": cell.dim,
            "n_runs": cell.n_runs,
            "n_grokked": cell.delays.size,
            "rho2_mem": cell.rho2_mem,
            "rho2_grok": cell.rho2_grok,
            "sqrt_v": cell.sqrt_v,
            "measured_steps": self.measured,
            "measured_spread": self.spread,
            "flat_annulus": None
            if flat is None
            else {
                "radial": flat.radial._asdict(),
                "reduced": flat.reduced._asdict(),
                "exact_mean": flat.exact_mean,
                "law_limit": flat.law_limit,
                "crossover": flat.crossover,
                "rho2_floor": flat.rho2_floor,
            },
        }


def predict(cells: Sequence[Cell], seed: int) -> Iterator[Prediction]:
    """Predict the cells in order, some at a time."""
    with ThreadPoolExecutor(available_threads()) as pool:
        seeds = [derived_seed(seed, index) for index in range(len(cells))]
        yield from pool.map(_predict_one, cells, seeds)


def _predict_one(cell: Cell, seed: int) -> Prediction:
    outside = cell.rho2_mem > cell.rho2_grok
    return Prediction(cell, _flat_annulus(cell, seed) if outside else None)


def _flat_annulus(cell: Cell, seed: int) -> FlatAnnulus:
    optimizer = Optimizer(
        eta=cell.eta,
        batch_size=int(cell.batch_size),
        lam=cell.lam,
        beta1=cell.beta1,
        beta2=cell.beta2,
        decay=cell.decay,
    )
    start, core, dim = cell.rho2_mem, cell.rho2_grok, cell.dim
    sigma = cell.sqrt_v * math.sqrt(cell.batch_size)
    rates = radial_rates(optimizer, sigma)
    assert rates is not None
    gamma, q2 = rates
    exact = mean_passage_time(start, core, dim=dim, gamma=gamma, q2=q2) / cell.eta
    radial = reduced = Estimate(math.nan, math.nan)
    if exact < MAX_STEPS:
        geometry = Geometry(rho_start=math.sqrt(start), rho_core=math.sqrt(core), dim=dim)
        simulate = partial(
            simulate_escape,
            optimizer,
            geometry,
            IsotropicNoise(sigma),
            max_steps=MAX_STEPS,
            seed=seed,
            threads=1,
        )
        radial = simulate(system="radial", n_paths=RADIAL_PATHS).mean
        dt = exact / REDUCED_TIME_STEPS
        seen = simulate(system="reduced", n_paths=REDUCED_PATHS, dt=dt).mean
        reduced = between_looks(seen, dt)
    return FlatAnnulus(
        radial=radial,
        reduced=reduced,
        exact_mean=exact,
        law_limit=law_limit(start, core, dim=dim, gamma=gamma, q2=q2) / cell.eta,
        crossover=direction_averaged_steps(
            start,
            core,
            dim=dim,
            eta=cell.eta,
            lam=cell.lam,
            sigma=sigma,
            batch_size=cell.batch_size,
        )
        if cell.decay == "coupled"
        else math.nan,
        rho2_floor=noise_floor(dim=dim, gamma=gamma, q2=q2),
    )


def between_looks(seen: Estimate, dt: float) -> Estimate:
    """Mean passage time of paths that are looked at every `dt`: half of it earlier than seen.

    Paths that hardly fluctuate may all pass in one interval: its width, dt/√12, is in the error.
    """
    return Estimate(seen.value - dt / 2, math.hypot(seen.stderr, dt / math.sqrt(12)))


def summarise(predictions: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    """Per task: cells with a delay, and how far the exact mean of the flat annulus is from it.

    `median_ratio` and its extremes are measured over predicted; `mape` is the mean of
    |predicted/measured − 1|; `seed_spread` the mean of the seeds' standard deviation over the mean.
    """
    comparable = [p for p in predictions if p.comparable]
    return {
        task: _summary([p for p in comparable if p.cell.task == task])
        for task in sorted({p.cell.task for p in comparable})
    }


def _summary(predictions: Sequence[Prediction]) -> dict[str, float]:
    measured = np.array([p.measured for p in predictions])
    predicted = np.array([p.flat.exact_mean for p in predictions if p.flat is not None])
    ratio = measured / predicted
    return {
        "cells": float(measured.size),
        "median_ratio": float(np.median(ratio)),
        "smallest_ratio": float(np.min(ratio)),
        "largest_ratio": float(np.max(ratio)),
        "mape": float(np.mean(np.abs(predicted / measured - 1))),
        "seed_spread": float(np.mean([p.spread for p in predictions] / measured)),
    }
