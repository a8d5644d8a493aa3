"""Run both parts of the validation, print their tables, write figures and validate.json."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sde_grok.checks import ParameterError, integer
from sde_grok.plotting import paper_style, save_figure
from sde_grok.problem import SYSTEMS
from sde_grok.reference_runs import load_cells
from sde_grok.validate.figures import ladder_figure, network_figure
from sde_grok.validate.ladder import RungResult, check_ladder
from sde_grok.validate.networks import Prediction, predict, summarise

__all__ = ["run_validation"]

LADDER_PATHS = 512
NARROW: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}


def run_validation(out: Path, *, seed: int, n_paths: int = LADDER_PATHS) -> dict[str, Any]:
    """Check the ladder, predict the measured runs, and write the results into `out`.

    Parameters
    ----------
    out : Path
        Folder for ladder.png, ladder.pdf, networks.png, networks.pdf and validate.json.
    seed : int
        Seed of all simulations.
    n_paths : int
        Paths of each simulation of the ladder.

    Returns
    -------
    dict
        What validate.json holds.

    Raises
    ------
    ParameterError
        If `out` cannot be written to, before anything is computed.
    """
    seed = integer("seed", seed, low=0, high=2**63)
    began = time.perf_counter()
    check_writable(out)
    console, notes = Console(), Console(stderr=True)
    if not console.is_terminal:
        console.width = 100  # of a file; a terminal folds what it has no room for
    rungs = list(announced(check_ladder(n_paths, seed), "rungs of the ladder", notes))
    console.print(ladder_table(rungs, n_paths))
    for reason in reasons(rungs):
        console.print(reason, highlight=False, soft_wrap=True)
    predictions = list(announced(predict(load_cells(), seed), "cells of measured runs", notes))
    console.print(network_table(predictions))
    summary = summarise(predictions)
    for task, numbers in summary.items():
        console.print(in_words(task, numbers), highlight=False, soft_wrap=True)
    with paper_style():
        figures = {"ladder": ladder_figure(rungs), "networks": network_figure(predictions)}
        written = [
            path for name, figure in figures.items() for path in save_figure(figure, out / name)
        ]
    report = {
        "version": importlib.metadata.version("sde-grok"),
        "seed": seed,
        "ladder": [result.as_dict() for result in rungs],
        "networks": [prediction.as_dict() for prediction in predictions],
        "networks_summary": summary,
        "wall_seconds": time.perf_counter() - began,
    }
    write_json(out / "validate.json", report)
    names = ", ".join(path.name for path in (*written, out / "validate.json"))
    console.print(
        f"wrote {names} to {out} in {report['wall_seconds']:.0f} s", highlight=False, soft_wrap=True
    )
    return report


def check_writable(out: Path) -> None:
    """Make the folder, or say that it cannot be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        allowed = f"a folder that can be written to ({error.strerror})"
        raise ParameterError("out", str(out), allowed) from None


@contextmanager
def _status(console: Console) -> Iterator[Any]:
    if not console.is_terminal:
        yield None
        return
    with console.status("") as status:
        yield status


def announced(items: Iterator[Any], what: str, console: Console) -> Iterator[Any]:
    """Yield `items`, counting them on a terminal."""
    with _status(console) as status:
        count = 0
        while True:
            if status is not None:
                status.update(f"{what}: {count} done")
            try:
                yield next(items)
            except StopIteration:
                return
            count += 1


def ladder_table(results: Sequence[RungResult], n_paths: int) -> Table:
    """Rung by rung: mean, closed form, deviation from it, verdict."""
    title = f"The ladder: mean escape time in optimizer steps, {n_paths} paths a rung"
    table = Table(title=title, caption="off: by 4 standard errors (σ) or more", **NARROW)
    for name in ("problem", "rung", "mean ± s.e.", "closed form", "deviation", "verdict"):
        table.add_column(name, justify="right" if "form" in name or "±" in name else "left")
    for i, r in enumerate(results):
        of_its_problem = i % len(SYSTEMS)
        if i and not of_its_problem:
            table.add_section()
        table.add_row(
            (r.decay, f"λ = {r.lam:g}", f"b = {r.batch_size}", "")[of_its_problem],
            r.rung,
            f"{r.mean:.1f} ± {r.stderr:.1f}",
            f"{r.law} {r.from_law.value:.1f}",
            f"{r.from_law.z:+.1f} σ {r.from_law.fraction:+.2%}",
            r.verdict,
        )
    return table


def reasons(results: Sequence[RungResult]) -> Iterator[str]:
    """Say of each rung that is off from what, by how much, and what the numbers point at."""
    for r in results:
        for reason in r.reasons:
            yield f"{r.decay}, λ = {r.lam:g}, b = {r.batch_size}, {r.rung}: {reason}"


def network_table(predictions: Sequence[Prediction]) -> Table:
    """Cell by cell: what the flat annulus predicts, and what was measured."""
    table = Table(
        title="Measured runs: transition time T_grok − T_mem in optimizer steps",
        caption="Flat annulus from the measured ρ²_mem, ρ²_grok and √v; reduced: seen 50 times, "
        "1 % late. Measured: mean ± standard deviation over the seeds.",
        **NARROW,
    )
    names = ("task", "η", "λ", "b", "radial", "reduced", "exact", "cross-\nover", "measured")
    for name in (*names, "over\nexact"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for p in predictions:
        cell = p.cell
        table.add_row(
            cell.task,
            f"{cell.eta:g}",
            f"{cell.lam:g}",
            f"{cell.batch_size:g}",
            *_predicted(p),
            f"{p.measured:.0f} ± {p.spread:.0f}",
            f"{p.measured / p.flat.exact_mean:.3g}" if p.comparable and p.flat else "–",
        )
    return table


def _predicted(p: Prediction) -> tuple[str, ...]:
    if p.flat is None:
        return ("inside", "inside", "–", "–")
    means = (f"{mean:.1f} ± {stderr:.1f}" for mean, stderr in (p.flat.radial, p.flat.reduced))
    return (*means, f"{p.flat.exact_mean:.1f}", f"{p.flat.crossover:.1f}")


def in_words(task: str, numbers: dict[str, float]) -> str:
    """One sentence on how far the flat annulus is off."""
    return (
        f"{task}: the measured delay is {numbers['smallest_ratio']:.3g} to "
        f"{numbers['largest_ratio']:.3g} times (median {numbers['median_ratio']:.3g}) what a flat "
        f"annulus predicts, over {numbers['cells']:.0f} cells with a delay; error "
        f"{numbers['mape']:.0%}, spread between seeds {numbers['seed_spread']:.0%}. "
        "The loss pushes back; a flat landscape has none."
    )


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write the whole file or nothing; numbers that are not finite become null."""
    text = json.dumps(_finite(report), indent=1, allow_nan=False, ensure_ascii=False)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
