"""`sde-grok scan`: simulate every cell of a parameter scan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sde_grok.checks import ParameterError
from sde_grok.cli.app import bar, ended_by_ctrl_c, option

if TYPE_CHECKING:
    import xarray as xr

    from sde_grok.scans import Scan, ScanProgress

__all__ = ["scan"]

WHERE = "Where it runs"


def scan(
    file: Annotated[Path, typer.Argument(help="What to scan, in TOML; see the example.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder that the cells are kept in (Zarr), each as soon as it ends."),
    ] = None,
    workers: Annotated[
        int | None, option("Cells at a time on this machine; by default one a processor.", WHERE)
    ] = None,
    scheduler: Annotated[
        str | None, option("Dask scheduler whose workers do it instead: tcp://…", WHERE)
    ] = None,
    dry_run: Annotated[
        bool,
        option("Only say how many cells there are, and what they are predicted to take.", WHERE),
    ] = False,
) -> None:
    """Simulate every cell of a parameter scan, and keep each as soon as it ends.

    The same command goes on where it was interrupted, or killed; a store of another scan is left
    alone. `sde-grok fit` fits exponents and laws to what it keeps. A file says what cells share,
    what is swept, and how many paths each gets, or how precise its mean shall be:

        precision = 0.01            # or paths = 1000
        seed = 1
        [base]
        system = "radial"           # the default
        dim = 128
        rho_start = 11.3
        rho_core = 5.7
        [axes]
        eta = { log = [3e-4, 3e-3], n = 5 }
        batch_size = [25, 100, 400]
        lam = [3e-3, 1e-2, 3e-2]

    Example: `sde-grok scan scan.toml --out scan`
    """
    from sde_grok import scans  # noqa: PLC0415

    plan = scans.read_scan(file)
    if dry_run:
        print_forecast(plan, workers)
        return
    if out is None:
        raise ParameterError("out", None, "given, but for a dry run")
    with ended_by_ctrl_c(), bar("cells") as show:

        def progress(seen: ScanProgress) -> None:
            text = f"{seen.done} of {seen.n_cells} cells"
            show(seen.fraction, text, float(seen.done), "cells")

        cells = scans.scan(
            plan,
            out=out,
            workers=workers,
            scheduler=scheduler,
            progress=progress if show else None,
        )
    print_scan(plan, cells, out)


def print_forecast(plan: Scan, workers: int | None) -> None:
    """Print what a scan is predicted to take."""
    from sde_grok.scans.forecast import forecast  # noqa: PLC0415

    seen = forecast(plan, workers)
    print(
        f"{seen.n_cells} cells, about {seen.paths:.3g} paths, {duration(seen.seconds)} on this "
        f"machine, {seen.bytes / 1e6:.3g} MB on disk"
    )


def duration(seconds: float) -> str:
    """Time in words."""
    if seconds < 120:
        return f"{seconds:.2g} seconds"
    return f"{seconds / 60:.2g} minutes" if seconds < 7200 else f"{seconds / 3600:.2g} hours"


def print_scan(plan: Scan, cells: xr.Dataset, out: Path) -> None:
    """Print what came out, in few lines."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    mean, stderr = cells["mean_steps"], cells["stderr_steps"]
    table = Table(title="Escape times", show_header=False)
    table.add_row("cells", " × ".join(map(str, plan.shape)) or "1")
    table.add_row("paths", f"{float(cells['n_paths'].sum()):.6g}")
    table.add_row("mean steps", f"{float(mean.min()):.4g} … {float(mean.max()):.4g}")
    table.add_row("relative standard error, worst", f"{float((stderr / mean).max()):.2%}")
    table.add_row("censored, worst", f"{float(cells['censored_fraction'].max()):.2%}")
    table.add_row("kept in", str(out))
    Console().print(table)
    if (failed := float(cells["failed_fraction"].max())) > 0:
        print(f"warning: up to {failed:.2%} of the paths of a cell failed", file=sys.stderr)
    if plan.precision is not None:
        missed = int((stderr > plan.precision * mean).sum() + mean.isnull().sum())
        if missed:
            text = f"{missed} cells have {plan.most_paths} paths and less precision than asked for"
            print(f"warning: {text}", file=sys.stderr)
