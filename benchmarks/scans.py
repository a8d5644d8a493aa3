"""Parameter scans: time to result beside peers, how cost and memory grow, and the scan's own overhead.

    python benchmarks/scans.py [--quick] [--out benchmarks/results]

1. The standard scan, 5 η × 5 b × 5 λ, each cell's mean to 1 % standard error: by the package, by
   peers with as many paths in each cell, and the floor, its normals alone. Peers do as many cells
   as their budget affords, in random order; the rest is extrapolated by path-steps, and marked so.
2. Growth of time and memory with paths, cells, d, 1/η, threads and workers, each point in a process
   of its own.
3. Overhead of a scan over `simulate_escape` alone, for cells of 0.2 s and more; memory as 1000
   cells are done.

Writes scans.json, scans.png and scans.pdf. All processors are used.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.runner import available_threads
from sde_grok.scans import Scan, scan
from sde_grok.scans.cell import checked
from sde_grok.versions import revision, versions

BASE = {"dim": 8, "sigma": 1.0, "eps": 0.0, "rho_start": 2.0, "rho_core": 1.0, "max_steps": 10**8}
AXES = {
    "eta": {"log": [3e-4, 3e-3], "n": 5},
    "batch_size": {"log": [25, 400], "n": 5},
    "lam": {"log": [3e-3, 3e-2], "n": 5},
}
STANDARD = Scan(base=BASE, axes=AXES, paths=64, precision=0.01, seed=1)
EULER_BIAS = 0.005  # of the mean, by which the time step of peers is chosen: half the precision
SHIFT = 0.5826  # −ζ(½)/√(2π): a barrier watched every Δt seems to be so many q√Δt away
CELLS = 32  # of the scans whose overhead is measured
OURS, FLOOR = "sde_grok", "floor: normals alone"
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


# 1. Time to result


def time_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


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
        peer(passages[0], 64, 0)  # compiles
        spent, done, z, off = 0.0, [], [], []
        for i in np.random.default_rng(0).permutation(len(each)):
            seconds, times = time_of(lambda: peer(passages[i], int(paths[i]), 1))  # noqa: B023
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
            "cells": len(done),
            "ns_per_path_step": spent / float(work[done].sum()) * 1e9,
            "mean_deviation": float(np.mean(off)),
            "mean_z": float(np.mean(z)),
            "worst_z": float(np.max(np.abs(z))),
        }
    return found


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
            "cells": mean.size,
            "paths": int(n.sum()),
            "ns_per_path_step": float(np.median(ours)) / normals * 1e9,
            "mean_deviation": float(np.mean(mean / exact - 1)),
            "mean_z": float(z.mean()),
            "worst_z": float(np.abs(z).max()),
        },
        FLOOR: {"seconds": floor(normals), "cells": mean.size},
        **peer_times(cells, budget),
    }
    for row in found.values():
        row["over_sde_grok"] = row["seconds"] / found[OURS]["seconds"]
    return found


# 2. Growth


def escape(n_paths: int, **changes: Any) -> float:
    """Seconds of one cell by the entry point, without its compilation."""
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
    return time_of(lambda: run(n_paths))[0]


def small_cells(n: int, paths: int = 200) -> Scan:
    """A scan of n cells along η."""
    axes = {"eta": list(np.geomspace(1e-3, 2e-3, n))}
    return Scan(base=BASE | {"batch_size": 100, "lam": 0.01}, axes=axes, paths=paths)


def scanned(plan: Scan, **options: Any) -> float:
    """Seconds of a scan."""
    with tempfile.TemporaryDirectory() as folder:
        scan(small_cells(2, 2), out=Path(folder) / "warm")
        return time_of(lambda: scan(plan, out=Path(folder) / "scan", **options))[0]


def dask(plan: Scan, workers: int) -> float:
    """Seconds of a scan on worker processes, started and warm."""
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        LocalCluster(n_workers=workers, **options) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        address = cluster.scheduler_address
        scan(small_cells(4 * workers, 2), out=Path(folder) / "warm", scheduler=address)
        return time_of(lambda: scan(plan, out=Path(folder) / "scan", scheduler=address))[0]


def point(kind: str, value: int) -> dict[str, float]:
    """One point of a growth: seconds, and peak memory beyond what was there before, in MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
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
    seconds = {
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
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"value": value, "seconds": seconds, "megabytes": (after - before) / 1024}


def child(*arguments: str) -> Any:
    """Run a part in a process of its own."""
    command = [sys.executable, __file__, "--one", *arguments]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


def growth(rounds: int, largest: int) -> dict[str, Any]:
    """Each growth: medians of rounds, and the slope of its second half on log axes."""
    found = {}
    for kind, values in GROWTH.items():
        parallel = kind in {"threads", "workers", "Dask workers"}
        most = available_threads() if parallel else largest
        points = []
        for value in (v for v in values if v <= most):
            seen = [child(kind, str(value)) for _ in range(rounds)]
            points.append({key: float(np.median([s[key] for s in seen])) for key in seen[0]})
        upper = points[-3:] if len(points) > 2 else points
        x, y = (np.log([p[key] for p in upper]) for key in ("value", "seconds"))
        slope = float(np.polyfit(x, y, 1)[0]) if len(points) > 1 else math.nan
        found[kind] = {"points": points, "slope": slope}
        shown = "  ".join(f"{p['value']:.0f}: {p['seconds']:.3g} s" for p in points)
        print(f"{kind:15} slope {slope:+.2f}   {shown}", flush=True)
    return found


