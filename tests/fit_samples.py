"""Samples to fit that tests share: the reference runs, and a grid of settings."""

from itertools import product

import numpy as np
import pytest

from sde_grok.runs.reference import REFERENCE_RUNS

pd = pytest.importorskip("pandas")

from sde_grok.fits.sample import Sample


def made(response, y, frame, event=None):
    axes = [a for a in ("eta", "lam", "batch_size", "decay") if a in frame]
    cell = frame.groupby(axes).ngroup().to_numpy()
    event = np.ones(len(frame), bool) if event is None else np.asarray(event)
    return Sample(response, np.asarray(y, float), event, frame.reset_index(drop=True), cell)


def reference(task, response="delay"):
    frame = pd.read_csv(str(REFERENCE_RUNS))
    frame["lam"] = frame["lambda"]
    frame = frame[(frame.task == task) & (frame.lam <= 3e-4) & (frame.T_grok > frame.T_mem)]
    y = {"delay": frame.T_grok - frame.T_mem, "t_mem": frame.T_mem}.get(response)
    return made(response, frame[response] if y is None else y, frame)


def grid(seeds=2):
    """Settings of a full grid, with radii that vary with all of them."""
    points = product([3e-4, 1e-3, 3e-3], [1e-4, 3e-4, 1e-3], [25.0, 100.0, 400.0], range(seeds))
    frame = pd.DataFrame(points, columns=["eta", "lam", "batch_size", "seed"])
    rng = np.random.default_rng(3)
    frame["rho2_grok"] = rng.uniform(4000, 5000, len(frame))
    frame["rho2_mem"] = frame["rho2_grok"] * rng.uniform(1.2, 2.5, len(frame))
    return frame
