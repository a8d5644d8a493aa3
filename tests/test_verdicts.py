"""The verdict table: its rule, its rows on runs that obey or break the claims, and its sources."""

import itertools
import math
import re
import shlex
import time
import tracemalloc
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit
from scipy.stats import binom

from sde_grok.checks import ParameterError
from sde_grok.claims import FALSE_ALARM, Comparison, Verdict
from sde_grok.cli.app import app
from sde_grok.fits import fit_exponents, load_table, sample
from sde_grok.laws import init_shell_mean, init_shell_sd
from sde_grok.results import Estimate
from sde_grok.runs.reference import DATA
from sde_grok.validate.claims import load_claims
from sde_grok.validate.ladder import check_ladder
from sde_grok.validate.rows import ROWS
from sde_grok.validate.rows.evidence import Evidence, gathered
from sde_grok.validate.rows.shared import (
    LEAST,
    displayed,
    mean_over,
    neurons,
    share,
    whose,
    with_means,
)
from sde_grok.validate.rows.shells import ratio_of_means
from sde_grok.validate.rows.statistics import regression, told_apart
from sde_grok.validate.run import run_validation
from sde_grok.validate.run import verdict_rows as verdict_rows_of
from sde_grok.validate.verdicts import RULE, Part, Row, decides, resolution_of, verdict_rows

ROOT = Path(__file__).resolve().parent.parent
UNDECIDED = "undecided with this data"
TIMED = ("tau-eta", "tau-lambda", "tau-b", "delay-eta", "delay-lambda", "b-test")
CLAIMED = {
    *("init-shell", "nesting-init-m", "nesting-m-g", "u-shape", "rho-m-eta-over-b"),
    *("rho-m-lambda", "slow-manifold-m", "slow-manifold-v", "small-covariance"),
    *("isotropic-covariance", "sde-limit", "rho-g-free", "rho-g-lifted", "goldilocks"),
    *TIMED,
}


def comparison(difference, stderr=0.0, allowed=0.0, freedom=math.inf):
    return Comparison("it", Estimate(1 + difference, stderr), Estimate(1.0), allowed, True, freedom)


def row(*comparisons, resolution=0.5, **numbers):
    given = {"closed_form": None, "simulated": None, "network": None} | numbers
    return Row("x", "a claim", "by us", "a number", **given, comparisons=comparisons,
               resolution=resolution, sources=("sde-grok validate",))  # fmt: skip


@cache
def packaged():
    files = ("reference_runs.csv", "z59_runs.csv")
    frames = [load_table(Path(str(DATA / name))) for name in files]
    return pd.concat(frames, ignore_index=True)


def by_id(runs):
    return {found.id: found for found in verdict_rows(runs, {}, [])}


# The rule.


def test_each_verdict_is_reached():
    good, bad, rough = comparison(0.1, 0.1), comparison(0.9, 0.1), comparison(0.1, 0.2)
    assert row(good).verdict == row(good, rough).verdict == row(good, good).verdict == "holds"
    assert row(bad).verdict == row(bad, rough).verdict == "contradicted"
    assert row(good, bad).verdict == row(good, bad, rough).verdict == "holds in a range"
    assert row().verdict == row(rough).verdict == row(rough, rough).verdict == UNDECIDED


def test_a_room_as_large_as_the_resolution_decides_and_a_larger_one_does_not():
    assert row(comparison(0.0, 0.125), resolution=0.5).verdict == "holds"
    assert row(comparison(0.0, 0.1251), resolution=0.5).verdict == UNDECIDED
    assert row(comparison(0.0, allowed=0.5), resolution=0.5).verdict == "holds"
    assert row(comparison(0.0, allowed=0.51), resolution=0.5).verdict == UNDECIDED


def test_a_difference_as_large_as_the_room_holds_and_a_larger_one_does_not():
    assert row(comparison(0.25, allowed=0.25)).verdict == "holds"
    assert row(comparison(0.2501, allowed=0.25)).verdict == "contradicted"
    assert row(comparison(0.25, 0.0625)).verdict == "holds"
    assert row(comparison(0.2501, 0.0625)).verdict == "contradicted"


def test_a_number_that_is_not_excluded_but_far_off_does_not_hold():
    assert row(comparison(0.25, 0.125), resolution=0.5).verdict == "holds"
    far = row(comparison(0.2501, 0.125), resolution=0.5)
    assert far.verdict == UNDECIDED
    assert far.reason.startswith("off by 0.25, more than half of the resolution 0.5: it")
    assert "half of the resolution" in RULE


def part(where, name, difference, stderr=0.01, **more):
    one = comparison(difference, stderr)
    return Part(f"{where}: {name}", one.measured, one.expected, where=where, part=name, **more)


def both(*comparisons):
    return replace(row(*comparisons), needs=("x", "y"))


def test_a_group_holds_if_all_parts_of_the_claim_do():
    good = [part("a", "x", 0.0), part("a", "y", 0.0)]
    bad = [part("b", "x", 0.0), part("b", "y", 0.9)]
    assert both(*good).verdict == "holds"
    assert both(*bad).verdict == "contradicted"  # though x holds there
    assert both(*good, *bad).verdict == "holds in a range"
    assert both(*good, *bad).reason.endswith("; holds for a")
    assert both(good[0]).verdict == UNDECIDED
    assert "nowhere all of x; y" in both(good[0]).reason
    assert both(good[0], part("a", "y", 0.0, 0.2)).verdict == UNDECIDED
    assert both(good[0], bad[1]).verdict == "contradicted"
    assert both(good[0], part("c", "x", 0.0), bad[1]).groups == {"a": None, "c": None, "b": False}


def test_the_mean_over_groups_decides_where_no_group_fails():
    rough = [part(where, "x", 0.2, 0.05) for where in "abcd"]
    means = with_means(rough)
    assert len(means) == 5
    assert means[-1].over == ("a", "b", "c", "d")
    assert means[-1].measured == Estimate(pytest.approx(1.2), pytest.approx(0.025))
    assert row(*rough).verdict == "holds"
    assert row(*means).verdict == "contradicted"  # all four are off by 4 errors on the same side
    assert set(row(*means).groups.values()) == {False}
    fine = with_means(
        [part(where, "x", d, 0.16) for where, d in zip("abcd", (0.1, -0.1) * 2, strict=True)]
    )
    assert row(*fine[:-1]).verdict == UNDECIDED
    assert row(*fine).verdict == "holds"
    apart = with_means([part("a", "x", 0.9), part("b", "x", -0.9)])  # whose mean is as expected
    assert row(*apart).verdict == "contradicted"
    assert (
        row(*with_means([part("a", "x", 0.0), part("b", "x", 0.9)])).verdict == "holds in a range"
    )


