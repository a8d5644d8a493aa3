"""Tables with one row a run: the packaged ones, and anyone's laid out so."""

import hashlib
import math
from dataclasses import asdict

import numpy as np
import pytest
from csv_text import table

from sde_grok.checks import ParameterError
from sde_grok.runs.reference import classes, load_cells, load_runs, runs_sha256

RUNS = {
    "task": "z59",
    "weight_decay": "decoupled",
    "eta": "0.001",
    "lambda": "0.1",
    "batch_size": "100",
    "beta1": "0.9",
    "beta2": "0.999",
    "train_fraction": "0.5",
    "embedding": "8",
    "width": "16",
    "T_mem": "200",
    "T_grok": "1000",
    "rho2_mem": "90",
    "rho2_grok": "40",
    "mean_sqrt_v_grok": "1e-5",
}


def runs_table(*changes):
    """Text with one row for each of the changes."""
    rows = [RUNS | change for change in changes]
    return table([row.values() for row in rows], list(rows[0]))


def test_the_packaged_runs_are_read_as_any_others(written):
    runs = load_runs()
    text = table([[shown(x) for x in run.values()] for run in runs], list(runs[0]))
    path = written(text)
    again = load_runs(path)
    np.testing.assert_equal(again, runs)
    cells = [[asdict(cell) for cell in load_cells(x)] for x in (again, None)]
    np.testing.assert_equal(*cells)
    assert runs_sha256(path) == hashlib.sha256(text.encode()).hexdigest() != runs_sha256()


def shown(value):
    return "" if isinstance(value, float) and math.isnan(value) else value


def test_runs_may_come_from_a_spreadsheet(written):
    text = runs_table({}, {"T_grok": "1200"})
    marked = "\ufeff" + text.replace("\n", "\r\n")
    assert load_runs(written(marked)) == load_runs(written(text))


def test_others_runs_make_cells(written):
    path = written(
        runs_table({}, {"T_grok": "1200", "rho2_grok": "60"}, {"T_grok": "", "rho2_grok": ""})
    )
    (cell,) = load_cells(load_runs(path))
    assert (cell.task, cell.decay, cell.n_runs) == ("z59", "decoupled", 3)
    assert cell.delays.tolist() == [800, 1000]
    assert cell.rho2_grok == 50
    assert cell.dim == 59 * 8 + 2 * 8 * 16 + 16 * 59


def test_cells_without_grokking_have_no_core(written):
    (cell,) = load_cells(load_runs(written(runs_table({"T_grok": "", "rho2_grok": ""}))))
    assert (cell.delays.size, math.isnan(cell.rho2_grok), math.isnan(cell.sqrt_v)) == (
        0,
        True,
        True,
    )


@pytest.mark.parametrize("axis", ["train_fraction", "embedding", "width"])
def test_other_networks_and_data_are_other_cells(written, axis):
    cells = load_cells(load_runs(written(runs_table({}, {axis: "1"}))))
    assert [cell.n_runs for cell in cells] == [1, 1]


def test_other_columns_are_numbers_or_text(written):
    (run,) = load_runs(written(runs_table({"model": "mlp", "seed": "3", "T_core": ""})))
    assert (run["model"], run["seed"]) == ("mlp", 3.0)
    assert math.isnan(run["T_core"])


@pytest.mark.parametrize(("name", "value"), [("model", "transformer"), ("optimizer", "sgd")])
def test_a_cell_is_of_the_network_whose_parameters_are_counted(written, name, value):
    runs = load_runs(written(runs_table({name: value})))
    with pytest.raises(ParameterError) as caught:
        load_cells(runs)
    assert (caught.value.field, caught.value.value) == (name, value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("T_grok", "soon", "a number (line 2)"),
        ("eta", "1e-3x", "a number (line 2)"),
        ("eta", "", "a finite number (line 2)"),
        ("width", "inf", "a finite number (line 2)"),
        ("weight_decay", "none", "one of coupled, decoupled"),
    ],
)
def test_a_wrong_number_of_a_run_is_named(written, name, value, allowed):
    with pytest.raises(ParameterError) as caught:
        load_runs(written(runs_table({name: value})))
    assert (caught.value.field, caught.value.value, caught.value.allowed) == (name, value, allowed)


@pytest.mark.parametrize("name", RUNS)
def test_a_missing_column_of_runs_is_named(written, name):
    text = runs_table({}).replace(name, "other", 1)
    with pytest.raises(ParameterError, match=f"^runs = .*missing: {name}$"):
        load_runs(written(text))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "missing"),
        (runs_table({}).splitlines()[0], "one row a run"),
        (runs_table({}) + "z59,coupled,0.001\n", "15 fields, as there are names (line 3)"),
        (b"\xff\xfe", "UTF-8"),
        (runs_table({}).replace("z59", '"z"59'), "a CSV file"),
    ],
    ids=["empty", "names only", "short row", "bytes", "quotes"],
)
def test_what_is_no_table_of_runs_is_an_error(written, content, words):
    with pytest.raises(ParameterError) as caught:
        load_runs(written(content))
    assert caught.value.field == "runs"
    assert words in caught.value.allowed


def test_a_table_of_runs_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ParameterError, match=r"^runs = .*absent.csv.*a file to read"):
        load_runs(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("task", "number"), [("z127", 127), ("z59-mul", 59), ("z2-div", 2), ("s5", 120), ("s1", 1)]
)
def test_a_task_has_so_many_classes(task, number):
    assert classes(task) == number


@pytest.mark.parametrize(
    "task", ["parity-10-3", "z", "z0", "s0", "s10", "z59-add", "Z59", "", "z٣"]
)
def test_other_tasks_have_no_known_classes(task):
    with pytest.raises(ParameterError) as caught:
        classes(task)
    assert (caught.value.field, caught.value.value) == ("task", task)
