"""How a scan's time and memory grow with paths, cells, d, 1/η, threads and workers.

Each point is taken in a process of its own. Linux alone says how much memory a process had.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.runner import available_threads
from sde_grok.scans import Scan, scan

BASE = {"dim": 8, "sigma": 1.0, "eps": 0.0, "rho_start": 2.0, "rho_core": 1.0, "max_steps": 10**8}
GROWTH = {
    "paths": [10**2, 10**3, 10**4, 10**5, 10**6],
    "cells": [1, 10, 100, 1000],
    "d, radial": [8, 100, 1000, 10**4, 10**5],
    "d, reduced": [8, 100, 1000, 10**4, 10**5],
    "d, joint": [8, 100, 1000, 10**4, 10**5],
    "1/eta, radial": [10**3, 10**4, 10**5, 10**6],
    "1/eta, reduced": [10**3, 10**4, 10**5],
    "threads": [1, 2, 4, 8, 16],
    "workers": [1, 2, 4, 8, 16],
    "Dask workers": [1, 2, 4, 8, 16],
}


def time_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def resident(what: str = "VmRSS") -> float:
    """Resident memory of this process in MB: now, or its peak, VmHWM."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def slope_of(x: Any, y: Any) -> tuple[float, float]:
    """Slope of a straight line, and its standard error."""
    if len(x) < 3:
        return (float(np.polyfit(x, y, 1)[0]) if len(x) == 2 else math.nan), math.nan
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return float(slope), float(covariance[0, 0] ** 0.5)


class Spent(NamedTuple):
    """What something took."""

    seconds: float
    megabytes: float  # of resident memory at most, beyond what was there before


def spent_by(work: Callable[[], Any]) -> Spent:
    """Seconds and peak memory; getrusage would give a child the peak of its parent."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak is counted anew
    before = resident("VmHWM")
    seconds, _ = time_of(work)
    return Spent(seconds, resident("VmHWM") - before)


def small_cells(n: int, paths: int = 200) -> Scan:
    """A scan of n cells along η."""
    axes = {"eta": list(np.geomspace(1e-3, 2e-3, n))}
    return Scan(base=BASE | {"batch_size": 100, "lam": 0.01}, axes=axes, paths=paths)


def scanned(plan: Scan, **options: Any) -> Spent:
    """A scan, its folder included."""
    with tempfile.TemporaryDirectory() as folder:
        scan(small_cells(2, 2), out=Path(folder) / "warm")
        return spent_by(lambda: scan(plan, out=Path(folder) / "scan", **options))


def escape(n_paths: int, **changes: Any) -> Spent:
    """One cell by the entry point, without its compilation."""
    shell = {k: changes.pop(k) for k in ("dim", "rho_start", "rho_core") if k in changes}
    eta = changes.pop("eta", 1e-3)

    def run(n: int) -> Any:
        return simulate_escape(
            Optimizer(eta=eta, batch_size=100, lam=0.01, eps=0.0),
            Geometry(**{"dim": 8, "rho_start": 2.0, "rho_core": 1.0} | shell),
            IsotropicNoise(1.0),
            n_paths=n,
            seed=1,
            **{"system": "radial", "max_steps": 10**8} | changes,
        )

    run(2)
    return spent_by(lambda: run(n_paths))


def dask(plan: Scan, workers: int) -> Spent:
    """A scan on worker processes, started and warm; their memory is not counted."""
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        LocalCluster(n_workers=workers, **options) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        address = cluster.scheduler_address
        scan(small_cells(4 * workers, 2), out=Path(folder) / "warm", scheduler=address)
        return spent_by(lambda: scan(plan, out=Path(folder) / "scan", scheduler=address))


def point(kind: str, value: int) -> dict[str, float]:
    """One point of a growth."""
    apart = {"rho_start": 2 * value**0.5, "rho_core": value**0.5, "dim": value}
    steps = {"n_paths": 64, "max_steps": 200, "dt": 1.0}  # all censored
    heavy = {"n_paths": 2000, "system": "reduced", "dim": 64, "rho_start": 8.0, "rho_core": 4.0}
    plan = Scan(
        base=BASE
        | {"dim": 64, "system": "reduced", "rho_start": 8.0, "rho_core": 4.0}
        | {"lam": 0.01, "batch_size": 100},
        axes={"eta": list(np.geomspace(1e-3, 2e-3, 16))},
        paths=200,
    )
    spent = {
        "paths": lambda: escape(value),
        "cells": lambda: scanned(small_cells(value)),
        "d, radial": lambda: escape(10_000, **apart),
        "d, reduced": lambda: escape(system="reduced", **apart, **steps),
        "d, joint": lambda: escape(system="joint", **apart, **steps),
        "1/eta, radial": lambda: escape(10_000, eta=1 / value),
        "1/eta, reduced": lambda: escape(64, eta=1 / value, system="reduced"),
        "threads": lambda: escape(threads=value, **heavy),
        "workers": lambda: scanned(plan, workers=value),
        "Dask workers": lambda: dask(plan, value),
    }[kind]()
    found = {"value": value, **spent._asdict()}
    if kind in {"d, reduced", "d, joint"}:
        found["ns_per_path_step"] = spent.seconds * 1e9 / (steps["n_paths"] * steps["max_steps"])
    return found


def growth(child: Callable[..., Any], points: int) -> dict[str, Any]:
    """Each growth, of so many points, and the slope of its last three on log axes.

    `child` does a `point` in a process of its own.
    """
    found = {}
    for kind, values in GROWTH.items():
        if kind in {"threads", "workers", "Dask workers"}:
            values = [v for v in values if v <= available_threads()]
        seen = [child(kind, str(value)) for value in values[:points]]
        x, y = (np.log([p[key] for p in seen[-3:]]) for key in ("value", "seconds"))
        slope, error = slope_of(x, y)
        found[kind] = {"points": seen, "slope": slope, "stderr": error}
        shown = "  ".join(
            f"{p['value']}: {p['seconds']:.3g} s, {p['megabytes']:.3g} MB" for p in seen
        )
        doubt = "" if math.isnan(error) else f" ± {error:.2f}"
        print(f"{kind:15} slope {slope:+.2f}{doubt:7}  {shown}", flush=True)
    return found
