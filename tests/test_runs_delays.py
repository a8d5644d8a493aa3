"""Measured runs by cell, and delays beside laws."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.laws import collapse_law, constant_law
from sde_grok.results import Estimate
from sde_grok.runs.cells import Point, by_cell, cell_medians, over_cells
from sde_grok.runs.delays import (
    delay_ratios,
    fit_delays,
    log_ratio,
    mean_error,
    point,
    with_delay,
)
from sde_grok.runs.reference import load_cells


def runs(*values, at=(1e-3, 1e-4, 100.0)):
    eta, lam, b = at
    return [{"eta": eta, "lambda": lam, "batch_size": b, "x": value} for value in values]


RUNS = [*runs(3.0, 1.0, 100.0, at=(2e-3, 1e-4, 25.0)), *runs(5.0, math.nan, 7.0)]
(TEMPLATE,) = [c for c in load_cells() if c.task == "z127" and point(c) == (1e-3, 1e-4, 100)]


def cells(law, *, task="z127", radii=8000.0, **constants):
    """Cells whose delays are those of a law, up to a factor for each seed of mean logarithm 0."""
    found = []
    for eta in (1e-3, 2e-3):
        for lam in (1e-4, 4e-4):
            for b in (25.0, 100.0):
                core = radii * (0.4 + 1e3 * lam)
                delay = law(radii, core, eta=eta, lam=lam, batch_size=b, **constants)
                at = {"eta": eta, "lam": lam, "batch_size": b, "task": task, "n_runs": 2}
                radius = {"rho2_mem": radii, "rho2_grok": core}
                found.append(replace(TEMPLATE, **at, **radius, delays=delay * np.array([0.5, 2])))
    return found


def test_runs_are_gathered_in_order_of_the_cell():
    found = by_cell(RUNS)
    assert list(found) == [Point(1e-3, 1e-4, 100.0), Point(2e-3, 1e-4, 25.0)]
    assert [run["x"] for run in found[2e-3, 1e-4, 25.0]] == [3.0, 1.0, 100.0]


def test_medians_leave_out_what_never_happened():
    medians = cell_medians([*RUNS, *runs(math.nan, at=(1.0, 1.0, 1.0))], lambda run: run["x"])
    assert medians == {(1e-3, 1e-4, 100.0): 6.0, (2e-3, 1e-4, 25.0): 3.0}


def test_the_error_of_a_mean_over_cells_is_that_of_their_scatter():
    points = [Point(1.0, 1.0, b) for b in range(1, 6)]
    mean, freedom = over_cells(dict(zip(points, [1.0, 2.0, 3.0, 4.0, 5.0], strict=True)))
    assert (mean, freedom) == (Estimate(3.0, pytest.approx(math.sqrt(2.5 / 5))), 4)


def test_the_exponents_of_a_law_are_found():
    found = fit_delays(cells(collapse_law, constant=3.0))
    assert dict(zip(found.names, found.exponents, strict=True)) == pytest.approx(
        {"eta": -1.0, "lam": -0.5, "batch_size": -0.25}
    )
    assert fit_delays(cells(constant_law, constant=3.0), over_log=False).exponents == pytest.approx(
        [-1, -1, 0], abs=1e-12
    )


def test_tasks_have_a_constant_each():
    both = cells(collapse_law, constant=3.0) + cells(collapse_law, constant=90.0, task="s5")
    found = fit_delays(both)
    assert found.exponents == pytest.approx([-1.0, -0.5, -0.25])
    assert found.freedom == 16 - 5


def test_the_right_law_is_off_by_the_seeds_alone():
    right, reference = cells(collapse_law, constant=3.0), Point(1e-3, 1e-4, 25.0)
    ratios = delay_ratios(collapse_law, right, reference=reference, constant=1.0)
    assert np.array(ratios) == pytest.approx(np.array([[0.4, 1.6]] * 8))
    error = (abs(1 / 0.4 - 1) + abs(1 / 1.6 - 1)) / 2
    assert mean_error(right, ratios, reference=reference) == pytest.approx(error)


def test_the_reference_cell_is_not_judged():
    found, reference = cells(collapse_law, constant=3.0), Point(1e-3, 1e-4, 25.0)
    ratios = [np.full(2, 1.0 if point(c) == reference else 2.0) for c in found]
    assert mean_error(found, ratios, reference=reference) == 0.5


def test_a_reference_that_is_no_cell_is_named():
    with pytest.raises(ParameterError, match=r"^reference = "):
        delay_ratios(constant_law, [TEMPLATE], reference=Point(1.0, 1.0, 1.0), constant=1.0)


def test_cells_with_a_delay_are_those_where_all_runs_have_one():
    sound = replace(TEMPLATE, delays=np.array([20.0, 40.0]), n_runs=2)
    at_once = replace(sound, delays=np.array([0.0, 40.0]))
    censored = replace(sound, n_runs=3)
    outward = replace(sound, rho2_mem=1.0, rho2_grok=2.0)
    never = replace(sound, delays=np.array([]), rho2_mem=math.nan)
    assert with_delay([sound, at_once, censored, outward, never]) == [sound]
    assert log_ratio(replace(sound, rho2_mem=2 * math.e, rho2_grok=2.0)) == pytest.approx(1)
