"""The application, and what its commands share: options, errors, Ctrl-C, progress."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

__all__ = ["app", "bar", "ended_by_ctrl_c", "main", "option"]

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


def option(text: str, panel: str, name: str | None = None) -> Any:
    """Describe an option, in a panel of the help."""
    names = [name] if name else []
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=True)


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """On Ctrl-C, say what was done and leave with the customary exit code."""
    try:
        yield
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        raise typer.Exit(130) from None


@contextmanager
def bar(column: str) -> Iterator[Any]:
    """Show a bar with what is done, the field `rate` and the time left on stderr; None if no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(column, total=1.0, rate="")

        def show(fraction: float, description: str, done: float, unit: str) -> None:
            elapsed = shown.tasks[task].elapsed or 1e-9
            rate = f"{done / elapsed:.3g} {unit}/s"
            shown.update(task, completed=fraction, description=description, rate=rate)

        yield show


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
        return "out of memory: fewer paths, a smaller dim, network, task or batch need less"
    if isinstance(error, (OSError, MissingExtra)):
        return str(error)
    format_message = getattr(error, "format_message", None)  # of Click's own errors
    return (
        " ".join(format_message().replace("Value error, ", "").split()) if format_message else None
    )


def _one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
