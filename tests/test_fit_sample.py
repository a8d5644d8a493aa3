"""Tables and what is selected from them: responses, bounds, cells, and errors of a line."""

import math
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.runs.reference import REFERENCE_RUNS, load_runs

pd = pytest.importorskip("pandas")

from sde_grok.fits.sample import AXES, SETTINGS, sample, unfitted, varying
from sde_grok.fits.table import load_table


def runs(**changes):
    """Runs of all kinds: grokked, censored, never memorized, diverged, grokked first."""
    columns = {
        "eta": 1e-3,
        "lam": 1e-4,
        "batch_size": 100.0,
        "seed": range(5),
        "T_mem": [100.0, 200, math.nan, 100, 300],
        "T_grok": [1100.0, math.nan, math.nan, math.nan, 200],
        "steps_run": [1200.0, 5000, 5000, 700, 1000],
        "diverged_at": [math.nan, math.nan, math.nan, 710, math.nan],
        "rho2_mem": [8.0, 9, math.nan, 8, 8],
        "rho2_grok": [4.0, math.nan, math.nan, math.nan, 5],
    }
    return pd.DataFrame(columns | changes)


@pytest.mark.parametrize(
    ("response", "y", "event", "left_out"),
    [
        ("delay", [1000, 4800], [True, False], 3),
        ("t_grok", [1100, 5000, 5000, 200], [True, False, False, True], 1),
        ("t_mem", [100, 200, 5000, 100, 300], [True, True, False, True, True], 0),
        ("rho2_mem", [8, 9, 8, 8], [True] * 4, 1),
        ("delay / t_mem", [10, 24], [True, False], 3),
        ("sqrt(delay) * log(rho2_mem)", [1000**0.5 * math.log(8), 4800**0.5 * math.log(9)],
         [True, False], 3),
        ("T_grok - T_mem", [1000], [True], 4),
    ],
)  # fmt: skip
def test_responses_and_their_bounds(response, y, event, left_out):
    found = sample(runs(), response=response)
    np.testing.assert_allclose(found.y, y, rtol=1e-14)
    assert found.event.tolist() == event
    assert sum(found.left_out.values()) == left_out
    assert list(found.frame.index) == list(range(len(y)))
    assert found.response == response


def test_why_rows_are_left_out():
    assert sample(runs()).left_out == {
        "delay not > 0": 1,
        "response not known, nor a bound of it": 2,
    }
    assert sample(runs(), event_only=True).left_out["censored"] == 1
    some = sample(runs(lam=[1e-4, 0, 1e-4, 1e-4, 1e-4], batch_size=[1.0, 1, 0, 1, 1]))
    assert some.left_out["lam not > 0"] == some.left_out["batch_size not > 0"] == 1


@pytest.mark.parametrize(
    ("response", "bounded", "unknown"), [("T_grok - T_mem", 1, 2), ("T_grok", 2, 1)]
)
def test_times_without_a_bound_of_censored_rows_say_which_have_one(response, bounded, unknown):
    rest = {"response not known, nor a bound of it": unknown}
    if response == "T_grok - T_mem":
        rest["response not finite and > 0"] = 1
    words = "censored: write delay, t_grok or t_mem for its bound"
    assert sample(runs(), response=response).left_out == {words: bounded, **rest}
    left_out = sample(runs(), response=response, event_only=True).left_out
    assert left_out == {"censored": bounded, **rest}


@pytest.mark.parametrize("response", ["(delay)", " delay ", "((delay))", "`delay`", "t_grok-t_mem"])
def test_a_delay_is_one_however_it_is_written(response):
    found, expected = sample(runs(), response=response), sample(runs())
    assert found.response == "delay"
    assert found.y.tolist() == expected.y.tolist()
    assert found.event.tolist() == expected.event.tolist()
    assert found.left_out == expected.left_out


def test_a_difference_of_columns_that_are_no_delay_is_what_it_is(tmp_path):
    path = tmp_path / "times.csv"
    path.write_text("eta,lambda,batch_size,t_grok,t_mem\n1e-3,1,2,50,20\n")
    found = sample(load_table(path), response="t_grok - t_mem")
    assert (found.response, found.y.tolist()) == ("t_grok - t_mem", [30])


