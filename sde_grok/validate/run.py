"""Run the parts of the validation, print their tables, write figures and validate.json."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sde_grok.checks import MissingExtra, ParameterError, integer
from sde_grok.claims import Verdict
from sde_grok.plotting import paper_style, save_figure
from sde_grok.problem import SYSTEMS
from sde_grok.results import Estimate
from sde_grok.runs.reference import Z59_RUNS, load_cells, runs_sha256
from sde_grok.validate.claims import Claim, check_claims, load_claims, missing_packages
from sde_grok.validate.figures import ladder_figure, network_figure
from sde_grok.validate.ladder import RungResult, check_ladder
from sde_grok.validate.networks import Prediction, predict, summarise
from sde_grok.versions import versions

__all__ = ["run_validation"]

Checked = tuple[Claim, Verdict, Any]

LADDER_PATHS = 512
NARROW: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}


def run_validation(out: Path, *, seed: int, n_paths: int = LADDER_PATHS) -> dict[str, Any]:
    """Check claims and ladder, predict the measured runs, and write the results into `out`.

    Parameters
    ----------
    out : Path
        Folder for validate.json and the figures, each as PNG and PDF.
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
    MissingExtra
        If SymPy is not installed.
    """
    seed = integer("seed", seed, low=0, high=2**63)
    began = time.perf_counter()
    if missing := missing_packages():
        raise MissingExtra("theory", missing)
    claims = load_claims()
    check_writable(out, output_files(claims))
    console, notes = Console(), Console(stderr=True)
    if not console.is_terminal:
        console.width = 100  # of a file; a terminal folds what it has no room for
    cells = load_cells()
    checked: list[Checked] = []
    rungs: list[RungResult] = []
    predictions: list[Prediction] = []
    try:
        with paper_style():  # the figures of the claims are drawn as they come
            collect(check_claims(claims, seed), checked, f"of {len(claims)} claims", notes)
        collect(check_ladder(n_paths, seed), rungs, "rungs of the ladder", notes)
        collect(predict(cells, seed), predictions, "cells of measured runs", notes)
    except KeyboardInterrupt:
        done = (
            f"{len(checked)} of {len(claims)} claims, {len(rungs)} rungs of the ladder, "
            f"{len(predictions)} of {len(cells)} cells"
        )
        message = f"interrupted after {done}; nothing was written"
        raise KeyboardInterrupt(message) from None
    failures = [f"{v.claim}: {line}" for _, v, _ in checked for line in v.errors]
    failures += [line for r in rungs for line in with_its_rung(r, r.failures)]
    summary = summarise(predictions)
    console.print(claims_table(checked))
    print_lines(console, ["Where they hold, as found:"])
    print_lines(console, [f"  {v.claim}: {v.validity}" for _, v, _ in checked])
    contradictions = [f"  {v.claim}: {c}" for _, v, _ in checked for c in v.contradictions]
    print_lines(console, ["Contradicted:", *contradictions] if contradictions else [])
    console.print(ladder_table(rungs, n_paths))
    reasons = [line for r in rungs for line in with_its_rung(r, r.reasons)]
    print_lines(console, [*reasons, *(f"FAILED: {failure}" for failure in failures)])
    console.print(network_table(predictions))
    print_lines(console, [in_words(task, numbers) for task, numbers in summary.items()])
    with paper_style():
        figures = {"ladder": ladder_figure(rungs), "networks": network_figure(predictions)}
        figures |= {Path(c.figure).stem: figure for c, _, figure in checked if figure}
        for name, figure in figures.items():
            save_figure(figure, out / name)
    report = {
        "failures": failures,
        "claims": [{"statement": c.statement, **v.as_dict()} for c, v, _ in checked],
        "ladder": [result.as_dict() for result in rungs],
        "networks": [prediction.as_dict() for prediction in predictions],
        "networks_summary": summary,
        "provenance": provenance(seed),
        "wall_seconds": time.perf_counter() - began,
    }
    write_json(out / "validate.json", report)
    took = f"in {report['wall_seconds']:.0f} s"
    wrote = f"wrote validate.json and {len(figures)} figures (PNG and PDF) to {out} {took}"
    print_lines(console, [wrote])
    return report


def print_lines(console: Console, lines: Sequence[str]) -> None:
    """Print sentences, which a terminal may fold and a file need not."""
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def provenance(seed: int) -> dict[str, Any]:
    """What is needed to run the validation again."""
    return {
        "seed": seed,
        "runs_sha256": runs_sha256(),
        "z59_runs_sha256": runs_sha256(Z59_RUNS),
        "versions": versions("scipy"),
    }


def output_files(claims: Sequence[Claim]) -> list[str]:
    """Return the names of what is written."""
    figures = ["ladder", "networks", *(Path(c.figure).stem for c in claims if c.figure)]
    return [f"{stem}{kind}" for stem in figures for kind in (".png", ".pdf")] + ["validate.json"]


def check_writable(out: Path, files: Sequence[str]) -> None:
    """Make the folder, or say that it cannot be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        allowed = f"a folder that can be written to ({error.strerror})"
        raise ParameterError("out", str(out), allowed) from None
    for name in files:
        if (out / name).is_dir():
            allowed = f"a folder in which {name} is no folder"
            raise ParameterError("out", str(out), allowed)