def test_a_mean_over_groups_of_few_cells_has_the_error_that_it_says():
    rng = np.random.default_rng(5)
    freedom, n = np.array([3, 9, 22]), 4000
    errors = np.sqrt(rng.chisquare(freedom, size=(n, 3)) / freedom)
    values = rng.normal(size=(n, 3))
    t = []
    for value, error in zip(values, errors, strict=True):
        parts = [
            Part("x", Estimate(v, e), Estimate(0.0), freedom=float(f), where=str(f))
            for v, e, f in zip(value, error, freedom, strict=True)
        ]
        t.append(mean_over(parts))
    outside = sum(abs(m.measured.value) > stdtrit(m.freedom, 0.995) * m.stderr for m in t)
    assert outside <= 0.01 * n + 4 * math.sqrt(0.01 * n)


def test_the_number_shown_is_one_that_decides():
    good, rough = part("Z7 (b 25)", "x", 0.1, 0.02), part("Z5 (b 25)", "x", 0.0, 0.01, freedom=2)
    assert displayed([rough, good], 0.5) is good
    assert whose(good) == "Z7, coupled"
    assert displayed([rough], 0.5) is rough
    assert displayed([], 0.5) is None
    assert displayed(with_means([good, good]), 0.5).over == (good.where, good.where)


def test_a_difference_beyond_a_large_room_decides_nevertheless():
    assert row(comparison(3.0, 0.7)).verdict == "contradicted"
    assert row(comparison(2.7, 0.7)).verdict == UNDECIDED


def test_few_degrees_of_freedom_make_the_room_larger():
    assert row(comparison(0.0, 0.1), resolution=0.5).verdict == "holds"
    assert row(comparison(0.0, 0.1, freedom=5), resolution=0.5).verdict == UNDECIDED


@pytest.mark.parametrize("stderr", [math.nan, math.inf])
def test_a_number_without_an_error_does_not_decide(stderr):
    assert not decides(comparison(5.0, stderr), 0.5)
    assert not decides(comparison(math.nan, 0.1), 0.5)
    assert row(comparison(5.0, stderr)).verdict == UNDECIDED


def test_reasons_name_the_comparison_its_errors_and_per_cent():
    assert row().reason == "nothing to compare"
    assert "nearest to failing: it: 1.20 ± 0.10, expected 1 (+20.00%, +2.0 σ)" in (
        row(comparison(0.1, 0.1), comparison(0.2, 0.1)).reason
    )
    assert row(comparison(0.9, 0.1)).reason.startswith("not it: 1.90 ± 0.10, expected 1 (+90.00%")
    mixed = row(comparison(0.1, 0.1), comparison(0.9, 0.1), comparison(0.8, 0.1)).reason
    assert mixed.endswith("nor 1 more; holds for it")
    assert row(comparison(0.0, 1.0)).reason.startswith("room 4, more than the resolution 0.5: it")


def test_the_deviation_is_of_the_network_or_else_of_the_simulation():
    one, two, three = Estimate(1.0), Estimate(2.0, 0.3), Estimate(3.0, 0.4)
    assert row(closed_form=one, simulated=two, network=three).deviation == Estimate(2.0, 0.4)
    assert row(closed_form=one, simulated=two).deviation == Estimate(1.0, 0.3)
    assert math.isnan(row(closed_form=one).deviation.value)
    assert math.isnan(row(network=three).deviation.value)


def test_a_row_as_plain_numbers():
    found = row(comparison(0.1, 0.1), comparison(0.0, 9.0), network=Estimate(0.0)).as_dict()
    assert found["network"] == {"value": 0.0, "stderr": 0.0}
    assert found["simulated"] is None
    assert [c["decides"] for c in found["comparisons"]] == [True, False]
    assert found["verdict"] == "holds"
    assert all(word in RULE for word in ("holds", "contradicted", "range", "undecided"))


# On the packaged runs.


def test_the_packaged_runs_fill_every_row_quickly():
    began = time.perf_counter()
    rows = verdict_rows(None, {}, [])
    assert time.perf_counter() - began < 5
    assert {r.id for r in rows} == CLAIMED
    assert len({r.id for r in rows}) == len(rows) == len(ROWS)
    for r in rows:
        numbers = [x for x in (r.closed_form, r.simulated, r.network) if x is not None]
        assert all(math.isfinite(x.value) and math.isfinite(x.stderr) for x in numbers), r.id
        assert r.closed_form is not None
        assert r.reason
        assert r.resolution > 0
        if r.id != "sde-limit":  # of the ladder alone
            assert r.network is not None, r.id
            assert math.isfinite(r.deviation.value)
            assert r.comparisons
            assert all(c.claimed for c in r.comparisons)


def test_every_comparison_could_decide_with_enough_data():
    for r in verdict_rows(None, {}, []):
        for c in r.comparisons:
            resolution = resolution_of(c, r.resolution)
            assert c.allowed * (abs(c.expected.value) or 1) < resolution, (r.id, c.what)


def test_the_same_runs_as_one_table_give_the_same_verdicts():
    packed, table = by_id(None), by_id(packaged())
    for name, r in packed.items():
        assert table[name].verdict == r.verdict
        if r.network is not None:
            assert table[name].network.value == pytest.approx(r.network.value, abs=1e-9)


def test_sources_are_commands_that_exist():
    scripts = {claim.script for claim in load_claims()}
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    for r in verdict_rows(None, {}, []):
        assert r.sources, r.id
        for source in r.sources:
            program, what, *rest = shlex.split(source)
            assert program in {"python", "sde-grok"}
            if program == "python":
                assert what.removeprefix("theory/") in scripts
                assert (ROOT / what).is_file()
            else:
                assert what in commands
                assert not rest or (ROOT / rest[0]).is_file()


