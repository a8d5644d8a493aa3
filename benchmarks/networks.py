"""Cost of training beside the machine's matrix products, and the paper's cell beside its reference.

    python benchmarks/networks.py [--rounds 5] [--out benchmarks/results]

1. Microseconds a step of the network of the preset `small`, one thread on one core, in rounds in
   which each contender runs once: the package's segments (one lane; four lanes under vmap), a loop in
   Python around a jitted optax step, and the floor, the matrix products of a step alone (NumPy's BLAS, float32).
2. The grid of `small`, every run until it has grokked for good, on all processors.
3. One cell of `paper` (η = 3e-3, λ = 3e-4, b = 100) beside the runs that come with the package.

Writes networks.json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sde_grok.networks import PRESETS, Experiment, train_networks
from sde_grok.networks.batches import SAMPLERS
from sde_grok.networks.dynamics import Data, load, start
from sde_grok.networks.lanes import compiled, repeated
from sde_grok.networks.models import MODELS, cross_entropy
from sde_grok.networks.optimizers import transformation
from sde_grok.runner import available_threads
from sde_grok.runs.reference import load_runs
from sde_grok.versions import revision, versions

PAPER_CELL = {"eta": 3e-3, "lam": 3e-4, "batch_size": 100}
STEPS = 400
Contender = Callable[[], Any]


def segments(experiment: Experiment, batch_size: int, data: Data, lanes: int) -> Contender:
    """The package's own loop: segments of `eval_every` steps."""
    programs = compiled(experiment, batch_size, lanes)
    member, state = repeated(member_of(experiment), lanes)

    def run() -> Any:
        after = state
        for _ in range(STEPS // experiment.eval_every):
            after = programs.advance(data, member, after)
        return jax.block_until_ready(after)

    return run


def evaluations(experiment: Experiment, batch_size: int, data: Data) -> Contender:
    """As many evaluations as there are steps in the other contenders."""
    programs = compiled(experiment, batch_size, 1)
    member, state = repeated(member_of(experiment), 1)
    return lambda: [jax.device_get(programs.measure(data, member, state)) for _ in range(STEPS)]


def python_loop(experiment: Experiment, batch_size: int, data: Data) -> Contender:
    """A jitted step called from Python, as optax's examples have it."""
    member, state = member_of(experiment)
    optimizer = transformation(experiment, member.eta, member.lam)
    logits = MODELS[experiment.model].logits

    def loss(params: Any, rows: Any) -> Any:
        return cross_entropy(logits(params, data.inputs[rows]), data.targets[rows])

    @jax.jit
    def step(params: Any, moments: Any, k: Any) -> Any:
        draw = SAMPLERS[experiment.sampling]
        places = draw(member.batches, k[None], experiment.n_train, batch_size)[0]
        gradient = jax.grad(loss)(params, member.rows[places])
        change, moments = optimizer.update(gradient, moments, params)
        return optax.apply_updates(params, change), moments

    def run() -> Any:
        params, moments = state.params, state.optimizer
        for k in range(STEPS):
            params, moments = step(params, moments, jnp.int32(k))
        return jax.block_until_ready(params)

    return run


def products(experiment: Experiment, batch_size: int) -> Contender:
    """The six matrix products of a step of the MLP, forward and backward, nothing else."""
    table, width = experiment.table, experiment.width
    joined = table.inputs.shape[1] * experiment.embedding
    rng = np.random.default_rng(0)
    shapes = {"a": (batch_size, joined), "W": (joined, width), "h": (batch_size, width)}
    shapes |= {"U": (width, table.classes), "z": (batch_size, table.classes)}
    a, W, h, U, z = (rng.standard_normal(s, np.float32) for s in shapes.values())
    pairs = [(a, W), (h, U), (h.T, z), (z, U.T), (a.T, h), (h, W.T)]
    outs = [x @ y for x, y in pairs]

    def run() -> None:
        for _ in range(STEPS):
            for (x, y), out in zip(pairs, outs, strict=True):
                np.matmul(x, y, out=out)

    return run


def member_of(experiment: Experiment) -> Any:
    """A run of the first cell at its start."""
    eta, lam = np.float32(experiment.eta[0]), np.float32(experiment.lam[0])
    return jax.jit(partial(start, experiment))(eta, lam, np.uint32(experiment.seed))


def step_costs(experiment: Experiment, batch_size: int, rounds: int) -> dict[str, float]:
    """Median microseconds a step (or evaluation) of each contender, and ratios to the floor."""
    data = load(experiment)
    contenders: dict[str, tuple[Contender, int]] = {
        "floor: matrix products alone": (products(experiment, batch_size), 1),
        "sde_grok, 1 lane": (segments(experiment, batch_size, data, 1), 1),
        "sde_grok, 4 lanes": (segments(experiment, batch_size, data, 4), 4),
        "optax, loop in Python": (python_loop(experiment, batch_size, data), 1),
        "an evaluation": (evaluations(experiment, batch_size, data), 1),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run, _ in contenders.values():
        run()
    for _ in range(rounds):
        for name, (run, members) in contenders.items():
            began = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - began) / STEPS / members * 1e6)
    floor = np.array(times["floor: matrix products alone"])
    return {name: float(np.median(t)) for name, t in times.items()} | {
        f"{name} / floor": float(np.median(np.array(t) / floor)) for name, t in times.items()
    }


