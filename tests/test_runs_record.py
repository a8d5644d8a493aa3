"""What follows from the series of a run, and from a grid of runs."""

import math

import numpy as np
import pytest
import xarray as xr

from sde_grok.checks import ParameterError
from sde_grok.datasets import CELL, VARIABLES, dataset
from sde_grok.escape_times import Status
from sde_grok.runs.record import run_record, with_core_entries
from sde_grok.runs.stopping import Thresholds

EVERY = 10
MEMORIZED, GROKKED = [0.1, 0.5, 1.0, 1.0, 1.0, 1.0], [0.1, 0.1, 0.1, 0.1, 1.0, 1.0]
NEVER, NORM = [0.1] * 6, [2.0, 5.0, 9.0, 7.0, 4.0, 3.0]


def record(*, train=MEMORIZED, test=GROKKED, rho2=NORM, diverged_at=math.nan, first=0, **more):
    step = np.arange(first, first + EVERY * len(rho2), EVERY)
    series = {"train_accuracy": train, "test_accuracy": test, "rho2": rho2, **more}
    arrays = {name: np.array(x, np.float64) for name, x in series.items()}
    return run_record(step, arrays, Thresholds(hold=2), diverged_at)


def times(found):
    return {name: found[name] for name in ("t_mem", "t_grok", "t_grok_sustained", "t_peak")}


# --- One run ----------------------------------------------------------------------------------


def test_the_escape_is_from_memorization_to_grokking():
    found = record()
    assert (found["status"], found["escape_steps"]) == (Status.HIT, 20.0)
    assert times(found) == {"t_mem": 20, "t_grok": 40, "t_grok_sustained": 40, "t_peak": 20}
    assert (found["steps_run"], math.isnan(found["diverged_at"])) == (50.0, True)


def test_norms_are_those_at_the_stopping_times():
    found = record()
    names = ("rho2_init", "rho2_mem", "rho2_peak", "rho2_grok", "rho2_end")
    assert [found[name] for name in names] == [2.0, 9.0, 9.0, 4.0, 3.0]


def test_losses_and_root_v_are_those_at_the_stopping_times():
    rho2 = [2.0, 5.0, 8.0, 9.0, 4.0, 3.0]
    found = record(rho2=rho2, train_loss=range(6), mean_sqrt_v=range(10, 16))
    names = ("train_loss_mem", "train_loss_peak", "train_loss_grok", "mean_sqrt_v_grok")
    assert [found[name] for name in names] == [2.0, 3.0, 4.0, 14.0]


def test_what_was_not_measured_is_nan():
    found = record()
    names = ("train_loss_mem", "train_loss_peak", "train_loss_grok", "mean_sqrt_v_grok")
    assert all(math.isnan(found[name]) for name in names)


def test_the_initial_norm_is_that_at_step_0():
    assert math.isnan(record(first=EVERY)["rho2_init"])


def test_a_run_that_never_groks_is_censored_at_its_end():
    found = record(test=NEVER)
    assert (found["status"], found["escape_steps"]) == (Status.CENSORED, 30.0)
    assert math.isnan(found["t_grok"])
    assert math.isnan(found["rho2_grok"])


def test_a_run_that_never_memorizes_is_censored_at_0():
    found = record(train=NEVER, test=NEVER)
    assert (found["status"], found["escape_steps"]) == (Status.CENSORED, 0.0)


@pytest.mark.parametrize(("grok", "delay"), [(2, 0.0), (1, -10.0)])
def test_grokking_with_memorization_or_before_it_is_an_escape_in_no_time(grok, delay):
    found = record(test=[0.1] * grok + [1.0] * (6 - grok))
    assert (found["status"], found["escape_steps"]) == (Status.HIT, delay)


def test_a_run_that_groks_and_never_memorizes_escaped_before_0():
    found = record(train=NEVER)
    assert (found["status"], found["t_grok"], found["steps_run"]) == (Status.HIT, 40.0, 50.0)
    assert found["escape_steps"] == 40.0 - 50.0  # at the latest
    assert math.isnan(found["t_mem"])


def test_a_run_that_diverges_has_failed():
    found = record(test=NEVER, diverged_at=53)
    assert (found["status"], math.isnan(found["escape_steps"])) == (Status.FAILED, True)
    assert (found["steps_run"], found["diverged_at"], found["rho2_end"]) == (53.0, 53.0, 3.0)
    assert found["t_mem"] == 20


def test_a_run_that_diverges_after_grokking_has_escaped():
    found = record(diverged_at=53)
    assert (found["status"], found["escape_steps"]) == (Status.HIT, 20.0)
    assert (found["steps_run"], found["diverged_at"]) == (53.0, 53.0)


