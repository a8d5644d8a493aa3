"""The command line: `sde-grok escape` and `sde-grok validate`."""

from __future__ import annotations

import io
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from sde_grok.results import EscapeResult
    from sde_grok.runner import Progress

__all__ = ["app", "main"]

app = typer.Typer(
    name="sde-grok",
    help="Test the stochastic theory of grokking: escape times from the memorization shell to the "
    "generalization core.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

OPTION_NAMES = {"n_paths": "--paths"}
OPTIMIZER, GEOMETRY, RUN = "The optimizer", "Shell, core and noise", "The simulation"


def option(text: str, panel: str, name: str | None = None) -> Any:
    """Describe an option of `escape`."""
    names = [name] if name else []
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=True)


@app.command()
def escape(
    system: Annotated[
        Literal["discrete", "joint", "reduced", "radial"], option("Rung of the ladder.", RUN)
    ] = "radial",
    eta: Annotated[float, option("Learning rate η > 0.", OPTIMIZER)] = 1e-3,
    batch_size: Annotated[int, option("Batch size b >= 1.", OPTIMIZER)] = 100,
    lam: Annotated[float, option("Weight shrinkage λ >= 0.", OPTIMIZER)] = 0.01,
    beta1: Annotated[float, option("Decay of the first moment, in [0, 1).", OPTIMIZER)] = 0.9,
    beta2: Annotated[float, option("Decay of the second moment, in [0, 1).", OPTIMIZER)] = 0.999,
    eps: Annotated[float, option("Adam's ε >= 0.", OPTIMIZER)] = 1e-8,
    decay: Annotated[
        Literal["coupled", "decoupled"],
        option("Adam with ℓ₂ in the gradient, or AdamW.", OPTIMIZER),
    ] = "coupled",
    dim: Annotated[int, option("Dimension d >= 1 of parameter space.", GEOMETRY)] = 128,
    sigma: Annotated[
        float, option("Standard deviation σ of one example's gradient, per coordinate.", GEOMETRY)
    ] = 1.0,
    rho_start: Annotated[float, option("Radius of the shell.", GEOMETRY)] = 11.313708498984761,
    rho_core: Annotated[float, option("Radius of the core.", GEOMETRY)] = 5.656854249492381,
    direction: Annotated[
        Literal["inward", "outward"], option("Whether the core is entered or left.", GEOMETRY)
    ] = "inward",
    paths: Annotated[int, option("Number of independent paths.", RUN)] = 1000,
    max_steps: Annotated[int, option("Censoring time in optimizer steps.", RUN)] = 100_000,
    seed: Annotated[int, option("Seed; path i depends on (seed, i) alone.", RUN)] = 0,
    dt: Annotated[
        float | None,
        option("Time step in optimizer steps; by default the rung's own.", RUN),
    ] = None,
    discrete_monitoring: Annotated[
        bool,
        option(
            "Stop a path only at optimizer steps, also on the radial rung.",
            RUN,
            "--discrete-monitoring",
        ),
    ] = False,
    as_json: Annotated[bool, option("Print one JSON object.", RUN, "--json")] = False,
) -> None:
    """Simulate the escape from the shell to the core on one rung of the ladder.

    The defaults are the checked example of the theory: 128 dimensions, ρ² from 128 to 32. Times are
    in optimizer steps; the mean stands beside its closed form where there is one.

    Example: `sde-grok escape --system joint --batch-size 2500 --paths 256`
    """
    from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape  # noqa: PLC0415

    optimizer = Optimizer(
        eta=eta,
        batch_size=batch_size,
        lam=lam,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        decay=decay,
    )
    geometry = Geometry(
        rho_start=rho_start,
        rho_core=rho_core,
        dim=dim,
        direction=direction,
    )
    with ended_by_ctrl_c(), path_progress() as progress:
        result = simulate_escape(
            optimizer,
            geometry,
            IsotropicNoise(sigma),
            system=system,
            n_paths=paths,
            max_steps=max_steps,
            seed=seed,
            dt=dt,
            discrete_monitoring=discrete_monitoring,
            progress=progress,
        )
    if result.failed_fraction > 0:
        print(f"warning: {result.failed_fraction:.2%} of the paths failed", file=sys.stderr)
    if as_json:
        print(json.dumps(result.summary(), allow_nan=False))
    else:
        print_result(result)


@app.command()
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


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """On Ctrl-C, say what was done and leave with the customary exit code."""
    try:
        yield
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        raise typer.Exit(130) from None


@contextmanager
def path_progress() -> Iterator[Callable[[Progress], None] | None]:
    """Show paths done, rate and time left on stderr, if it is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("paths", total=1.0, rate="")

        def show(seen: Progress) -> None:
            elapsed = bar.tasks[task].elapsed or 1e-9
            bar.update(
                task,
                completed=seen.fraction,
                description=f"{seen.done} of {seen.n_paths} paths",
                rate=f"{seen.path_steps / elapsed:.3g} path-steps/s",
            )

        yield show


def print_result(result: EscapeResult) -> None:
    """Print a result as a table."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    mean, exact = result.mean, result.exact_mean_steps
    table = Table(title=f"Escape on the {result.system} rung", show_header=False)
    table.add_row("paths", f"{result.n_paths}")
    parts = (result.hit_fraction, result.censored_fraction, result.failed_fraction)
    table.add_row("hit, censored, failed", ", ".join(f"{part:.2%}" for part in parts))
    if result.hit_fraction > 0:
        limited = "" if result.censored_fraction == 0 else ", restricted to max_steps"
        table.add_row(f"mean steps{limited}", str(mean))
    if math.isfinite(result.median):
        table.add_row("median steps", f"{result.median:.6g}")
    if exact is not None:
        watched = "" if result.provenance["bridge"] else ", watched continuously"
        table.add_row(f"exact mean steps{watched}", f"{exact:.6g}")
        if not watched and result.hit_fraction == 1 and mean.stderr > 0:
            z, part = (mean.value - exact) / mean.stderr, mean.value / exact - 1
            table.add_row("deviation", f"{z:+.2f} standard errors, {part:+.3%}")
    table.add_row("path-steps", f"{result.path_steps:.4g}")
    table.add_row("wall seconds", f"{result.wall_seconds:.2f}")
    Console().print(table)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors of the user are one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _one_line
            status = app(arguments, standalone_mode=False)
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        if message:  # a bare `sde-grok` has printed its help
            print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)


def _message(error: Exception) -> str | None:
    """The line for an error that the user made; None for one of ours."""
    from sde_grok.checks import MissingExtra, ParameterError  # noqa: PLC0415

    if isinstance(error, ParameterError):
        name = OPTION_NAMES.get(error.field, "--" + error.field.replace("_", "-"))
        return f"{name} {error.value}: must be {error.allowed}"
    if isinstance(error, MemoryError):
        return "out of memory: fewer --paths or a smaller --dim need less"
    if isinstance(error, (OSError, MissingExtra)):
        return str(error)
    format_message = getattr(error, "format_message", None)  # of Click's own errors
    return (
        " ".join(format_message().replace("Value error, ", "").split()) if format_message else None
    )


def _one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
