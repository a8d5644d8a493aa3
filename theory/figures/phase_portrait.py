"""Phase portrait of a memorizing and a generalizing circuit, and the escape from shell to core.

Blocks m and g of 250 and 6 coordinates share the margin ρ_m² + 6ρ_g² of the training examples; that
of the test is −10ρ_m² + 6ρ_g². Σ = ℓ σ²I, with ℓ the training loss. Paths of the joint rung start on
a small sphere, of which m has nearly all. They memorize in m for the most part, swell on, and shrink
to the core while the norm moves to g.

Streamlines are those of the reduced rung, whose own paths follow them. Those of the joint rung cross
them at first, then go along, but slower: v remembers larger gradients, of a loss that falls in less
than 1/(1−β₂) = 1000 steps. Noise, which is no part of the drift, keeps ρ_m from the 0 at which the
mean flow rests.

    sde-grok figures phase_portrait --out DIR

simulates the paths in seconds, and writes phase_portrait and escape_sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sde_grok import GrokkingResult, IsotropicNoise, Optimizer, simulate_grokking
from sde_grok.landscapes import circuits
from sde_grok.laws import logistic_radius
from sde_grok.portrait import TwoCircuits, escape_sequence, phase_portrait
from sde_grok.trajectories import Trajectories, trajectories

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

DIMS, RHO_START = (250, 6), 0.8
TRAIN, TEST, DEGREE = (1.0, 6.0), (-10.0, 6.0), 2.0
SIGMA = 2.0
LOSSES = {"train_loss": 0.02, "test_loss": 0.1}
OPTIMIZER = Optimizer(eta=1e-3, lam=0.01, batch_size=200)
SAMPLES, CLOUD, POINTS = 6, 512, 60  # paths drawn as lines, and as points; states of a line
LONGEST = 20_000


class Data(NamedTuple):
    """The circuits, sample paths with their stages, and a cloud of paths at the steps of titles."""

    circuit: TwoCircuits
    samples: Trajectories
    stages: GrokkingResult
    cloud: Trajectories
    titles: list[str]


def problem() -> TwoCircuits:
    """The circuits with their shells; at rest m is 0, and g as it would be alone."""
    landscape = circuits(DIMS, TRAIN, TEST, degree=DEGREE, noise="loss")
    rest = logistic_radius(OPTIMIZER.lam, rate=TRAIN[1], degree=DEGREE, scale=1.0) ** 0.5
    return TwoCircuits(
        landscape=landscape,
        optimizer=OPTIMIZER,
        noise=IsotropicNoise(SIGMA),
        dims=DIMS,
        rho_start=RHO_START,
        rest=(0.0, rest),
        **LOSSES,
    )


def arguments(circuit: TwoCircuits, n_paths: int, seed: int) -> dict[str, Any]:
    """What both simulations of the same paths are given."""
    start = {"rho_start": circuit.rho_start, "dim": sum(circuit.dims)}
    return {**start, "system": "joint", "n_paths": n_paths, "seed": seed}


def stopped(circuit: TwoCircuits, n_paths: int, seed: int) -> GrokkingResult:
    """Stages of the paths."""
    nouns = circuit.optimizer, circuit.noise, circuit.landscape
    same = arguments(circuit, n_paths, seed)
    return simulate_grokking(*nouns, **same, **LOSSES, max_steps=LONGEST)


def states(circuit: TwoCircuits, n_paths: int, seed: int, at: list[int]) -> Trajectories:
    """States of the paths at the steps `at`."""
    nouns = circuit.optimizer, circuit.noise, circuit.landscape
    return trajectories(*nouns, **arguments(circuit, n_paths, seed), at=at)


def samples(circuit: TwoCircuits, seed: int = 0) -> tuple[Trajectories, GrokkingResult]:
    """Sample paths on to twice the time in which they generalize."""
    stages = stopped(circuit, SAMPLES, seed)
    ends = [stages.memorized.steps, stages.generalized.steps]
    grid = np.geomspace(1, 2 * stages.generalized.steps.max(), POINTS)
    at = [int(k) for k in np.concatenate([grid, *ends])]
    return states(circuit, SAMPLES, seed, at), stages


def cloud(circuit: TwoCircuits, seed: int = 0) -> tuple[Trajectories, list[str]]:
    """The cloud before, at, and after the median times of its stages."""
    stages = stopped(circuit, CLOUD, seed)
    mem, peak, grok = (
        int(np.median(stage.steps)) for stage in (stages.memorized, stages.peak, stages.generalized)
    )
    titles = {
        mem // 3: "before",
        mem: r"at $\tau_M$",
        peak: "at the norm's peak",
        round((peak * grok) ** 0.5): "between",
        grok: r"at $\tau_G$",
    }
    return states(circuit, CLOUD, seed, list(titles)), list(titles.values())


def load(folder: Path | None = None) -> Data:
    """Simulate; nothing is read."""
    circuit = problem()
    return Data(circuit, *samples(circuit), *cloud(circuit))


def draw(data: Data) -> dict[str, Figure]:
    """Both figures."""
    return {
        "phase_portrait": phase_portrait(data.circuit, paths=data.samples, stages=data.stages),
        "escape_sequence": escape_sequence(data.circuit, paths=data.cloud, titles=data.titles),
    }
