"""What is measured of the gradient noise at a checkpoint, as variables of the schema."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from sde_grok.laws.participation import participation_ratio
from sde_grok.networks.batches import SAMPLERS
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.gradient_noise import batch_noise, gradient_noise
from sde_grok.networks.models import MODELS, Params

__all__ = ["batch_sizes", "noise_at_checkpoint"]

BATCH_SIZES = (10, 100, 1000)


def batch_sizes(experiment: Experiment) -> list[int]:
    """Sizes at which the noise of minibatches is measured: those that the training set allows."""
    return [b for b in BATCH_SIZES if b <= experiment.n_train]


def noise_at_checkpoint(
    experiment: Experiment, step: int, params: Params, inputs: jax.Array, targets: jax.Array
) -> dict[str, Any]:
    """Spectrum of Σ over the training set, and the noise of minibatches of several sizes."""
    model, seed = MODELS[experiment.model], experiment.seed
    noise = gradient_noise(model, params, inputs, targets, rank=experiment.noise_rank, seed=seed)
    sampler = SAMPLERS[experiment.sampling]
    drawn = [
        batch_noise(model, params, inputs, targets, sampler=sampler, batch_size=b, seed=seed)
        for b in batch_sizes(experiment)
    ]
    noisy = noise.square > 0
    participation = participation_ratio(noise.total, noise.square) if noisy else math.nan
    return {
        **{f"noise_{name}": value for name, value in noise._asdict().items()},
        "noise_participation": participation,
        "noise_isotropy": participation / experiment.n_parameters,
        "noise_step": step,
        "noise_of_batch": np.array([trace for trace, _ in drawn]),
        "noise_of_batch_stderr": np.array([stderr for _, stderr in drawn]),
    }
