"""Runs that others have logged, one row an evaluation or one row a run, and what is wrong with some."""

import hashlib
import json
import math
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import xarray as xr
from csv_text import table as csv_table

from sde_grok.checks import ParameterError
from sde_grok.datasets import CELL, VARIABLES, escape_times
from sde_grok.escape_times import Status
from sde_grok.kernels.outcome import PENDING
from sde_grok.runs.logs import IgnoredColumnsWarning, read_log
from sde_grok.runs.record import run_record, with_core_entries
from sde_grok.runs.stopping import Thresholds

NAMES = ("eta", "lam", "batch_size", "seed", "step", "train_acc", "test_acc", "rho2")
LOSSES = ("train_loss", "test_loss")


def table(rows, names=NAMES):
    """Text of a log."""
    return csv_table(rows, names)


def rows_of(train, test, rho2, *, every=10, eta=0.001, lam=0.0001, batch_size=32, seed=0):
    """Rows of one run."""
    return [
        (eta, lam, batch_size, seed, every * i, *seen)
        for i, seen in enumerate(zip(train, test, rho2, strict=True))
    ]


RUN = rows_of([0.1, 0.5, 1, 1, 1, 1], [0.1, 0.1, 0.1, 0.1, 1, 1], [2, 5, 9, 7, 4, 3])
LATER = rows_of([0.1, 0.5, 1, 1], [0.1, 0.1, 0.1, 1], [2, 6, 5, 4], every=15, seed=1)


def numbers(runs, name):
    """Numbers of all runs in a row."""
    return runs[name].to_numpy().ravel().tolist()


# --- A log as runs ----------------------------------------------------------------------------


def test_a_run_is_found_in_its_rows(written):
    runs = read_log(written(table(RUN)), thresholds=Thresholds(hold=2))
    assert runs["rho2"].dims == (*CELL, "step")
    assert runs["step"].to_numpy().tolist() == [0, 10, 20, 30, 40, 50]
    assert numbers(runs, "rho2") == [2, 5, 9, 7, 4, 3]
    assert numbers(runs, "train_accuracy") == [0.1, 0.5, 1, 1, 1, 1]
    names = ("t_mem", "t_peak", "t_grok", "t_grok_sustained", "t_core", "steps_run")
    assert [runs[name].item() for name in names] == [20, 20, 40, 40, 40, 50]
    assert (runs["status"].item(), runs["escape_steps"].item()) == (Status.HIT, 20)


def test_thresholds_can_be_given(written):
    log = written(table(RUN))
    assert read_log(log)["t_grok_sustained"].isnull()
    assert read_log(log, thresholds=Thresholds(train_accuracy=0.5))["t_mem"] == 10


AXES = {"eta": (1e-3, 3e-3), "batch_size": (0, 64), "lam": (0.0, 0.1, 0.3), "seed": (4, 11)}


def random_runs(thresholds):
    """Setting, steps, series and record of a run in each cell of the grid, all at other steps."""
    rng = np.random.default_rng(5)
    for setting in product(*AXES.values()):
        n = int(rng.integers(3, 30))
        step = np.sort(rng.choice(1000, n, replace=False))
        series = {
            "train_accuracy": rng.random(n) ** 0.05,
            "test_accuracy": np.sort(rng.random(n)) ** 0.05,
            "rho2": rng.exponential(100, n),
            "train_loss": rng.exponential(1, n),
            "test_loss": rng.exponential(1, n),
        }
        record = run_record(step, series, thresholds)
        yield dict(zip(AXES, setting, strict=True)), step, series, record


