"""Training a grid: every run to its end, the same bits however it is done, nothing lost."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from sde_grok.checks import ParameterError
from sde_grok.datasets import VARIABLES, each_run, escape_times
from sde_grok.escape_times import Status
from sde_grok.folders import RUNS
from sde_grok.networks import Experiment, TrainingInterrupted, open_runs, train_networks
from sde_grok.networks.measure import Measured
from sde_grok.networks.record import Record, sketch

SHORT = Experiment(
    task="z7",
    embedding=4,
    width=8,
    eta=(3e-3, 1e-2),
    lam=(1e-3, 1e-2),
    batch_size=(5,),
    seeds=2,
    max_steps=60,
    eval_every=20,
    test_accuracy=1.0,
)
GROKKING = Experiment(
    task="z31",
    embedding=32,
    width=64,
    eta=1e-2,
    lam=2e-3,
    batch_size=100,
    seeds=2,
    seed=1,
    max_steps=10_000,
    eval_every=20,
    noise_at=("mem", "grok"),
    noise_rank=4,
    snapshot_every=200,
    sketch=64,
)


@pytest.fixture(scope="module")
def short():
    return train_networks(SHORT, threads=1)


@pytest.fixture(scope="module")
def grokking():
    return train_networks(GROKKING)


def equal(a, b):
    """All numbers are the same, nan where the other is nan; provenance may differ."""
    xr.testing.assert_equal(a, b)


def test_the_grid_is_labelled_and_its_provenance_makes_it_again(short):
    assert dict(short.sizes) == {
        "eta": 2, "batch_size": 1, "lam": 2, "seed": 2, "step": 4, "layer": 3,
    }  # fmt: skip
    assert list(short["layer"].to_numpy()) == ["embedding", "hidden", "readout"]
    for name, variable in short.data_vars.items():
        assert variable.dims[4:] == VARIABLES[name].dims, name
        assert variable.attrs["units"], name
    provenance = json.loads(short.attrs["provenance"])
    assert Experiment(**provenance["experiment"]) == SHORT
    assert {"jax", "optax", "sde-grok"} <= provenance["versions"].keys()
    assert {"device", "revision", "lanes"} <= provenance.keys()


def test_accuracies_are_exact_parts_so_that_thresholds_are_met():
    """In single precision 96 · (1/96) is below 1, and 19/20 below 0.95."""
    train = replace(SHORT, task="z11", train_fraction=0.8, embedding=16, width=64, seeds=1)
    right = replace(train, eta=1e-2, lam=1e-3, max_steps=2000, train_accuracy=1.0)
    runs = train_networks(right)
    assert float(runs["train_accuracy"].max()) == 1.0
    assert np.isfinite(float(runs["t_mem"].squeeze()))


def test_a_run_ends_and_is_recorded_by_the_same_thresholds():
    record = Record(replace(SHORT, task="z10", train_fraction=0.8, test_accuracy=0.95, hold=2))
    fields = dict.fromkeys(Measured._fields, np.float32(1.0))
    row = Measured(**fields | {"train_right": np.int32(80), "test_right": np.int32(19)})
    for step in (0, 20):
        record.see(step, row, -1)
    assert record.ended
    assert (record.mem, record.grok) == (0, 0)
    values = record.values()
    assert values["t_grok_sustained"] == values["t_grok"] == 0


def test_a_seed_means_the_same_run_in_both_precisions(short):
    double = train_networks(replace(SHORT, precision="double"))
    np.testing.assert_allclose(double["rho2_init"], short["rho2_init"], rtol=1e-6)
    np.testing.assert_allclose(
        double["train_loss"][..., :2], short["train_loss"][..., :2], rtol=1e-4
    )


def test_threads_and_other_members_do_not_change_a_bit(short):
    equal(train_networks(SHORT, threads=3), short)
    alone = train_networks(replace(SHORT, eta=1e-2, lam=1e-3, seed=1, seeds=1), threads=1)
    same = short.sel(eta=[1e-2], lam=[1e-3], seed=[1])
    of_all = ["t_core", "rho2_core"]  # the median of several runs
    equal(alone.drop_vars(of_all), same.drop_vars(of_all))


def test_lanes_are_refilled_and_members_in_them_are_independent(short):
    several = train_networks(SHORT, threads=1, lanes=3)  # eight members
    assert np.all(several["status"] != 3)
    xr.testing.assert_allclose(several["rho2"], short["rho2"], rtol=1e-5)
    one = train_networks(replace(SHORT, eta=1e-2, lam=1e-2, seeds=1), threads=1, lanes=3)
    equal(one["rho2"], several["rho2"].sel(eta=[1e-2], lam=[1e-2], seed=[0]))


def test_seeds_share_their_start_over_the_grid_and_differ_among_each_other(short):
    init = short["rho2_init"]
    assert float((init.max(["eta", "lam"]) - init.min(["eta", "lam"])).max()) == 0
    assert float(init.isel(eta=0, lam=0).std()) > 0


def test_a_run_without_grokking_is_censored_not_dropped(short):
    times = escape_times(short)
    assert times.n_paths == 8
    assert set(times.status) <= {Status.HIT, Status.CENSORED}
    never = short.where(short["t_grok"].isnull())
    assert int(never["steps_run"].count()) > 0
    expected = (never["steps_run"] - never["t_mem"]).fillna(0)
    assert np.all((never["escape_steps"] == expected) | never["steps_run"].isnull())


def test_the_budget_ends_at_the_last_evaluation_within_it():
    runs = train_networks(replace(SHORT, eta=1e-2, lam=1e-2, seeds=1, max_steps=59))
    assert float(runs["steps_run"].squeeze()) == 40


def test_a_diverging_run_is_marked_with_its_step():
    runs = train_networks(replace(SHORT, eta=(1e-2, 1e30), lam=1e-2, seeds=1))
    fine, broken = (runs.isel(eta=i).squeeze() for i in (0, 1))
    assert int(broken["status"]) == Status.FAILED
    assert 0 < float(broken["diverged_at"]) < 20
    assert float(broken["steps_run"]) == float(broken["diverged_at"])
    assert np.isnan(float(broken["escape_steps"]))
    assert int(np.isfinite(broken["rho2"]).sum()) == 1  # at the start
    assert np.isnan(float(fine["diverged_at"]))
    assert escape_times(runs).failed_fraction == 0.5


@pytest.mark.slow
def test_runs_end_when_they_have_grokked_for_good(grokking):
    for run in each_run(grokking):
        assert 0 < float(run["t_mem"]) < float(run["t_grok"]) <= float(run["t_grok_sustained"])
        held = run["test_accuracy"].to_numpy()[-GROKKING.hold :]
        assert np.all(held >= GROKKING.test_accuracy)
        last = float(run["steps_run"])
        assert last == float(run["t_grok_sustained"]) + 20 * (GROKKING.hold - 1)
        assert last < GROKKING.max_steps
        assert float(run["rho2_mem"]) > float(run["rho2_grok"])
        assert float(run["t_core"]) > float(run["t_peak"])
    assert escape_times(grokking).hit_fraction == 1


@pytest.mark.slow
def test_the_radial_balance_accounts_for_the_motion_of_the_norm(grokking):
    """Over hundreds of steps the three terms add up to what ρ² did; the rest is of order η."""
    for run in each_run(grokking):
        terms = run["shrinkage_pull"] + run["loss_push"] + run["noise_push"]
        late = slice(10, None)  # after bias correction
        middle = 0.5 * (terms.to_numpy()[1:] + terms.to_numpy()[:-1])[late]
        moved = float(run["rho2"][-1] - run["rho2"][1:][late][0])
        summed = 20 * float(middle[1:].sum())
        size = 20 * float(np.abs(run["shrinkage_pull"]).to_numpy()[1:][late].sum())
        assert abs(summed - moved) < 0.02 * size
        assert abs(moved) < 0.2 * size  # so that the terms have to cancel


@pytest.mark.slow
def test_gradient_noise_is_measured_at_the_checkpoints(grokking):
    for run in each_run(grokking):
        for name in ("mem", "grok"):
            noise = run.sel(checkpoint=name)
            assert float(noise["noise_step"]) == float(run[f"t_{name}"])
            at = run.sel(step=run[f"t_{name}"])
            assert float(noise["noise_total"]) == pytest.approx(float(at["noise_trace"]), rel=1e-4)
            values = noise["noise_eigenvalues"].to_numpy()
            assert np.all(np.diff(values) <= 0)
            assert (
                np.sum(values**2) < float(noise["noise_square"]) <= float(noise["noise_total"]) ** 2
            )


@pytest.mark.slow
def test_snapshots_are_sketches_that_keep_the_norm(grokking):
    kept = grokking["theta"].isel(seed=0).squeeze()
    assert kept.sizes["parameter"] == 64
    rho2 = grokking["rho2"].isel(seed=0).squeeze().sel(step=kept["snapshot"])
    ratio = (kept.astype(float) ** 2).sum("parameter") / rho2
    there = np.isfinite(rho2.to_numpy())
    assert np.all(np.abs(ratio.to_numpy()[there] - 1) < 5 * np.sqrt(2 / 64))
    assert not np.any(np.isfinite(kept.to_numpy()[~there]))


def test_snapshots_without_a_sketch_are_the_parameters():
    runs = train_networks(replace(SHORT, eta=1e-2, lam=1e-2, seeds=1, snapshot_every=40))
    theta = runs["theta"].squeeze()
    assert theta.dtype == np.float16
    assert list(theta["snapshot"].to_numpy()) == [0, 40]
    norm = (theta.astype(float) ** 2).sum("parameter")
    rho2 = runs["rho2"].squeeze().sel(step=[0, 40])
    np.testing.assert_allclose(norm, rho2, rtol=2e-3)


def test_a_sketch_is_linear_and_keeps_distances():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 5000))
    np.testing.assert_allclose(sketch(a - b, 400), sketch(a, 400) - sketch(b, 400), atol=1e-10)
    true = np.sum((a - b) ** 2)
    assert abs(np.sum(sketch(a - b, 400) ** 2) / true - 1) < 4 * np.sqrt(2 / 400)


def test_an_interrupted_grid_keeps_what_is_finished_and_goes_on(tmp_path, short):
    def first_two(seen):
        if seen.done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted, match=r"interrupted: \d of 8 runs are kept in"):
        train_networks(SHORT, out=tmp_path, threads=1, progress=first_two)
    kept = open_runs(tmp_path)
    finished = kept["status"] != 3
    assert int(finished.sum()) >= 2
    equal(kept["rho2"].where(finished), short["rho2"].where(finished))
    equal(train_networks(SHORT, out=tmp_path), short)
    equal(open_runs(tmp_path), short)
    equal(xr.open_zarr(tmp_path / RUNS, consolidated=False)["t_core"].load(), short["t_core"])


@pytest.mark.parametrize("damage", ["status", "rho2", "zarr.json"])
def test_damage_is_told_or_mended(tmp_path, short, damage):
    train_networks(SHORT, out=tmp_path)
    store = tmp_path / RUNS
    if damage == "rho2":  # a chunk is gone: that run is done again
        chunk = next(path for path in (store / "rho2" / "c").rglob("*") if path.is_file())
        chunk.unlink()
        assert int((open_runs(tmp_path)["status"] == 3).sum()) == 1
        equal(train_networks(SHORT, out=tmp_path), short)
        return
    file = next(path for path in (store / "status").rglob("*") if path.is_file())
    target = file if damage == "status" else store / "zarr.json"
    target.write_bytes(target.read_bytes()[:5])
    for use in (open_runs, lambda out: train_networks(SHORT, out=out)):
        with pytest.raises(ParameterError, match=r"out = .*is whole"):
            use(tmp_path)


def test_a_finished_grid_is_read_not_trained_again(tmp_path, short):
    train_networks(SHORT, out=tmp_path)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / RUNS / "rho2").rglob("*")}
    equal(train_networks(SHORT, out=tmp_path), short)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / RUNS / "rho2").rglob("*")} == before


def test_runs_of_another_experiment_are_not_mixed(tmp_path):
    train_networks(replace(SHORT, eta=1e-2, lam=1e-2, seeds=1), out=tmp_path)
    with pytest.raises(ParameterError, match=r"out = .*without runs of another lam, seeds"):
        train_networks(replace(SHORT, eta=1e-2, seeds=3, lam=1e-3), out=tmp_path)


def test_folders_that_cannot_be_used_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match=r"out = .*can be written to"):
        train_networks(SHORT, out=tmp_path / "file")
    with pytest.raises(ParameterError, match=r"out = .*with runs\.zarr"):
        open_runs(tmp_path)
    (tmp_path / RUNS).mkdir()
    (tmp_path / RUNS / "zarr.json").write_text("{")
    with pytest.raises(ParameterError, match=r"out = .*is whole"):
        train_networks(SHORT, out=tmp_path)
