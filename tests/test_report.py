"""The report: all that was found is on the page, escaped, and the page needs nothing else."""

import base64
import json
import math
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from sde_grok import cli
from sde_grok.claims import Comparison, Residual, Verdict
from sde_grok.plotting import paper_style
from sde_grok.results import Estimate
from sde_grok.runs.reference import load_cells
from sde_grok.validate import ladder
from sde_grok.validate.claims import load_claims, theory_folder
from sde_grok.validate.findings import Findings
from sde_grok.validate.networks import FlatAnnulus, Prediction
from sde_grok.validate.presets import PRESETS
from sde_grok.validate.report import SECTIONS, Page, pictures, prose, render, typeset
from sde_grok.validate.tables import forecast_table
from sde_grok.validate.verdicts import Row

VOID = {"img", "meta", "br", "hr", "link"}
NASTY = "<script>alert('x & y')</script>"


def comparison(what="mean", measured=1.0, **more):
    return Comparison(what, Estimate(measured, 0.1), Estimate(1.0), **more)


def verdict(claim, measured=1.0):
    numbers = [comparison(f"mean of {claim.id}", measured, claimed=True)]
    residuals = [Residual(f"identity of {claim.id}", 0)]
    table = [{"d": 3.0, "mean": 1.5}]
    return Verdict(claim.id, claim.provenance, residuals, numbers, f"d < 10 {NASTY}", table=table)


def drawn():
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [1, 0])
    return figure


def row(name, measured, **more):
    return Row(
        id=name,
        claim=f"ρ_M² falls, says {name}",
        provenance="claimed by arXiv 2606.30388 (as reported)",
        quantity="ratio",
        closed_form=Estimate(1.0),
        simulated=None,
        network=Estimate(measured, 0.1),
        comparisons=(comparison("Z59", measured),),
        resolution=1.0,
        sources=("python theory/b_test.py",),
        **more,
    )


def rung():
    seen = comparison("its law", 1.0)
    return ladder.RungResult(
        decay="coupled",
        lam=0.01,
        batch_size=100,
        rung="discrete",
        mean=7000.0,
        stderr=5.0,
        n_paths=8,
        hit_fraction=1.0,
        law="mean field",
        from_law=seen,
        from_rung_above=None,
        verdict="agrees",
        reasons=("of order 1/d",),
        failures=(),
    )


FORECASTS = [
    {
        "task": task,
        "law": law,
        "radius": radius,
        "protocol": protocol,
        "mape": mape,
        "constants": 1,
        "exploratory": law == "late",
        "seed_floor": 0.05,
    }
    for task in ("Z127", NASTY)
    for law, radius, mape in (("bad", "", math.inf), ("late", "measured", 0.2), ("good", "", 0.1))
    for protocol in ("middle cell", "each cell in turn", "no calibration")
]


def test_laws_are_in_the_order_of_their_worst_errors():
    table = forecast_table(FORECASTS)
    assert [row[0] for row in table.rows] == [
        *("spread between seeds", "good", "late, exploratory", "bad"),
    ]
    assert [row[3] for row in table.rows] == ["5.0%", "10.0%", "20.0%", "never"]
    assert {row[-1] for row in table.rows[1:]} == {"–"}  # no axis was left out


def predictions():
    flat = FlatAnnulus(Estimate(300.0, 1.0), Estimate(301.0, 2.0), 300.0, 300.0, 310.0, 1.0)
    return [Prediction(cell, flat) for cell in load_cells()]


def made():
    """A page from figures of its own: one that is drawn twice has its layout refined."""
    with paper_style():
        claims = load_claims()
        found = Findings(
            command="sde-grok validate --preset quick --seed 0 --out results",
            when="1 January 2030",
            wall_seconds=12.0,
            checked=[(c, verdict(c), drawn() if c.figure else None) for c in claims],
            rungs=[rung(), replace(rung(), decay="decoupled")],
            predictions=predictions(),
            forecasts=FORECASTS,
            rows=[row("tau-b", 1.0), row("tau-η", 3.0)],
            runs=f"those of {NASTY}",
            trained=[],
            provenance={
                "seed": 0,
                "preset": "quick",
                "ladder_paths": 8,
                "networks": {},
                "data_sha256": {NASTY: "abc"},
                "versions": {"python": "3"},
                "machine": "abacus",
                "revision": None,
            },
        )
        return Page(found, pictures(found.figures()))


@pytest.fixture(scope="module")
def page():
    return made()


@pytest.fixture(scope="module")
def html(page):
    return render(page)


