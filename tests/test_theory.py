"""The claims of theory/: registry and scripts agree, no derivation fails, and a wrong law is found out."""

import ast
import importlib
import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from sde_grok import laws
from sde_grok.claims import Provenance, Verdict
from sde_grok.validate.claims import load_claims, theory_folder

CLAIMS = {claim.id: claim for claim in load_claims()}
EACH = pytest.mark.parametrize("name", CLAIMS)
FOLDER = Path(__file__).resolve().parent.parent / "theory"


@cache
def script(name):
    """The script of a claim, loaded once: some keep what they simulated."""
    return CLAIMS[name].module()


@cache
def checked(name):
    claim = CLAIMS[name]
    return script(name).check(claim.law_function(), seed=0)


def test_the_scripts_are_those_of_the_checkout():
    assert theory_folder() == FOLDER


def test_every_script_and_every_figure_is_in_the_registry():
    claims = CLAIMS.values()
    assert len({c.id for c in claims}) == len(load_claims())
    assert sorted(c.script for c in claims) == sorted(p.name for p in FOLDER.glob("*.py"))
    figures = {c.figure for c in claims if c.figure}
    drawn = {p.name for p in (FOLDER / "figures").glob("*.png")}
    others = {
        "ladder",
        "phase_portrait",
        "escape_sequence",
        "predicted",
        "radii",
        "transition_time",
    }
    assert figures | {f"{name}.png" for name in others} == drawn


@EACH
def test_the_folders_readme_lists_the_claim(name):
    claim = CLAIMS[name]
    row = (
        f"| `{name}` | [{claim.script}]({claim.script}) | {claim.statement} | {claim.provenance} |"
    )
    assert row in (FOLDER / "README.md").read_text("utf-8").splitlines()


@EACH
def test_registry_and_code_agree(name):
    claim = CLAIMS[name]
    module_name, _, law_name = claim.law.rpartition(".")
    assert module_name == "sde_grok.laws"
    assert law_name in laws.__all__
    assert "Provenance" in claim.law_function().__doc__
    assert f"`{name}`" in claim.law_function().__doc__
    module = claim.module()
    assert name == module.CLAIM
    assert module.__doc__.startswith(f"Claim {name}: ")
    assert "Provenance" in module.__doc__
    assert claim.law_function() in module.check.__defaults__  # alone it checks the same law
    assert callable(getattr(module, "figure", None)) is bool(claim.figure)
    assert claim.provenance in get_args(Provenance)
    assert claim.statement.endswith(".")


@pytest.mark.slow
@EACH
def test_verdicts_come_from_checks_and_no_derivation_fails(name):
    verdict = checked(name)
    assert isinstance(verdict, Verdict)
    assert (verdict.claim, verdict.provenance) == (name, CLAIMS[name].provenance)
    assert verdict.symbolic
    assert verdict.numeric
    assert any(char.isdigit() for char in verdict.validity)
    assert all(math.isfinite(c.measured.value) for c in verdict.numeric)
    assert verdict.errors == ()


EXPONENTS = {"regimes", "b-test"}  # they cannot see a factor


def wrong(law, *, tilt):
    """Scale a law by 3 %, or tilt it as b^0.05."""

    def scaled(*args, **kwargs):
        factor = kwargs["batch_size"] ** 0.05 if tilt else 1.03
        return law(*args, **kwargs) * factor

    return scaled


@pytest.mark.slow
@EACH
def test_a_wrong_law_is_contradicted(name):
    """By comparisons that held, besides those that a paper's claim fails anyway."""
    claim = CLAIMS[name]
    law = wrong(claim.law_function(), tilt=name in EXPONENTS)
    verdict = script(name).check(law, seed=0)  # what was simulated does not hang on the law
    held = {c.what for c in checked(name).numeric if c.holds}
    assert held & {c.what for c in verdict.numeric if not c.holds}
    assert verdict.conclusion == "contradicted"


@pytest.mark.slow
@EACH
def test_each_script_runs_alone(name):
    run = subprocess.run(
        [sys.executable, str(FOLDER / CLAIMS[name].script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith(f"{name} ({CLAIMS[name].provenance}): ")


@EACH
def test_no_verdict_is_written_by_hand(name):
    """A script constructs its verdict from lists of checks and never names a conclusion."""
    tree = ast.parse((FOLDER / CLAIMS[name].script).read_text("utf-8"))
    words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    assert not words & {"holds", "contradicted"}


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sde_grok.validate.run.missing_packages", lambda: ["sympy"])
    cli = importlib.import_module("sde_grok.cli")
    with pytest.raises(SystemExit) as stop:
        cli.main(["validate", "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "error: sympy is not installed: pip install 'sde-grok[theory]'\n"
    )
    assert not (tmp_path / "out").exists()
