"""How much `sde-grok validate` does: paths of the ladder, and networks that it trains itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sde_grok.networks import Experiment

__all__ = ["PRESETS", "Preset", "Training"]

MOST_SEEDS = 2**31


@dataclass(frozen=True)
class Training:
    """A grid of networks to train.

    Attributes
    ----------
    name : str
        What its folder and its figures are called.
    preset : str
        Experiment of `sde_grok.networks.PRESETS` that it is, but for `changes`.
    changes : mapping
        Parameters of the experiment that are different.
    """

    name: str
    preset: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    def experiment(self, seed: int) -> Experiment:
        """What is trained in the validation with `seed`; no two seeds share a network."""
        from sde_grok.networks import PRESETS as EXPERIMENTS  # noqa: PLC0415

        grid = replace(EXPERIMENTS[self.preset], **self.changes)
        return replace(grid, seed=seed * grid.seeds % MOST_SEEDS)

    def folder(self, out: Path, seed: int) -> Path:
        """Where its runs are kept; those of another seed have another folder."""
        return out / "runs" / f"{self.name}-{seed}"

    def command(self, out: Path, seed: int) -> str:
        """Command that trains the same runs, into the same folder."""
        changes = {**self.changes, "seed": self.experiment(seed).seed}
        options = [
            part for name, value in changes.items() for part in (option_name(name), shown(value))
        ]
        folder = str(self.folder(out, seed))
        return join(["sde-grok", "train", "--preset", self.preset, *options, "--out", folder])


@dataclass(frozen=True)
class Preset:
    """Size of a validation.

    Attributes
    ----------
    name : str
        As `--preset` has it.
    ladder_paths : int
        Paths of each simulation of the ladder.
    trainings : sequence of Training
        Networks to train.
    needs_gpu : bool
        Whether a processor would take days for them.
    """

    name: str
    ladder_paths: int
    trainings: Sequence[Training]
    needs_gpu: bool = False


def option_name(parameter: str) -> str:
    """Option of `sde-grok train` for a parameter of an experiment."""
    return "--" + parameter.replace("_", "-")


def shown(value: Any) -> str:
    """Value of an option; a tuple is a comma list."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


SMALL_GRID: Mapping[str, Any] = {
    "eta": (1e-3, 3e-3, 1e-2),
    "batch_size": (25, 100, 400),
    "seeds": 5,
}
PAPER_GRID: Mapping[str, Any] = {
    "eta": (3e-4, 1e-3, 3e-3),
    "lam": (3e-5, 1e-4, 3e-4),
    "batch_size": (100, 400),
    "seeds": 4,
}

QUICK = Preset(
    name="quick",
    ladder_paths=512,
    trainings=(
        Training(
            "z31",
            "tiny",
            {"eta": (5e-3, 1e-2), "lam": (5e-4, 2e-3), "batch_size": (50, 200), "seeds": 3},
        ),
    ),
)
FULL = Preset(
    name="full",
    ladder_paths=2048,
    trainings=(
        Training(
            "z59",
            "small",
            {"lam": (1e-4, 3e-4, 1e-3), **SMALL_GRID},
        ),
        Training(
            "z59-decoupled",
            "small",
            {"decay": "decoupled", "lam": (0.3, 1.0), **SMALL_GRID},
        ),
    ),
)
PAPER = Preset(
    name="paper",
    ladder_paths=2048,
    trainings=(
        Training("z127", "paper", PAPER_GRID),
        Training("s5", "paper", {"task": "s5", **PAPER_GRID}),
    ),
    needs_gpu=True,
)
PRESETS = {preset.name: preset for preset in (QUICK, FULL, PAPER)}
