"""`sde-grok scan`: do every cell of a parameter scan: escapes, paths on a landscape, network runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sde_grok.checks import ParameterError
from sde_grok.cli.app import bar, ended_by_ctrl_c, option

if TYPE_CHECKING:
    import xarray as xr

    from sde_grok.scans import LandscapeScan, Scan, ScanProgress
    from sde_grok.scans.networks import NetworkScan

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
    """Do every cell of a parameter scan, and keep each as soon as it ends.

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

    With a landscape, paths memorize and generalize: parameters of the landscape and of the losses
    take the place of the shell and the core, and noise may differ by coordinate.

        landscape = "two_circuits"  # or "margin", or "linear_student"
        paths = 64
        [base]
        dim_memorizing = 56
        dim_generalizing = 8
        rate_memorizing = 0.32
        rate_generalizing = 9.3
        mislead = 10.6
        noise = "loss"
        sigma = 4.5                 # median of σᵢ
        sigma_spread = 2.46         # deviation of ln σᵢ
        rho_start = 0.81
        train_loss = 0.02
        test_loss = 0.1
        eta = 1e-3
        batch_size = 200
        [axes]
        lam = [0.008, 0.024, 0.073]

    With a preset, cells are networks: base and axes are options of `sde-grok train`, and each
    combination is trained from so many seeds.

        preset = "tiny"
        seeds = 3
        [axes]
        eta = [3e-3, 1e-2]
        width = [32, 64]

    Example: `sde-grok scan scan.toml --out scan`
    """
    from sde_grok import scans  # noqa: PLC0415

    try:
        plan = scans.read_scan(file)
    except ParameterError as error:  # of what the file says: these are no options
        raise typer.BadParameter(str(error), param_hint=str(file)) from None
    if dry_run:
        if isinstance(plan, scans.Scan | scans.LandscapeScan):
            print_forecast(plan, workers)
        else:
            print_network_forecast(plan, workers)
        return
    if out is None:
        raise ParameterError("out", None, "given, but for a dry run")
    unit = "cells" if isinstance(plan, scans.Scan | scans.LandscapeScan) else "runs"
    with ended_by_ctrl_c(), bar(unit) as show:

        def progress(seen: ScanProgress) -> None:
            text = f"{seen.done} of {seen.n_cells} {unit}"
            if seen.damaged:
                text += f", {seen.damaged} damaged ones again"
            show(seen.fraction, text, float(seen.done), unit)

        cells = scans.scan(
            plan,
            out=out,
            workers=workers,
            scheduler=scheduler,
            progress=progress if show else None,
        )
    if isinstance(plan, scans.Scan):
        print_scan(plan, cells, out)
    elif isinstance(plan, scans.LandscapeScan):
        print_landscape_scan(plan, cells, out)
    else:
        print_networks(cells, out)


def print_forecast(plan: Scan | LandscapeScan, workers: int | None) -> None:
    """Print what a scan is predicted to take."""
    from sde_grok.scans import Scan  # noqa: PLC0415
    from sde_grok.scans.forecast import forecast  # noqa: PLC0415

    seen = forecast(plan, workers)
    most = "" if isinstance(plan, Scan) else "at most "
    print(
        f"{seen.n_cells} cells, about {seen.paths:.3g} paths, {most}{duration(seen.seconds)} on "
        f"this machine, {seen.bytes / 1e6:.3g} MB on disk"
    )


def print_network_forecast(plan: NetworkScan, workers: int | None) -> None:
    """Print what a scan of networks takes at most."""
    from sde_grok.scans.network_forecast import forecast_networks  # noqa: PLC0415

    with bar("a few steps of each") as show:

        def progress(fraction: float) -> None:
            if show:
                show(fraction, "a few steps of each", fraction * plan.n_cells, "runs")

        seen = forecast_networks(plan, workers, progress)
    print(
        f"{seen.n_runs} runs of {seen.n_networks} networks, at most {duration(seen.seconds)} on "
        f"this machine and {seen.bytes / 1e6:.3g} MB on disk: if every run takes its whole budget"
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
    Console().print(table)
    print(f"kept in {out}")
    if restricted := int((cells["censored_fraction"] > 0).sum()):
        text = (
            f"in {restricted} cells paths are censored, and the mean is that of min(T, max_steps)"
        )
        print(f"warning: {text}", file=sys.stderr)
    if (failed := float(cells["failed_fraction"].max())) > 0:
        print(f"warning: up to {failed:.2%} of the paths of a cell failed", file=sys.stderr)
    if plan.precision is not None:
        missed = int((stderr > plan.precision * mean).sum() + mean.isnull().sum())
        if missed:
            text = f"{missed} cells have {plan.most_paths} paths and less precision than asked for"
            print(f"warning: {text}", file=sys.stderr)


def print_landscape_scan(plan: LandscapeScan, cells: xr.Dataset, out: Path) -> None:
    """Print what came out on a landscape, in few lines."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    def span(name: str) -> str:
        return f"{float(cells[name].min()):.4g} … {float(cells[name].max()):.4g}"

    table = Table(title=f"Paths on {plan.landscape}", show_header=False)
    table.add_row("cells", " × ".join(map(str, plan.shape)) or "1")
    table.add_row("paths", f"{float(cells['n_paths'].sum()):.6g}")
    table.add_row("memorized after, steps", span("mean_t_mem"))
    table.add_row("delay, steps", span("mean_steps"))
    for event, when in (("mem", "memorized"), ("peak", "largest"), ("grok", "generalized")):
        table.add_row(f"ρ², {when}", span(f"mean_rho2_{event}"))
    table.add_row("never memorized, worst", f"{float(cells['unmemorized_fraction'].max()):.2%}")
    table.add_row("censored, worst", f"{float(cells['censored_fraction'].max()):.2%}")
    Console().print(table)
    print(f"kept in {out}")
    if restricted := int((cells["censored_fraction"] > 0).sum()):
        text = f"in {restricted} cells paths are censored, and the mean delay is of what was seen"
        print(f"warning: {text}", file=sys.stderr)
    if (failed := float(cells["failed_fraction"].max())) > 0:
        print(f"warning: up to {failed:.2%} of the paths of a cell failed", file=sys.stderr)


def print_networks(runs: xr.Dataset, out: Path) -> None:
    """Print what came out of networks, in few lines."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    sizes = {name: n for name, n in runs["status"].sizes.items() if n > 1}
    table = Table(title="Network runs", show_header=False)
    table.add_row("runs", " × ".join(f"{n} {name}" for name, n in sizes.items()) or "1")
    for label, time in (("memorized", "t_mem"), ("grokked", "t_grok"), ("diverged", "diverged_at")):
        when = runs[time]
        n = int(when.notnull().sum())
        steps = f", after {float(when.min()):.4g} … {float(when.max()):.4g} steps" if n else ""
        table.add_row(label, f"{n} of {when.size}{steps}")
    Console().print(table)
    print(f"kept in {out}")