# 3. Overhead and memory


def overhead(system: str, dim: int, paths: int, rounds: int) -> dict[str, float]:
    """Ratio of a scan's time to that of its cells by `simulate_escape`, in turns."""
    base = BASE | {"dim": dim, "system": system, "batch_size": 100, "lam": 0.01}
    base |= {"rho_start": 2 * dim**0.5 / 3, "rho_core": dim**0.5 / 3}
    plan = Scan(base=base, axes={"eta": list(np.geomspace(1e-3, 1.2e-3, CELLS))}, paths=paths)

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
        ratios.append(scanned(plan) / alone[-1])
    error = float(np.std(ratios, ddof=1) / rounds**0.5)
    return {
        "seconds_a_cell": float(np.median(alone)) / CELLS,
        "ratio": float(np.median(ratios)),
        "stderr": error,
    }


def memory() -> dict[str, float]:
    """Growth of the resident memory as cells are done, in kB a cell."""
    seen: dict[int, float] = {}
    page = resource.getpagesize() / 1024

    def look(progress: Any) -> None:
        resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        seen[progress.done] = resident * page

    with tempfile.TemporaryDirectory() as folder:
        scan(small_cells(1000, 20_000), out=Path(folder), progress=look)
    done, kb = np.array(list(seen)), np.array(list(seen.values()))
    late = done >= 200  # once all is loaded
    (slope, _), covariance = np.polyfit(done[late], kb[late], 1, cov=True)
    return {
        "kb_a_cell": float(slope),
        "stderr": float(covariance[0, 0] ** 0.5),
        "samples": int(late.sum()),
        "first_mb": float(kb[late][0] / 1024),
        "last_mb": float(kb[late][-1] / 1024),
    }


# Table and figure


def figure(report: dict[str, Any]) -> Any:
    """Draw the time to result, and the growths."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7.2, 5.6))
    first, paths, dims, etas = drawing.subplots(2, 2).flat
    rows = sorted(report["time_to_result"].items(), key=lambda row: row[1]["seconds"])
    for place, (name, row) in enumerate(rows):
        part = row["cells"] < math.prod(STANDARD.shape)
        colour = {OURS: "C0", FLOOR: "0.6"}.get(name, "C1")
        first.barh(place, row["seconds"], color="none" if part else colour, edgecolor=colour)
        note = f" {row['seconds']:.3g} s" + (f" ({row['cells']} cells)" if part else "")
        first.text(row["seconds"], place, note, va="center", size=7)
    first.set(xscale="log", xlabel="seconds", yticks=range(len(rows)))
    first.set_yticklabels([name for name, _ in rows], size=7)
    first.set_xlim(right=100 * max(row["seconds"] for _, row in rows))
    first.invert_yaxis()
    first.grid(axis="y", visible=False)
    first.set_title("125 cells to 1 %; open: extrapolated", loc="left")
    for axes, kinds, label in (
        (paths, ("paths", "cells"), "paths of a cell, cells of a scan"),
        (dims, ("d, radial", "d, reduced", "d, joint"), "dimension d"),
        (etas, ("1/eta, radial", "1/eta, reduced"), "1/η"),
    ):
        for kind in kinds:
            points = report["growth"][kind]["points"]
            label_ = f"{kind.split(', ')[-1]}, slope {report['growth'][kind]['slope']:.2f}"
            axes.plot(
                *zip(*((p["value"], p["seconds"]) for p in points), strict=True), "o-", label=label_
            )
        axes.set(xscale="log", yscale="log", xlabel=label, ylabel="seconds")
        axes.legend(fontsize=7)
    return drawing


def print_times(rows: dict[str, dict[str, Any]]) -> None:
    """Print the time to result."""
    print(f"{'':22} seconds  / sde_grok  mean off  in s.e.  cells measured")
    for name, row in sorted(rows.items(), key=lambda row: row[1]["seconds"]):
        off = (
            f"{row['mean_deviation']:+9.2%} {row['mean_z']:+8.2f}" if "mean_z" in row else " " * 18
        )
        whole = "" if row["cells"] == 125 else ", extrapolated"
        print(
            f"{name:22}{row['seconds']:8.3g} {row['over_sde_grok']:11.3g} {off}  "
            f"{row['cells']}{whole}",
            flush=True,
        )


def main() -> None:
    """Measure, print, and write scans.json, scans.png and scans.pdf."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, small sizes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, value = options.one
        print(json.dumps(memory() if kind == "memory" else point(kind, int(value))))
        return
    from sde_grok.plotting import paper_style, save_figure

    rounds = 1 if options.quick else 3
    report: dict[str, Any] = {
        "machine": {"machine": platform.machine(), "processors": available_threads()},
        "revision": revision(),
        "versions": versions("xarray", "zarr", "distributed", "sdeint", "diffrax", "jax"),
        "rounds": rounds,
        "time_to_result": time_to_result(rounds, 1 if options.quick else 15),
    }
    print_times(report["time_to_result"])
    report["growth"] = growth(1, 1000 if options.quick else 10**6)
    report["overhead"] = {
        "joint, d = 128": overhead("joint", 128, 120, max(2, rounds)),
        "radial": overhead("radial", 8, 800_000, max(2, rounds)),
    }
    report["memory"] = child("memory", "1000")
    print(json.dumps({k: report[k] for k in ("overhead", "memory")}, indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scans.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    with paper_style():
        save_figure(figure(report), options.out / "scans")


if __name__ == "__main__":
    main()
