"""Real networks: train a grid of small ones and measure what the theory speaks of.

`train_networks(PRESETS["small"])` trains the cells of a preset; `dataclasses.replace` changes any
parameter of it.
"""

from importlib.util import find_spec

from sde_grok.checks import MissingExtra

if missing := [name for name in ("jax", "optax", "xarray", "zarr") if find_spec(name) is None]:
    raise MissingExtra("networks", missing)

from sde_grok.networks.experiment import Experiment
from sde_grok.networks.presets import PRESETS
from sde_grok.networks.train import (
    TrainingInterrupted,
    TrainingProgress,
    train_networks,
)
from sde_grok.runs.stored import open_runs

__all__ = [
    "PRESETS",
    "Experiment",
    "TrainingInterrupted",
    "TrainingProgress",
    "open_runs",
    "train_networks",
]