@contextmanager
def _status(console: Console) -> Iterator[Any]:
    if not console.is_terminal:
        yield None
        return
    with console.status("") as status:
        yield status


def collect(items: Iterator[Any], into: list[Any], what: str, console: Console) -> None:
    """Append `items` to a list as they come, counting them on a terminal."""
    with _status(console) as status:
        for item in items:
            into.append(item)
            if status is not None:
                status.update(f"{what}: {len(into)} done")


def claims_table(checked: Sequence[Checked]) -> Table:
    """Claim by claim: what its algebra and its numbers say."""
    table = Table(
        title="The claims of the theory",
        caption="Algebra: identities that SymPy reduces to 0. Numbers: comparisons that agree within "
        "their room, 4 standard errors (σ) and what the law leaves out; of it used: at most. "
        "claimed: by a paper, as reported; measured: here, on real networks.",
        **NARROW,
    )
    for name in ("claim", "provenance", "algebra", "numbers", "room used", "verdict"):
        table.add_column(name, justify="right" if name == "room used" else "left")
    for _, verdict, _ in checked:
        symbolic, numeric = verdict.symbolic, verdict.numeric
        used = max(c.used for c in numeric)
        table.add_row(
            verdict.claim,
            verdict.provenance,
            f"{sum(r.holds for r in symbolic)} of {len(symbolic)}",
            f"{sum(c.holds for c in numeric)} of {len(numeric)}",
            f"{used:.0%}" if used < 10 else "> 1000%",
            verdict.conclusion,
        )
    return table


def ladder_table(results: Sequence[RungResult], n_paths: int) -> Table:
    """Rung by rung: mean, closed form, deviation from it, verdict."""
    title = f"The ladder: mean escape time in optimizer steps, {n_paths} paths a rung"
    caption = (
        "Closed forms: derived. off: by 4 standard errors (σ) and the form's own error, or more."
    )
    table = Table(title=title, caption=caption, **NARROW)
    for name in ("problem", "rung", "mean ± s.e.", "closed form", "deviation", "verdict"):
        table.add_column(name, justify="right" if "form" in name or "±" in name else "left")
    for i, r in enumerate(results):
        of_its_problem = i % len(SYSTEMS)
        if i and not of_its_problem:
            table.add_section()
        table.add_row(
            (r.decay, f"λ = {r.lam:g}", f"b = {r.batch_size}", "")[of_its_problem],
            r.rung,
            str(Estimate(r.mean, r.stderr)),
            f"{r.law} {r.from_law.expected.value:.1f}",
            f"{r.from_law.z:+.1f} σ {r.from_law.fraction:+.2%}",
            r.verdict,
        )
    return table


def with_its_rung(r: RungResult, remarks: Sequence[str]) -> list[str]:
    """Put the problem and the rung before each remark on it."""
    return [f"{r.decay}, λ = {r.lam:g}, b = {r.batch_size}, {r.rung}: {x}" for x in remarks]


def network_table(predictions: Sequence[Prediction]) -> Table:
    """Cell by cell: what the flat annulus predicts, and what was measured."""
    table = Table(
        title="Measured runs: transition time T_grok − T_mem in optimizer steps",
        caption="Flat annulus from the measured ρ²_mem, ρ²_grok and √v: two rungs, two laws (derived). "
        "Measured: mean ± standard deviation over the seeds. inside: the runs start in the core.",
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
    return (
        str(p.flat.radial),
        str(p.flat.reduced),
        f"{p.flat.exact_mean:.1f}",
        f"{p.flat.crossover:.1f}",
    )


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
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(text + "\n")
        except OSError:
            temporary.unlink()
            raise
    temporary.chmod(0o644)
    temporary.replace(path)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
