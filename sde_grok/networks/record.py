"""What is kept of one run while it is trained, on the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sde_grok.networks.experiment import Experiment
from sde_grok.networks.measure import Measured
from sde_grok.runs.record import run_record

__all__ = ["Record", "sketch"]

Array = NDArray[Any]
LARGEST_HALF = float(np.finfo(np.float16).max)


class Record:
    """The evaluations of one run so far, its snapshots, and its gradient noise at checkpoints."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.step: list[int] = []
        self.rows: list[Measured] = []
        self.train_accuracy: list[float] = []
        self.test_accuracy: list[float] = []
        self.snapshots: list[Array] = []
        self.noise: dict[str, dict[str, Any]] = {}
        self.mem: int | None = None
        self.grok: int | None = None
        self.diverged_at = np.nan

    def see(self, step: int, row: Measured, diverged: int) -> None:
        """Take an evaluation; one after the loss diverged counts for nothing but that."""
        if diverged >= 0 or not np.isfinite(row.train_loss):
            self.diverged_at = float(diverged if diverged >= 0 else step)
            return
        self.step.append(step)
        self.rows.append(row)
        thresholds = self.experiment.thresholds
        self.train_accuracy.append(int(row.train_right) / self.experiment.n_train)
        self.test_accuracy.append(int(row.test_right) / self.experiment.n_test)
        if self.mem is None and thresholds.memorized(self.train_accuracy[-1]):
            self.mem = step
        if self.grok is None and thresholds.generalized(self.test_accuracy[-1]):
            self.grok = step

    @property
    def ended(self) -> bool:
        """Whether the run has diverged, grokked for good, or no step to go before its budget ends."""
        settings, hold = self.experiment, self.experiment.hold
        last = settings.thresholds.generalized(self.test_accuracy[-hold:])
        held = last.size == hold and bool(last.all())
        over = self.step[-1] + settings.eval_every > settings.max_steps if self.step else False
        return bool(np.isfinite(self.diverged_at)) or over or (held and self.mem is not None)

    @property
    def checkpoints(self) -> list[str]:
        """Checkpoints whose gradient noise is wanted and that the last evaluation has reached."""
        now = self.step[-1] if self.step else None
        reached = {
            "init": now == 0,
            "mem": now is not None and now == self.mem,
            "grok": now is not None and now == self.grok,
            "end": self.ended,
        }
        return [name for name in self.experiment.noise_at if reached[name] and self.step]

    @property
    def snapshot_due(self) -> bool:
        """Whether θ of the last evaluation is to be kept."""
        every = self.experiment.snapshot_every
        return bool(every and self.step and self.step[-1] % every == 0)

    def keep(self, theta: Array) -> None:
        """Keep θ in half precision, or its sketch."""
        length = self.experiment.sketch
        kept = sketch(theta, length) if length else theta.clip(-LARGEST_HALF, LARGEST_HALF)
        self.snapshots.append(kept.astype(np.float32 if length else np.float16))

    def values(self) -> Mapping[str, Any]:
        """The run as variables of the schema; series are as long as the run."""
        series = {
            name: np.array([getattr(row, name) for row in self.rows], np.float64)
            for name in Measured._fields
            if name not in {"train_right", "test_right"}
        }
        series |= {
            "train_accuracy": np.array(self.train_accuracy, np.float64),
            "test_accuracy": np.array(self.test_accuracy, np.float64),
        }
        values: dict[str, Any] = dict(series)
        values |= run_record(
            np.array(self.step), series, self.experiment.thresholds, self.diverged_at
        )
        if self.experiment.noise_at:
            values |= self._noise_values()
        if self.experiment.snapshot_every:
            values["theta"] = np.array(self.snapshots)
        return values

    def _noise_values(self) -> dict[str, Array]:
        """Gradient noise by checkpoint, nan at those that were not reached."""
        found = [self.noise.get(name) for name in self.experiment.noise_at]
        reached = next((noise for noise in found if noise is not None), {})
        missing = {name: np.full(np.shape(value), np.nan) for name, value in reached.items()}
        return {name: np.array([(noise or missing)[name] for noise in found]) for name in reached}


def sketch(theta: Array, length: int) -> Array:
    """Count sketch of θ: each entry is added, with a random sign, to a random place.

    Linear, the same for every θ of one size, and E ‖sketch‖² = ‖θ‖²: squared distances between
    sketches are those between parameters but for a part √(2/length), one standard deviation at most.
    """
    rng = np.random.default_rng([length, theta.size])
    place, sign = rng.integers(length, size=theta.size), rng.choice([-1.0, 1.0], theta.size)
    return np.bincount(place, sign * theta, length)
