"""The report of a validation: one HTML page that needs nothing but itself.

A section is a title, a body and the command that makes its numbers. To add one, write a function
from `Page` to `Section` and put it into `SECTIONS`; its body is made by macros of report.html.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from sde_grok.results import Estimate
from sde_grok.validate.findings import Findings, finite, with_its_rung
from sde_grok.validate.networks import summarise
from sde_grok.validate.tables import (
    cells_table,
    claims_table,
    comparisons_table,
    deciding_table,
    forecast_table,
    in_words,
    ladder_table,
    network_table,
    numbers_table,
)
from sde_grok.validate.trained import Trained, figure_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sde_grok.validate.verdicts import Row

__all__ = ["SECTIONS", "Page", "Picture", "Section", "pictures", "render"]

TITLE = "Stochastic theory of grokking: a validation"
MARKS = {
    "holds": "holds",
    "agrees": "holds",
    "holds in a range": "range",
    "contradicted": "contradicted",
    "does not hold": "contradicted",
}
ARXIV = re.compile(r"arXiv[ :](\d{4}\.\d{4,5})")
LETTER = "A-Za-zΑ-Ωα-ω"
INDEX = re.compile(rf"(?<![{LETTER}_])([{LETTER}])_(\{{[^{{}}]*\}}|[{LETTER}0-9]+)")  # ρ_M, τ_{M→G}
POWER = re.compile(r"\^(\{[^{}]*\}|\([^()]*\)|[−-]?\.?\w+(?:\.\w+)?)")  # b^−½, e^{−cλ}
MINUS = re.compile(r"(?<![\w^])-(?=\.?\d)")  # not that of 3e-05
PIXELS_AN_INCH = 96  # of CSS
LARGEST_SVG = 300_000  # bytes; many thousand points make more, and PNG is smaller then


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes
    ----------
    id : str
        Anchor.
    title : str
        Heading.
    body : Markup
        What is in it, as HTML.
    command : str
        Command that makes its numbers; empty if each part of the body has its own.
    """

    id: str
    title: str
    body: Markup
    command: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure as the page holds it.

    Attributes
    ----------
    name : str
        Of its file.
    uri : str
        The figure itself, as a data URI.
    width, height : int
        In pixels of CSS.
    """

    name: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Page:
    """What sections are made of: what was found, and the figures of it by name."""

    found: Findings
    pictures: Mapping[str, Picture]

    def figure(self, name: str, caption: str, command: str) -> Mapping[str, Any]:
        """A figure with its caption and the command that makes it, for the macro."""
        return {**vars(self.pictures[name]), "caption": caption, "command": command}


def pictures(figures: Mapping[str, Figure]) -> dict[str, Picture]:
    """Figures for the page, free of dates and versions: SVG, or PNG where that would be large."""
    return {name: _picture(name, figure) for name, figure in figures.items()}


def _picture(name: str, figure: Figure) -> Picture:
    kind, data = "svg+xml", _bytes(figure, "svg", {"Date": None, "Creator": None})
    if len(data) > LARGEST_SVG:
        kind, data = "png", _bytes(figure, "png", {"Software": None})
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    width, height = (round(PIXELS_AN_INCH * inches) for inches in figure.get_size_inches())
    return Picture(name, uri, width, height)


def _bytes(figure: Figure, kind: str, metadata: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()


def render(page: Page) -> str:
    """The whole page as text."""
    sections = [make(page) for make in SECTIONS]
    return str(macro("page", TITLE, sections)).strip() + "\n"


def macro(name: str, *values: Any) -> Markup:
    """HTML that a macro of report.html makes of values; text in them is escaped."""
    made = getattr(template(), name)(*values)
    return Markup(made)


@cache
def template() -> Any:
    """Macros of report.html."""
    environment = Environment(
        loader=PackageLoader("sde_grok", "validate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "mark_class": mark_class,
        "number": number,
        "prose": prose,
        "typeset": typeset,
        "unbroken": unbroken,
    }
    return environment.get_template("report.html").module


def prose(text: str) -> Markup:
    """Text with links at the papers that it names, and with indices and powers set as such."""
    html = ARXIV.sub(r'<a href="https://arxiv.org/abs/\1">\g<0></a>', str(escape(text)))
    html = INDEX.sub(lambda found: f"{found[1]}<sub>{_bare(found[2])}</sub>", html)
    return Markup(POWER.sub(lambda found: f"<sup>{_bare(found[1])}</sup>", html))


def _bare(text: str) -> str:
    """Text without the brackets around it."""
    return text[1:-1] if text[0] in "{(" else text


def typeset(text: str) -> Markup:
    """A cell of a table: prose, with minus signs as long as the plus."""
    return prose(MINUS.sub("−", text))


def mark_class(word: str) -> str:
    """Style of a verdict; the word itself stands beside it."""
    return MARKS.get(word, "undecided")


def number(x: Estimate | None) -> str:
    """A number and its error, or a dash."""
    return "–" if x is None or not math.isfinite(x.value) else MINUS.sub("−", str(x))


def unbroken(name: str) -> str:
    """Name of a column in one line."""
    return name.replace("-\n", "").replace("\n", " ")


def what_was_done(page: Page) -> Section:
    """Date, versions, data, command."""
    found = page.found
    made = found.provenance
    networks = ", ".join(f"{t.runs['status'].size} ({t.training.name})" for t in found.trained)
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    text = (
        f"On {found.when} all {len(found.checked)} claims of theory/ were checked, algebra and numbers; "
        f"the ladder of descriptions was simulated with {made['ladder_paths']} paths a rung; "
        f"verdicts were made on measured runs, {found.runs}; laws were calibrated on some cells of "
        "the packaged runs, and predicted the others"
        + (f"; and networks were trained: {networks}. " if networks else ". ")
        + f"It took {found.wall_seconds:.0f} s, before this page was made, with preset {made['preset']}, seed {made['seed']}, on "
        f"{made['machine']}; {versions}; revision {made['revision'] or 'unknown'}."
    )
    body = Markup("<p>{}</p>").format(text)
    hashes = [f"{name}: SHA-256 {digest}" for name, digest in made["data_sha256"].items()]
    items = Markup().join(Markup("<li><code>{}</code></li>").format(line) for line in hashes)
    body += Markup("<p>Data:</p><ul>{}</ul>").format(items)
    failures = found.failures
    said = (
        "Every check of what was derived here holds. A contradicted claim is a result, not an error."
        if not failures
        else "Checks of what was derived here fail, which is an error of the code:"
    )
    body += Markup("<p>{}</p>").format(said) + (macro("lines", failures) if failures else "")
    return Section("done", "What was done", body, found.command)


def verdict_section(page: Page) -> Section:
    """Rows, rule and legend, and what is behind each row."""
    rows = page.found.rows
    body = _rule() + macro("verdicts", rows, "row") + _behind(rows, "row")
    return Section("verdicts", "The verdicts", body, page.found.command)


def _behind(rows: Sequence[Row], where: str) -> Markup:
    """The comparisons of each row; `where` begins its anchor."""
    return Markup().join(macro("row", row, deciding_table(row), where) for row in rows)


def _rule() -> Markup:
    from sde_grok.validate.verdicts import RULE  # noqa: PLC0415

    marks = Markup(", ").join(
        macro("mark", word)
        for word in ("holds", "holds in a range", "contradicted", "undecided with this data")
    )
    columns = (
        "Deviation: networks (simulation, where no network can tell) less closed form. ± is one "
        "standard error, σ."
    )
    return Markup("<p>{}</p><p>{} {}</p>").format(RULE, columns, marks)


def claims_section(page: Page) -> Section:
    """Each claim of theory/."""
    words = (
        "One script a claim checks its algebra and its numbers. claimed: by a paper, as reported; "
        "derived: here, from the model, or known; measured: here, a regularity of real networks. A "
        "comparison holds within 4 standard errors, or what is as rare by the t law, and the part "
        "allowed, which the law leaves out. The script by itself has seeds of its own, so its "
        "simulated numbers agree with these within their errors; the command of section 1 gives "
        "the same digits."
    )
    body = Markup("<p>{}</p>").format(words) + macro("table", claims_table(page.found.checked))
    for claim, verdict, figure in page.found.checked:
        command = f"python theory/{claim.script}"
        drawn = None
        if figure:
            drawn = page.figure(Path(claim.figure).stem, claim.statement, page.found.command)
        body += macro(
            "claim",
            {
                "id": claim.id,
                "statement": claim.statement,
                "provenance": verdict.provenance,
                "conclusion": verdict.conclusion,
                "validity": verdict.validity,
                "contradictions": verdict.contradictions,
                "comparisons": comparisons_table(verdict.numeric),
                "numbers": numbers_table(verdict.table) if verdict.table else None,
                "symbolic": verdict.symbolic,
                "command": command,
                "figure": drawn,
            },
        )
    return Section("claims", "The claims of theory/", body, page.found.command)


def ladder_section(page: Page) -> Section:
    """Rungs against each other and their closed forms."""
    found = page.found
    reasons = [line for r in found.rungs for line in with_its_rung(r, r.reasons)]
    caption = (
        "Mean escape time from ρ² = 128 to 32 in 128 dimensions against batch size, rung by rung, "
        "with the laws."
    )
    body = macro("table", ladder_table(found.rungs))
    if reasons:
        body += Markup("<p>Where a rung differs from the one above, and why:</p>")
        body += macro("lines", reasons)
    body += macro("figure", page.figure("ladder", caption, found.command))
    return Section("ladder", "The ladder of descriptions", body, found.command)


def prediction_section(page: Page) -> Section:
    """The flat annulus beside the packaged runs."""
    found = page.found
    summary = [in_words(task, numbers) for task, numbers in summarise(found.predictions).items()]
    caption = (
        "Measured transition time against the prediction of a flat annulus from measured radii."
    )
    body = macro("lines", summary) + macro("table", network_table(found.predictions))
    body += macro("figure", page.figure("networks", caption, found.command))
    return Section("predictions", "Predictions for measured runs", body, found.command)


def forecast_section(page: Page) -> Section:
    """The competition of laws on cells that they were not calibrated on."""
    found = page.found
    words = (
        "Each law has its constants from some cells of a task, and predicts the delay of the others "
        "from what is known at memorization, unless its core is measured. Held-out outcomes never "
        "reach a calibration. The exponents of the collapse were found on Z127 and S5, its form and "
        "those of the forecasts on all three tasks, among some 600 that were tried: they are not blind."
    )
    body = Markup("<p>{}</p>").format(words) + macro("table", forecast_table(found.forecasts))
    body += Markup("<p>{}</p>").format("sde-grok figures predicted draws three of them.")
    return Section("forecasts", "Calibrate, then predict", body, found.command)


def trained_section(page: Page) -> Section:
    """Networks of this validation."""
    body = Markup().join(_trained(page, trained) for trained in page.found.trained)
    return Section("networks", "Networks trained for this validation", body)


def _trained(page: Page, trained: Trained) -> Markup:
    captions = (
        "Accuracy and squared norm of every network, and the part that has not yet escaped.",
        "The longest run: what moves ρ², and how far Adam's moments are from their mean field.",
    )
    body = macro("table", cells_table(trained)) + macro("command", trained.command)
    for name, caption in zip(figure_names(trained.training), captions, strict=True):
        body += macro("figure", page.figure(name, caption, trained.command))
    words = "What these networks alone say, by the same rule as in section 2."
    told = [row for row in trained.rows if row.network is not None]
    if silent := [row.id for row in trained.rows if row.network is None]:
        words += f" They say nothing of {', '.join(silent)}."
    name = trained.training.name
    body += Markup("<h3>{}</h3><p>{}</p>").format(f"Verdicts from {name}", words)
    return body + macro("verdicts", told, name) + _behind(told, name)


def provenance_section(page: Page) -> Section:
    """What is needed to do it again."""
    text = json.dumps(finite(page.found.provenance), indent=1, ensure_ascii=False)
    return Section("provenance", "Appendix: provenance", Markup("<pre>{}</pre>").format(text))


SECTIONS: Sequence[Callable[[Page], Section]] = (
    what_was_done,
    verdict_section,
    claims_section,
    ladder_section,
    forecast_section,
    prediction_section,
    trained_section,
    provenance_section,
)
