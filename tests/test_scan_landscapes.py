"""Scans of landscapes: what a cell is, what is kept of it, and that the way there does not matter."""

import json
import math
import subprocess
import sys
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr
from small_scans import SMALL, tree

from sde_grok import IsotropicNoise, Optimizer, ParameterError, simulate_grokking
from sde_grok.cli import main
from sde_grok.datasets import STAGES, VARIABLES
from sde_grok.escape_times import Status
from sde_grok.fits import load_table, sample
from sde_grok.grokking import GrokkingResult, Stage
from sde_grok.landscapes import OF_SCALARS, circuits, margin, two_circuits
from sde_grok.noise import broad_noise
from sde_grok.scans import LandscapeScan, Scan, ScanInterrupted, open_scan, read_scan, scan
from sde_grok.scans.forecast import forecast
from sde_grok.scans.landscape_cell import OWN, Stages, stages, summarized
from sde_grok.scans.landscape_cell import simulate as simulate_cell

CIRCUITS = {"dim_memorizing": 56, "dim_generalizing": 8, "rate_memorizing": 0.32}
CIRCUITS |= {"rate_generalizing": 9.3, "mislead": 10.6, "degree": 2.5, "noise": "loss"}
LOSSES = {"train_loss": 0.02, "test_loss": 0.1}
BASE = CIRCUITS | LOSSES | {"sigma": 4.5, "sigma_spread": 2.46, "rho_start": 0.81}
BASE |= {"max_steps": 300}
AXES = {"eta": [0.003, 0.01], "lam": [0.024, 0.073], "batch_size": [100, 400]}
PLAN = LandscapeScan(landscape="two_circuits", base=BASE, axes=AXES, paths=8, seed=3)
TOML = """
landscape = "two_circuits"
paths = 8
seed = 3
[base]
dim_memorizing = 56
dim_generalizing = 8
rate_memorizing = 0.32
rate_generalizing = 9.3
mislead = 10.6
degree = 2.5
noise = "loss"
sigma = 4.5
sigma_spread = 2.46
rho_start = 0.81
train_loss = 0.02
test_loss = 0.1
max_steps = 300
[axes]
eta = { log = [0.003, 0.01], n = 2 }
lam = [0.024, 0.073]
batch_size = [100, 400]
"""
NEVER = {"dim": 3, "rate": 1.0, "eta": 0.01, "lam": 0.1, "batch_size": 10, "rho_start": 0.1}
NEVER |= {"sigma": 1.0, "train_loss": 1e-9, "test_loss": 1e-9, "max_steps": 30}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A folder with the scan, and what `scan` gave."""
    out = tmp_path_factory.mktemp("landscape")
    return out, scan(PLAN, out=out)


# --- The landscape and its noise ----------------------------------------------------------------


def test_two_circuits_are_circuits():
    of = {"rate_memorizing": 0.3, "rate_generalizing": 9.0, "mislead": 10.0}
    more = {"degree": 2.5, "scale": 2.0, "form": "exponential", "noise": "loss"}
    one = two_circuits(5, 3, **of, **more)
    other = circuits((5, 3), (0.3, 9.0), (-10.0, 9.0), **more)
    np.testing.assert_array_equal(one.parameters, other.parameters)
    assert one.dim == other.dim == 8
    assert one.in_lanes is other.in_lanes


@pytest.mark.parametrize("name", CIRCUITS)
def test_what_two_circuits_refuse_is_named_as_it_was_given(name):
    with pytest.raises(ParameterError) as error:
        two_circuits(**CIRCUITS | {name: math.nan})
    assert error.value.field == name


@pytest.mark.parametrize("name", ["dim", "rate", "scale"])
def test_what_a_margin_refuses_is_named_as_it_was_given(name):
    with pytest.raises(ParameterError) as error:
        margin(**{"dim": 4, "rate": 1.0, name: 0})
    assert error.value.field == name


def test_names_of_landscapes_are_not_those_of_cells():
    """Or one of the two could not be said."""
    others = {*signature(Optimizer).parameters, *OWN, *STAGES, "seed", "landscape", "path", "cell"}
    for make in OF_SCALARS.values():
        assert not others & set(signature(make).parameters)


def test_broad_noise_is_lognormal_about_its_median():
    sigma, spread = 3.0, 1.5
    logs = np.log(broad_noise(10_000, sigma=sigma, spread=spread).sigmas / sigma) / spread
    ranks = np.arange(10_000) + 0.5
    off = ndtr(np.sort(logs)) * 10_000 - ranks
    assert np.all(np.abs(off) < math.log(10_000) / 2)  # as log n; of numbers drawn it is √n


@pytest.mark.parametrize("n", [8, 16, 64])
def test_each_block_has_its_share_of_broad_noise(n):
    """Ranks of the values in a block, over its even shares: within 2.5 of n = 64 (drawn ones: 8)."""
    logs = np.log(broad_noise(1000, sigma=1.0, spread=1.0).sigmas)
    for first in range(0, 1000 - n, 13):
        below = np.sort(ndtr(logs[first : first + n])) * n
        assert np.all(np.abs(below - np.arange(n) - 0.5) < 2.5)


def test_noise_without_spread_is_isotropic():
    found = broad_noise(5, sigma=2.0, spread=0.0).deviations(5)
    np.testing.assert_array_equal(found, IsotropicNoise(2.0).deviations(5))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dim": 0}, "dim"),
        ({"sigma": -1.0}, "sigma"),
        ({"spread": -1.0}, "spread"),
        ({"spread": 1e5}, "spread"),
    ],
)
def test_bad_noise_is_refused(changes, field):
    settings = {"dim": 9, "sigma": 1.0, "spread": 1.0} | changes
    with pytest.raises(ParameterError) as error:
        broad_noise(settings.pop("dim"), **settings)
    assert error.value.field == field


# --- What a plan is -----------------------------------------------------------------------------


def test_a_file_says_what_the_arguments_say(written):
    assert read_scan(written(TOML, "scan.toml")) == PLAN


def test_every_parameter_of_a_landscape_is_an_axis_and_whole_where_it_must_be():
    axes = {name: [value] for name, value in (BASE | {"form": "logistic"}).items()}
    axes["dim_memorizing"] = {"log": [10, 100], "n": 4}
    shared = {"eta": 0.01, "lam": 0.1, "batch_size": 100}
    plan = LandscapeScan(landscape="two_circuits", base=shared, axes=axes, paths=2)
    assert plan.axes["dim_memorizing"] == (10, 22, 46, 100)
    assert plan.n_cells == 4
    assert len({plan.seed_of(cell) for cell in plan.cells()}) == 4


BAD = {
    "landscape": ({"landscape": "alps"}, "landscape"),
    "no name": ({"landscape": ["margin"]}, "landscape"),
    "of another landscape": ({"base": BASE | {"rate": 1.0}}, "base"),
    "of escapes": ({"base": BASE | {"rho_core": 0.5}}, "base"),
    "seed is no axis": ({"axes": AXES | {"seed": [1, 2]}}, "axes"),
    "both": ({"base": BASE | {"eta": 1.0}}, "axes"),
    "nothing of a rate": (
        {"base": {k: v for k, v in BASE.items() if k != "rate_memorizing"}},
        "rate_memorizing",
    ),
    "nothing of a loss": (
        {"base": {k: v for k, v in BASE.items() if k != "test_loss"}},
        "test_loss",
    ),
    "one cell out of range": ({"axes": AXES | {"lam": [0.1, -1]}}, "lam"),
    "rate": ({"base": BASE | {"rate_memorizing": 0}}, "rate_memorizing"),
    "dimension": ({"base": BASE | {"dim_generalizing": 2.5}}, "dim_generalizing"),
    "degree": ({"base": BASE | {"degree": 1}}, "degree"),
    "form": ({"base": BASE | {"form": "square"}}, "form"),
    "noise": ({"base": BASE | {"noise": "white"}}, "noise"),
    "sigma": ({"base": BASE | {"sigma": -1}}, "sigma"),
    "spread": ({"base": BASE | {"sigma_spread": -1}}, "sigma_spread"),
    "too broad": ({"base": BASE | {"sigma_spread": 1e4}}, "sigma_spread"),
    "start": ({"base": BASE | {"rho_start": 0}}, "rho_start"),
    "train loss": ({"base": BASE | {"train_loss": 0}}, "train_loss"),
    "a list": ({"base": BASE | {"test_loss": [0.1]}}, "test_loss"),
    "rung without losses": ({"base": BASE | {"system": "radial"}}, "system"),
    "time step": ({"base": BASE | {"system": "discrete", "dt": 0.5}}, "dt"),
    "too long a time step": ({"base": BASE | {"dt": 301}}, "dt"),
    "too many time steps": ({"base": BASE | {"max_steps": 2**40}}, "dt"),
    "censoring": ({"base": BASE | {"max_steps": 0}}, "max_steps"),
    "paths": ({"paths": 0}, "paths"),
    "seed": ({"seed": 2**64}, "seed"),
    "combine": ({"combine": "mixed"}, "combine"),
}


@pytest.mark.parametrize(("changes", "field"), BAD.values(), ids=list(BAD))
def test_bad_plans_are_refused_in_a_line(changes, field):
    standard = {"landscape": "two_circuits", "base": BASE, "axes": AXES, "paths": 8}
    with pytest.raises(ParameterError) as error:
        LandscapeScan(**standard | changes)
    assert error.value.field == field
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("line", ["precision = 0.1", "max_paths = 100", 'preset = "tiny"'])
def test_what_only_other_plans_have_is_refused(written, line):
    with pytest.raises(ParameterError) as error:
        read_scan(written(f"{line}\n{TOML}", "scan.toml"))
    assert error.value.field == "file"


# --- What a cell is -----------------------------------------------------------------------------


def by_hand(parameters, seed, paths=8, **changes):
    """A cell of the plan by the entry point for one simulation."""
    at = BASE | parameters
    return simulate_grokking(
        Optimizer(**{name: at[name] for name in AXES}),
        broad_noise(64, sigma=at["sigma"], spread=at["sigma_spread"]),
        two_circuits(**CIRCUITS),
        **{"rho_start": at["rho_start"], "dim": 64, "system": "joint", "n_paths": paths}
        | {"max_steps": 300, "seed": seed, "threads": 1}
        | LOSSES
        | changes,
    )


EVENTS = {"mem": "memorized", "peak": "peak", "grok": "generalized"}


def test_a_cell_is_a_simulation_by_its_own_seed(scanned):
    _, cells = scanned
    assert cells["t_mem"].dims == (*AXES, "path")
    seeds = set()
    for parameters in PLAN.cells():
        point = {name: parameters[name] for name in AXES}
        at = cells.sel(point)
        alone = by_hand(point, int(at["seed"]))
        seeds.add(int(at["seed"]))
        assert int(at["seed"]) == PLAN.seed_of(parameters)
        for event, name in EVENTS.items():
            stage = getattr(alone, name)
            np.testing.assert_array_equal(at[f"t_{event}"], stage.steps)
            np.testing.assert_array_equal(at[f"rho2_{event}"], stage.rho2)
            np.testing.assert_array_equal(at[f"mean_sqrt_v_{event}"], stage.root_v)
        np.testing.assert_array_equal(at["status"], alone.status)
        np.testing.assert_array_equal(at["escape_steps"], alone.delay.steps)
        np.testing.assert_array_equal([at["mean_steps"], at["stderr_steps"]], alone.delay.mean)
        assert float(at["mean_rho2_mem"]) == alone.memorized.rho2.mean()
        assert at["n_paths"] == 8
    assert len(seeds) == 8
    censored = cells["censored_fraction"]
    assert float(censored.max()) > 0
    assert float(censored.min()) == 0


def test_cells_are_labelled_with_all_that_they_are(scanned):
    _, cells = scanned
    known = {*BASE, "landscape", "system", "dt", "seed", "form", "scale", "beta1", "decay"}
    assert known <= set(cells.coords)
    assert (cells["landscape"], cells["form"], cells["system"]) == (
        "two_circuits",
        "logistic",
        "joint",
    )
    assert float(cells["rate_memorizing"]) == 0.32
    assert cells["rho2_mem"].attrs["units"] == "1"


def test_variables_are_those_of_networks_where_these_have_them():
    for name in set(STAGES) & set(VARIABLES):
        assert STAGES[name].units == VARIABLES[name].units
    assert tuple(STAGES) == Stages._fields
    assert len({variable.description for variable in STAGES.values()}) == len(STAGES)


def test_rungs_and_the_landscape_are_axes_too(tmp_path):
    axes = {"system": ["discrete", "joint", "reduced"], "dim": [3, 5]}
    base = {k: v for k, v in NEVER.items() if k != "dim"} | {"train_loss": 2.0}
    cells = scan(LandscapeScan(landscape="margin", base=base, axes=axes, paths=4), out=tmp_path)
    assert np.all(cells["n_paths"] == 4)
    there = cells["mean_sqrt_v_mem"].notnull().all("path")
    assert there.sel(system=["discrete", "joint"]).all()
    assert not there.sel(system="reduced").any()


def result(mem, grok, end, status):
    """A simulation with times of one's own."""
    times = [np.array(x, float) for x in (mem, mem, grok)]
    each = [Stage(steps=t, rho2=t + 0.5, root_v=t + 0.25) for t in times]
    return GrokkingResult(
        "joint", *each, np.array(end, float), np.array(status, np.int8), 90, 0, 0.0, {}
    )


