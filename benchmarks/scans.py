"""Parameter scans: time to result beside peers, how cost and memory grow, and the scan's own overhead.

    python benchmarks/scans.py [--quick] [--out benchmarks/results]

1. The standard scan, 5 η × 5 b × 5 λ, each cell's mean to 1 % standard error: by the package, by
   peers with as many paths in each cell, and the floor, its normals alone. Peers do as many cells
   as their budget affords, in random order; the rest is extrapolated by path-steps, and marked so.
2. Growth of time and peak memory with paths, cells, d, 1/η, threads and workers, each point in a
   process of its own; slopes on log axes of the last three points.
3. Overhead of a scan over `simulate_escape` alone, for cells of 0.2 s and more; memory as 1000
   cells are done.

Writes scans.json, scans.png and scans.pdf. All processors are used. Linux alone says how much memory
a process had.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scan_growth import BASE, growth, point, resident, scanned, slope_of, small_cells, time_of
from scan_report import FLOOR, OURS, figure, print_times

from sde_grok import simulate_escape
from sde_grok.runner import available_threads
from sde_grok.scans import Scan, scan
from sde_grok.scans.cell import checked
from sde_grok.versions import revision, versions

AXES = {
    "eta": {"log": [3e-4, 3e-3], "n": 5},
    "batch_size": {"log": [25, 400], "n": 5},
    "lam": {"log": [3e-3, 3e-2], "n": 5},
}
STANDARD = Scan(base=BASE, axes=AXES, paths=64, precision=0.01, seed=1)
EULER_BIAS = 0.005  # of the mean, by which the time step of peers is chosen: half the precision
SHIFT = 0.5826  # −ζ(½)/√(2π): a barrier watched every Δt seems to be so many q√Δt away


def standard_scan() -> tuple[float, Any]:
    """The standard scan, kept on disk."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, cells = time_of(lambda: scan(STANDARD, out=Path(folder)))
        return seconds, cells.drop_vars(["escape_steps", "status"]).load()


def passage_of(cell: dict[str, Any]) -> Any:
    """A cell for peers, with the time step at which Euler's mean is too late by `EULER_BIAS`."""
    from peers.cells import Passage

    problem, eta = checked(cell).problem, cell["eta"]
    gamma, q2 = problem.rates
    mean = eta * math.exp(problem.log_exact_mean_steps)
    nearer = checked({**cell, "rho_core": 0.99 * cell["rho_core"]}).problem
    slope = (eta * math.exp(nearer.log_exact_mean_steps) - mean) / (0.01 * cell["rho_core"])
    dt = (EULER_BIAS * mean / slope / SHIFT) ** 2 / q2
    dt = min(dt, 0.05 / (gamma + cell["dim"] * q2 / cell["rho_core"] ** 2))  # its drift's own error
    repulsion = (cell["dim"] - 1) * q2 / 2
    ends = (cell["rho_start"], cell["rho_core"])
    return Passage(*ends, gamma, math.sqrt(q2), repulsion, dt, 6 * mean)


def peer_times(cells: Any, budget: float) -> dict[str, dict[str, Any]]:
    """Seconds of each peer for the whole scan, and how far its means are from the exact ones."""
    from peers.cells import CELL_PEERS

    each = STANDARD.cells()
    paths = cells["n_paths"].to_numpy().astype(int).ravel()
    exact = np.array([math.exp(checked(c).problem.log_exact_mean_steps) * c["eta"] for c in each])
    passages = [passage_of(cell) for cell in each]
    work = paths * exact / [p.dt for p in passages]
    found = {}
    for name, peer in CELL_PEERS.items():
        try:
            first = time_of(lambda: peer(passages[0], 64, 0))[0]  # noqa: B023  compiles
        except ImportError as error:
            print(f"{name} is left out ({error})", flush=True)
            continue
        spent, done, z, off = 0.0, [], [], []
        for i in np.random.default_rng(0).permutation(len(each)).tolist():
            # Of its own seed: cells alike in shape would otherwise err alike.
            seconds, times = time_of(lambda: peer(passages[i], int(paths[i]), i + 1))  # noqa: B023
            spent += seconds
            done.append(i)
            seen = times[np.isfinite(times)]
            off.append(seen.mean() / exact[i] - 1)
            z.append((seen.mean() - exact[i]) / (seen.std(ddof=1) / seen.size**0.5))
            if spent > budget:
                break
        found[name] = {
            "seconds": spent * float(work.sum() / work[done].sum()),
            "measured_seconds": spent,
            "first_call_seconds": first,
            "cells": len(done),
            "ns_per_path_step": spent / float(work[done].sum()) * 1e9,
            **deviations(np.array(off), np.array(z)),
        }
    return found


def deviations(off: Any, z: Any) -> dict[str, float]:
    """Deviations of the cells' means from the exact ones, as parts of these and in standard errors."""
    return {
        "mean_deviation": float(off.mean()),
        "mean_deviation_stderr": float(off.std(ddof=1) / off.size**0.5),
        "worst_deviation": float(np.abs(off).max()),
        "mean_z": float(z.mean()),
        "worst_z": float(np.abs(z).max()),
    }


def floor(normals: float) -> float:
    """Seconds for that many normals on all processors."""
    from peers.floor import draw

    from sde_grok.kernels.radial import BLOCK

    threads = available_threads()
    repeats = max(1, int(normals / (BLOCK * 64 * threads)))

    def some(thread: int, repeats: int = repeats) -> None:
        z = np.empty((BLOCK, 64))
        draw(z, np.uint64(1), np.uint64(0), repeats, np.uint64(thread))

    some(0, 1)
    with ThreadPoolExecutor(threads) as pool:
        return time_of(lambda: list(pool.map(some, range(threads))))[0]


