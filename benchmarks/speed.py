"""Nanoseconds per useful path-step: this package, its peers, and the floor, side by side.

    python benchmarks/speed.py [--rounds 5] [--out benchmarks/results]

One thread on one core. In every round each contender runs once, one after the other, so that a
change in the machine's speed meets all of them; ratios are taken within a round, and medians over
the rounds. A useful path-step is one before the path's stop. The floor is the package's generator
of normals alone: one normal a path-step (radial), d otherwise, written into the same buffers.
"""

from __future__ import annotations

import os

os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import argparse
import importlib.metadata
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from peers import PEERS, SIZES
from peers.floor import draw
from peers.workloads import DECAY, DIM, ETA, D, Q, Timing

from sde_grok import Geometry, IsotropicNoise, Landscape, Optimizer, simulate_escape
from sde_grok.kernels.radial import BLOCK
from sde_grok.landscapes import circuits, quadratic
from sde_grok.plotting import paper_style, save_figure


@njit
def bowl(theta, parameters, out):
    """∇L = hθ."""
    for i in range(theta.size):
        out[i] = parameters[0] * theta[i]


WORKLOADS = ("radial", "vector", "reduced", "joint")
NORMALS_A_STEP = {"radial": 1, "vector": D, "reduced": DIM, "joint": DIM}
OURS, FLOOR = "sde_grok", "floor: normals alone"
LANES = 64

