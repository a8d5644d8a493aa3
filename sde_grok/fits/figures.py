"""Figure of a competition of laws; fits in, figure out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sde_grok.checks import ParameterError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sde_grok.fits.competition import LawFit

__all__ = ["competition_figure"]

MOST = 3.0  # an error beyond this is written, not drawn
TICKS = (0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def competition_figure(fits: Mapping[str, LawFit], floor: float) -> Figure:
    """Draw the errors of laws, the best on top, and the scatter of seeds as a line.

    Parameters
    ----------
    fits : mapping of str to LawFit
        As from `compete`, in that order.
    floor : float
        As from `seed_floor`; nan draws no line.

    Raises
    ------
    ParameterError
        If there is no law.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    if not fits:
        raise ParameterError("law", [], "at least one that suits the data")
    figure = Figure(figsize=(5.6, 0.9 + 0.24 * len(fits)))
    axes = figure.subplots()
    if not math.isnan(floor):
        axes.axvline(floor, color="0.4", lw=1.0, ls="--", label="scatter of seeds")
    for row, fit in enumerate(fits.values()):
        draw_errors(axes, row, fit)
    axes.set(xscale="log", xlim=(left_edge(fits, floor), MOST), ylim=(len(fits) - 0.5, -0.5))
    axes.set(xlabel="mean relative error")
    axes.set_yticks(range(len(fits)), [name.replace("_", " ") for name in fits])
    axes.set_xticks([x for x in TICKS if x >= axes.get_xlim()[0]])
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:g} %")
    axes.xaxis.minorticks_off()
    handles, labels = unique_labels(axes)
    figure.legend(
        handles, labels, ncols=5, loc="outside upper center", columnspacing=1, handlelength=1.6
    )
    return figure


def draw_errors(axes: Axes, row: int, fit: LawFit) -> None:
    """Draw one law: interval in the sample, held-out dot, one-cell diamond, and what is beyond."""
    low, high = fit.mape_in_sample_low, fit.mape_in_sample_high
    if low < MOST:
        axes.plot([low, min(high, MOST)], [row, row], color="C5", lw=4.5, solid_capstyle="butt",
                  label="in sample, 95 %")  # fmt: skip
    axes.plot(fit.mape_in_sample, row, "|", color="C0", ms=9, mew=1.4, label="in sample")
    axes.plot(fit.mape_one_cell, row, "D", color="C1", mfc="white", ms=4, label="from one cell")
    axes.plot(fit.mape_held_out, row, "o", color="C1", ms=5, label="held out")
    beyond = [x for x in (fit.mape_held_out, fit.mape_in_sample) if x > MOST]
    if beyond:
        text = f"{100 * beyond[0]:.0f} % →" if math.isfinite(beyond[0]) else "never →"
        axes.text(MOST * 0.96, row, text, color="0.3", fontsize=7, ha="right", va="center")


def left_edge(fits: Mapping[str, LawFit], floor: float) -> float:
    """A little less than the least error that is drawn; 1 % at least."""
    drawn = [floor, *(x for f in fits.values() for x in (f.mape_in_sample_low, f.mape_held_out))]
    return max(0.01, 0.8 * min([x for x in drawn if 0 < x < MOST], default=0.1))


def unique_labels(axes: Axes) -> tuple[list[Artist], list[str]]:
    """One handle a label."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    return list(once.values()), list(once)
