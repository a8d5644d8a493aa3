"""`sde-grok validate`: check everything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sde_grok.cli.app import ended_by_ctrl_c

__all__ = ["validate"]


def validate(
    out: Annotated[
        Path, typer.Option(help="Folder for the figures (PNG, PDF) and validate.json.")
    ] = Path("sde-grok-results"),
    seed: Annotated[int, typer.Option(help="Seed of all simulations.")] = 0,
) -> None:
    """Check the theory's claims, the ladder of descriptions, and predictions for measured runs.

    1. Each claim: its algebra by SymPy, its numbers against simulations.

    2. The checked example of the theory on every rung: each against the rung before it and against
       its closed form.

    3. Real runs (92 networks, shipped with the package): the transition time that a flat annulus
       predicts from the measured radii and √v, beside the measured one.

    Takes about a minute. A claim of the paper that is contradicted is a result; the exit code is 1
    if what was derived here fails, or a rung contradicts what the theory says it agrees with.
    """
    from sde_grok.validate import run_validation  # noqa: PLC0415

    with ended_by_ctrl_c():
        report = run_validation(out, seed=seed)
    if report["failures"]:
        print(f"{len(report['failures'])} checks failed", file=sys.stderr)
        raise typer.Exit(1)