class Checker(HTMLParser):
    """Elements that are open, and all references, anchors and text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.references, self.anchors = [], [], []
        self.words, self.tags, self.commands = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in {"src", "href", "srcset", "data", "action", "poster"}:
                self.references.append(value)
            if name == "id":
                self.anchors.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.words.append(text)
        if self.open and self.open[-1] == "code":
            self.commands.append(text)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def test_the_page_is_balanced_and_whole(html):
    seen = Checker(html)
    assert seen.open == []
    assert html.startswith("<!DOCTYPE html>")
    assert html.endswith("</html>\n")
    assert len(seen.anchors) == len(set(seen.anchors))


def test_an_unbalanced_page_is_seen():
    with pytest.raises(AssertionError):
        Checker("<p><b>x</p></b>")


def test_the_page_needs_nothing_but_itself(html):
    seen = Checker(html)
    assert not {"script", "link", "iframe", "object"} & set(seen.tags)
    for reference in seen.references:
        inside = reference.startswith("data:image/") or reference[1:] in seen.anchors
        assert inside or reference.startswith("https://arxiv.org/abs/"), reference[:80]
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_every_claim_row_and_section_is_there(html, page):
    seen = Checker(html)
    for claim in load_claims():
        assert f"claim-{claim.id}" in seen.anchors
        assert f"mean of {claim.id}" in seen.text
        assert f"identity of {claim.id}" in seen.text
    statement = next(c.statement for c in load_claims() if c.id == "law-limit")
    assert statement in seen.text
    for found in page.found.rows:
        assert f"row-{found.id}" in seen.anchors
        assert found.verdict in seen.text
    assert [r.verdict for r in page.found.rows] == ["holds", "contradicted"]
    assert len(set(seen.anchors) & {make(page).id for make in SECTIONS}) == len(SECTIONS)


def test_every_figure_is_in_the_page(html, page):
    with_figure = {Path(c.figure).stem for c in load_claims() if c.figure}
    assert set(page.pictures) == {"ladder", "networks"} | with_figure
    seen = Checker(html)
    images = [x for x in seen.references if x.startswith("data:image/")]
    assert len(images) == len(page.pictures)
    for name in page.pictures:
        assert f"figure-{name}" in seen.anchors
    for uri in images:
        kind, data = re.fullmatch(r"data:image/([a-z+]+);base64,(.*)", uri).groups()
        start = {"svg+xml": b"<?xml", "png": b"\x89PNG"}[kind]
        assert base64.b64decode(data, validate=True).startswith(start)


def test_a_figure_of_many_points_is_a_png():
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([i % 7 for i in range(60_000)], ".")
    with paper_style():
        (picture,) = pictures({"many": figure}).values()
    assert picture.uri.startswith("data:image/png;")
    assert (picture.width, picture.height) == (192, 96)


def test_text_is_escaped(html):
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 2 + len(load_claims())


def test_the_same_data_make_the_same_bytes(html):
    assert render(made()) == html


def test_no_date_but_the_one_given(page, html):
    assert html.count("1 January 2030") == 1
    other = replace(page.found, when="2 May 2031")
    assert render(Page(other, page.pictures)) == html.replace("1 January 2030", "2 May 2031")


def test_a_failure_is_told_first(page):
    failed = replace(rung(), failures=("-3.0% (-9.0 σ) from its law",))
    text = Checker(render(Page(replace(page.found, rungs=[failed, rung()]), page.pictures))).text
    assert "an error of the code" in text
    assert text.index("-9.0 σ") < text.index("2. The verdicts")
    assert "an error of the code" not in Checker(render(page)).text


def test_commands_exist(html):
    commands = [text for text in Checker(html).commands if text.startswith(("python", "sde-grok"))]
    scripts = {c.script for c in load_claims()}
    found = {shlex.split(c)[1] for c in commands if c.startswith("python")}
    assert found >= {f"theory/{script}" for script in scripts}
    for path in found:
        assert (theory_folder().parent / path).is_file()
    names = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    assert {shlex.split(c)[1] for c in commands if c.startswith("sde-grok")} <= names


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_networks_are_made_by_the_command_that_the_page_shows(preset, tmp_path, monkeypatch):
    asked = []

    def train_networks(experiment, *, out, progress):
        asked.append((experiment, out))
        raise KeyboardInterrupt

    monkeypatch.setattr("sde_grok.networks.train_networks", train_networks)
    for training in preset.trainings:
        words = shlex.split(training.command(tmp_path, 7))
        assert words[0] == "sde-grok"
        with pytest.raises(SystemExit):
            cli.main(words[1:])
        assert asked.pop() == (training.experiment(7), training.folder(tmp_path, 7))


def test_no_two_seeds_share_a_network():
    for training in (t for preset in PRESETS.values() for t in preset.trainings):
        first, second = (set(training.experiment(seed).all_seeds) for seed in (0, 1))
        assert not first & second


def test_trainings_have_folders_of_their_own(tmp_path):
    trainings = [t for preset in PRESETS.values() for t in preset.trainings]
    folders = {t.folder(tmp_path, seed) for t in trainings for seed in (0, 1)}
    assert len(folders) == 2 * len(trainings)


def test_indices_powers_and_papers_are_set():
    assert prose("ρ_M² and τ_{M→G}") == "ρ<sub>M</sub>² and τ<sub>M→G</sub>"
    assert prose("b^−½ e^{−O(λ)}") == "b<sup>−½</sup> e<sup>−O(λ)</sup>"
    assert prose("batch_size") == "batch_size"
    assert prose("arXiv 2606.30388") == (
        '<a href="https://arxiv.org/abs/2606.30388">arXiv 2606.30388</a>'
    )
    assert prose("a_<b>") == "a_&lt;b&gt;"
    assert typeset("-1.5 ± 3e-05") == "−1.5 ± 3e-05"


def test_the_provenance_is_json_on_the_page(html, page):
    text = "".join(Checker(html).words)
    start = text.rindex("Appendix: provenance") + len("Appendix: provenance")
    assert json.loads(text[start:].strip()) == page.found.provenance
