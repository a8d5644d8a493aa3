"""How figures look and how they are written: the same data give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["paper_style", "save_figure"]


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw in the package's style, without a display."""
    import matplotlib.style  # noqa: PLC0415  (a third of a second)

    with (
        as_file(files("sde_grok").joinpath("paper.mplstyle")) as sheet,
        matplotlib.style.context(str(sheet)),
    ):
        yield


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png and `stem`.pdf, free of dates and versions, and return their paths."""
    png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    figure.savefig(png, metadata={"Software": None})
    figure.savefig(pdf, metadata={"Creator": None, "Producer": None, "CreationDate": None})
    return [png, pdf]
