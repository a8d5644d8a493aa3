"""`sde-grok validate`: check everything, and report it on one page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from sde_grok.cli.app import ended_by_ctrl_c

__all__ = ["validate"]


def validate(
    out: Annotated[
        Path, typer.Option(help="Folder for report.html, validate.json, figures and networks.")
    ] = Path("sde-grok-results"),
    preset: Annotated[
        Literal["quick", "full", "paper"],
        typer.Option(help="Size: minutes, an hour, or (on a GPU) the networks of the papers."),
    ] = "quick",
    runs: Annotated[
        Path | None,
        typer.Option(
            help="Runs of your own for the verdicts, as `sde-grok fit` takes them: CSV or folder."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all simulations and networks.")] = 0,
) -> None:
    """Check the theory's claims, and write what was found as one page, report.html.

    1. Networks are trained: mod 31 (quick), mod 59 with coupled and decoupled shrinkage (full), mod
       127 and S₅ (paper).

    2. Each claim: its algebra by SymPy, its numbers against simulations.

    3. The checked example of the theory on every rung: each against the rung before it and against
       its closed form.

    4. Real runs (shipped with the package, or `--runs`): a verdict on each claim.

    5. The runs that are shipped: laws calibrated on some cells predict the delay of the others, and a
       flat annulus predicts it from the measured radii and √v.

    After Ctrl-C or a crash the same command goes on with the networks; the report is written as a
    whole or not at all. A claim of the paper that is contradicted is a result, and the exit code 0;
    it is 1 if what was derived here fails, or a rung contradicts what the theory says it agrees
    with.
    """
    from sde_grok.validate import run_validation  # noqa: PLC0415
    from sde_grok.validate.presets import PRESETS  # noqa: PLC0415

    with ended_by_ctrl_c():
        report = run_validation(out, seed=seed, preset=PRESETS[preset], runs=runs)
    if report["failures"]:
        print(f"{len(report['failures'])} checks failed", file=sys.stderr)
        raise typer.Exit(1)