@pytest.mark.parametrize("name", [name for name in TIMED if name != "b-test"])
def test_the_commands_of_a_row_make_its_numbers_again(name):
    r = by_id(None)[name]
    axis = {"eta": "eta", "lambda": "lam", "b": "batch_size"}[name.split("-")[1]]
    alone = [c for c in (*r.comparisons, *r.beside) if not c.over]
    again = []
    for source in r.sources:
        if source.startswith("sde-grok fit"):
            _, _, file, *options = shlex.split(source)
            given = {
                k.removeprefix("--"): v for k, v in zip(options[::2], options[1::2], strict=True)
            }
            rows = sample(load_table(ROOT / file), where=given["where"], response=given["response"])
            fit = fit_exponents(rows, method=given["method"])
            again.append(fit.estimate[fit.names.index(axis)])
    assert again == pytest.approx([c.measured.value for c in alone])


def test_least_squares_of_the_cells_find_what_was_planted():
    rng = np.random.default_rng(3)
    x, label = rng.normal(size=40), [0, 1] * 20
    y = 0.7 * x + np.array(label) * 5 + 0.1 * rng.normal(size=40)
    found, freedom = regression(y, {"x": x, "again": 2 * x, "flat": np.ones(40)}, label)
    assert list(found) == ["x"]
    assert freedom == 37
    assert abs(found["x"].value - 0.7) < 4 * found["x"].stderr
    assert found["x"].stderr == pytest.approx(0.1 / math.sqrt(40), rel=0.5)
    assert regression(y[:3], {"x": x[:3]}, label[:3]) == ({}, 0)


def test_a_share_of_few_cells_is_none():
    assert share("x", [True] * (LEAST - 1)) is None
    assert share("x", [True] * LEAST).holds
    assert share("x", [True] * 4 + [False]).holds
    assert not share("x", [False] * LEAST).holds


def test_a_share_decides_where_coins_do_not_give_it():
    def told(met, n):
        return row(share("x", [True] * met + [False] * (n - met))).verdict

    assert told(5, 5) == told(14, 14) == told(12, 16) == told(8, 16) == UNDECIDED
    assert told(16, 16) == told(27, 27) == told(25, 27) == "holds"
    assert told(0, 5) == told(0, 27) == told(13, 27) == "contradicted"


@pytest.mark.parametrize("n", [5, 8, 16, 27])
def test_a_share_seldom_errs(n):
    met = np.arange(n + 1)
    said = [row(share("x", [True] * k + [False] * (n - k))).verdict for k in met]
    by_coins = sum(binom.pmf(k, n, 0.5) for k in met if said[k] == "holds")
    by_claim = sum(binom.pmf(k, n, 0.9) for k in met if said[k] == "contradicted")
    assert max(by_coins, by_claim) < FALSE_ALARM


def test_cells_with_random_radii_are_undecided():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        runs = pd.DataFrame({"eta": np.geomspace(1e-4, 1e-2, 5).repeat(3), "batch_size": 100.0})
        radii = {f"rho2_{x}": np.repeat(1 + rng.random(5), 3) for x in ("mem", "grok")}
        late = 1 / runs["eta"] + rng.random(15)
        runs = runs.assign(lam=1e-4, T_mem=100.0, T_grok=100 + late, **radii)
        found = by_id(runs)["nesting-m-g"]
        assert found.comparisons
        assert found.verdict in {UNDECIDED, "contradicted"}
        assert found.verdict == UNDECIDED or found.network.value == 0


# Runs that break or obey the claims.


@pytest.mark.parametrize("seed", range(4))
def test_no_claim_on_times_holds_for_shuffled_times(seed):
    rng = np.random.default_rng(seed)
    runs = packaged().copy()
    order = rng.permutation(len(runs))
    runs[["T_mem", "T_grok"]] = runs[["T_mem", "T_grok"]].to_numpy()[order]
    found = by_id(runs)
    assert {found[name].verdict for name in TIMED} <= {"contradicted", UNDECIDED}


@pytest.mark.parametrize("seed", range(4))
def test_no_claim_on_times_holds_for_times_shuffled_within_a_task(seed):
    rng = np.random.default_rng(100 + seed)
    runs = packaged().copy()
    for rows in runs.groupby(["task", "weight_decay"]).groups.values():
        times = runs.loc[rows, ["T_mem", "T_grok"]].to_numpy()
        runs.loc[rows, ["T_mem", "T_grok"]] = times[rng.permutation(len(rows))]
    found = by_id(runs)
    assert {found[name].verdict for name in TIMED} <= {"contradicted", UNDECIDED}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("tasks", ["all", "z59", "others"])
def test_the_order_of_the_shells_needs_delays_that_are_real(seed, tasks):
    runs = packaged()
    runs = runs[(runs["task"] == "z59") == (tasks == "z59")] if tasks != "all" else runs
    order = np.random.default_rng(seed).permutation(len(runs))
    times = runs[["T_mem", "T_grok"]].to_numpy()[order]
    shuffled = runs.assign(T_mem=times[:, 0], T_grok=times[:, 1])
    assert by_id(shuffled)["nesting-m-g"].verdict in {"contradicted", UNDECIDED}


def test_delays_that_are_all_the_same_are_not_real():
    runs = packaged()
    alike = runs.assign(T_grok=runs["T_mem"] + 5000)
    assert by_id(alike)["nesting-m-g"].verdict == UNDECIDED
    assert by_id(runs)["nesting-m-g"].verdict == "holds"


def test_values_are_told_apart_by_cell_as_often_as_by_chance():
    rng = np.random.default_rng(8)
    cells = np.repeat(np.arange(12), 3)
    assert not any(told_apart(rng.exponential(size=36) ** 4, cells) for _ in range(2000))
    assert told_apart(cells + rng.normal(size=36), cells)
    assert not told_apart(np.ones(36), cells)
    assert not told_apart(np.arange(12.0), np.arange(12))


