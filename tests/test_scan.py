"""Scans: what a cell is, how many paths it gets, and what it is expected to cost."""

import math

import numpy as np
import pytest
import scipy.stats
from small_scans import AXES, BASE, MANY, SMALL, tree

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.escape_times import EscapeTimes
from sde_grok.scans import Scan, read_scan, scan
from sde_grok.scans.cell import checked, expected_cost, simulate
from sde_grok.scans.forecast import forecast
from sde_grok.scans.simulations import costs


def cell_directly(plan, parameters, n_paths):
    """The same cell by the entry point for one simulation."""
    named = {k: parameters[k] for k in ("eta", "batch_size", "lam", "decay")}
    shells = {k: parameters[k] for k in ("rho_start", "rho_core", "dim")}
    return simulate_escape(
        Optimizer(**named),
        Geometry(**shells),
        IsotropicNoise(parameters["sigma"]),
        system="radial",
        n_paths=n_paths,
        max_steps=100_000,
        seed=plan.seed_of(parameters),
    )


def test_a_cell_is_a_simulation_by_its_own_seed(done):
    _, cells = done
    assert cells["escape_steps"].dims == ("eta", "batch_size", "path")
    for parameters in SMALL.cells():
        at = cells.sel(eta=parameters["eta"], batch_size=parameters["batch_size"])
        alone = cell_directly(SMALL, parameters, 40)
        assert int(at["seed"]) == SMALL.seed_of(parameters)
        np.testing.assert_array_equal(at["escape_steps"], alone.steps)
        np.testing.assert_array_equal(at["status"], alone.status)
        assert (at["mean_steps"], at["stderr_steps"]) == alone.mean
        assert float(at["dt"]) == alone.dt
    assert len({SMALL.seed_of(cell) for cell in SMALL.cells()}) == 6


def test_other_cells_do_not_matter_to_a_cell(done, tmp_path):
    _, cells = done
    wider = Scan(base=BASE, axes={"batch_size": [8, 32], "eta": [0.01]}, paths=40, seed=7)
    other = scan(wider, out=tmp_path).sel(eta=0.01, batch_size=8)
    one = cells.sel(eta=0.01, batch_size=8)
    np.testing.assert_array_equal(other["escape_steps"], one["escape_steps"])


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_do_not_matter(done, tmp_path, workers):
    scan(SMALL, out=tmp_path, workers=workers)
    assert tree(tmp_path) == tree(done[0])


def test_paths_are_added_until_the_precision_is_met(tmp_path):
    axes = {"eta": [0.005, 0.04]}
    plan = Scan(base=BASE | {"batch_size": 4}, axes=axes, paths=16, precision=0.01, seed=1)
    cells = scan(plan, out=tmp_path)
    for parameters in plan.cells():
        at = cells.sel(eta=parameters["eta"])
        n = int(at["n_paths"])
        assert at["stderr_steps"] <= 0.01 * at["mean_steps"]
        assert n > 16
        assert EscapeTimes(*(at[v][: n // 4] for v in ("escape_steps", "status"))).mean.stderr > (
            0.01 * float(at["mean_steps"])
        )
        alone = cell_directly(plan, parameters, n)
        np.testing.assert_array_equal(at["escape_steps"][:n], alone.steps)
        assert np.all(np.isnan(at["escape_steps"][n:]))


def test_a_precision_out_of_reach_ends_at_max_paths(tmp_path):
    plan = Scan(
        base=BASE | {"batch_size": 4, "eta": 0.01}, paths=16, precision=1e-6, max_paths=50, seed=1
    )
    cells = scan(plan, out=tmp_path)
    assert cells["n_paths"] == 50
    assert cells["escape_steps"].dims == ("path",)


def test_no_paths_are_added_for_want_of_an_escape(tmp_path):
    """Or the first escape, which ends it, would look frequent: 2.9 times so, measured."""
    base = BASE | {"batch_size": 4, "eta": 0.005, "max_steps": 2}
    cells = scan(Scan(base=base, paths=40, precision=0.01, seed=1), out=tmp_path)
    assert (cells["n_paths"], cells["censored_fraction"]) == (40, 1)


def test_the_precision_is_that_of_the_mean(tmp_path):
    """Means of many cells scatter by as much as was asked for, though paths are added till then.

    Variance over the expected one is χ²/n: outside with a probability of 1e-4 for 200 cells.
    """
    n, precision = 200, 0.01
    base = BASE | {"eta": 0.01, "batch_size": 4}
    means = []
    for seed in range(n):
        times = simulate(base, seed, paths=16, precision=precision, max_paths=16_000, threads=1)
        means.append(EscapeTimes(*times).mean.value)
    exact = math.exp(checked(base).problem.log_exact_mean_steps)
    z = (np.array(means) / exact - 1) / precision
    low, high = scipy.stats.chi2.ppf([0.5e-4, 1 - 0.5e-4], n) / n
    assert low < np.mean(z**2) < high
    assert abs(np.mean(z)) < 4 / math.sqrt(n)


def test_paired_axes_go_together(tmp_path):
    plan = Scan(base=BASE, axes=AXES | {"eta": [0.005, 0.01, 0.02]}, combine="paired", paths=8)
    cells = scan(plan, out=tmp_path)
    assert cells["escape_steps"].dims == ("cell", "path")
    np.testing.assert_array_equal(cells["eta"], [0.005, 0.01, 0.02])
    np.testing.assert_array_equal(cells["batch_size"], [4, 8, 16])


def test_rungs_and_geometry_are_axes_too(tmp_path):
    base = {k: v for k, v in BASE.items() if k != "dim"} | {"eta": 0.01, "batch_size": 4}
    axes = {"system": ["discrete", "radial"], "dim": [2, 3]}
    cells = scan(Scan(base=base, axes=axes, paths=8), out=tmp_path)
    assert float(cells.sel(system="discrete", dim=2)["dt"]) == 1
    assert np.all(cells["n_paths"] == 8)


def test_costs_are_those_of_the_cells():
    plan = Scan(base=BASE, axes=AXES, paths=100)
    of = costs(plan)
    assert len(of) == 6
    direct = cell_directly(plan, plan.cells()[0], 100)
    expected = expected_cost(plan.cells()[0], 100, None, 100)
    assert expected.paths == 100
    assert math.isclose(expected.normals * 100, direct.path_steps, rel_tol=0.2)


def test_expected_paths_are_near_those_of_a_precision(tmp_path):
    plan = Scan(base=BASE | {"eta": 0.01, "batch_size": 4}, paths=64, precision=0.01, seed=3)
    n = int(scan(plan, out=tmp_path)["n_paths"])
    expected = expected_cost(plan.cells()[0], 64, 0.01, plan.most_paths).paths
    assert 0.7 < expected / n < 1.3


def test_the_forecast_is_near(written, tmp_path):
    plan = read_scan(written(MANY, "scan.toml"))
    scan(plan, out=tmp_path)
    seen = forecast(plan)
    assert (seen.n_cells, seen.paths) == (20, 40_000)
    size = sum(p.stat().st_size for p in (tmp_path / "scan.zarr").rglob("*"))
    assert size / 2 < seen.bytes < 2 * size
    assert seen.seconds > 0