def test_delays_are_bounds_where_a_path_ended_before():
    nan, hit, cut, failed = math.nan, Status.HIT, Status.CENSORED, Status.FAILED
    mem, grok = [10, 40, 20, nan, nan, 5], [30, 15, nan, nan, 50, nan]
    ends = [30, 40, 90, 90, 90, 60]
    status = [hit, hit, cut, cut, cut, failed]
    simulated = result(mem, grok, ends, status)
    found = stages(simulated)
    np.testing.assert_array_equal(found.escape_steps, [20, -25, 70, 90, 90, nan])
    np.testing.assert_array_equal(found.end_steps, [*ends[:5], nan])
    numbers = summarized(found)
    assert (numbers["mean_steps"], numbers["stderr_steps"]) == simulated.delay.mean
    assert numbers["mean_t_mem"] == np.mean([10, 40, 20, 5])
    assert numbers["mean_rho2_grok"] == np.mean([30.5, 15.5, 50.5])
    assert numbers["censored_fraction"] == 3 / 6
    assert numbers["failed_fraction"] == 1 / 6
    assert numbers["unmemorized_fraction"] == pytest.approx(2 / 6)


# --- The way there ------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 5])
def test_workers_do_not_matter(scanned, tmp_path, workers):
    scan(PLAN, out=tmp_path, workers=workers)
    assert tree(tmp_path) == tree(scanned[0])