def time_to_result(rounds: int, budget: float) -> dict[str, dict[str, Any]]:
    """All contenders on the standard scan."""
    _, cells = standard_scan()
    ours = [standard_scan()[0] for _ in range(rounds)]
    exact = np.exp([checked(c).problem.log_exact_mean_steps for c in STANDARD.cells()])
    mean, error = (cells[n].to_numpy().ravel() for n in ("mean_steps", "stderr_steps"))
    z = (mean - exact) / error
    n, steps = cells["n_paths"].to_numpy(), cells["mean_steps"] / cells["dt"]
    normals = float((n * steps).sum())
    found: dict[str, dict[str, Any]] = {
        OURS: {
            "seconds": float(np.median(ours)),
            "seconds_in_a_new_process": time_of(lambda: child("scan", "0"))[0],
            "cells": mean.size,
            "paths": int(n.sum()),
            "ns_per_path_step": float(np.median(ours)) / normals * 1e9,
            **deviations(mean / exact - 1, z),
        },
        FLOOR: {"seconds": floor(normals), "cells": mean.size},
        **peer_times(cells, budget),
    }
    for row in found.values():
        row["over_sde_grok"] = row["seconds"] / found[OURS]["seconds"]
    return found


def overhead(
    system: str, dim: int, paths: int, cells: int, rounds: int, finer: int = 1
) -> dict[str, float]:
    """Ratio of a scan's time to that of its cells by `simulate_escape`, in turns.

    Time steps are finer than by default by a factor.
    """
    base = BASE | {"dim": dim, "system": system, "batch_size": 100, "lam": 0.01}
    base |= {"rho_start": 2 * dim**0.5 / 3, "rho_core": dim**0.5 / 3}
    if finer > 1:
        base["dt"] = checked({**base, "eta": 1e-3}).dt / finer
    plan = Scan(base=base, axes={"eta": list(np.geomspace(1e-3, 1.2e-3, cells))}, paths=paths)

    def bare() -> None:
        for parameters in plan.cells():
            cell = checked(parameters)
            simulate_escape(
                cell.problem.optimizer,
                cell.problem.geometry,
                cell.problem.noise,
                system=system,
                n_paths=paths,
                max_steps=cell.max_steps,
                dt=cell.dt,
                seed=plan.seed_of(parameters),
            )

    bare()
    ratios, alone = [], []
    for _ in range(rounds):
        alone.append(time_of(bare)[0])
        ratios.append(scanned(plan).seconds / alone[-1])
    error = float(np.std(ratios, ddof=1) / rounds**0.5)
    return {
        "seconds_a_cell": float(np.median(alone)) / cells,
        "megabytes_a_cell": 9e-6 * paths,  # a time and a status
        "ratio": float(np.median(ratios)),
        "stderr": error,
    }


def memory() -> dict[str, float]:
    """Growth of the resident memory as cells are done, in kB a cell."""
    seen: dict[int, float] = {}

    def look(progress: Any) -> None:
        if progress.done % 50 == 0:
            seen[progress.done] = 1024 * resident()

    with tempfile.TemporaryDirectory() as folder:
        scan(small_cells(1000, 20_000), out=Path(folder), progress=look)
    done, kb = np.array(list(seen)), np.array(list(seen.values()))
    late = done >= 200  # once all is loaded
    slope, error = slope_of(done[late], kb[late])
    return {
        "kb_a_cell": slope,
        "stderr": error,
        "samples": int(late.sum()),
        "first_mb": float(kb[late][0] / 1024),
        "last_mb": float(kb[late][-1] / 1024),
    }


def processor() -> str:
    """Name of the processor."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def child(*arguments: str) -> Any:
    """Run a part in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--one", *arguments]  # all are censored
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


PARTS = {"memory": memory, "scan": lambda: standard_scan()[0]}


def main() -> None:
    """Measure, print, and write scans.json, scans.png and scans.pdf."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, small sizes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, value = options.one
        print(json.dumps(PARTS[kind]() if kind in PARTS else point(kind, int(value))))
        return
    from sde_grok.plotting import paper_style, save_figure

    rounds = 1 if options.quick else 3
    report: dict[str, Any] = {
        "machine": {"processor": processor(), "processors": available_threads()},
        "revision": revision(),
        "versions": versions("xarray", "zarr", "distributed", "sdeint", "diffrax", "jax"),
        "rounds": rounds,
        "time_to_result": time_to_result(rounds, 1 if options.quick else 15),
    }
    print_times(report["time_to_result"])
    report["growth"] = growth(child, 3 if options.quick else 5)
    size = (4, 2) if options.quick else (32, rounds)  # cells, rounds
    report["overhead"] = {
        "joint, d = 128": overhead("joint", 128, 120, *size),
        "radial, 100 000 paths": overhead("radial", 8, 100_000, *size, finer=8),
        "radial, 800 000 paths": overhead("radial", 8, 800_000, *size),
    }
    report["memory"] = child("memory", "1000")
    print(json.dumps({k: report[k] for k in ("overhead", "memory")}, indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scans.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    with paper_style():
        save_figure(figure(report), options.out / "scans")


if __name__ == "__main__":
    main()
