"""The tables of a validation, once: a terminal prints them, and the report sets them in HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sde_grok.claims import Comparison, Verdict
from sde_grok.problem import SYSTEMS
from sde_grok.results import Estimate
from sde_grok.validate.findings import Checked
from sde_grok.validate.ladder import RungResult
from sde_grok.validate.networks import Prediction
from sde_grok.validate.trained import Trained

if TYPE_CHECKING:
    import rich.table

    from sde_grok.validate.verdicts import Row

__all__ = [
    "Table",
    "cells_table",
    "claims_table",
    "comparisons_table",
    "deciding_table",
    "forecast_table",
    "in_words",
    "ladder_table",
    "network_table",
    "numbers_table",
    "printed",
    "verdict_table",
]

COMPARED = ("compared", "measured", "expected", "σ", "%", "allowed", "verdict")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    title, caption : str
        Above and below it.
    columns : sequence of str
        Their names; a line break where a narrow table may have one.
    rows : sequence of sequences of str
        Cells.
    words : int
        That many columns at the left are words; the others are numbers, but for "verdict".
    group : int
        A rule after so many rows; 0 is none.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    words: int = 1
    group: int = 0

    def is_words(self, column: int) -> bool:
        """Whether a column is set from the left."""
        return column < self.words or self.columns[column] == "verdict"


def printed(table: Table) -> rich.table.Table:
    """The table as a terminal prints it."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.table import Table as Printed  # noqa: PLC0415

    narrow: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}
    found = Printed(title=table.title, caption=table.caption, **narrow)
    for place, name in enumerate(table.columns):
        found.add_column(name, justify="left" if table.is_words(place) else "right")
    for place, row in enumerate(table.rows):
        if table.group and place and place % table.group == 0:
            found.add_section()
        found.add_row(*row)
    return found


def verdict_table(rows: Sequence[Row]) -> Table:
    """Row by row: closed form, simulation, networks, verdict."""
    return Table(
        "The theory in rows: closed form, simulation, real networks",
        ("row", "closed form", "simulated", "networks", "verdict"),
        [
            (r.id, *(estimate(x) for x in (r.closed_form, r.simulated, r.network)), r.verdict)
            for r in rows
        ],
    )


def estimate(x: Estimate | None) -> str:
    """A number and its error, or a dash."""
    return "–" if x is None else str(x)


def claims_table(checked: Sequence[Checked]) -> Table:
    """Claim by claim: what its algebra and its numbers say."""
    return Table(
        "The claims of the theory",
        ("claim", "provenance", "algebra", "numbers", "room used", "verdict"),
        [_claim(verdict) for _, verdict, _ in checked],
        "Algebra: identities that SymPy reduces to 0. Numbers: comparisons that agree within "
        "their room, 4 standard errors (σ) and what the law leaves out; of it used: at most. "
        "claimed: by a paper, as reported; measured: here, on real networks.",
        words=4,
    )


def _claim(verdict: Verdict) -> tuple[str, ...]:
    symbolic, numeric = verdict.symbolic, verdict.numeric
    used = max((c.used for c in numeric if c.room > 0 or not c.holds), default=0.0)
    return (
        verdict.claim,
        verdict.provenance,
        f"{sum(r.holds for r in symbolic)} of {len(symbolic)}",
        f"{sum(c.holds for c in numeric)} of {len(numeric)}",
        f"{used:.0%}" if used < 10 else "> 1000%",
        verdict.conclusion,
    )


def comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    """Comparison by comparison: measured, expected, and how far apart they may be."""
    return Table(
        "",
        COMPARED,
        [_comparison(c) for c in comparisons],
    )


def _comparison(c: Comparison) -> tuple[str, ...]:
    return (
        c.what,
        str(c.measured),
        str(c.expected),
        f"{c.z:+.1f}" if math.isfinite(c.z) else "–",
        f"{100 * c.fraction:+.2f}" if math.isfinite(c.fraction) else "–",
        f"{float(f'{100 * c.allowed:.2g}'):g} %" if c.expected.value else f"{c.allowed:.2g}",
        "holds" if c.holds else "does not hold",
    )


def deciding_table(row: Row) -> Table:
    """The comparisons behind the verdict of a row, and which of them can tell."""
    from sde_grok.validate.verdicts import decides  # noqa: PLC0415

    cells = [
        (*_comparison(c)[:-1], _decision(c, decides(c, row.resolution))) for c in row.comparisons
    ]
    return Table("", COMPARED, cells)


def _decision(c: Comparison, decides: bool) -> str:
    if not decides:
        return "cannot tell"
    return "holds" if c.holds else "does not hold"


def numbers_table(rows: Sequence[Mapping[str, float]]) -> Table:
    """Numbers that belong to a verdict."""
    columns = list(rows[0])
    cells = [[f"{x:.6g}" if math.isfinite(x) else "–" for x in row.values()] for row in rows]
    return Table("", columns, cells, words=0)


def ladder_table(results: Sequence[RungResult]) -> Table:
    """Rung by rung: mean, closed form, deviation from it, verdict."""
    n_paths = results[0].n_paths if results else 0
    return Table(
        f"The ladder: mean escape time in optimizer steps, {n_paths} paths a rung",
        ("problem", "rung", "mean ± s.e.", "closed form", "deviation", "verdict"),
        [_rung(i % len(SYSTEMS), r) for i, r in enumerate(results)],
        "Closed forms: derived. off: by 4 standard errors (σ) and the form's own error, or more.",
        words=2,
        group=len(SYSTEMS),
    )