def test_a_censored_response_that_does_not_grow_is_refused():
    for response in (
        *("1 / delay", "0 * delay + 1", "exp(-t_grok / 1e4)"),
        *(
            "delay % 3000",
            "delay * (delay < 5000)",
            "delay * (delay < 30000)",
            "delay * (delay < 1e6)",
        ),
    ):
        with pytest.raises(ParameterError, match="ols leaves those out") as error:
            sample(runs(), response=response)
        assert error.value.field == "response"
        assert sample(runs(), response=response, event_only=True).event.all()
    # only the time that is censored has to matter so
    assert sample(runs(), response="t_grok - t_mem").y.tolist() == [1000, 4800]
    assert sample(runs(), response="delay // 1000").y.tolist() == [1, 4]


def test_where_sees_bounds_of_times_and_the_columns_of_the_file():
    assert sample(runs(), where="delay > 2000").event.tolist() == [False]
    assert sample(runs(), where="T_grok > T_mem").event.tolist() == [True]
    table = load_table(REFERENCE_RUNS)
    found = sample(table, where='task == "z127" and `lambda` <= 3e-4 and T_grok > T_mem')
    kept = [
        r
        for r in load_runs()
        if r["task"] == "z127" and r["lambda"] <= 3e-4 and r["T_grok"] > r["T_mem"]
    ]
    assert found.y.tolist() == [r["T_grok"] - r["T_mem"] for r in kept]
    assert found.event.all()
    assert varying(found) == AXES
    naive = [tuple(r[a] for a in ("eta", "lambda", "batch_size")) for r in kept]
    assert len(set(found.cell)) == len(set(naive))
    assert len(set(zip(found.cell, naive, strict=True))) == len(set(naive))


def test_cells_differ_in_settings_but_not_in_seeds():
    frame = pd.concat([runs(), runs(train_fraction=0.3), runs(train_fraction=0.5)])
    found = sample(frame, response="t_mem")
    assert len(set(found.cell)) == 3
    assert len(set(found.cell[:5])) == 1


def test_cells_differ_in_every_parameter_of_a_simulation():
    pytest.importorskip("zarr")
    from sde_grok.landscapes import OF_SCALARS  # noqa: PLC0415
    from sde_grok.scans.cell import NAMES  # noqa: PLC0415
    from sde_grok.scans.landscape_cell import names_of  # noqa: PLC0415

    assert set(NAMES) <= {*AXES, *SETTINGS}
    for landscape in OF_SCALARS:
        assert set(names_of(landscape)) <= {*AXES, *SETTINGS}
    for name, (one, other) in {"dt": (0.01, 0.5), "direction": ("inward", "outward")}.items():
        frame = pd.concat([runs(**{name: one}), runs(**{name: other})])
        assert len(set(sample(frame, response="t_mem").cell)) == 2


def test_cells_differ_in_every_parameter_of_an_experiment():
    pytest.importorskip("jax")
    from sde_grok.networks import Experiment  # noqa: PLC0415

    column = {"train_accuracy": "train_threshold", "test_accuracy": "test_threshold"}
    measured = {"noise_at", "noise_rank", "snapshot_every", "sketch"}
    repeated = {"seeds", "seed"}
    names = {f.name for f in fields(Experiment)} - measured - repeated
    assert {column.get(name, name) for name in names} <= {*AXES, *SETTINGS}


def test_settings_that_vary_beside_the_axes():
    pair = [runs(), runs()]
    assert unfitted(sample(pd.concat(pair))) == ()
    pair = [runs(task="s5", max_steps=9000, beta1=0.9), runs(task="z59", max_steps=9000)]
    assert unfitted(sample(pd.concat(pair))) == ("task", "beta1")
    pair = [runs(beta1=math.nan, seed=range(5)), runs(beta1=math.nan, rho2_init=3.0)]
    assert unfitted(sample(pd.concat(pair))) == ()


def test_a_time_step_that_follows_from_the_settings_does_not_vary_beside_them():
    other_eta = [runs(dt=0.1), runs(dt=0.2, eta=2e-3)]
    same_eta = [runs(dt=0.1), runs(dt=0.2)]
    assert unfitted(sample(pd.concat(other_eta))) == ()
    assert unfitted(sample(pd.concat(same_eta))) == ("dt",)


