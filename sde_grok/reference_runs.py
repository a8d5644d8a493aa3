"""The measured training runs that come with the package (columns: data/reference_runs.md)."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sde_grok.optimizer import Decay

__all__ = ["Cell", "load_cells", "load_runs", "runs_sha256"]

CLASSES = {"s5": 120, "z127": 127}
AXES = ("task", "weight_decay", "eta", "lambda", "batch_size", "beta1", "beta2")
WORDS = ("task", "weight_decay")


@dataclass(frozen=True, eq=False)
class Cell:
    """Runs that differ in the seed alone; radii and √v are means over the runs that grokked.

    Attributes
    ----------
    task : str
        "s5" (composition of permutations, 120 classes) or "z127" (addition mod 127).
    decay : str
        Place of the weight shrinkage, "coupled" or "decoupled".
    eta, lam, batch_size, beta1, beta2 : float
        Of the optimizer.
    dim : int
        Number of parameters of the network.
    rho2_mem, rho2_grok : float
        Squared norm at memorization and at grokking.
    sqrt_v : float
        Mean over parameters of Adam's √v at grokking.
    delays : (n_grokked,) array
        T_grok − T_mem in steps, of the runs that grokked; quantised to the evaluation interval.
    n_runs : int
        All runs; those without grokking are censored.
    """

    task: str
    decay: Decay
    eta: float
    lam: float
    batch_size: float
    beta1: float
    beta2: float
    dim: int
    rho2_mem: float
    rho2_grok: float
    sqrt_v: float
    delays: NDArray[np.float64]
    n_runs: int


def runs_sha256() -> str:
    """Digest of the file of runs."""
    return hashlib.sha256(_runs_csv()).hexdigest()


def _runs_csv() -> bytes:
    return files("sde_grok").joinpath("data/reference_runs.csv").read_bytes()


def load_runs() -> list[dict[str, Any]]:
    """Read one dictionary a run; numbers are floats, nan where the event never happened."""
    text = _runs_csv().decode("utf-8")
    return [
        {name: value if name in WORDS else float(value or "nan") for name, value in row.items()}
        for row in csv.DictReader(text.splitlines())
    ]


def load_cells() -> list[Cell]:
    """Gather the runs by (task, decay, η, λ, b, β₁, β₂), in that order."""
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for run in load_runs():
        cells[tuple(run[axis] for axis in AXES)].append(run)
    return [_cell(cells[axes]) for axes in sorted(cells)]


def _cell(runs: list[dict[str, Any]]) -> Cell:
    column = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    grokked = np.isfinite(column["T_grok"]) & np.isfinite(column["T_mem"])
    first = runs[0]
    embedding, width, classes = first["embedding"], first["width"], CLASSES[first["task"]]
    return Cell(
        task=first["task"],
        decay=first["weight_decay"],
        eta=first["eta"],
        lam=first["lambda"],
        batch_size=first["batch_size"],
        beta1=first["beta1"],
        beta2=first["beta2"],
        dim=int(classes * embedding + 2 * embedding * width + width * classes),
        rho2_mem=float(np.mean(column["rho2_mem"][grokked])),
        rho2_grok=float(np.mean(column["rho2_grok"][grokked])),
        sqrt_v=float(np.mean(column["mean_sqrt_v_grok"][grokked])),
        delays=(column["T_grok"] - column["T_mem"])[grokked],
        n_runs=len(runs),
    )
