"""`sde-grok figures`: the figures of the theory, each drawn by one script in theory/figures/.

A script NAME.py draws the figure NAME. Its docstring says what it shows, of what data, and with which
command it is made; the first sentence is what `--list` prints. It has a function

    load(folder: Path | None) -> data    # what is drawn; raises ParameterError("data", …) if it lacks
    draw(data) -> Figure                 # nothing is computed that takes long; or name -> Figure

and, if the data are not packaged, the command NEEDS that makes them. To add a figure, add a file.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sde_grok.checks import MissingExtra, ParameterError
from sde_grok.cli.app import ended_by_ctrl_c

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from sde_grok.runs.reference import Cell

__all__ = ["Script", "figures", "network_cells", "runs_with", "scripts", "stores"]


def figures(
    names: Annotated[
        list[str] | None, typer.Argument(help="Figures to draw; by default all that can be.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of a train or a scan, or of several such folders."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the figures (PNG, PDF).")] = Path(
        "sde-grok-results"
    ),
    listed: Annotated[
        bool, typer.Option("--list", help="Only say which figures there are, and what they need.")
    ] = False,
) -> None:
    """Draw the figures of the theory from runs and scans: the same data give the same bytes.

    What comes with the package is drawn as it is; the rest is read from `--data`, and a figure that
    lacks something says in a line what, and which command makes it. Without names, that figure is
    left out; with its name given, nothing is drawn.

    Example: `sde-grok figures radii transition_time --out figures`
    """
    found = scripts()
    if listed:
        print_list(found.values())
        return
    wanted = chosen(found, names or [])
    if data is not None and not data.is_dir():
        raise ParameterError("data", str(data), "a folder")
    told = any(script.needs for script in wanted)  # those say themselves what they lack
    if data is not None and not told and not holds_something(data):
        raise ParameterError("data", str(data), "a folder of a train or a scan, or of such folders")
    with ended_by_ctrl_c(), TemporaryDirectory() as made:
        files = draw_all(wanted, data, Path(made), all_of_them=not names)
        keep(files, out)
    print(f"wrote {len(files)} files to {out}: {', '.join(path.name for path in files)}")


@dataclass(frozen=True)
class Script:
    """A script that draws a figure, and what it says of itself.

    Attributes
    ----------
    name : str
        Of the file and the figure.
    module : module
        With `load`, `draw` and perhaps `NEEDS`.
    """

    name: str
    module: ModuleType

    @property
    def shows(self) -> str:
        """What the figure shows, in a sentence."""
        return (self.module.__doc__ or "").partition("\n")[0]

    @property
    def needs(self) -> str:
        """Command that makes the data; empty if they are packaged, or simulated at once."""
        return getattr(self.module, "NEEDS", "")

    def drawn(self, folder: Path | None) -> dict[str, Figure]:
        """Figures by the stems of their files."""
        data = self.module.load(folder)
        found = self.module.draw(data)
        return dict(found) if isinstance(found, Mapping) else {self.name: found}


def scripts() -> dict[str, Script]:
    """All figures by name, in that order."""
    from sde_grok.validate.claims import theory_folder  # noqa: PLC0415

    paths = sorted((theory_folder() / "figures").glob("*.py"))
    return {path.stem: Script(path.stem, loaded(path)) for path in paths}


def loaded(path: Path) -> ModuleType:
    """Load a script of the package."""
    spec = importlib.util.spec_from_file_location(f"sde_grok_figure_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def print_list(found: Any) -> None:
    """Print what there is, and what has to be made first."""
    for script in found:
        print(f"{script.name}: {script.shows}")
        print(f"    data: {script.needs or 'none beside those of the package'}")


def chosen(found: Mapping[str, Script], names: Sequence[str]) -> list[Script]:
    """Return the figures named, each once, or all."""
    for name in names:
        if name not in found:
            text = f"{name!r} is none of {', '.join(found)}"
            raise typer.BadParameter(text, param_hint="NAMES")
    return [found[name] for name in dict.fromkeys(names)] if names else list(found.values())


def draw_all(
    wanted: Sequence[Script], data: Path | None, into: Path, *, all_of_them: bool
) -> list[Path]:
    """Write figures into a folder; of all of them, those that lack data are only named."""
    from sde_grok.plotting import paper_style, save_figure  # noqa: PLC0415

    files = []
    for script in wanted:
        try:
            with paper_style():
                for stem, figure in script.drawn(data).items():
                    files += save_figure(figure, into / stem)
        except (ParameterError, MissingExtra) as error:
            if not all_of_them or getattr(error, "field", "data") != "data":
                raise
            reason = f"needs {error.allowed}" if isinstance(error, ParameterError) else str(error)
            print(f"{script.name} is left out: {reason}", file=sys.stderr)
    return files


def keep(files: Sequence[Path], out: Path) -> None:
    """Copy whole files into a folder, which is made if need be."""
    from sde_grok.folders import writable  # noqa: PLC0415

    for path in files:
        if (out / path.name).is_dir():
            raise ParameterError("out", str(out), f"a folder in which {path.name} is no folder")
    with writable(out):
        for path in files:  # whole, or not at all
            partial = out / f"{path.name}.partial"
            partial.write_bytes(path.read_bytes())
            partial.replace(out / path.name)


def holds_something(folder: Path) -> bool:
    """Whether there are runs or a scan in a folder, or in a folder in it."""
    from sde_grok.folders import NETWORKS, RUNS, SCAN  # noqa: PLC0415

    return any(stores(folder, name) for name in (RUNS, SCAN, NETWORKS))


def stores(folder: Path | None, name: str) -> list[Path]:
    """Folders with a store of that name: `folder` itself, or folders in it."""
    if folder is None:
        return []
    return [path.parent for path in sorted([*folder.glob(name), *folder.glob(f"*/{name}")])]


def runs_with(folder: Path | None, variable: str, command: str) -> xr.Dataset:
    """Read the first runs in a folder that have a variable.

    Parameters
    ----------
    folder : Path or None
        Of `--data`.
    variable : str
        Of `sde_grok.datasets.VARIABLES`.
    command : str
        What makes such runs; the error names it.

    Returns
    -------
    Dataset

    Raises
    ------
    ParameterError
        If there are none, or they are damaged.
    """
    from sde_grok.folders import RUNS  # noqa: PLC0415
    from sde_grok.runs.stored import open_runs  # noqa: PLC0415

    try:
        for place in stores(folder, RUNS):
            runs = open_runs(place)
            if variable in runs:
                return runs
    except ParameterError as error:  # of a store that is damaged
        raise ParameterError("data", error.value, error.allowed) from None
    given = None if folder is None else str(folder)
    raise ParameterError("data", given, f"a folder with {variable} of runs: {command}")


def network_cells(folder: Path | None) -> dict[str, list[Cell]]:
    """Cells with coupled shrinkage by task: Z127 and Z59 as packaged, and the grids in a folder.

    A grid is runs with two values or more of each of η, λ and b.
    """
    from sde_grok.folders import RUNS  # noqa: PLC0415
    from sde_grok.runs.reference import load_cells, load_z59_runs  # noqa: PLC0415
    from sde_grok.runs.stored import open_runs  # noqa: PLC0415
    from sde_grok.runs.table import run_rows  # noqa: PLC0415

    found = {
        "Z127": [c for c in load_cells() if c.task == "z127"],
        "Z59": [c for c in load_cells(load_z59_runs()) if c.decay == "coupled"],
    }
    for place in stores(folder, RUNS):
        try:
            runs = open_runs(place)
        except ParameterError as error:
            raise ParameterError("data", error.value, error.allowed) from None
        if min(runs.sizes[axis] for axis in ("eta", "lam", "batch_size")) > 1:
            cells = [c for c in load_cells(list(run_rows(runs))) if c.decay == "coupled"]
            found |= {f"{place.name} ({cells[0].task.upper()})": cells} if cells else {}
    return found