@pytest.mark.parametrize(
    ("field", "expression", "words"),
    [
        ("where", "eta >", "invalid syntax"),
        ("where", "speed > 1", "not speed; there are"),
        ("where", "@limit > 1", "invalid syntax"),
        ("where", "eta @ eta > 1", "alone"),
        ("where", "eta.__class__ == 1", "alone"),
        ("where", "eta.to_csv('stolen.csv') > 1", "alone"),
        ("where", "open('x') > 1", "alone"),
        ("where", "lambda < 1", "lambda in backticks"),
        ("where", "eta > 'x'", "can be evaluated"),
        ("where", "eta", "a condition"),
        ("where", "1 == 1", "one value a row"),
        ("where", "eta > 5", "met by at least one of 5 rows"),
        ("where", "eta > 0\neta > 1", "can be evaluated"),
        ("where", "x = eta", "can be evaluated"),
        ("response", "delay /", "invalid syntax"),
        ("response", "time", "not time"),
        ("response", "3", "one value a row"),
        ("response", "sin(delay)", "alone"),
        ("response", f"{'-' * 900}delay", "recursion"),
        ("response", "name", "a number in each row"),
        ("data", "-delay", "some are not left out"),
    ],
)
def test_errors_in_expressions_are_a_line(field, expression, words):
    given = {"response" if field == "data" else field: expression}
    with pytest.raises(ParameterError, match=words) as error:
        sample(runs(name="a"), **given, event_only=True)
    assert error.value.field == field
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("eta,batch_size\n1,2\n", "missing: lambda"),
        ("eta,lambda,batch_size\n", "at least one row"),
        ("", "CSV file"),
        ("eta,lambda,batch_size\n1,2,x\n", "numbers in column batch_size"),
        ("eta,lambda,batch_size\n1,,3\n", "finite numbers in column lambda"),
        ("eta,lambda,batch_size,T_mem\n1,2,3,soon\n", "numbers in column T_mem"),
        ("eta,lambda,batch_size\n1,2,3,4\n", "CSV file"),
        ("\xff\xfe", "CSV file"),
        ("eta,lambda,batch_size,eta\n1,2,3,4\n", "name; eta is there twice"),
        ("eta,lambda,batch_size,lam\n1,2,3,2.5\n", "lam and lambda agree"),
        ("eta,lambda,batch_size,lam\n1,2,3,\n", "lam and lambda agree"),
        ("eta,lambda,batch_size\nTrue,2,3\n", "numbers in column eta"),
        ("eta,lambda,batch_size,T_mem\n1,2,3,True\n1,2,3,\n", "numbers in column T_mem"),
    ],
)
def test_errors_in_files_are_a_line(tmp_path, text, words):
    path = tmp_path / "runs.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ParameterError, match=words) as error:
        load_table(path)
    assert error.value.field == "data"
    assert "\n" not in str(error.value)


def test_no_file_no_folder_and_a_folder_of_something_else(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ParameterError, match=r"data = .*file"):
            load_table(path)
    (tmp_path / "scan.zarr").mkdir()
    with pytest.raises(ParameterError, match=r"data = .*is whole"):
        load_table(tmp_path)


def test_a_table_keeps_every_column_and_lambda_by_both_names():
    table = load_table(REFERENCE_RUNS)
    rows = load_runs()
    assert set(table) == {*rows[0], "lam"}
    assert table["lambda"].tolist() == table["lam"].tolist() == [r["lambda"] for r in rows]
    np.testing.assert_array_equal(table["T_grok"], [r["T_grok"] for r in rows])


def test_a_table_of_times_that_someone_else_computed(tmp_path):
    path = tmp_path / "times.csv"
    path.write_text("eta,lambda,batch_size,delay\n1e-3,1,2,50\n2e-3,1,2,\n")
    found = sample(load_table(path))
    assert found.y.tolist() == [50]
    with pytest.raises(ParameterError, match="not t_mem"):
        sample(load_table(path), response="t_mem")


def test_a_table_with_lam_alone_and_with_both_names_of_it(tmp_path):
    path = tmp_path / "runs.csv"
    for text in (
        "eta,lam,batch_size\n1e-3,2e-4,100\n",
        "eta,lam,batch_size,lambda\n1,2e-4,3,.0002\n",
    ):
        path.write_text(text)
        table = load_table(path)
        assert table["lambda"].tolist() == table["lam"].tolist() == [2e-4]