def test_what_is_logged_comes_back(written):
    """To the last bit, with the runs in parallel in the file."""
    thresholds = Thresholds(hold=3, test_accuracy=0.9)
    known = list(random_runs(thresholds))
    rows = [
        ([*(at[name] for name in NAMES[:4]), *row])
        for at, step, series, _ in known
        for row in zip(step, *series.values(), strict=True)
    ]
    log = written(table(sorted(rows, key=lambda row: row[4]), (*NAMES, *LOSSES)))
    runs = read_log(log, thresholds=thresholds)
    assert {name: tuple(runs[name].to_numpy()) for name in CELL} == AXES
    for at, step, series, record in known:
        run = runs.sel(at)
        np.testing.assert_equal({name: run[name].item() for name in record}, record)
        np.testing.assert_equal({n: run[n].sel(step=step).to_numpy() for n in series}, series)
        assert run["rho2"].count() == step.size


def test_a_run_is_only_seen_at_its_own_steps(written):
    """The first run groks for good at 40 and 50; what it is at 45 was not seen."""
    runs = read_log(written(table(RUN + LATER)), thresholds=Thresholds(hold=2))
    assert runs["step"].to_numpy().tolist() == [0, 10, 15, 20, 30, 40, 45, 50]
    assert numbers(runs, "t_grok") == [40, 45]
    np.testing.assert_equal(numbers(runs, "t_grok_sustained"), [40, math.nan])
    assert numbers(runs, "t_core") == [40, 45]
    assert np.isnan(runs["rho2"].sel(seed=1, step=[10, 20, 40, 50])).all()


def test_cells_without_a_run_are_not_run_yet(written):
    rows = RUN + [(0.002, *row[1:]) for row in LATER]
    runs = read_log(written(table(rows)))
    absent = runs.sel(eta=0.002, seed=0)
    assert absent["status"].item() == PENDING
    assert all(absent[name].isnull().all() for name in set(runs) - {"status", "rho2_core"})
    assert runs["status"].dtype == np.int8
    assert escape_times(runs).n_paths == 2


def test_escape_times_are_those_of_the_runs(written):
    never = rows_of([0.1, 1, 1], [0.1, 0.1, 0.1], [1, 2, 3], seed=2)
    found = escape_times(read_log(written(table(RUN + LATER + never))))
    assert found.steps.tolist() == [20, 15, 10]
    assert found.status.tolist() == [Status.HIT, Status.HIT, Status.CENSORED]
    assert found.median == 15


def test_another_core_can_be_asked_for(written):
    runs = read_log(written(table(RUN + LATER)))
    assert numbers(with_core_entries(runs, 5.0), "t_core") == [40, 30]


def test_variables_are_those_of_the_schema(written):
    runs = read_log(written(table([(*row, 0.5, 0.7) for row in RUN], (*NAMES, *LOSSES))))
    series = ("train_accuracy", "test_accuracy", "rho2", *LOSSES)
    record = run_record(np.zeros(1), {name: np.zeros(1) for name in series}, Thresholds())
    assert set(runs) == {*series, *record, "t_core", "rho2_core"}
    for name in runs:
        assert runs[name].dims == (*CELL, *VARIABLES[name].dims)
        assert runs[name].attrs["units"] == VARIABLES[name].units
    assert runs["train_loss_grok"].item() == 0.5


def test_losses_may_be_missing(written):
    runs = read_log(written(table(RUN)))
    assert not set(LOSSES) & set(runs)
    assert math.isnan(runs["train_loss_grok"].item())


def test_the_file_is_known_again(written):
    log = written(table(RUN))
    record = json.loads(read_log(log, thresholds=Thresholds(hold=3)).attrs["provenance"])
    assert record == {
        "log": "log.csv",
        "sha256": hashlib.sha256(log.read_bytes()).hexdigest(),
        "thresholds": {"train_accuracy": 0.99, "test_accuracy": 0.95, "hold": 3},
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", ", "),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace("0.001", "1e-3"),
        lambda text: "\n".join(",".join(line.split(",")[::-1]) for line in text.split("\n")),
    ],
    ids=["mark", "CRLF", "spaces", "blank lines", "no last newline", "exponents", "other order"],
)
def test_the_same_log_may_be_written_otherwise(written, change):
    plain, other = (read_log(written(text)) for text in (table(RUN), change(table(RUN))))
    xr.testing.assert_identical(plain.drop_attrs(deep=False), other.drop_attrs(deep=False))


