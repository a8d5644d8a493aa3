"""Verdicts follow from the checks, and from nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy.stats import expon, kstest, norm, t

from sde_grok.claims import (
    FALSE_ALARM,
    Comparison,
    Residual,
    Verdict,
    kolmogorov_distance,
    report,
    within,
)
from sde_grok.results import Estimate

RIGHT = Comparison("right", Estimate(10.2, 0.1), Estimate(10.0))
WRONG = Comparison("wrong", Estimate(10.5, 0.1), Estimate(10.0))
ZERO = Residual("identity", sp.Integer(0))
LEFT = Residual("no identity", sp.Symbol("x"))


CLAIMED = replace(WRONG, what="claimed", claimed=True)


def verdict(*checks):
    return Verdict(
        "id",
        "derived",
        [c for c in checks if isinstance(c, Residual)],
        [c for c in checks if isinstance(c, Comparison)],
        "everywhere",
    )


@pytest.mark.parametrize(
    ("measured", "expected", "allowed", "holds"),
    [
        ((10.39, 0.1), (10.0, 0.0), 0.0, True),
        ((10.41, 0.1), (10.0, 0.0), 0.0, False),
        ((9.59, 0.1), (10.0, 0.0), 0.0, False),
        ((10.55, 0.1), (10.0, 0.1), 0.0, True),
        ((10.41, 0.1), (10.0, 0.0), 0.01, True),
        ((10.51, 0.1), (10.0, 0.0), 0.01, False),
        ((-10.09, 0.0), (-10.0, 0.0), 0.01, True),
        ((0.009, 0.0), (0.0, 0.0), 0.01, True),
        ((0.011, 0.0), (0.0, 0.0), 0.01, False),
        ((math.nan, 0.1), (10.0, 0.0), 0.5, False),
        ((10.0, math.nan), (10.0, 0.0), 0.5, False),
    ],
)
def test_a_comparison_holds_within_its_error(measured, expected, allowed, holds):
    assert Comparison("x", Estimate(*measured), Estimate(*expected), allowed).holds is holds


def test_a_comparison_in_words():
    assert str(RIGHT) == "right: 10.20 ± 0.10, expected 10 (+2.00%, +2.0 σ)"
    computed = Comparison("slope", Estimate(-1.02), Estimate(-1.0), 0.05)
    assert str(computed) == "slope: -1.02, expected -1 (-2.00%, allowed 0.05)"
    assert str(Comparison("at zero", Estimate(0.1, 0.1), Estimate(0.0))).endswith("(+1.0 σ)")


def test_a_residual_is_zero_or_it_is_not():
    assert ZERO.holds
    assert not LEFT.holds
    assert not Residual("not simplified", "x - x").holds


@pytest.mark.parametrize(
    ("checks", "conclusion"),
    [
        ([ZERO, RIGHT], "holds"),
        ([ZERO, RIGHT, WRONG], "contradicted"),
        ([ZERO, LEFT, RIGHT], "contradicted"),
    ],
)
def test_one_check_that_fails_contradicts(checks, conclusion):
    assert verdict(*checks).conclusion == conclusion
    assert verdict(*checks).holds is (conclusion == "holds")


def test_a_contradicted_claim_of_a_paper_is_a_result_and_one_of_ours_an_error():
    assert verdict(ZERO, RIGHT).errors == ()
    result = verdict(ZERO, RIGHT, CLAIMED)
    assert result.conclusion == "contradicted"
    assert result.errors == ()
    assert len(verdict(ZERO, RIGHT, CLAIMED, WRONG).errors) == 1
    assert len(verdict(LEFT, RIGHT, CLAIMED).errors) == 1


def test_contradictions_carry_their_numbers():
    found = verdict(LEFT, RIGHT, CLAIMED, WRONG).contradictions
    assert found == (
        "no identity: residual x",
        "wrong: 10.50 ± 0.10, expected 10 (+5.00%, +5.0 σ)",
        "claimed: 10.50 ± 0.10, expected 10 (+5.00%, +5.0 σ)",
    )


def test_a_verdict_needs_checks():
    with pytest.raises(ValueError, match="id: a verdict needs checks of the algebra and of the"):
        verdict(ZERO)
    with pytest.raises(ValueError, match="id: a verdict needs checks"):
        verdict(RIGHT)


def test_few_degrees_of_freedom_give_more_room():
    few = Comparison("few", Estimate(10.5, 0.1), Estimate(10.0), freedom=7)
    assert few.holds
    assert few.room == pytest.approx(0.1 * t.isf(FALSE_ALARM / 2, 7), rel=1e-9)
    assert replace(few, freedom=1e9).room == pytest.approx(WRONG.room, rel=1e-6)
    assert norm.sf(4) * 2 == pytest.approx(FALSE_ALARM)
    assert "7 degrees of freedom" in str(few)


def test_part_of_the_room():
    assert RIGHT.used == pytest.approx(0.5)
    assert WRONG.used == pytest.approx(1.25)
    assert Comparison("exact", Estimate(1.0), Estimate(1.0)).used == math.inf


def test_a_report_is_printed_and_its_exit_code_is_that_of_the_check(capsys):
    assert report(verdict(ZERO, RIGHT)) == 0
    assert report(verdict(ZERO, WRONG)) == 1
    assert report(verdict(ZERO, CLAIMED)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "id (derived): holds"
    assert lines[4] == "id (derived): contradicted"
    assert lines[6].endswith("<- contradicted")


def test_a_table_is_printed(capsys):
    report(replace(verdict(ZERO, RIGHT), table=[{"eta": 0.5, "error": 1e-9}]))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "  table               eta          error",
        "                      0.5          1e-09",
    ]


def test_as_dict_is_plain():
    out = verdict(ZERO, WRONG).as_dict()
    assert out["verdict"] == "contradicted"
    assert out["symbolic"] == [{"what": "identity", "residual": "0", "holds": True}]
    assert out["numeric"][0]["z"] == pytest.approx(5)
    assert out["numeric"][0]["measured"] == {"value": 10.5, "stderr": 0.1}


@pytest.mark.parametrize(
    ("deviations", "words"),
    [
        ([0.001, -0.002], "within 1 % at b = 1, 10; -0.20% at b = 10"),
        ([0.001, -0.02], "within 1 % at b = 1; -2.00% at b = 10"),
        ([0.03, -0.02], "not within 1 % at any b tried; +3.00% at b = 1"),
        (
            [0.001, Estimate(-0.01, 0.001)],
            "within 1 % at b = 1, open at b = 10; -1.00% ± 0.1% at b = 10",
        ),
        (
            [Estimate(0.0, 0.004), Estimate(-0.02, 0.004)],
            "within 1 % at b = 1; -2.00% ± 0.4% at b = 10",
        ),
        ([0.001, math.nan], "within 1 % at b = 1; +nan% at b = 10"),
    ],
)
def test_range_of_validity_in_words(deviations, words):
    assert within("b", [1, 10], deviations) == words


def test_kolmogorovs_distance_is_scipys():
    numbers = np.random.default_rng(0).exponential(size=50)
    expected = kstest(numbers, "expon").statistic * math.sqrt(50)
    assert kolmogorov_distance(expon.cdf(np.sort(numbers))) == pytest.approx(expected, rel=1e-14)