def test_paths_of_a_scan(tmp_path):
    pytest.importorskip("zarr")
    from sde_grok.scans import Scan, open_scan, scan  # noqa: PLC0415

    base = {"dim": 8, "rho_start": 6.0, "rho_core": 4.0, "max_steps": 300}
    axes = {"eta": [1e-3, 1e-2], "lam": [1e-2, 1e-1], "batch_size": [100]}
    scan(Scan(base=base, axes=axes, paths=20, seed=1), out=tmp_path)
    data, found = open_scan(tmp_path), sample(load_table(tmp_path))
    assert found.y.size == 80
    assert 0 < found.event.sum() < 80
    for eta in axes["eta"]:
        for lam in axes["lam"]:
            rows = (found.frame.eta == eta) & (found.frame.lam == lam)
            cell = data.sel(eta=eta, lam=lam, batch_size=100)
            np.testing.assert_array_equal(found.y[rows], cell["escape_steps"])
            np.testing.assert_array_equal(~found.event[rows], cell["status"] == 1)
            assert len(set(found.cell[rows])) == 1
    assert len(set(found.cell)) == 4
    assert set(found.frame["rho_start"]) == {6.0}
    names = list(load_table(tmp_path))
    last = ["escape_steps", "status", "lambda"]
    assert names == [*sorted(set(names) - set(last)), *last]
    assert unfitted(found) == ()
    assert varying(found) == ("eta", "lam")


def test_runs_of_networks_are_read_without_jax(tmp_path):
    pytest.importorskip("jax")
    from sde_grok.networks import PRESETS, train_networks  # noqa: PLC0415

    tiny = replace(
        PRESETS["tiny"], task="z7", embedding=4, width=8, max_steps=40, eval_every=20, seeds=2
    )
    kept = train_networks(tiny, out=tmp_path)
    table = load_table(tmp_path)
    np.testing.assert_array_equal(table["steps_run"], kept["steps_run"].to_numpy().ravel())
    np.testing.assert_array_equal(table["lam"], kept["lam"].item())
    code = (
        "import sys, pathlib; from sde_grok.fits.table import load_table;"
        f"n = len(load_table(pathlib.Path({str(tmp_path)!r}))); sys.exit(n != 2 or 'jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "where",
    [
        "name == '`' or @ast.sys.modules.get('os').system('touch {}') == 0 or name == '`'",
        'name == "`" or @pd.io.common.os.system("touch {}") == 0 or name == "`"',
        "name == '\\'`' or @ast.sys.modules.get('os').system('touch {}') == 0 or name == '`'",
        "name == '''`''' or @ast.sys.modules.get('os').system('touch {}') == 0 or name == '`'",
        "`eta` > @ast.sys.modules.get('os').system('touch {}')",
        "[x for x in name]",
        "(lambda: eta)() > 1",
        "name == f'{{eta}}'",
        "eta[0] > 1",
        "eta > 9 ** 9 ** 9",
        "eta > (3 + 6) ** 99999999999",
        "eta ** 9 ** 9 ** 9 > 1",
        "[9] * 999999999999 == eta",
    ],
)
def test_an_expression_is_no_way_to_run_code_nor_to_hang(tmp_path, where):
    stolen = tmp_path / "stolen"
    with pytest.raises(ParameterError, match="where = "):
        sample(runs(name="a"), where=where.format(stolen))
    assert not stolen.exists()


def test_expressions_over_lines_in_backticks_and_with_strings():
    frame = runs(name=["a", "b`c", "a", "a", "@x"]).assign(**{"with space": [1, 2, 3, 4, 5]})
    for where, n in (
        ("(`with space` > 1\n and `with space` < 5)", 3),
        ("name == 'a'", 3),
        ("name == '@x'", 1),
        ("name in ['a', \"@x\"] and not eta > 1", 4),
        ("`with space` ** 2 > 5 & ~(name == '@x')", 2),
        ("log(`with space`) >= -(-0)", 5),
    ):
        with_where = sample(frame, response="steps_run", where=where, event_only=True)
        assert len(with_where.y) == n, where