def test_many_rows_are_read(written):
    n_runs, n = 300, 1000
    rows = np.arange(n_runs * n)
    step, seed = 100 * (rows % n), rows // n
    memorized, grokked = step >= 1000, step >= 2000 + 100 * seed
    columns = [seed, step, memorized.astype(float), grokked.astype(float), 1e4 - rows % n]
    lines = "\n".join(
        f"0.001,0.1,32,{a},{b},{c},{d},{e}" for a, b, c, d, e in zip(*columns, strict=True)
    )
    runs = read_log(written(f"{','.join(NAMES)}\n{lines}\n"))
    assert runs["rho2"].shape == (1, 1, 1, n_runs, n)
    assert numbers(runs, "escape_steps") == [1000 + 100 * k for k in range(n_runs)]


# --- Divergence -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train_acc", "test_acc", "rho2", "train_loss"])
def test_a_run_ends_where_it_diverges(written, name):
    names = (*NAMES, "train_loss")
    rows = [[*row, 0.5] for row in RUN]
    rows[3][names.index(name)] = "nan"
    runs = read_log(written(table(rows, names)))
    assert (runs["status"].item(), runs["diverged_at"].item()) == (Status.FAILED, 30)
    assert (runs["t_mem"].item(), runs["steps_run"].item(), runs["rho2_end"].item()) == (20, 30, 9)
    assert runs["t_grok"].isnull()
    assert runs["step"].to_numpy().tolist() == [0, 10, 20]


def test_infinity_is_divergence_too(written):
    rows = [(*row[:-1], math.inf if row[4] == 50 else row[-1]) for row in RUN]
    runs = read_log(written(table(rows)))
    assert (runs["status"].item(), runs["diverged_at"].item()) == (Status.HIT, 50)


def test_a_test_loss_that_overflows_is_no_divergence(written):
    rows = [(*row, 0.5, "inf") for row in RUN]
    runs = read_log(written(table(rows, (*NAMES, *LOSSES))))
    assert runs["diverged_at"].isnull()
    assert np.isinf(runs["test_loss"]).all()


def test_a_run_may_diverge_at_once(written):
    rows = [(*row[:-1], math.nan) for row in RUN]
    alone = read_log(written(table(rows)))
    assert (alone["status"].item(), alone["diverged_at"].item()) == (Status.FAILED, 0)
    assert alone.sizes["step"] == 0
    both = read_log(written(table(rows + LATER)))
    assert numbers(both, "status") == [Status.FAILED, Status.HIT]


# --- What is wrong with a log -----------------------------------------------------------------


def error(log):
    with pytest.raises(ParameterError) as caught:
        read_log(log)
    return caught.value


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_column_is_named(written, name):
    names = [f"{n}_" if n == name else n for n in NAMES]
    found = error(written(table(RUN, names)))
    assert (found.field, found.value) == ("log", names)
    assert found.allowed.endswith(f"missing: {name}")
    assert all(required in found.allowed for required in NAMES)


