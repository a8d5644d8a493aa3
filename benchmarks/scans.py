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
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

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


# 2. Growth


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


def small_cells(n: int, paths: int = 200) -> Scan:
    """A scan of n cells along η."""
    axes = {"eta": list(np.geomspace(1e-3, 2e-3, n))}
    return Scan(base=BASE | {"batch_size": 100, "lam": 0.01}, axes=axes, paths=paths)


def scanned(plan: Scan, **options: Any) -> Spent:
    """A scan, its folder included."""
    with tempfile.TemporaryDirectory() as folder:
        scan(small_cells(2, 2), out=Path(folder) / "warm")
        return spent_by(lambda: scan(plan, out=Path(folder) / "scan", **options))


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


def child(*arguments: str) -> Any:
    """Run a part in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--one", *arguments]  # all are censored
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


def growth(points: int) -> dict[str, Any]:
    """Each growth, of so many points, and the slope of its last three on log axes."""
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


# 3. Overhead and memory


def overhead(system: str, dim: int, paths: int, cells: int, rounds: int) -> dict[str, float]:
    """Ratio of a scan's time to that of its cells by `simulate_escape`, in turns."""
    base = BASE | {"dim": dim, "system": system, "batch_size": 100, "lam": 0.01}
    base |= {"rho_start": 2 * dim**0.5 / 3, "rho_core": dim**0.5 / 3}
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


# Table and figure


PANELS = (
    (("paths", "cells"), "paths of a cell, cells of a scan", "seconds"),
    (("paths", "cells", "d, reduced", "d, joint"), "paths, cells, d", "megabytes"),
    (("d, radial", "d, reduced", "d, joint"), "dimension d", "seconds"),
    (("1/eta, radial", "1/eta, reduced"), "1/η", "seconds"),
    (("threads", "workers", "Dask workers"), "threads, workers", "seconds"),
)


def figure(report: dict[str, Any]) -> Any:
    """Draw the time to result, and the growths."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7.2, 7.6))
    first, *others = drawing.subplots(3, 2).flat
    bars(first, sorted(report["time_to_result"].items(), key=lambda row: row[1]["seconds"]))
    for axes, (kinds, label, what) in zip(others, PANELS, strict=True):
        curves(axes, {kind: report["growth"][kind] for kind in kinds}, what)
        axes.set(xlabel=label, ylabel={"megabytes": "peak memory [MB]"}.get(what, what))
    processors = [p["value"] for p in report["growth"]["threads"]["points"]]
    others[-1].set_xticks(processors, [str(n) for n in processors])
    others[-1].set_xticks([], minor=True)
    return drawing


def bars(axes: Any, rows: list[tuple[str, dict[str, Any]]]) -> None:
    """Draw a bar for each contender, open where a part was measured."""
    for place, (name, row) in enumerate(rows):
        part = row["cells"] < STANDARD.n_cells
        colour = {OURS: "C0", FLOOR: "0.6"}.get(name, "C1")
        axes.barh(place, row["seconds"], color="none" if part else colour, edgecolor=colour)
        note = f" {row['seconds']:.3g} s" + (f" ({row['cells']} cells)" if part else "")
        axes.text(row["seconds"], place, note, va="center", size=7)
    axes.set(xscale="log", xlabel="seconds", yticks=range(len(rows)))
    axes.set_yticklabels([name for name, _ in rows], size=7)
    axes.set_xlim(right=300 * max(row["seconds"] for _, row in rows))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_title(f"{STANDARD.n_cells} cells to 1 %; open: extrapolated", loc="left")


def curves(axes: Any, growths: dict[str, Any], what: str) -> None:
    """Draw growths on log axes; memory below a MB is the allocator's."""
    for kind, found in growths.items():
        points = [p for p in found["points"] if what == "seconds" or p[what] >= 1]
        label = kind.split(", ")[-1] if what == "seconds" else kind
        if what == "seconds":
            label += f", slope {found['slope']:.2f}"
        if points:
            axes.plot([p["value"] for p in points], [p[what] for p in points], "o-", label=label)
    axes.set(xscale="log", yscale="log")
    axes.legend(fontsize=7)


def print_times(rows: dict[str, dict[str, Any]]) -> None:
    """Print the time to result."""
    print(f"{'':22} seconds  / sde_grok        mean off     worst  in s.e.  cells measured")
    for name, row in sorted(rows.items(), key=lambda row: row[1]["seconds"]):
        off = (
            f"{row['mean_deviation']:+7.2%} ± {row['mean_deviation_stderr']:.2%}"
            f"{row['worst_deviation']:10.2%} {row['worst_z']:7.2f}"
            if "worst_z" in row
            else " " * 34
        )
        whole = "" if row["cells"] == STANDARD.n_cells else ", extrapolated"
        print(
            f"{name:22}{row['seconds']:8.3g} {row['over_sde_grok']:11.3g} {off}  "
            f"{row['cells']}{whole}"
        )
    print(f"{OURS} in a new process: {rows[OURS]['seconds_in_a_new_process']:.3g} s", flush=True)


def processor() -> str:
    """Name of the processor."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


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
    report["growth"] = growth(3 if options.quick else 5)
    size = (4, 2) if options.quick else (32, rounds)  # cells, rounds
    report["overhead"] = {
        "joint, d = 128": overhead("joint", 128, 120, *size),
        "radial": overhead("radial", 8, 800_000, *size),
    }
    report["memory"] = child("memory", "1000")
    print(json.dumps({k: report[k] for k in ("overhead", "memory")}, indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scans.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    with paper_style():
        save_figure(figure(report), options.out / "scans")


if __name__ == "__main__":
    main()
