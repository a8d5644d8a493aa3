"""`sde-grok train`: real networks, from memorization to grokking."""

from __future__ import annotations

import json
import math
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sde_grok.checks import ParameterError
from sde_grok.cli.app import bar, ended_by_ctrl_c, option

if TYPE_CHECKING:
    import xarray as xr

    from sde_grok.networks import Experiment, TrainingProgress

__all__ = ["train"]

NETWORK, OPTIMIZER, RUN = "The network and its task", "The optimizer", "The runs"
SHOWN = ("rho2_init", "rho2_mem", "rho2_peak", "rho2_grok")
A_SEED = ("t_mem", "t_grok", "t_grok_sustained", "t_core", *SHOWN, "t_peak", "train_loss_grok")


def train(
    preset: Annotated[
        Literal["tiny", "small", "paper"],
        option("Unless options say otherwise: z31 (seconds), z59 (minutes), z127 (hours).", RUN),
    ] = "tiny",
    task: Annotated[
        str | None,
        option("As z59 (x + y mod 59), z59-mul, z59-div, s5 (permutations), parity-10-3.", NETWORK),
    ] = None,
    model: Annotated[
        str | None, option("mlp, transformer or transformer-layernorm.", NETWORK)
    ] = None,
    embedding: Annotated[int | None, option("Embedding dimensions.", NETWORK)] = None,
    width: Annotated[int | None, option("Hidden units.", NETWORK)] = None,
    heads: Annotated[int | None, option("Attention heads of a transformer.", NETWORK)] = None,
    init: Annotated[
        str | None, option("Initial weights: lecun, glorot or pytorch.", NETWORK)
    ] = None,
    init_scale: Annotated[float | None, option("Factor on the initial weights.", NETWORK)] = None,
    train_fraction: Annotated[
        float | None, option("Part of the table that is trained on, in (0, 1).", NETWORK)
    ] = None,
    optimizer: Annotated[str | None, option("adam, or sgd with momentum beta1.", OPTIMIZER)] = None,
    decay: Annotated[
        str | None, option("λ coupled into the gradient, or decoupled (AdamW).", OPTIMIZER)
    ] = None,
    eta: Annotated[str | None, option("Learning rates η > 0: 1e-3,3e-3.", OPTIMIZER)] = None,
    lam: Annotated[str | None, option("Shrinkages λ >= 0: 1e-4,1e-3.", OPTIMIZER)] = None,
    batch_size: Annotated[
        str | None, option("Batch sizes b: 100,400; 0 is the full batch.", OPTIMIZER)
    ] = None,
    sampling: Annotated[
        str | None, option("Batches with replacement, or by shuffled epochs.", OPTIMIZER)
    ] = None,
    beta1: Annotated[
        float | None, option("Decay of the first moment, in [0, 1).", OPTIMIZER)
    ] = None,
    beta2: Annotated[
        float | None, option("Decay of the second moment, in [0, 1).", OPTIMIZER)
    ] = None,
    eps: Annotated[float | None, option("Adam's ε >= 0.", OPTIMIZER)] = None,
    seeds: Annotated[int | None, option("Runs of each cell (η, λ, b).", RUN)] = None,
    seed: Annotated[int | None, option("The first of the seeds.", RUN)] = None,
    max_steps: Annotated[int | None, option("Budget of a run: censored after it.", RUN)] = None,
    eval_every: Annotated[
        int | None, option("Steps between evaluations; times are quantised to it.", RUN)
    ] = None,
    train_accuracy: Annotated[
        float | None, option("Memorized: train accuracy at least this.", RUN)
    ] = None,
    test_accuracy: Annotated[
        float | None, option("Grokked: test accuracy at least this.", RUN)
    ] = None,
    hold: Annotated[
        int | None, option("Grokked for good: at so many evaluations in a row.", RUN)
    ] = None,
    noise_at: Annotated[
        str | None, option("Measure the gradient noise there: init,mem,grok,end.", RUN)
    ] = None,
    noise_rank: Annotated[int | None, option("Eigenvalues of its covariance.", RUN)] = None,
    snapshot_every: Annotated[
        int | None, option("Steps between snapshots of the parameters; 0: none.", RUN)
    ] = None,
    sketch: Annotated[
        int | None, option("Length of a sketch to keep instead of the parameters.", RUN)
    ] = None,
    precision: Annotated[str | None, option("single or double.", RUN)] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder that the runs are kept in (Zarr), each as soon as it ends."),
    ] = None,
    as_json: Annotated[bool, option("Print one JSON object.", RUN, "--json")] = False,
) -> None:
    """Train a grid of small networks, and measure when they memorize and when they grok.

    Comma lists span a grid over η, λ and b, with `--seeds` runs a cell. Options override the preset.
    A run ends when it has grokked for good; one that has not within `--max-steps` is censored.
    With `--out`, the runs (runs.zarr), a table (runs.csv) and figures are kept there, and the same
    command goes on where it was interrupted.

    Example: `sde-grok train --task z59 --embedding 64 --width 128 --eta 1e-3,3e-3 --lam 1e-3 --out runs`
    """
    given = dict(locals())
    from sde_grok.networks import PRESETS, train_networks  # noqa: PLC0415

    began = time.perf_counter()
    names = [field.name for field in fields(PRESETS[preset])]
    changes = {name: given[name] for name in names if given[name] is not None}
    experiment = replace(PRESETS[preset], **{k: parsed(k, v) for k, v in changes.items()})
    with ended_by_ctrl_c(), bar("runs") as show:

        def progress(seen: TrainingProgress) -> None:
            show(seen.fraction, f"{seen.done} of {seen.n_runs} runs", seen.steps, "steps")

        runs = train_networks(experiment, out=out, progress=progress if show else None)
    wall = time.perf_counter() - began
    if as_json:
        print(json.dumps(summary(runs, experiment, wall), allow_nan=False))
    else:
        print_runs(runs, experiment, wall, out)
    if out is not None:
        write_extras(runs, out)