def with_cell(name, value):
    """Text of a log with losses, whose line 4 has a given value."""
    names = (*NAMES, *LOSSES)
    rows = [[*row, 0.5, 0.7] for row in RUN]
    rows[2][names.index(name)] = value
    return table(rows, names)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("eta", "fast"),
        ("step", ""),
        ("seed", "0x10"),
        ("test_acc", "True"),
        ("rho2", "1,5"),
        ("train_loss", ""),
        ("test_loss", "n/a"),
    ],
)
def test_a_cell_that_is_not_a_number_is_named_with_its_line(written, name, text):
    found = error(written(with_cell(name, text)))
    assert (found.field, found.value, found.allowed) == (name, text, "a number (line 4)")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("eta", 0.0, "a finite number > 0"),
        ("eta", math.nan, "a finite number > 0"),
        ("lam", -0.1, "a finite number >= 0"),
        ("lam", math.inf, "a finite number >= 0"),
        ("batch_size", 32.5, "an integer from 0 to 2^53"),
        ("seed", -1.0, "an integer from 0 to 2^53"),
        ("seed", 2.0**60, "an integer from 0 to 2^53"),
        ("step", math.nan, "an integer from 0 to 2^53"),
        ("train_acc", 99.5, "a fraction in [0, 1], not per cent"),
        ("test_acc", -0.1, "a fraction in [0, 1], not per cent"),
        ("test_acc", math.inf, "a fraction in [0, 1], not per cent"),
        ("rho2", -1.0, "a number >= 0"),
    ],
)
def test_a_number_out_of_range_is_named_with_its_line(written, name, value, allowed):
    found = error(written(with_cell(name, value)))
    assert (found.field, found.allowed) == (name, f"{allowed} (line 4)")
    np.testing.assert_equal(found.value, value)


def test_lines_are_counted_as_an_editor_does(written):
    text = table(RUN).replace("\n", "\n\n").replace("20,1,", "20,one,")
    line = 1 + text.split("\n").index("0.001,0.0001,32,0,20,one,0.1,9")
    assert error(written(text)).allowed == f"a number (line {line})"


def test_a_line_that_breaks_off_is_an_error(written):
    found = error(written(table(RUN).removesuffix("1,3\n")))
    assert (found.field, found.value, found.allowed) == ("test_acc", "", "a number (line 7)")


@pytest.mark.parametrize(("step", "name"), [(30, "repeated"), (20, "descending")])
def test_steps_of_a_run_ascend(written, step, name):
    rows = [list(row) for row in RUN + LATER]
    rows[4][4] = step
    found = error(written(table(rows)))
    assert (found.field, found.value) == ("step", step), name
    run = "eta = 0.001, batch_size = 32, lam = 0.0001, seed = 0"
    assert found.allowed == f"after 30 in the run of {run} (line 6)"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "a CSV file"),
        ("\n\n", "a CSV file"),
        (table([]), "a CSV file with a row for each evaluation"),
        (b"\x89PNG\r\n\x1a\n\xff\xd8", "a CSV file in UTF-8"),
        (table(RUN).encode("utf-16"), "a CSV file in UTF-8"),
        (table([*RUN, (*RUN[-1], 7)]), "saw 9"),
        (table([(*row, 7) for row in RUN]), "a CSV file with a name for each column"),
        (table(RUN).replace("0.001,", '"0.001,', 1), "EOF inside string"),
    ],
    ids=["empty", "blank", "names only", "picture", "UTF-16", "longer row", "longer rows", "quote"],
)
def test_what_is_no_log_is_an_error(written, content, words):
    found = error(written(content))
    assert (found.field, found.value) == ("log", "log.csv")
    assert words in found.allowed


def test_other_separators_are_no_csv(written):
    assert error(written(table(RUN).replace(",", ";"))).field == "log"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path):
        assert error(path).value == str(path)


def test_a_grid_of_runs_with_nothing_in_common_is_too_large(written):
    """Sixty rows, each another η, λ, batch size, seed and step."""
    rows = [(k, k, k, k, k, 0.5, 0.5, 1.0) for k in range(1, 61)]
    found = error(written(table(rows)))
    assert found.field == "log"
    assert "not 60 eta, 60 batch_size, 60 lam, 60 seed, 60 step" in found.allowed


def test_columns_that_are_not_read_are_told(written):
    log = written(table([(*row, 0.5, "a") for row in RUN], (*NAMES, "train_los", "note")))
    with pytest.warns(IgnoredColumnsWarning, match="not read: train_los, note"):
        runs = read_log(log)
    assert "train_loss" not in runs


def test_a_missing_package_is_told():
    code = "import sys; sys.modules['xarray'] = None; import sde_grok.runs.logs"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra: xarray is not installed: pip install 'sde-grok[networks]'" in run.stderr
