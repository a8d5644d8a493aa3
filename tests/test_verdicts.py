"""The verdict table: its rule, its rows on runs that obey or break the claims, and its sources."""

import itertools
import math
import re
import shlex
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sde_grok.claims import Comparison, Verdict
from sde_grok.cli.app import app
from sde_grok.fits import fit_exponents, load_table, sample
from sde_grok.results import Estimate
from sde_grok.runs.reference import DATA
from sde_grok.validate.claims import load_claims
from sde_grok.validate.ladder import check_ladder
from sde_grok.validate.rows import ROWS
from sde_grok.validate.rows.evidence import Evidence, gathered, regression
from sde_grok.validate.rows.shared import LEAST, share
from sde_grok.validate.verdicts import RULE, Row, decides, verdict_rows

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
    assert row(comparison(0.5, 0.125)).verdict == "holds"
    assert row(comparison(0.5001, 0.125)).verdict == "contradicted"


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
            assert c.allowed * (abs(c.expected.value) or 1) < r.resolution, (r.id, c.what)


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
    assert again == pytest.approx([c.measured.value for c in r.comparisons])


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
    assert not share("x", [True] * 4 + [False]).holds
    assert share("x", [True] * 9 + [False]).holds


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


def test_censored_runs_count_by_their_bounds():
    runs = obeying((-1.0, -0.5), 1)
    z59 = (runs["task"] == "z59") & (runs["weight_decay"] == "coupled")
    runs = runs[z59]
    budget = (runs["T_grok"] - runs["T_mem"]).quantile(0.85)
    late = runs["T_grok"] - runs["T_mem"] > budget
    runs.loc[late, ["steps_run"]] = runs.loc[late, "T_mem"].to_numpy()[:, None] + budget
    runs.loc[late, ["T_grok", "rho2_grok"]] = np.nan
    found = by_id(runs)["tau-lambda"]
    assert found.verdict == "holds", found.reason
    assert "--method aft" in found.sources[0]
    assert abs(found.deviation.value) < 4 * found.deviation.stderr
    (group,) = gathered(runs, {}, []).groups
    assert len(group.shrinking) == len(runs)  # none left out: long times would be missing


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


ETAS, LAMS, BATCHES = (1e-3, 3e-3, 1e-2), (1e-4, 3e-4, 1e-3), (25.0, 100.0, 400.0)
SIGMA, DIM = 1e-2, 59 * 64 + 2 * 64 * 128 + 128 * 59


def shells(rho2_mem, rho2_grok, *, rho2_init=5000.0, etas=ETAS, lams=LAMS, batches=BATCHES):
    """Runs with radii that are functions of the settings, and 1 % between seeds."""
    rng = np.random.default_rng(11)
    grid = list(itertools.product(etas, lams, batches, range(3)))
    runs = pd.DataFrame(grid, columns=["eta", "lam", "batch_size", "seed"])
    scatter = np.exp(0.01 * rng.normal(size=(2, len(runs))))
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
        assert found[name].verdict == "holds in a range", (name, found[name].reason)


@pytest.mark.parametrize(("curvature", "verdict"), [(0.1, "holds"), (-0.1, "contradicted")])
def test_a_u_in_noise_is_seen(curvature, verdict):
    def memorization(runs):
        return 2000 * np.exp(curvature * np.log(noise(runs) / 1e-5) ** 2)

    etas, lams = (1e-5, 1e-3, 1e-1), (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3)
    runs = shells(memorization, constant(1000.0), etas=etas, lams=lams, batches=(100.0,))
    assert by_id(runs)["u-shape"].verdict == verdict


def test_an_init_shell_of_k_holds():
    runs = shells(constant(4000.0), constant(1000.0), rho2_init=247.0)
    assert by_id(runs)["init-shell"].verdict == "holds"
    assert by_id(runs.assign(init_scale=2.0))["init-shell"].verdict == UNDECIDED
    assert by_id(runs.assign(task="anything"))["init-shell"].verdict == UNDECIDED


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
        expected = "holds" if r.id == "init-shell" and rows else UNDECIDED  # one seed tells it
        assert r.verdict == expected, (r.id, r.reason)


def test_a_table_with_settings_and_times_alone_is_read():
    names = ["eta", "lambda", "lam", "batch_size", "T_mem", "T_grok"]
    runs = packaged()
    z59 = (runs["task"] == "z59") & (runs["weight_decay"] == "coupled")
    found = by_id(runs.loc[z59, names])
    assert found["delay-lambda"].verdict == "contradicted"
    assert found["tau-lambda"].verdict == found["init-shell"].verdict == UNDECIDED


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
    assert len(by_id(both)["b-test"].comparisons) == 2


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
        module.on_bowls = lambda *_: ([], [])
        module.on_circuits = lambda eta, b, lam, _: 1.0 + eta + b + lam
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