def test_threads_do_not_matter():
    cell = PLAN.cells()[0]
    one, other = (simulate_cell(cell, 5, paths=70, threads=n) for n in (1, 3))
    for name in Stages._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_ctrl_c_keeps_what_was_finished(scanned, tmp_path):
    def press(seen):
        if seen.done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(ScanInterrupted, match="the same command goes on") as stop:
        scan(PLAN, out=tmp_path, workers=1, progress=press)
    assert 2 <= stop.value.progress.done < 8
    assert int((open_scan(tmp_path)["n_paths"] > 0).sum()) == stop.value.progress.done
    assert scan(PLAN, out=tmp_path).identical(scanned[1])
    assert tree(tmp_path) == tree(scanned[0])


@pytest.mark.slow
def test_kills_lose_nothing_and_change_nothing(written, scanned, tmp_path):
    out, file = tmp_path / "killed", written(TOML, "scan.toml")
    script = Path(__file__).with_name("kill_scan.py")
    command = [sys.executable, str(script), str(file), str(out), "8", "0.4"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    seen = [json.loads(line) for line in ran.stdout.splitlines()]
    assert any(s["killed"] for s in seen)
    scan(PLAN, out=out)
    assert tree(out) == tree(scanned[0])


@pytest.mark.slow
def test_a_cluster_gives_the_bits_of_threads(scanned, tmp_path):
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(processes=True, **settings) as cluster:
        scan(PLAN, out=tmp_path, scheduler=cluster.scheduler_address)
    assert tree(tmp_path) == tree(scanned[0])


def test_other_scans_are_refused_and_left_alone(scanned, done):
    out, _ = scanned
    before = tree(out)
    standard = {"landscape": "two_circuits", "base": BASE, "axes": AXES, "paths": 8, "seed": 3}
    for changes, what in (
        ({"paths": 9}, "paths"),
        ({"seed": 8}, "seed"),
        ({"base": BASE | {"mislead": 3.0}}, "base"),
        ({"axes": AXES | {"eta": [0.003]}}, "axes"),
        ({"landscape": "margin", "base": NEVER, "axes": {}}, "landscape"),
    ):
        with pytest.raises(ParameterError, match=f"another {what}"):
            scan(LandscapeScan(**standard | changes), out=out)
    with pytest.raises(ParameterError, match="another base"):
        scan(SMALL, out=out)
    with pytest.raises(ParameterError, match="another landscape"):
        scan(PLAN, out=done[0])
    assert tree(out) == before


def chunks(out, name):
    """Chunks of a variable in the order of their cells."""
    return sorted(p for p in (out / "scan.zarr" / name / "c").rglob("*") if p.is_file())


def flip(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", Stages._fields)
def test_damaged_and_lost_chunks_are_told_and_done_again(scanned, tmp_path, name):
    scan(PLAN, out=tmp_path)
    for damage in (flip, Path.unlink):
        damage(chunks(tmp_path, name)[2])
        assert int((open_scan(tmp_path)["n_paths"] == 0).sum()) == 1
        scan(PLAN, out=tmp_path)
        assert tree(tmp_path) == tree(scanned[0])


def test_a_chunk_that_says_never_of_all_paths_is_missed_if_it_is_lost(tmp_path):
    plan = LandscapeScan(landscape="margin", base=NEVER, paths=4)
    cells = scan(plan, out=tmp_path)
    assert cells["unmemorized_fraction"] == 1
    assert np.isnan(cells["mean_steps"])
    assert np.all(cells["escape_steps"] == 30)
    before = tree(tmp_path)
    for name in ("t_mem", "rho2_grok"):
        chunks(tmp_path, name)[0].unlink()
        seen = []
        scan(plan, out=tmp_path, progress=seen.append)
        assert seen[-1].damaged == 1
        assert tree(tmp_path) == before


def test_a_damaged_cell_with_room_to_spare_is_done_again(tmp_path):
    base = {"dim": 3, "rho_start": 2.0, "rho_core": 1.0, "lam": 1.0, "decay": "decoupled"}
    base |= {"eta": 0.02, "batch_size": 4, "system": "joint", "sigma": 2.0}
    plan = Scan(base=base, paths=16, precision=0.2, seed=1)
    assert scan(plan, out=tmp_path)["n_paths"] < plan.most_paths
    before = tree(tmp_path)
    flip(chunks(tmp_path, "escape_steps")[0])
    scan(plan, out=tmp_path)
    assert tree(tmp_path) == before


# --- Forecast, command, fit ---------------------------------------------------------------------


def test_the_forecast_bounds_what_it_takes(scanned):
    seen = forecast(PLAN)
    assert (seen.n_cells, seen.paths) == (8, 64)
    size = sum(p.stat().st_size for p in (scanned[0] / "scan.zarr").rglob("*"))
    assert size / 2 < seen.bytes < 2 * size
    assert seen.seconds > 0


def run(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    seen = capsys.readouterr()
    return exit_.value.code, seen.out, seen.err


def test_the_command_scans_and_forecasts(written, scanned, tmp_path, capsys):
    file, out = str(written(TOML, "scan.toml")), tmp_path / "out"
    code, text, error = run(["scan", file, "--dry-run"], capsys)
    assert (code, error) == (0, "")
    assert "8 cells" in text
    assert not out.exists()
    code, text, error = run(["scan", file, "--out", str(out)], capsys)
    assert code == 0
    assert "2 × 2 × 2" in text
    assert "paths are censored" in error
    assert error.count("\n") == 1
    assert tree(out) == tree(scanned[0])


def test_rows_are_those_of_training_runs(scanned):
    out, cells = scanned
    table = load_table(out)
    assert len(table) == 64
    assert not {"escape_steps", "status"} & set(table)
    for name, column in (("t_mem", "T_mem"), ("t_grok", "T_grok"), ("rho2_peak", "rho2_peak")):
        np.testing.assert_array_equal(table[column], cells[name].to_numpy().ravel())
    unseen = table["T_grok"].isna()
    assert unseen.any()
    assert set(table["steps_run"][unseen]) == {300.0}
    both = table[["T_mem", "T_grok"]].max(axis=1)
    np.testing.assert_array_equal(table["steps_run"][~unseen], both[~unseen])
    assert set(table["landscape"]) == {"two_circuits"}


def test_a_censored_delay_is_a_bound(scanned):
    out, cells = scanned
    table = load_table(out)
    found = sample(table)
    status = cells["status"].to_numpy().ravel()
    delay = cells["escape_steps"].to_numpy().ravel()
    used = delay > 0
    np.testing.assert_array_equal(found.y, delay[used])
    np.testing.assert_array_equal(found.event, status[used] == Status.HIT)
    assert 0 < (~found.event).sum() < found.event.sum()
    assert len(set(found.cell)) == 8
    over = sample(table, response="delay / log(rho2_mem / rho2_grok)")
    assert over.event.all()  # the radius of a path that did not generalize is not known


@pytest.mark.parametrize("response", ["delay", "delay / log(rho2_mem / rho2_grok)", "rho2_mem"])
def test_exponents_of_a_scan_are_finite(scanned, capsys, response):
    arguments = ["fit", str(scanned[0]), "--response", response, "--law", "power_law", "--json"]
    code, text, _ = run(arguments, capsys)
    assert code == 0
    found = json.loads(text)["exponents"]
    assert set(found) == set(AXES)
    for exponent in found.values():
        assert exponent["low"] < exponent["estimate"] < exponent["high"]


def test_a_forecast_of_paths_that_end_at_once():
    """Both losses are met at the start, so that no time step tells how long one takes."""
    at_once = {"train_loss": 5.0, "test_loss": 5.0, "dim": 4, "rate": 1.0, "rho_start": 1.0}
    more = {"sigma": 1.0, "eta": 1e-3, "batch_size": 100, "lam": 0.1}
    plan = LandscapeScan(landscape="margin", base=at_once | more, paths=4)
    assert math.isfinite(forecast(plan).seconds)