def test_a_run_may_diverge_before_it_is_ever_evaluated():
    found = record(train=[], test=[], rho2=[], diverged_at=0)
    assert (found["status"], found["steps_run"]) == (Status.FAILED, 0.0)
    rest = set(found) - {"status", "steps_run", "diverged_at"}
    assert all(math.isnan(found[name]) for name in rest)


def test_a_record_has_names_of_the_schema():
    assert {VARIABLES[name].dims for name in record()} == {()}


# --- A grid of runs ---------------------------------------------------------------------------


def grid(norms, lam=(0.1,)):
    """One η and b, the given λ, and a seed for each of the runs of a λ; all grok at evaluation 4."""
    rho2 = np.array(norms, np.float64).reshape(1, 1, len(lam), -1, 6)
    records = [record(rho2=run) for run in rho2.reshape(-1, 6)]
    scalars = {
        name: np.reshape([found[name] for found in records], rho2.shape[:-1]) for name in records[0]
    }
    coords = {"eta": [1e-3], "batch_size": [32], "lam": list(lam)}
    coords |= {"seed": range(rho2.shape[3]), "step": np.arange(0, 60, EVERY)}
    return dataset(CELL, {**scalars, "rho2": rho2}, coords, {})


def entries(runs, rho2_core=None):
    return with_core_entries(runs, rho2_core)["t_core"].to_numpy().ravel().tolist()


def test_the_core_is_by_default_the_median_at_grokking():
    norms = [[2, 5, 9, 7, x, x - 1] for x in (4, 5, 6)]
    runs = with_core_entries(grid(norms))
    assert runs["rho2_core"].to_numpy().ravel().tolist() == [5.0] * 3
    assert runs["t_core"].to_numpy().ravel().tolist() == [40.0, 40.0, 50.0]


def test_each_lambda_has_a_core_of_its_own():
    norms = [[2, 5, 9, 7, x, x - 1] for x in (4, 5, 6, 1, 2, 3)]
    core = with_core_entries(grid(norms, lam=(0.1, 0.2)))["rho2_core"]
    assert core.sel(lam=0.1).to_numpy().ravel().tolist() == [5.0] * 3
    assert core.sel(lam=0.2).to_numpy().ravel().tolist() == [2.0] * 3


def test_a_core_can_be_given():
    runs = with_core_entries(grid([NORM, [2, 5, 9, 7, 6, 5]]), 4.5)
    assert np.all(runs["rho2_core"] == 4.5)
    np.testing.assert_equal(runs["t_core"].to_numpy().ravel(), [40, math.nan])


def test_what_starts_inside_and_rises_enters_when_it_comes_back():
    assert entries(grid([[2, 5, 9, 7, 4, 3]]), 3.0) == [50.0]


def test_a_lambda_without_grokking_has_no_core():
    runs = grid([NORM] * 2, lam=(0.1, 0.2))
    runs["rho2_grok"].loc[{"lam": 0.2}] = math.nan
    found = with_core_entries(runs)
    np.testing.assert_equal(found["t_core"].to_numpy().ravel(), [40, math.nan])


def test_runs_need_not_be_evaluated_at_the_same_steps():
    runs = grid([NORM])
    finer = runs.reindex(step=np.arange(0, 60, 5))
    assert np.isnan(finer["rho2"]).sum() == 6
    assert entries(finer) == entries(runs) == [40.0]


def test_a_run_that_is_not_there_has_no_entry():
    runs = grid([NORM, NORM]).reindex(seed=[0, 1, 2])
    np.testing.assert_equal(entries(runs), [40, 40, math.nan])


def test_the_entries_of_selected_runs_are_the_same():
    runs = grid([NORM, [2, 5, 9, 7, 6, 4]])
    t_core = with_core_entries(runs, 4.5)["t_core"]
    chosen = {"eta": 1e-3, "lam": 0.1}
    turned = runs.transpose("step", "seed", ...)
    xr.testing.assert_identical(
        with_core_entries(runs.sel(chosen), 4.5)["t_core"], t_core.sel(chosen)
    )
    xr.testing.assert_identical(with_core_entries(turned, 4.5)["t_core"].transpose(*CELL), t_core)


def test_what_is_added_says_what_it_is():
    runs = with_core_entries(grid([NORM]))
    for name in ("t_core", "rho2_core"):
        assert runs[name].attrs["units"] == VARIABLES[name].units
        assert runs[name].attrs["long_name"] == VARIABLES[name].description


@pytest.mark.parametrize("rho2_core", [0.0, -1.0, math.nan, "small"])
def test_a_core_without_radius_is_an_error(rho2_core):
    with pytest.raises(ParameterError) as error:
        with_core_entries(grid([NORM]), rho2_core)
    assert error.value.field == "rho2_core"