def obeying(power, seed, *, spread=0.1):
    """Packaged runs with delays η⁻¹ λ^p b^q ln(ρ_M²/ρ_G²), and a scatter between seeds."""
    rng = np.random.default_rng(seed)
    runs = packaged()
    runs = runs[runs["T_grok"] > runs["T_mem"]].copy()
    lam, b = power
    ratio = np.log(runs["rho2_mem"] / runs["rho2_grok"]).clip(lower=0.05)
    delay = ratio / runs["eta"] * runs["lam"] ** lam * runs["batch_size"] ** b
    runs["T_grok"] = runs["T_mem"] + delay * np.exp(spread * rng.normal(size=len(runs)))
    runs["steps_run"] = runs["T_grok"]
    return runs


@pytest.mark.parametrize("seed", range(3))
def test_theorem_3_holds_for_runs_that_obey_it(seed):
    found = by_id(obeying((-1.0, -0.5), seed))
    for name in ("tau-eta", "tau-lambda", "tau-b"):
        assert found[name].verdict == "holds", found[name].reason


@pytest.mark.parametrize("seed", range(3))
def test_theorem_3_is_contradicted_by_runs_that_obey_the_collapse(seed):
    found = by_id(obeying((-0.5, -0.25), seed))
    assert found["tau-eta"].verdict == "holds"
    for name in ("tau-lambda", "tau-b"):
        assert found[name].verdict == "contradicted", found[name].reason


def test_runs_without_scatter_hold_to_rounding():
    found = by_id(obeying((-1.0, -0.5), 0, spread=0.0))
    assert found["tau-b"].verdict == "holds"


def with_late_runs_censored():
    """Runs of Z59 that obey Theorem 3, the longest delays of which were not waited for."""
    runs = obeying((-1.0, -0.5), 1)
    z59 = (runs["task"] == "z59") & (runs["weight_decay"] == "coupled")
    runs = runs[z59].copy()
    budget = (runs["T_grok"] - runs["T_mem"]).quantile(0.85)
    late = runs["T_grok"] - runs["T_mem"] > budget
    runs.loc[late, ["steps_run"]] = runs.loc[late, "T_mem"].to_numpy()[:, None] + budget
    runs.loc[late, "T_grok"] = np.nan
    return runs, late


def test_censored_runs_count_by_their_bounds():
    runs, late = with_late_runs_censored()  # with radii that were seen otherwise
    found = by_id(runs)["tau-lambda"]
    assert found.verdict == "holds", found.reason
    assert "--method aft" in found.sources[0]
    assert abs(found.deviation.value) < 4 * found.deviation.stderr
    assert "left out" not in found.reason
    (group,) = gathered(runs, {}, []).groups
    assert len(group.shrinking) == len(runs)  # none left out: long times would be missing
    assert late.sum() > 5


@pytest.mark.parametrize(("name", "axis"), [("tau-lambda", "lam"), ("delay-lambda", "lam")])
def test_censored_runs_of_unknown_radius_are_left_out_as_their_command_does(name, axis):
    runs, late = with_late_runs_censored()
    runs.loc[late, "rho2_grok"] = np.nan
    found = by_id(runs)[name]
    (alone,) = found.beside if name.startswith("delay") else found.comparisons
    words = shlex.split(found.sources[0])
    where, response, method = words[4::2]
    rows = sample(runs, where=where, response=response, event_only=method == "ols")
    fit = fit_exponents(rows, method=method)
    assert fit.estimate[fit.names.index(axis)] == pytest.approx(alone.measured.value)
    if name == "tau-lambda":
        assert method == "ols"
        assert f"{late.sum()} runs of {alone.where} that did not grok are left out" in found.reason
    else:
        assert method == "aft"
        assert "left out" not in found.reason


def test_without_decoupled_runs_the_batch_size_test_is_undecided():
    runs = packaged()
    found = by_id(runs[runs["weight_decay"] == "coupled"])
    assert found["b-test"].verdict == UNDECIDED
    assert found["b-test"].reason == "nothing to compare"
    assert found["tau-b"].verdict == by_id(None)["tau-b"].verdict


def with_b(exponents):
    """Runs on a grid, coupled and decoupled, with exponents of b each."""
    rng = np.random.default_rng(7)
    rows = []
    for decay, exponent in zip(("coupled", "decoupled"), exponents, strict=True):
        for eta in (1e-3, 3e-3, 1e-2):
            for lam in (0.1, 0.3):
                for b in (25.0, 100.0, 400.0):
                    for seed in range(3):
                        delay = 10 / eta / lam * b**exponent * math.exp(0.05 * rng.normal())
                        rows.append((decay, eta, lam, b, seed, 100.0, 100 + delay, 100 + delay))
    names = ["weight_decay", "eta", "lam", "batch_size", "seed", "T_mem", "T_grok", "steps_run"]
    return pd.DataFrame(rows, columns=names).assign(task="z7", rho2_mem=9.0, rho2_grok=3.0)


def test_the_batch_size_test_tells_the_two_kinds_of_shrinkage():
    assert by_id(with_b((-0.5, 0.0)))["b-test"].verdict == "holds"
    assert by_id(with_b((-0.5, -0.5)))["b-test"].verdict == "contradicted"
    assert by_id(with_b((-0.25, 0.0)))["b-test"].verdict == "contradicted"
    assert (
        by_id(with_b((0.0, 0.5)))["b-test"].verdict == "contradicted"
    )  # the difference is as claimed


ETAS, LAMS, BATCHES = (1e-3, 3e-3, 1e-2), (1e-4, 3e-4, 1e-3), (25.0, 100.0, 400.0)
SIGMA, DIM = 1e-2, 59 * 64 + 2 * 64 * 128 + 128 * 59


def shells(
    rho2_mem, rho2_grok, *, rho2_init=5000.0, etas=ETAS, lams=LAMS, batches=BATCHES, seeds=3,
    spread=0.01,
):  # fmt: skip
    """Runs with radii that are functions of the settings, and 1 % between seeds."""
    rng = np.random.default_rng(11)
    grid = list(itertools.product(etas, lams, batches, range(seeds)))
    runs = pd.DataFrame(grid, columns=["eta", "lam", "batch_size", "seed"])
    scatter = np.exp(spread * rng.normal(size=(2, len(runs))))
    return runs.assign(
        task="z59",
        weight_decay="coupled",
        T_mem=100.0,
        T_grok=100 + 1 / runs["eta"] / runs["lam"],
        steps_run=1e9,
        rho2_init=rho2_init,
        rho2_mem=rho2_mem(runs) * scatter[0],
        rho2_grok=rho2_grok(runs) * scatter[1],
        mean_sqrt_v_grok=SIGMA / np.sqrt(runs["batch_size"]),
        embedding=64.0,
        width=128.0,
    )


