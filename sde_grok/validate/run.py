"""Run the parts of the validation, print their tables, and write report, figures and validate.json."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from shlex import join, quote
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sde_grok.checks import MissingExtra, ParameterError, integer
from sde_grok.claims import Verdict
from sde_grok.plotting import paper_style, save_figure
from sde_grok.predictions import packaged, prediction_table
from sde_grok.runner import available_threads
from sde_grok.runs.reference import Z59_RUNS, Cell, load_cells, runs_sha256
from sde_grok.validate.claims import Claim, check_claims, load_claims, missing_packages
from sde_grok.validate.findings import Checked, Findings, finite, with_its_rung
from sde_grok.validate.ladder import RungResult, check_ladder
from sde_grok.validate.networks import Prediction, predict, summarise
from sde_grok.validate.presets import PRESETS, Preset, Training
from sde_grok.validate.tables import (
    Table,
    cells_table,
    claims_table,
    in_words,
    ladder_table,
    network_table,
    printed,
    verdict_table,
)
from sde_grok.validate.trained import Trained, check_device, device, figure_names, train
from sde_grok.versions import revision, versions

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from sde_grok.validate.verdicts import Row

__all__ = ["run_validation"]

EXTRAS = {
    "theory": ("jinja2",),
    "scan": ("pandas", "lifelines"),
    "networks": ("jax", "optax", "xarray", "zarr"),
}
RESULTS = ("report.html", "validate.json")


def run_validation(
    out: Path,
    *,
    seed: int,
    preset: Preset = PRESETS["quick"],
    runs: Path | None = None,
) -> dict[str, Any]:
    """Check claims and ladder, predict measured runs, train networks, and write what was found.

    Parameters
    ----------
    out : Path
        Folder for report.html, validate.json, the figures (each as PNG and PDF), and the runs of
        the networks (in runs/): those that it holds already are not trained again.
    seed : int
        Seed of all simulations and networks.
    preset : Preset
        Size of the validation.
    runs : Path, optional
        Table of measured runs, as `sde_grok.fits.load_table` reads it, to hold the theory against
        instead of the packaged ones.

    Returns
    -------
    dict
        What validate.json holds.

    Raises
    ------
    ParameterError
        If `out` cannot be written to, `runs` cannot be read, or the preset needs a GPU and there is
        none, before anything is computed.
    MissingExtra
        If a package is not installed that is needed.
    """
    seed = integer("seed", seed, low=0, high=2**63)
    began = time.perf_counter()
    refuse_missing()
    table = None if runs is None else measured(runs)
    verdict_rows(runs, table, {}, [])  # what is wrong with the runs is told at once
    check_device(preset)
    claims = load_claims()
    check_writable(out, output_files(claims, preset))
    console, notes = Console(), Console(stderr=True)
    if not console.is_terminal:
        console.width = 100  # of a file; a terminal folds what it has no room for
    parts = Parts(claims, load_cells(), preset)
    try:
        compute(parts, out, seed, notes)
    except KeyboardInterrupt:
        message = f"interrupted after {parts.done}; no report was written"
        if preset.trainings:
            message += f"; networks are kept in {out / 'runs'}, and the same command goes on"
        raise KeyboardInterrupt(message) from None
    verdicts = {v.claim: v for _, v, _ in parts.checked}
    found = Findings(
        command=command(out, seed, preset, runs),
        when=f"{datetime.now(UTC):%d %B %Y}",
        checked=parts.checked,
        rungs=parts.rungs,
        predictions=parts.predictions,
        forecasts=parts.forecasts,
        rows=verdict_rows(runs, table, verdicts, parts.rungs),
        runs="those that come with the package" if runs is None else f"those of {runs}",
        trained=[judged(*of, verdicts, parts.rungs, out, seed) for of in parts.trained],
        provenance=provenance(seed, preset, runs, table),
        wall_seconds=time.perf_counter() - began,
    )
    print_findings(found, console)
    n_figures = write(found, out)
    wrote = f"wrote {' and '.join(RESULTS)} and {n_figures} figures (PNG and PDF) to {out}"
    print_lines(console, [f"{wrote} in {time.perf_counter() - began:.0f} s"])
    return found.as_dict()


@dataclass
class Parts:
    """What was computed so far."""

    claims: Sequence[Claim]
    cells: Sequence[Cell]
    preset: Preset
    networks: str = ""
    trained: list[tuple[Training, xr.Dataset]] = field(default_factory=list)
    checked: list[Checked] = field(default_factory=list)
    rungs: list[RungResult] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    forecasts: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def done(self) -> str:
        """In words."""
        counts = (
            f"{len(self.checked)} of {len(self.claims)} claims",
            f"{len(self.rungs)} rungs of the ladder",
            f"{len(self.predictions)} of {len(self.cells)} cells",
        )
        return ", ".join([self.networks, *counts] if self.networks else counts)


def compute(parts: Parts, out: Path, seed: int, notes: Console) -> None:
    """Do all parts, the longest first: what is finished of it is kept."""
    for training in parts.preset.trainings:
        with _status(notes) as status:

            def show(done: str, status: Any = status) -> None:
                parts.networks = done
                if status is not None:
                    status.update(done)

            parts.trained.append((training, train(training, out, seed, show)))
    claims, n_paths = parts.claims, parts.preset.ladder_paths
    with paper_style():  # the figures of the claims are drawn as they come
        collect(check_claims(claims, seed), parts.checked, f"of {len(claims)} claims", notes)
    collect(check_ladder(n_paths, seed), parts.rungs, "rungs of the ladder", notes)
    collect(predict(parts.cells, seed), parts.predictions, "cells of measured runs", notes)
    collect(iter(prediction_table(packaged())), parts.forecasts, "forecasts by laws", notes)


def judged(
    training: Training,
    runs: xr.Dataset,
    verdicts: Mapping[str, Verdict],
    rungs: Sequence[RungResult],
    out: Path,
    seed: int,
) -> Trained:
    """Networks, and what they alone say."""
    folder = training.folder(out, seed)
    rows = verdict_rows(folder, measured(folder), verdicts, rungs)
    return Trained(training, training.command(out, seed), runs, rows)


def verdict_rows(
    path: Path | None,
    table: pd.DataFrame | None,
    verdicts: Mapping[str, Verdict],
    rungs: Sequence[RungResult],
) -> list[Row]:
    """Rows of the verdict table, whose commands name the file or folder that the runs are of."""
    from sde_grok.validate import verdicts as rule  # noqa: PLC0415  its fits load pandas

    rows = rule.verdict_rows(table, verdicts, rungs)
    if path is None:
        return rows
    # Not in what follows the file: a task may have that name.
    named = partial(
        re.sub, r"^(sde-grok \w+(?: --runs)?) RUNS\b", lambda m: f"{m[1]} {quote(str(path))}"
    )
    return [replace(row, sources=tuple(map(named, row.sources))) for row in rows]


def refuse_missing() -> None:
    """Raise `MissingExtra` with all packages that are not installed."""
    missing = {
        extra: [name for name in names if find_spec(name) is None]
        for extra, names in EXTRAS.items()
    }
    missing["theory"] = [*missing_packages(), *missing["theory"]]
    lacking = [extra for extra, names in missing.items() if names]
    if lacking:
        extra = lacking[0] if len(lacking) == 1 else "all"
        raise MissingExtra(extra, [name for names in missing.values() for name in names])


def measured(path: Path) -> pd.DataFrame:
    """Table of measured runs."""
    from sde_grok.fits.table import load_table  # noqa: PLC0415

    try:
        return load_table(path)
    except ParameterError as error:
        raise ParameterError("runs", error.value, error.allowed) from None


def command(out: Path, seed: int, preset: Preset, runs: Path | None) -> str:
    """Command that makes the validation again."""
    data = [] if runs is None else ["--runs", str(runs)]
    options = ["--preset", preset.name, "--seed", str(seed), *data, "--out", str(out)]
    return join(["sde-grok", "validate", *options])


def print_findings(found: Findings, console: Console) -> None:
    """Print the tables, and in sentences what is not in them."""
    verdicts = [v for _, v, _ in found.checked]
    show(console, claims_table(found.checked))
    print_lines(console, ["Where they hold, as found:"])
    print_lines(console, [f"  {v.claim}: {v.validity}" for v in verdicts])
    contradictions = [f"  {v.claim}: {c}" for v in verdicts for c in v.contradictions]
    print_lines(console, ["Contradicted:", *contradictions] if contradictions else [])
    show(console, ladder_table(found.rungs))
    reasons = [line for r in found.rungs for line in with_its_rung(r, r.reasons)]
    print_lines(console, [*reasons, *(f"FAILED: {failure}" for failure in found.failures)])
    show(console, network_table(found.predictions))
    summary = summarise(found.predictions)
    print_lines(console, [in_words(task, numbers) for task, numbers in summary.items()])
    for trained in found.trained:
        show(console, cells_table(trained))
    show(console, verdict_table(found.rows))


def show(console: Console, table: Table) -> None:
    """Print a table."""
    console.print(printed(table))


def print_lines(console: Console, lines: Sequence[str]) -> None:
    """Print sentences, which a terminal may fold and a file need not."""
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def provenance(
    seed: int, preset: Preset, runs: Path | None, table: pd.DataFrame | None
) -> dict[str, Any]:
    """What is needed to run the validation again."""
    data = {"reference_runs.csv": runs_sha256(), "z59_runs.csv": runs_sha256(Z59_RUNS)}
    if runs is not None and table is not None:
        data[str(runs)] = runs_sha256(runs) if runs.is_file() else table_sha256(table)
    return {
        "seed": seed,
        "preset": preset.name,
        "ladder_paths": preset.ladder_paths,
        "networks": {t.name: t.experiment(seed).as_dict() for t in preset.trainings},
        "data_sha256": data,
        "versions": versions(
            "scipy", "sympy", "matplotlib", *(name for names in EXTRAS.values() for name in names)
        ),
        "machine": f"{platform.machine()}, {available_threads()} threads, {device()}",
        "revision": revision(),
    }


def table_sha256(table: pd.DataFrame) -> str:
    """Digest of the rows of a folder of runs, written as CSV."""
    return hashlib.sha256(table.to_csv(index=False).encode("utf-8")).hexdigest()


def output_files(claims: Sequence[Claim], preset: Preset) -> list[str]:
    """Return the names of what is written."""
    stems = ["ladder", "networks", *(Path(c.figure).stem for c in claims if c.figure)]
    stems += [stem for training in preset.trainings for stem in figure_names(training)]
    return [f"{stem}{kind}" for stem in stems for kind in (".png", ".pdf")] + list(RESULTS)


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


def write(found: Findings, out: Path) -> int:
    """Write all files, each by renaming a finished one, and return the number of figures."""
    from sde_grok.validate.report import Page, pictures, render  # noqa: PLC0415

    with tempfile.TemporaryDirectory(dir=out, prefix=".validate-") as folder:
        made = Path(folder)
        with paper_style():
            figures = found.figures()
            for name, figure in figures.items():
                save_figure(figure, made / name)
            page = render(Page(found, pictures(figures)))
        (made / "report.html").write_text(page, "utf-8")
        numbers = json.dumps(finite(found.as_dict()), indent=1, allow_nan=False, ensure_ascii=False)
        (made / "validate.json").write_text(numbers + "\n", "utf-8")
        for path in sorted(made.iterdir()):
            path.replace(out / path.name)
    return len(figures)
