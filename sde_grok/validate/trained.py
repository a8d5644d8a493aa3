"""Networks that a validation trains itself: their runs, and cell by cell what became of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sde_grok.checks import ParameterError
from sde_grok.validate.presets import Preset, Training

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from sde_grok.validate.verdicts import Row

__all__ = ["Trained", "check_device", "device", "figure_names", "train"]

AXES = ("eta", "lam", "batch_size")
SHOWN = ("t_mem", "t_grok", "rho2_init", "rho2_mem", "rho2_peak", "rho2_grok")


@dataclass(frozen=True, eq=False)
class Trained:
    """A grid of networks that was trained.

    Attributes
    ----------
    training : Training
        What it is of.
    command : str
        Command that makes it again.
    runs : Dataset
        The runs.
    rows : sequence of Row
        What these runs alone say of the theory.
    """

    training: Training
    command: str
    runs: xr.Dataset
    rows: Sequence[Row]

    def cells(self) -> Iterator[dict[str, float]]:
        """Each cell (η, λ, b): medians over its seeds, infinite for what most runs never did.

        The median delay is that of the Kaplan–Meier curve, in which runs that never grok are
        censored; nan if they are most.
        """
        from sde_grok.datasets import escape_times  # noqa: PLC0415

        for place in product(*(self.runs[axis].to_numpy().tolist() for axis in AXES)):
            at = dict(zip(AXES, place, strict=True))
            cell = self.runs.sel(at)
            yield {
                **{axis: float(value) for axis, value in at.items()},
                "runs": float(cell.sizes["seed"]),
                "grokked": float(cell["t_grok"].notnull().sum()),
                "delay": float(escape_times(cell).median),
                **{name: float(cell[name].fillna(math.inf).median()) for name in SHOWN},
            }

    def figures(self) -> dict[str, Figure]:
        """Every run, and of the longest one what moves ρ²; by the names of their files."""
        from sde_grok.datasets import each_run  # noqa: PLC0415
        from sde_grok.runs.figures import balance_figure, runs_figure  # noqa: PLC0415

        longest = max(each_run(self.runs), key=lambda run: run.sizes["step"])
        drawn = (runs_figure(self.runs), balance_figure(longest))
        return dict(zip(figure_names(self.training), drawn, strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {
            "name": self.training.name,
            "command": self.command,
            "cells": list(self.cells()),
            "verdicts": [row.as_dict() for row in self.rows],
        }


def figure_names(training: Training) -> list[str]:
    """Names of the files of its figures."""
    return [f"{training.name}-runs", f"{training.name}-balance"]


def device() -> str:
    """What networks are trained on."""
    import jax  # noqa: PLC0415

    found = jax.devices()[0]
    return f"networks on {found.platform} ({found.device_kind})"


def check_device(preset: Preset) -> None:
    """Refuse networks that only a GPU trains in reasonable time where there is none.

    There is no option against it: `sde-grok train` takes any network and any time, and `--runs` its
    folder.
    """
    import jax  # noqa: PLC0415

    if preset.needs_gpu and jax.default_backend() == "cpu":
        allowed = "quick or full without a GPU; 'sde-grok train' trains its networks on any machine"
        raise ParameterError("preset", preset.name, f"{allowed}, and --runs takes them")


def train(
    training: Training, out: Path, seed: int, show: Callable[[str], None] | None
) -> xr.Dataset:
    """Train, or go on where it was interrupted; `show` is told now and then what was done."""
    from sde_grok.networks import TrainingProgress, train_networks  # noqa: PLC0415

    def progress(seen: TrainingProgress) -> None:
        if show is not None:
            show(f"{seen.done} of {seen.n_runs} {training.name} networks")

    folder = training.folder(out, seed)
    return train_networks(training.experiment(seed), out=folder, progress=progress)