def constant(value):
    return lambda runs: value + 0 * runs["lam"]


def noise(runs):
    return runs["eta"] / runs["batch_size"]


def test_shells_as_the_theory_has_them_hold():
    def memorization(runs):
        return 4000 * np.exp(-200 * runs["lam"]) * (noise(runs) / 4e-4) ** 0.05

    found = by_id(shells(memorization, constant(1000.0)))
    for name in ("nesting-init-m", "nesting-m-g", "rho-m-eta-over-b", "rho-m-lambda"):
        assert found[name].verdict == "holds", (name, found[name].reason)
    assert found["rho-g-free"].verdict == found["goldilocks"].verdict == "holds"
    assert found["rho-g-lifted"].verdict == "contradicted"
    assert found["u-shape"].verdict == "contradicted"  # it rises
    assert found["init-shell"].verdict == "contradicted"  # k is 246


def test_shells_otherwise_are_contradicted():
    found = by_id(
        shells(
            lambda runs: 9000 * (runs["lam"] / 1e-4) ** -1.0 * (runs["eta"] / 1e-3) ** 0.3,
            lambda runs: 19000 * (runs["lam"] / 1e-4) ** -1.0 * runs["batch_size"] ** 0.1,
        )
    )
    for name in ("rho-m-eta-over-b", "rho-m-lambda", "nesting-m-g"):
        assert found[name].verdict == "contradicted", (name, found[name].reason)
    for name in ("rho-g-free", "goldilocks"):  # free of η, not of b
        assert found[name].verdict == "contradicted", (name, found[name].reason)


U_SHAPES = {
    "in the middle": (lambda u: 0.4 * (u - 0.5) ** 2, "holds"),
    "aside": (lambda u: 0.4 * (u - 0.35) ** 2, "holds"),
    "with a kink": (lambda u: 0.3 * abs(u - 0.6), "holds"),
    "upside down": (lambda u: -0.4 * (u - 0.5) ** 2, "contradicted"),
    "rising": (lambda u: 0.3 * u, "contradicted"),
    "falling": (lambda u: -0.3 * u, "contradicted"),
    "rising ever faster": (lambda u: 0.3 * u**2 + 0.6 * u, "contradicted"),
    "falling to a floor": (lambda u: np.exp(-4 * u), UNDECIDED),
    "flat": (lambda u: 0 * u, UNDECIDED),
}


