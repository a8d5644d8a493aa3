"""What a scan will take: cells, paths, time and room on disk, before anything is simulated."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from sde_grok.runner import available_threads
from sde_grok.scans.grid import Parameters
from sde_grok.scans.kind import Kind
from sde_grok.scans.landscapes import LandscapeScan
from sde_grok.scans.plan import Scan
from sde_grok.scans.pool import at_a_time

__all__ = ["Forecast", "forecast"]

PILOT_NORMALS = 4e6  # some 20 ms
PILOT_PATHS = 64
BYTES_A_NUMBER, BYTES_A_STATUS = 8.0, 0.5  # times hardly compress
BYTES_A_CHUNK = 8192  # files and folders are in blocks


class Forecast(NamedTuple):
    """What to expect of a scan.

    Attributes
    ----------
    n_cells : int
        Cells.
    paths : float
        Paths of all cells together.
    seconds : float
        Time on this machine, once the kernels are compiled.
    bytes : float
        Room on disk.
    """

    n_cells: int
    paths: float
    seconds: float
    bytes: float


def forecast(plan: Scan | LandscapeScan, workers: int | None = None) -> Forecast:
    """Predict what a scan takes, by the laws and by the speed of a few short paths here.

    Parameters
    ----------
    plan : Scan or LandscapeScan
        The cells; on a landscape each path is taken to last until it is censored.
    workers : int, optional
        Cells at a time; by default one a processor.
    """
    there, cells, kind = available_threads(), plan.cells(), plan.kind
    at_once = min(at_a_time(workers, len(cells)), there)
    costs = [kind.expected_cost(cell, **plan.how) for cell in cells]
    dearest: dict[str, tuple[float, Parameters]] = {}
    for cell, cost in zip(cells, costs, strict=True):
        system = kind.checked(cell).problem.system
        if cost.normals > dearest.get(system, (0.0, cell))[0]:
            dearest[system] = (cost.normals, cell)
    pace = {system: seconds_a_normal(kind, cell) for system, (_, cell) in dearest.items()}
    each = np.array(
        [
            cost.normals * cost.paths * pace[kind.checked(cell).problem.system]
            for cell, cost in zip(cells, costs, strict=True)
        ]
    )
    paths = float(sum(cost.paths for cost in costs))
    seconds = max(float(each.sum()) / at_once, float(each.max()) / there)
    n = len(kind.variables)
    room = (BYTES_A_NUMBER * (n - 1) + BYTES_A_STATUS) * paths + BYTES_A_CHUNK * n * len(cells)
    return Forecast(len(cells), paths, seconds, room)


def seconds_a_normal(kind: Kind, cell: Parameters) -> float:
    """Time that a normal takes one thread here, by short paths of a cell, mostly censored."""
    full = kind.checked(cell)
    width = 1 if full.problem.system == "radial" else full.problem.geometry.dim
    time_steps = max(1, int(PILOT_NORMALS / PILOT_PATHS / width))
    max_steps = max(1, int(min(time_steps * full.dt, full.max_steps)))
    short = {**cell, "max_steps": max_steps, "dt": min(full.dt, max_steps)}
    for _ in range(2):  # the first may compile
        began = time.perf_counter()
        paths = kind.simulate(short, 0, paths=PILOT_PATHS, threads=1)
        took = time.perf_counter() - began
    time_steps_done = float(np.nansum(paths.end_steps)) / short["dt"]
    return float(took / (max(time_steps_done, 1.0) * width))  # 0 if every path ends at once