# In the time unit of the peers' workloads: γ = λ = 1 and q² = η (the preconditioner is the noise), Δt = 1e-3.
OU = Optimizer(eta=Q**2, batch_size=1, lam=1.0, eps=0.0, decay="decoupled")
OU_SHELL = Geometry(rho_start=1.0, rho_core=0.5, dim=D)
OU_STEP = 1e-3 / Q**2
ADAM = Optimizer(eta=ETA, batch_size=100, lam=DECAY)
ADAM_SHELL = Geometry(rho_start=128**0.5, rho_core=32**0.5, dim=DIM)
WEAK = 1e-9  # forces that cost what all do, and do not change the workload
LANDSCAPES = {
    "two circuits": circuits([DIM // 2] * 2, [WEAK] * 2, [1.0] * 2, noise="constant"),
    "quadratic": quadratic(np.full(DIM, WEAK)),
    "a user's gradient": Landscape("bowl", bowl, [WEAK]),
}


def ours(workload: str, n_paths: int, seed: int, **options: object) -> Timing:
    """Run the package on a workload."""
    system = {"vector": "reduced"}.get(workload, workload)
    ou = workload in {"radial", "vector"}
    result = simulate_escape(
        OU if ou else ADAM,
        OU_SHELL if ou else ADAM_SHELL,
        IsotropicNoise(1.0),
        system=system,
        n_paths=n_paths,
        max_steps=10**6,
        seed=seed,
        dt=OU_STEP if ou else 1.0,
        threads=1,
        chunk=n_paths,
        **options,
    )
    eta = OU.eta if ou else ADAM.eta
    return Timing(result.steps * eta, result.path_steps, result.path_steps)


def floor(workload: str, n_path_steps: int, seed: int, dtype: type) -> Timing:
    """Draw the normals of that many path-steps."""
    radial = workload == "radial"
    rows = BLOCK if radial else NORMALS_A_STEP[workload]
    z = np.empty((rows, LANES), dtype)
    repeats = n_path_steps * NORMALS_A_STEP[workload] // z.size
    draw(z, np.uint64(radial), np.uint64(not radial), repeats, np.uint64(seed))
    return Timing(np.empty(0), repeats * z.size // NORMALS_A_STEP[workload], 0)


def contenders(workload: str) -> dict[str, Callable[[int], Timing]]:
    """Everything that is timed on a workload, as functions of the seed."""
    n_paths = {"radial": 100_000, "vector": 20_000, "reduced": 128, "joint": 128}[workload]
    n_floor = 2**26 // NORMALS_A_STEP[workload]
    mine = lambda **options: lambda seed: ours(workload, n_paths, seed, **options)
    runs: dict[str, Callable[[int], Timing]] = {
        FLOOR: lambda seed: floor(workload, n_floor, seed, np.float64),
        OURS: mine(discrete_monitoring=True),
        "floor, single precision": lambda seed: floor(workload, n_floor, seed, np.float32),
        "sde_grok, single precision": mine(discrete_monitoring=True, precision="single"),
    }
    if workload == "radial":
        runs["sde_grok, with bridge"] = mine()
    if workload == "joint":
        for name, landscape in LANDSCAPES.items():
            runs[f"sde_grok, {name}"] = mine(discrete_monitoring=True, landscape=landscape)
    for (on, name), peer in PEERS.items():
        if on == workload:
            runs[name] = lambda seed, peer=peer, size=SIZES[on, name]: peer(size, seed)
    return runs


class Measured(NamedTuple):
    """Of one contender: ns per useful path-step in each round, and all its passage times."""

    ns: list[float]
    times: list[np.ndarray]


def measure(workload: str, rounds: int) -> dict[str, Measured]:
    """Run all contenders of a workload in turn, round by round."""
    runs = contenders(workload)
    for name in list(runs):
        try:
            runs[name](0)  # compiles
        except ImportError as error:
            print(f"{workload}: {name} is left out ({error})", flush=True)
            del runs[name]
    seen = {name: Measured([], []) for name in runs}
    for seed in range(1, rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            done = run(seed)
            seen[name].ns.append((time.perf_counter() - began) * 1e9 / done.path_steps)
            seen[name].times.append(done.times[np.isfinite(done.times)])
    return seen


def summary(seen: dict[str, Measured], normals: int) -> list[dict[str, float | str]]:
    """Medians, extremes, median ratios within a round, and the mean passage time."""
    ns = {name: np.array(measured.ns) for name, measured in seen.items()}
    rows = []
    for name, values in ns.items():
        times = np.concatenate(seen[name].times)
        row: dict[str, float | str] = {
            "contender": name,
            "ns_per_path_step": float(np.median(values)),
            "lowest": float(values.min()),
            "highest": float(values.max()),
            "ns_per_normal": float(np.median(values)) / normals,
            "over_floor": float(np.median(values / ns[FLOOR])),
            "over_sde_grok": float(np.median(values / ns[OURS])),
        }
        if times.size > 1:
            row["mean_time"] = float(times.mean())
            row["stderr_time"] = float(times.std(ddof=1)) / times.size**0.5
        rows.append(row)
    return rows


def figure(results: dict[str, list[dict]]):
    """Draw bars of the time per normal, in units of the floor."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7.2, 5.2))
    for axes, (workload, rows) in zip(drawing.subplots(2, 2).flat, results.items(), strict=False):
        rows = sorted(rows, key=lambda row: row["over_floor"])
        names = [row["contender"] for row in rows]
        colors = ["C0" if "sde_grok" in n else "0.6" if "floor" in n else "C1" for n in names]
        axes.barh(names, [row["over_floor"] for row in rows], color=colors, height=0.7)
        for index, row in enumerate(rows):
            axes.text(
                row["over_floor"] * 1.1, index, f"{row['over_floor']:.3g}", va="center", size=7
            )
        axes.set(xscale="log", xlim=(0.3, 5 * max(row["over_floor"] for row in rows)))
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=7)
        axes.grid(axis="y", visible=False)
        axes.set_title(f"{workload}, {NORMALS_A_STEP[workload]} normals a step", loc="left")
        axes.set_xlabel("time per path-step / floor")
    return drawing


def main() -> None:
    """Measure, print, and write speed.json, speed.png and speed.pdf."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    results = {}
    for workload in arguments.workloads:
        rows = summary(measure(workload, arguments.rounds), NORMALS_A_STEP[workload])
        results[workload] = rows
        print(f"\n{workload}: ns per path-step, its range, over floor, over sde_grok, mean time")
        for row in sorted(rows, key=lambda row: row["over_floor"]):
            mean = (
                f"{row['mean_time']:.5f} ± {row['stderr_time']:.5f}" if "mean_time" in row else ""
            )
            print(
                f"  {row['contender']:28s} {row['ns_per_path_step']:10.2f}"
                f" ({row['lowest']:.2f} to {row['highest']:.2f})"
                f" {row['over_floor']:8.3g} {row['over_sde_grok']:8.3g}  {mean}",
                flush=True,
            )
    packages = ("sde-grok", "numpy", "numba", "sdeint", "diffrax", "jax", "kramers")
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    record = {
        "rounds": arguments.rounds,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": versions,
        "results": results,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "speed.json").write_text(json.dumps(record, indent=1) + "\n")
    with paper_style():
        save_figure(figure(results), arguments.out / "speed")


if __name__ == "__main__":
    main()