@pytest.mark.parametrize("shape", U_SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_a_u_in_noise_is_told_from_what_is_none(shape, seed):
    law, verdict = U_SHAPES[shape]

    def memorization(runs):
        u = np.log(noise(runs))
        scatter = np.exp(0.01 * np.random.default_rng(seed).normal(size=len(runs)))
        return 4000 / runs["lam"] ** 0.2 * np.exp(law((u - u.min()) / np.ptp(u))) * scatter

    found = by_id(shells(memorization, constant(100.0)))["u-shape"]
    assert found.verdict == verdict, found.reason


def test_a_u_on_the_grid_of_the_packaged_runs_holds():
    runs = packaged()
    z59 = runs[(runs["task"] == "z59") & (runs["weight_decay"] == "coupled")]
    u = np.log(z59["eta"] / z59["batch_size"] / 3e-5)
    assert by_id(z59.assign(rho2_mem=3000 * (1 + 0.1 * u**2)))["u-shape"].verdict == "holds"
    rng = np.random.default_rng(4)
    for _ in range(10):
        flat = 3000 * (1 + 0.001 * rng.normal(size=len(z59)))
        assert by_id(z59.assign(rho2_mem=flat))["u-shape"].verdict == UNDECIDED


THICK = 2.19  # √(2k/p̃) of Z59's network, k = 246


def starting(scatter, *, mean=246.0, seeds=16):
    """Runs of seeds whose initialisations have a scatter, in both kinds of shrinkage."""
    z = np.random.default_rng(2).normal(size=seeds)
    z = (z - z.mean()) / z.std(ddof=1)
    runs = shells(constant(4000.0), constant(1000.0), seeds=seeds)
    runs = runs.assign(rho2_init=mean + scatter * z[runs["seed"]])
    return pd.concat([runs, runs.assign(weight_decay="decoupled")], ignore_index=True)


def test_an_init_shell_of_k_holds():
    runs = starting(THICK)
    assert by_id(runs)["init-shell"].verdict == "holds", by_id(runs)["init-shell"].reason
    assert by_id(runs.assign(init_scale=2.0))["init-shell"].verdict == UNDECIDED
    assert by_id(runs.assign(task="anything"))["init-shell"].verdict == UNDECIDED


@pytest.mark.parametrize("factor", [0.0, 0.2, 5.0, 30.0])
def test_an_init_shell_of_another_thickness_does_not_hold(factor):
    found = by_id(starting(factor * THICK))["init-shell"]
    assert found.verdict == "contradicted"
    assert "thickness" in found.reason


def test_few_seeds_do_not_tell_the_thickness_of_the_init_shell():
    found = by_id(starting(THICK, seeds=3))["init-shell"]
    assert found.verdict == UNDECIDED
    assert "thickness" in found.reason


def test_seeds_that_groups_share_count_once():
    runs = starting(THICK, seeds=4)
    more = starting(THICK, seeds=5, mean=247.0).assign(task="z127")
    found = by_id(pd.concat([runs, more], ignore_index=True))["init-shell"]
    assert {c.where for c in found.comparisons if c.over} == {"all groups (9 seeds)"}


@pytest.mark.parametrize("wrong", ["a kind of shrinkage", "runs of a seed"])
def test_every_group_and_run_of_the_init_shell_counts(wrong):
    runs = starting(THICK)
    first = runs.groupby(["weight_decay", "seed"]).cumcount() == 0
    if wrong == "runs of a seed":  # their means are as before
        others = ~first & (runs["seed"] == 0)
        sign = np.where(runs.groupby(["weight_decay", "seed"]).cumcount() % 2 == 0, 1, -1)
        runs.loc[others, "rho2_init"] += 0.9 * 246 * sign[others]
    else:
        runs.loc[runs["weight_decay"] == "coupled", "rho2_init"] = 9999.0
    assert by_id(runs)["init-shell"].verdict != "holds"
    assert any(not c.holds for c in by_id(runs)["init-shell"].comparisons)


@pytest.mark.parametrize(
    ("radius", "spacing", "verdict"),
    [
        (lambda lam: np.exp(-800 * lam), 3.0, "holds"),
        (lambda lam: np.exp(+800 * lam), 3.0, "contradicted"),  # it rises
        (lambda lam: lam**-0.5, 3.0, "contradicted"),
        (lambda lam: lam**-0.5, 1.4, "contradicted"),  # whose slopes differ by 1.4 alone
    ],
)
def test_the_memorization_shell_falls_with_an_exponential(radius, spacing, verdict):
    lams = tuple(1e-4 * spacing**i for i in range(3))
    runs = shells(lambda runs: 4000 * radius(runs["lam"]), constant(1.0), lams=lams, spread=1e-3)
    assert by_id(runs)["rho-m-lambda"].verdict == verdict, by_id(runs)["rho-m-lambda"].reason


def test_one_ratio_of_slopes_near_nothing_does_not_spoil_the_others():
    over, under = np.array([2.0, 2.1, 1.9, 2.0]), np.array([2.0, 1.9, 2.1, 1e-9])
    found = ratio_of_means(over, under)
    assert found.value == pytest.approx(8 / 6)
    assert 0.1 < found.stderr < 1
    assert math.isnan(ratio_of_means(over, 0 * under).value)


def test_the_lift_of_the_isotropic_model_holds():
    def core(runs):
        return 1000 + runs["eta"] / runs["lam"] * DIM * SIGMA / (2 * np.sqrt(runs["batch_size"]))

    found = by_id(shells(constant(9000.0), core))["rho-g-lifted"]
    assert found.verdict == "holds", found.reason
    assert abs(found.deviation.value) < 4 * found.deviation.stderr


def noisy(**columns):
    """Runs with moments and noise as given at each event."""
    runs = shells(constant(4000.0), constant(1000.0)).assign(beta1=0.9)
    given = {
        f"{name}_{event}": x for name, x in columns.items() for event in ("mem", "peak", "grok")
    }
    return by_id(runs.assign(**given))


def test_moments_and_noise_as_the_theory_has_them_hold():
    found = noisy(
        m_deviation=0.05, v_deviation=0.01, gradient_norm2=1.0, noise_trace=1e-6,
        noise_total=1.0, noise_signal=1.0, noise_square=1 / DIM,
    )  # fmt: skip
    for name in ("slow-manifold-m", "slow-manifold-v", "small-covariance", "isotropic-covariance"):
        assert found[name].verdict == "holds", (name, found[name].reason)


def test_moments_and_noise_otherwise_are_contradicted():
    found = noisy(
        m_deviation=1.0, v_deviation=0.2, gradient_norm2=1.0, noise_trace=1e-6,
        noise_total=1e4, noise_signal=1.0, noise_square=1e8 / (0.3 * DIM),
    )  # fmt: skip
    for name in ("slow-manifold-m", "slow-manifold-v", "small-covariance", "isotropic-covariance"):
        assert found[name].verdict == "contradicted", (name, found[name].reason)


def test_noise_that_is_small_at_one_event_holds_in_a_range():
    runs = shells(constant(4000.0), constant(1000.0)).assign(
        noise_total_mem=1.0, noise_signal_mem=1.0, noise_total_grok=1e4, noise_signal_grok=1.0
    )
    found = by_id(runs)["small-covariance"]
    assert found.verdict == "holds in a range"
    assert "memorization" in found.reason.split("holds for")[1]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_tiny_tables_are_undecided(rows):
    for r in verdict_rows(packaged().head(rows), {}, []):
        assert r.verdict == UNDECIDED, (r.id, r.reason)


def test_a_table_with_settings_and_times_alone_is_read():
    names = ["eta", "lambda", "lam", "batch_size", "T_mem", "T_grok"]
    runs = packaged()
    z59 = (runs["task"] == "z59") & (runs["weight_decay"] == "coupled")
    found = by_id(runs.loc[z59, names])
    (coupled,) = found["delay-lambda"].beside
    assert not coupled.holds
    assert found["tau-lambda"].verdict == found["init-shell"].verdict == UNDECIDED


def test_delays_of_coupled_runs_do_not_decide_a_claim_on_adamw():
    found = by_id(None)["delay-lambda"]
    assert {c.decay for c in found.comparisons} == {"decoupled"}
    assert {c.decay for c in found.beside} == {"coupled"}
    assert any(decides(c, found.resolution) for c in found.beside)
    assert found.verdict == row(*found.comparisons, resolution=found.resolution).verdict
    assert "decides nothing: 3 groups together, coupled" in found.reason
    assert "AdamW" in found.quantity
    assert "AdamW" in found.claim


def test_an_empty_frame_is_undecided():
    assert {r.verdict for r in verdict_rows(pd.DataFrame(), {}, [])} == {UNDECIDED}


def test_networks_that_differ_are_not_mixed():
    runs = with_b((-0.5, 0.0))
    wide = runs.assign(width=64.0, T_grok=100 + 9 * (runs["T_grok"] - 100))
    both = pd.concat([runs.assign(width=32.0), wide], ignore_index=True)
    groups = gathered(both, {}, []).groups
    assert {g.title for g in groups} == {
        f"Z7, width {w}{decay}" for w in (32, 64) for decay in ("", " AdamW")
    }
    assert by_id(both)["b-test"].verdict == "holds"
    assert len({c.where for c in by_id(both)["b-test"].comparisons if not c.over}) == 2


# Tables of users.


def adamw(**columns):
    """Decoupled runs of Z59 with columns as given, None for one that is not there."""
    runs = packaged()
    runs = runs[(runs["task"] == "z59") & (runs["weight_decay"] == "decoupled")]
    missing = [name for name, value in columns.items() if value is None]
    given = {name: value for name, value in columns.items() if value is not None}
    return runs.assign(**given).drop(columns=missing)


@pytest.mark.parametrize(
    ("words", "decays"),
    [
        ({"optimizer": "AdamW"}, {"decoupled"}),
        ({"optimizer": "adamw", "weight_decay": None}, {"decoupled"}),
        ({"optimizer": "ADAMW", "weight_decay": 0.1}, {"decoupled"}),
        ({"optimizer": "Adam"}, {"decoupled"}),
        ({"optimizer": " ADAM ", "weight_decay": "Coupled"}, {"coupled"}),
        ({"optimizer": "adam", "weight_decay": "L2"}, {"coupled"}),
        ({"optimizer": None, "weight_decay": None}, {"coupled"}),
        ({"optimizer": "adam", "weight_decay": "none"}, set()),
        ({"optimizer": "SGD"}, set()),
    ],
)
def test_words_for_the_optimizer_and_its_shrinkage_are_read(words, decays):
    runs = adamw(**words)
    evidence = gathered(runs, {}, [])
    assert {g.decay for g in evidence.groups} == decays
    reason = by_id(runs)["delay-eta"].reason
    assert (f"{len(runs)} runs left out: optimizer" in reason) == (not decays)


def test_commands_select_runs_by_both_words():
    runs = adamw(optimizer="adam")
    runs["weight_decay"] = np.where(runs["seed"] == 0, "decoupled", None)
    runs["optimizer"] = np.where(runs["seed"] == 0, "adam", "AdamW")
    other = runs[runs["seed"] > 0].assign(optimizer="adam")  # coupled, as nothing is said
    both = pd.concat([runs, other], ignore_index=True)
    groups = {g.decay: g for g in gathered(both, {}, []).groups}
    assert len(groups) == 2
    for group in groups.values():
        assert len(sample(both, where=group.selection, response="eta").y) == len(group.every)
    assert len(groups["decoupled"].every) == len(runs)


def test_settings_of_single_runs_make_no_cells():
    runs = packaged()
    each = runs.assign(max_steps=1e5 + 20 * runs["seed"], hold=runs["seed"], eval_every=runs.index)
    again = by_id(each)
    for name, r in by_id(runs).items():
        for number in ("room", "freedom"):
            x, y = ([getattr(c, number) for c in of.comparisons] for of in (again[name], r))
            assert x == pytest.approx(y), name


def test_numbers_of_given_runs_are_not_said_to_be_of_scripts_that_read_others():
    reading = {"nesting", "slow_manifold", "isotropic_noise", "core_radius"}
    for name, r in by_id(packaged()).items():
        assert not {Path(s.split()[1]).stem for s in r.sources} & reading
        if name not in {*TIMED, "sde-limit"}:
            assert r.sources[0] == "sde-grok validate --runs RUNS"
    assert any("nesting" in s for s in by_id(None)["nesting-m-g"].sources)


def test_neurons_are_counted_as_the_laws_of_the_init_shell_count_them():
    network = {"task": "z7", "embedding": 4.0, "width": 5.0, "model": "mlp"}
    found = neurons(pd.DataFrame([network]))
    every = np.repeat(found.sizes, found.counts)
    assert found.dim == every.sum() == 7 * 4 + 5 * 8 + 7 * 5
    assert found.mean == pytest.approx(init_shell_mean(every, 1 / every))
    assert found.sd == pytest.approx(init_shell_sd(every, 1 / every))


def test_a_network_of_nonsense_size_takes_no_room():
    network = {"task": "z999999", "embedding": 1e6, "width": 1e6, "model": "mlp"}
    tracemalloc.start()
    assert neurons(pd.DataFrame([network])).dim > 1e12
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize(("fraction", "examples"), [(0.5, 1740), (0.01, 34), (1.0, 3481)])
def test_the_participation_is_of_what_examples_allow(fraction, examples):
    runs = shells(constant(4000.0), constant(1000.0)).assign(train_fraction=fraction)
    noise = {"noise_total_mem": 1.0, "noise_square_mem": 1 / (examples - 1)}
    found = by_id(runs.assign(**noise))["isotropic-covariance"]
    assert found.network.value == pytest.approx(1.0)
    assert found.verdict == "holds"
    assert "n − 1" in found.claim


BROKEN = {
    "no shrinkage": lambda runs: runs.assign(**dict.fromkeys(("lam", "lambda"), 0.0)),
    "some without shrinkage": lambda runs: runs.replace({"lam": 1e-4, "lambda": 1e-4}, 0.0),
    "full batch": lambda runs: runs.replace({"batch_size": 25}, 0),
    "negative η": lambda runs: runs.assign(eta=runs["eta"] * np.where(runs.index % 5, 1, -1)),
    "tiny λ": lambda runs: runs.assign(**dict.fromkeys(("lam", "lambda"), 1e-310)),
    **{
        f"{name} = {value}": lambda runs, name=name, value=value: runs.assign(**{name: value})
        for name, values in {
            "rho2_grok": (0.0, -1.0, np.inf, "x"),
            "rho2_mem": (0.0, -1.0, np.inf),
            "rho2_init": (0.0, -1.0, np.inf),
            "T_grok": (np.inf, -1.0, 1e300),
            "mean_sqrt_v_grok": (0.0, -1.0, np.inf),
            "noise_total_mem": (0.0, -1.0, np.inf),
            "noise_square_mem": (0.0, -1.0, np.inf),
            "noise_signal_mem": (0.0, -1.0),
            "noise_trace_mem": (-1.0, np.inf),
            "gradient_norm2_mem": (0.0, -1.0),
            "beta1": (1.0, 2.0, -1.0, "a"),
            "embedding": (0.0, -1.0, 64.5, 1e9, 1e300),
            "width": (0.0, "wide"),
            "task": ("z999999999", 97, np.nan),
            "bias_correction": (True,),
            "seed": ("first",),
        }.items()
        for value in values
    },
}


@pytest.mark.parametrize("broken", BROKEN)
def test_runs_that_no_law_takes_are_left_out(broken):
    rows = verdict_rows(BROKEN[broken](packaged()), {}, [])
    assert len(rows) == len(ROWS)
    if broken == "no shrinkage":
        assert {r.id for r in rows if r.verdict != UNDECIDED} == set()


def test_runs_without_shrinkage_change_no_other_number():
    runs = packaged()
    control = runs.assign(**dict.fromkeys(("lam", "lambda"), 0.0))
    full = runs.assign(batch_size=0.0)
    found = by_id(pd.concat([runs, control, full], ignore_index=True))
    for name, r in by_id(runs).items():
        numbers = ([c.measured.value for c in x.comparisons] for x in (found[name], r))
        assert next(numbers) == pytest.approx(next(numbers), abs=1e-9), name


NAMES = ("z59", "o'brien $(id)", 'z59"; touch x; echo "', "a'b\"c", "RUNS", "ü\\n `")


@pytest.mark.parametrize("task", NAMES[:-1])
@pytest.mark.parametrize("setting", ["train_fraction", "heads", "bias_correction", "init"])
def test_commands_select_the_runs_of_their_numbers(task, setting):
    runs = packaged()
    runs = runs[(runs["task"] == "z59") & (runs["weight_decay"] == "coupled")].copy()
    some = runs["eta"] < 5e-3
    values = {"heads": (4, np.nan), "bias_correction": (True, False), "init": ("normal", np.nan)}
    one, other = values.get(setting, (0.3, 0.5))
    runs = runs.assign(task=task, eta=runs["eta"] * 1.23456789)
    runs[setting] = pd.Series(np.where(some, one, None), runs.index, object).where(some, other)
    found = by_id(runs)["tau-eta"]
    alone = [c for c in found.comparisons if not c.over]
    commands = [shlex.split(s) for s in found.sources if s.startswith("sde-grok fit")]
    assert len(commands) == len(alone) > 0
    for words, c in zip(commands, alone, strict=True):
        assert words[:4] == ["sde-grok", "fit", "RUNS", "--where"]
        assert words[5::2] == ["--response", "--method"]
        selected = sample(runs, where=words[4], response=words[6])
        fit = fit_exponents(selected, method=words[8])
        assert fit.estimate[fit.names.index("eta")] == pytest.approx(c.measured.value)


def test_the_file_alone_is_named_in_a_command():
    runs = packaged()
    path = Path("a 'b/runs.csv")
    for r in verdict_rows_of(path, runs.assign(task="RUNS"), {}, []):
        for source in r.sources:
            words = shlex.split(source)
            if words[1] == "fit":
                assert words[2] == str(path)
                assert "task == 'RUNS'" in words[4]


def test_a_name_that_no_expression_may_have_has_no_command():
    found = by_id(packaged().assign(task=NAMES[-1]))["tau-eta"]
    assert found.comparisons
    assert not any(s.startswith("sde-grok fit") for s in found.sources)


def test_what_is_wrong_with_runs_is_told_before_anything_is_computed(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise ParameterError("runs", "x", "something else")

    def late(*_):
        raise AssertionError("computed first")

    monkeypatch.setattr("sde_grok.validate.verdicts.verdict_rows", refuse)
    monkeypatch.setattr("sde_grok.validate.run.compute", late)
    packaged().to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(ParameterError, match="something else"):
        run_validation(tmp_path / "out", seed=0, runs=tmp_path / "runs.csv")


# Simulated numbers.


def test_the_limit_of_the_sde_is_decided_by_the_ladder():
    rungs = [r for r, _ in zip(check_ladder(64, 5), range(2), strict=False)]
    (found,) = [r for r in verdict_rows(packaged().head(0), {}, rungs) if r.id == "sde-limit"]
    assert found.verdict == "holds"
    (one,) = found.comparisons
    assert one.measured.value == pytest.approx(rungs[1].mean / rungs[0].mean)
    assert found.simulated == one.measured
    assert found.network is None


def small_check(claim):
    """Verdict of a script of theory/ that draws as little as it can: for the names of its checks."""
    module = claim.module()
    if claim.id == "eta-over-b":
        module.on_bowls = lambda *_: ([], [], "")
        module.on_circuits = lambda eta, b, lam, _: np.array([1.0, 1.1]) + eta + b + lam
    if claim.id == "init-shell":
        module.N_SHELLS = dict.fromkeys(module.N_SHELLS, 200)
    if claim.id == "u-shape":
        module.STARTS = (10.0, 1e3)
    if claim.id in {"b-test", "two-circuits"}:
        module.N_PATHS = 16
    return module.check(claim.law_function(), seed=0)


@pytest.mark.slow
def test_every_simulated_number_is_found_by_its_name(monkeypatch):
    asked = []
    found = Evidence.found

    def recorded(self, claim, what):
        asked.append((claim, what))
        return found(self, claim, what)

    monkeypatch.setattr(Evidence, "found", recorded)
    verdict_rows(None, {}, [])
    claims = {claim for claim, _ in asked}
    verdicts = {c.id: small_check(c) for c in load_claims() if c.id in claims}
    assert claims == set(verdicts)
    assert all(isinstance(v, Verdict) for v in verdicts.values())
    evidence = gathered(packaged().head(0), verdicts, [])
    for claim, what in asked:
        assert found(evidence, claim, what) is not None, (claim, what)
    for r in verdict_rows(None, verdicts, []):
        assert r.simulated is None or math.isfinite(r.simulated.value)
    assert sum(r.simulated is not None for r in verdict_rows(None, verdicts, [])) >= 12


def test_simulated_numbers_change_no_verdict_on_networks():
    far = Comparison("of the reduced rung, coupled", Estimate(7.0, 0.1), Estimate(-0.5))
    one = Verdict("b-test", "claimed", [None], [far], "nowhere")
    with_it = {r.id: r for r in verdict_rows(None, {"b-test": one}, [])}
    without = by_id(None)
    assert with_it["tau-b"].simulated == Estimate(7.0, 0.1)
    assert {i: r.verdict for i, r in with_it.items()} == {i: r.verdict for i, r in without.items()}


def test_a_name_that_two_comparisons_have_is_not_taken():
    twice = [Comparison("of x", Estimate(1.0), Estimate(1.0))] * 2
    verdicts = {"b-test": Verdict("b-test", "claimed", [None], twice, "nowhere")}
    assert Evidence([], verdicts, []).found("b-test", "of *") is None


def test_ids_are_plain_words():
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in CLAIMED)