def parsed(field: str, value: Any) -> Any:
    """Split a comma list; the experiment checks what is in it."""
    if field == "noise_at":
        return tuple(value.split(",")) if value else ()
    if field not in {"eta", "lam", "batch_size"}:
        return value
    kind: type = int if field == "batch_size" else float
    try:
        return tuple(kind(part) for part in value.split(","))
    except ValueError:
        words = "integers" if kind is int else "numbers"
        raise ParameterError(field, value, f"{words} separated by commas") from None


def cells(runs: xr.Dataset) -> list[xr.Dataset]:
    """Runs by cell (η, b, λ), as Datasets over the seeds."""
    at = [(eta, b, lam) for eta in runs["eta"] for b in runs["batch_size"] for lam in runs["lam"]]
    return [runs.sel(eta=eta, batch_size=b, lam=lam) for eta, b, lam in at]


def summary(runs: xr.Dataset, experiment: Experiment, wall: float) -> dict[str, Any]:
    """What `--json` prints: one entry a seed in each list, null for what never happened."""
    return {
        "cells": [
            {
                "eta": float(cell["eta"]),
                "lam": float(cell["lam"]),
                "batch_size": int(cell["batch_size"]),
                "n_runs": cell.sizes["seed"],
                "n_grokked": int(cell["t_grok"].notnull().sum()),
                "n_diverged": int(cell["diverged_at"].notnull().sum()),
                **{name: plain(cell[name]) for name in (*A_SEED, "steps_run", "diverged_at")},
            }
            for cell in cells(runs)
        ],
        "thresholds": {
            "train_accuracy": experiment.train_accuracy,
            "test_accuracy": experiment.test_accuracy,
            "hold": experiment.hold,
            "eval_every": experiment.eval_every,
        },
        "experiment": experiment.as_dict(),
        "wall_seconds": wall,
    }


def plain(values: xr.DataArray) -> list[float | int | None]:
    """Numbers of a list; whole ones for times."""
    times = values.attrs["units"] == "steps"
    return [
        None if not math.isfinite(x) else int(x) if times else float(x) for x in values.to_numpy()
    ]


def print_runs(runs: xr.Dataset, experiment: Experiment, wall: float, out: Path | None) -> None:
    """Print the cells as a table: medians over the seeds."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from sde_grok.datasets import escape_times  # noqa: PLC0415

    table = Table(
        title=f"{experiment.task}, {experiment.model}, {experiment.decay} shrinkage",
        caption=f"Medians over the seeds; times in steps, seen every {experiment.eval_every}. Delay: "
        "from memorization to grokking (Kaplan–Meier: runs that never grok are censored). "
        "–: not within the budget for half of the runs.",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    names = ("η", "λ", "b", "grokked", "T_mem", "T_grok", "delay")
    for name in (*names, "ρ² init", "mem", "peak", "grok"):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in cells(runs):
        n, grokked = cell.sizes["seed"], int(cell["t_grok"].notnull().sum())
        table.add_row(
            f"{float(cell['eta']):g}",
            f"{float(cell['lam']):g}",
            f"{int(cell['batch_size']) or 'full'}",
            f"{grokked} of {n}",
            *(median(cell[name]) for name in ("t_mem", "t_grok")),
            shown(escape_times(cell).median),
            *(median(cell[name]) for name in SHOWN),
        )
    Console().print(table)
    if diverged := int(runs["diverged_at"].notnull().sum()):
        print(f"{diverged} runs diverged: their loss became infinite or nan")
    steps = float(runs["steps_run"].sum())
    kept = "not kept; --out DIR keeps them" if out is None else f"kept in {out}"
    print(f"{runs['status'].size} runs, {steps:.4g} steps in {wall:.1f} s; {kept}")


def median(values: xr.DataArray) -> str:
    """Median over all seeds, what never happened being beyond it."""
    return shown(float(values.fillna(math.inf).median()))


def shown(x: float) -> str:
    """Four digits, or a dash."""
    if not math.isfinite(x):
        return "–"
    return f"{x:.4g}" if abs(x) < 1e4 else f"{x:.0f}"


def write_extras(runs: xr.Dataset, out: Path) -> None:
    """Write the table of runs, and the figures, beside the runs themselves."""
    from sde_grok.datasets import each_run  # noqa: PLC0415
    from sde_grok.plotting import paper_style, save_figure  # noqa: PLC0415
    from sde_grok.runs.figures import balance_figure, runs_figure  # noqa: PLC0415
    from sde_grok.runs.table import write_table  # noqa: PLC0415

    write_table(runs, out / "runs.csv")
    longest = max(each_run(runs), key=lambda run: run.sizes["step"])
    with paper_style():
        save_figure(runs_figure(runs), out / "runs")
        if longest.sizes["step"] > 2:
            save_figure(balance_figure(longest), out / "balance")