def small_grid() -> dict[str, Any]:
    """Train the preset `small` as users do."""
    began = time.perf_counter()
    runs = train_networks(PRESETS["small"])
    wall = time.perf_counter() - began
    steps = float(runs["steps_run"].sum())
    return {
        "runs": int(runs["status"].size),
        "grokked": int(runs["t_grok_sustained"].notnull().sum()),
        "steps": steps,
        "wall_seconds": wall,
        "threads": available_threads(),
        "microseconds_a_step": wall / steps * 1e6,
    }


def paper_cell() -> dict[str, Any]:
    """Train one seed of the paper's cell; medians over the seeds of the reference beside it."""
    cell = {name: (value,) for name, value in PAPER_CELL.items()}
    began = time.perf_counter()
    runs = train_networks(replace(PRESETS["paper"], **cell, seeds=1, hold=3))
    wall = time.perf_counter() - began
    same = {"task": "z127", "eta": 3e-3, "lambda": 3e-4, "batch_size": 100}
    reference = [r for r in load_runs() if all(r[name] == value for name, value in same.items())]
    columns = {"T_mem": "t_mem", "T_grok": "t_grok"} | {
        name: name for name in ("rho2_mem", "rho2_grok", "train_loss_grok", "mean_sqrt_v_grok")
    }
    compared = {}
    for column, name in columns.items():
        here = float(runs[name].squeeze())
        others = [r[column] for r in reference]
        compared[column] = {
            "here": here,
            "reference_median": float(np.median(others)),
            "reference": others,
            "deviation": here / float(np.median(others)) - 1,
        }
    return {"wall_seconds": wall, "eval_every": 200, "compared": compared}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    small = PRESETS["small"]
    report: dict[str, Any] = {
        "machine": {"processor": platform.processor(), "machine": platform.machine()},
        "revision": revision(),
        "versions": versions("jax", "jaxlib", "optax"),
        "microseconds": {b: step_costs(small, b, options.rounds) for b in small.batch_size},
    }
    for b, costs in report["microseconds"].items():
        print(f"b = {b}: µs a step, and over the floor")
        for name in [name for name in costs if "/ floor" not in name]:
            print(f"  {name:30} {costs[name]:8.1f} {costs[name + ' / floor']:6.2f}")
    report["small"] = small_grid()
    print("small:", report["small"])
    report["paper_cell"] = paper_cell()
    print(f"paper: one seed in {report['paper_cell']['wall_seconds']:.0f} s")
    for name, values in report["paper_cell"]["compared"].items():
        print(
            f"  {name:18} {values['here']:10.4g}, reference {values['reference_median']:10.4g} "
            f"({values['deviation']:+.1%})"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "networks.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