def _rung(of_its_problem: int, r: RungResult) -> tuple[str, ...]:
    return (
        (r.decay, f"λ = {r.lam:g}", f"b = {r.batch_size}", "")[of_its_problem],
        r.rung,
        str(Estimate(r.mean, r.stderr)),
        f"{r.law} {r.from_law.expected.value:.1f}",
        f"{r.from_law.z:+.1f} σ {r.from_law.fraction:+.2%}",
        r.verdict,
    )


PROTOCOLS = {
    "middle cell": "one cell",
    "each cell in turn": "every cell",
    "axis value left out": "axis",
}


def forecast_table(forecasts: Sequence[Mapping[str, Any]]) -> Table:
    """Law by law: mean error on cells that it was not calibrated on, by protocol and task."""
    tasks = list(dict.fromkeys(row["task"] for row in forecasts))
    columns = [(protocol, task) for protocol in PROTOCOLS for task in tasks]
    found: dict[tuple[Any, ...], dict[tuple[str, str], float]] = {}
    floors: dict[tuple[str, str], float] = {}
    for row in forecasts:
        if row["protocol"] in PROTOCOLS:
            law = (row["law"], row["radius"], row["constants"], row["exploratory"])
            found.setdefault(law, {})[row["protocol"], row["task"]] = row["mape"]
            floors[row["protocol"], row["task"]] = row["seed_floor"]

    def worst(law: tuple[Any, ...]) -> float:
        return max(found[law].get(("middle cell", task), math.inf) for task in tasks)

    rows = [
        (
            f"{name}, exploratory" if exploratory else name,
            radius or "–",
            str(constants),
            *(_percent(found[name, radius, constants, exploratory].get(at)) for at in columns),
        )
        for name, radius, constants, exploratory in sorted(found, key=worst)
    ]
    floor = tuple(_percent(floors.get(at)) for at in columns)
    return Table(
        "Laws calibrated on some cells predict the delay of the others: mean error",
        (
            *("law", "core", "constants"),
            *(f"{task},\n{PROTOCOLS[protocol]}" for protocol, task in columns),
        ),
        [("spread between seeds", "–", "–", *floor), *rows],
        "Mean of |predicted − measured|/measured over the runs of cells that calibrate nothing. one "
        "cell: constants from the middle cell; every cell: from each in turn, averaged; axis: from "
        "all but one value of an axis. core: whether ρ_G² is that of the predicted run, known at its "
        "end, or predicted from λ at memorization. never: the law says so of a run.",
        words=2,
    )


def _percent(error: float | None) -> str:
    if error is None or math.isnan(error):
        return "–"
    if not math.isfinite(error):
        return "never"
    return f"{error:.1%}" if error < 10 else "> 1000%"


def network_table(predictions: Sequence[Prediction]) -> Table:
    """Cell by cell: what the flat annulus predicts, and what was measured."""
    names = ("task", "η", "λ", "b", "radial", "reduced", "exact", "cross-\nover", "measured")
    return Table(
        "Measured runs: transition time T_grok − T_mem in optimizer steps",
        (*names, "over\nexact"),
        [_cell(p) for p in predictions],
        "Flat annulus from the measured ρ²_mem, ρ²_grok and √v: two rungs, two laws (derived). "
        "Measured: mean ± standard deviation over the seeds. inside: the runs start in the core.",
    )


def _cell(p: Prediction) -> tuple[str, ...]:
    cell = p.cell
    return (
        cell.task,
        f"{cell.eta:g}",
        f"{cell.lam:g}",
        f"{cell.batch_size:g}",
        *_predicted(p),
        f"{p.measured:.0f} ± {p.spread:.0f}",
        f"{p.measured / p.flat.exact_mean:.3g}" if p.comparable and p.flat else "–",
    )


def _predicted(p: Prediction) -> tuple[str, ...]:
    if p.flat is None:
        return ("inside", "inside", "–", "–")
    return (
        str(p.flat.radial),
        str(p.flat.reduced),
        f"{p.flat.exact_mean:.1f}",
        f"{p.flat.crossover:.1f}",
    )


def in_words(task: str, numbers: dict[str, float]) -> str:
    """One sentence on how far the flat annulus is off."""
    return (
        f"{task}: the measured delay is {numbers['smallest_ratio']:.3g} to "
        f"{numbers['largest_ratio']:.3g} times (median {numbers['median_ratio']:.3g}) what a flat "
        f"annulus predicts, over {numbers['cells']:.0f} cells with a delay; error "
        f"{numbers['mape']:.0%}, spread between seeds {numbers['seed_spread']:.0%}. "
        "The loss pushes back; a flat landscape has none."
    )


def cells_table(trained: Trained) -> Table:
    """Cell by cell: how many networks grokked, when, and at which radii."""
    names = ("η", "λ", "b", "grokked", "T_mem", "T_grok", "delay", "ρ² init", "mem", "peak", "grok")
    return Table(
        f"Networks trained for this validation: {trained.training.name}",
        names,
        [_trained_cell(cell) for cell in trained.cells()],
        "Medians over the seeds; times in steps. Delay: from memorization to grokking "
        "(Kaplan–Meier: networks that never grok are censored). –: not within the budget for half "
        "of the networks.",
        words=0,
    )


def _trained_cell(cell: dict[str, float]) -> tuple[str, ...]:
    times_and_radii = (
        "t_mem",
        "t_grok",
        "delay",
        "rho2_init",
        "rho2_mem",
        "rho2_peak",
        "rho2_grok",
    )
    return (
        *(f"{cell[name]:g}" for name in ("eta", "lam")),
        f"{cell['batch_size']:g}" if cell["batch_size"] else "full",
        f"{cell['grokked']:g} of {cell['runs']:g}",
        *(_four_digits(cell[name]) for name in times_and_radii),
    )


def _four_digits(x: float) -> str:
    if not math.isfinite(x):
        return "–"
    return f"{x:.4g}" if abs(x) < 1e4 else f"{x:.0f}"
