"""The packaged runs on Z₅₉: the grid, what is recorded, and what its description says."""

import math
import re
from collections import Counter
from dataclasses import replace
from importlib.resources import files

import pytest

from sde_grok.networks import PRESETS, train_networks
from sde_grok.runs.reference import Z59_RUNS, load_cells, load_runs, load_z59_runs, runs_sha256
from sde_grok.runs.table import run_rows

DESCRIPTION = files("sde_grok").joinpath("data/z59_runs.md").read_text("utf-8")


@pytest.fixture(scope="module")
def runs():
    return load_z59_runs()


def test_every_cell_has_the_same_seeds(runs):
    axes = ("weight_decay", "eta", "lambda", "batch_size")
    cells = Counter(tuple(run[axis] for axis in axes) for run in runs)
    assert set(cells.values()) == {3}
    assert {run["seed"] for run in runs} == {0, 1, 2}
    assert len(load_cells(runs)) == len(cells)
    assert {cell.dim for cell in load_cells(runs)} == {27_712}


def test_seeds_share_the_initialisation(runs):
    assert len({(run["seed"], run["rho2_init"]) for run in runs}) == 3


def test_moments_and_noise_are_recorded_where_a_coupled_run_grokked(runs):
    names = ("m_deviation", "v_deviation", "gradient_norm2", "noise_trace")
    columns = [f"{name}_{event}" for name in names for event in ("mem", "peak", "grok")]
    columns += [f"noise_{x}_{e}" for x in ("total", "square", "largest") for e in ("mem", "grok")]
    for run in runs:
        if run["weight_decay"] == "coupled" and math.isfinite(run["T_grok"]):
            assert all(run[column] > 0 for column in columns)


def test_the_spectrum_has_the_trace_of_the_series(runs):
    """Both are tr Σ of the same network, to single precision."""
    for run in runs:
        for event in ("mem", "grok"):
            spectrum = run[f"noise_total_{event}"]
            if math.isfinite(spectrum):
                assert spectrum == pytest.approx(run[f"noise_trace_{event}"], rel=1e-4)


def test_the_description_has_every_column(runs):
    described = set(re.findall(r"`([A-Za-z]\w*?_?)…?`", DESCRIPTION))
    for column in runs[0]:
        series = re.sub(r"(mem|peak|grok)$", "", column)
        assert {column, series} & described, column


def test_the_files_are_told_apart():
    assert load_z59_runs()[0]["task"] == "z59"
    assert {run["task"] for run in load_runs()} == {"s5", "z127"}
    assert runs_sha256(Z59_RUNS) != runs_sha256()


@pytest.mark.slow
def test_the_package_makes_these_runs(runs):
    """The quickest cell again; on another processor rounding moves the times of a run a little."""
    cell = {"eta": 1e-2, "lam": 1e-3, "batch_size": 400}
    again = train_networks(replace(PRESETS["small"], **cell))
    names = {"eta": "eta", "lambda": "lam", "batch_size": "batch_size"}
    packaged = [
        run
        for run in runs
        if run["weight_decay"] == "coupled" and all(run[a] == cell[b] for a, b in names.items())
    ]
    assert len(packaged) == 3
    for here, there in zip(run_rows(again), packaged, strict=True):
        assert here["rho2_init"] == pytest.approx(there["rho2_init"], rel=1e-5)
        assert here["T_mem"] == pytest.approx(there["T_mem"], abs=20)
        assert here["T_grok"] == pytest.approx(there["T_grok"], rel=0.15)
        assert here["rho2_grok"] == pytest.approx(there["rho2_grok"], rel=0.02)
        for name in ("train_loss_grok", "mean_sqrt_v_grok", "shrinkage_pull_grok"):
            assert here[name] == pytest.approx(there[name], rel=0.15), name
