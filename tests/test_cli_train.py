"""`sde-grok train`: what it prints, its exit codes, and what it leaves behind."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import jax
import pytest

from sde_grok import cli
from sde_grok.checks import ParameterError
from sde_grok.networks import open_runs
from sde_grok.runs.reference import load_runs

TINY = [
    "train", "--task", "z7", "--embedding", "4", "--width", "8", "--seeds", "2", "--eval-every", "20",
    "--max-steps", "60",
]  # fmt: skip
LISTS = (
    "t_mem", "t_grok", "rho2_init", "rho2_mem", "rho2_peak", "t_peak", "rho2_grok", "train_loss_grok",
)  # fmt: skip


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


def test_json_has_a_cell_for_each_point_and_an_entry_for_each_seed(capsys):
    grid = ["--eta", "1e-3,1e-2", "--lam", "1e-3", "--batch-size", "0,5"]
    code, out, err = run(capsys, *TINY, *grid, "--json")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["thresholds"]["train_accuracy"] == 0.99
    assert report["thresholds"]["test_accuracy"] == 0.95
    assert report["wall_seconds"] > 0
    points = {(c["eta"], c["lam"], c["batch_size"]) for c in report["cells"]}
    assert points == {(eta, 1e-3, b) for eta in (1e-3, 1e-2) for b in (0, 5)}
    for cell in report["cells"]:
        assert cell["n_runs"] == 2
        assert cell["n_diverged"] == 0
        assert cell["n_grokked"] == sum(t is not None for t in cell["t_grok"])
        for name in LISTS:
            assert len(cell[name]) == 2, name
        assert all(t is None or (t % 20 == 0 and isinstance(t, int)) for t in cell["t_mem"])


def test_every_option_reaches_the_experiment(capsys, monkeypatch):
    values = {
        "task": "z7-mul", "model": "transformer-layernorm", "embedding": 6, "width": 5, "heads": 2,
        "init": "glorot", "init_scale": 0.5, "train_fraction": 0.6, "optimizer": "adam",
        "decay": "decoupled", "sampling": "epochs", "beta1": 0.8, "beta2": 0.99, "eps": 1e-7,
        "seeds": 1, "seed": 3, "max_steps": 30, "eval_every": 10, "train_accuracy": 0.9,
        "test_accuracy": 0.8, "hold": 2, "noise_rank": 3, "snapshot_every": 20, "sketch": 8,
        "precision": "double",
    }  # fmt: skip
    lists = {"eta": [1e-3], "lam": [0.1, 0.2], "batch_size": [7], "noise_at": ["end"]}
    options = [x for k, v in values.items() for x in ("--" + k.replace("_", "-"), str(v))]
    for name, axis in lists.items():
        options += ["--" + name.replace("_", "-"), ",".join(map(str, axis))]
    seen = []

    def record(experiment, **_):
        seen.append(experiment.as_dict())
        raise ParameterError("task", "z7-mul", "trained another time")

    monkeypatch.setattr("sde_grok.networks.train_networks", record)
    assert run(capsys, "train", *options, "--json")[0] == 2
    assert seen == [values | lists]


def test_the_folder_has_the_runs_their_table_and_figures(capsys, tmp_path):
    command = [*TINY, "--eta", "1e-2", "--batch-size", "5,0", "--out", str(tmp_path)]
    code, out, err = run(capsys, *command)
    assert (code, err) == (0, "")
    assert "2 seeds" not in out
    for word in ("T_mem", "delay", "full", str(tmp_path)):
        assert word in out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "runs.zarr",
        "runs.csv",
        *(f"{f}.{k}" for f in ("runs", "balance") for k in ("png", "pdf")),
    }
    runs = open_runs(tmp_path)
    with (tmp_path / "runs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert load_runs()[0].keys() <= rows[0].keys()
    first = runs.isel(eta=0, batch_size=0, lam=0, seed=0)
    assert float(rows[0]["rho2_init"]) == pytest.approx(float(first["rho2_init"]), rel=1e-5)
    assert [row["batch_size"] for row in rows] == ["5", "5", "0", "0"]
    again = run(capsys, *command, "--json")
    assert again[0] == 0
    assert json.loads(again[1])["cells"][0]["steps_run"] == [60, 60]


@pytest.mark.parametrize("start", [["--eta", "1e-2,1e30"], ["--init-scale", "1e30"]], ids=str)
def test_diverged_runs_are_counted_and_drawn_as_far_as_they_go(capsys, tmp_path, start):
    options = [*TINY, "--batch-size", "5", "--noise-at", "init", *start]
    code, out, err = run(capsys, *options, "--noise-rank", "2", "--out", str(tmp_path), "--json")
    assert (code, err) == (0, "")
    last = json.loads(out)["cells"][-1]
    assert last["n_diverged"] == last["n_runs"] == 2
    assert all(step < 20 for step in last["diverged_at"])
    assert (tmp_path / "runs.png").is_file()


def test_where_there_is_no_noise_its_spectrum_is_zero(capsys):
    options = ["--init-scale", "1e-20", "--noise-at", "init", "--noise-rank", "2", "--json"]
    code, _, err = run(capsys, *TINY, "--batch-size", "5", *options)
    assert (code, err) == (0, "")


def test_running_out_of_memory_is_one_line(capsys, monkeypatch):
    def exhausted(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 69 GB")

    monkeypatch.setattr("sde_grok.networks.train.train_lanes", exhausted)
    code, out, err = run(capsys, *TINY, "--batch-size", "5")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "out of memory" in err


def test_presets_are_overridden_by_options(capsys):
    code, out, _ = run(
        capsys, "train", "--preset", "paper", *TINY[1:], "--batch-size", "4", "--json"
    )
    experiment = json.loads(out)["experiment"]
    assert code == 0
    assert (experiment["task"], experiment["eta"], experiment["lam"]) == ("z7", [1e-3], [1e-4])


BAD = [
    (("--task", "z6-div"), "--task", "z<p>-div (p prime)"),
    (("--task", "chess"), "--task", "s<n>"),
    (("--train-fraction", "0"), "--train-fraction", "> 0"),
    (("--train-fraction", "1"), "--train-fraction", "< 1"),
    (("--train-fraction", "0.001"), "--train-fraction", "for training"),
    (("--model", "rnn"), "--model", "transformer"),
    (("--model", "transformer", "--heads", "3"), "--heads", "divisor of embedding"),
    (("--init", "he"), "--init", "lecun"),
    (("--init-scale", "0"), "--init-scale", "> 0"),
    (("--optimizer", "lion"), "--optimizer", "sgd"),
    (("--decay", "weak"), "--decay", "coupled"),
    (("--sampling", "twice"), "--sampling", "epochs"),
    (("--eta", "0"), "--eta", "> 0"),
    (("--eta", "1e-3,1e-3"), "--eta", "distinct"),
    (("--eta", "1e-3,fast"), "--eta", "separated by commas"),
    (("--eta", "1e-3,"), "--eta", "separated by commas"),
    (("--lam", "-1"), "--lam", ">= 0"),
    (("--lam", "nan"), "--lam", "finite"),
    (("--eta", "1e-60"), "--eta", "single precision"),
    (("--lam", "1e39"), "--lam", "single precision"),
    (("--batch-size", "-1"), "--batch-size", ">= 0"),
    (("--batch-size", "2.5"), "--batch-size", "integers"),
    (("--batch-size", "100", "--sampling", "epochs"), "--batch-size", "<= 24"),
    (("--beta1", "1"), "--beta1", "< 1"),
    (("--beta2", "-0.1"), "--beta2", ">= 0"),
    (("--eps", "-1"), "--eps", ">= 0"),
    (("--seeds", "0"), "--seeds", ">= 1"),
    (("--seed", "-1"), "--seed", ">= 0"),
    (("--eval-every", "0"), "--eval-every", ">= 1"),
    (("--max-steps", "10"), "--max-steps", ">= 20"),
    (("--train-accuracy", "1.1"), "--train-accuracy", "<= 1"),
    (("--test-accuracy", "0"), "--test-accuracy", "> 0"),
    (("--hold", "0"), "--hold", ">= 1"),
    (("--noise-at", "later"), "--noise-at", "grok"),
    (("--noise-rank", "0"), "--noise-rank", ">= 1"),
    (("--snapshot-every", "30"), "--snapshot-every", "multiple of eval_every"),
    (("--precision", "half"), "--precision", "double"),
    (("--preset", "huge"), "--preset", "'tiny'"),
    (("--embedding", "0"), "--embedding", ">= 1"),
    (("--width", "wide"), "--width", "integer"),
]


@pytest.mark.parametrize(("arguments", "field", "allowed"), BAD, ids=str)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(
    capsys, tmp_path, arguments, field, allowed
):
    out_folder = tmp_path / "runs"
    code, out, err = run(capsys, *TINY, *arguments, "--out", str(out_folder), "--json")
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert field in err
    assert allowed in err
    assert not out_folder.exists()


def test_a_folder_with_other_runs_is_refused(capsys, tmp_path):
    options = [*TINY, "--batch-size", "5", "--out", str(tmp_path)]
    assert run(capsys, *options, "--eta", "1e-2")[0] == 0
    code, out, err = run(capsys, *options, "--eta", "1e-3")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--out" in err
    assert "another eta" in err


def test_a_missing_package_is_named_with_the_extra():
    code = (
        "import importlib.util as u; real = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'optax' else real(name, *a); "
        "from sde_grok.cli import main; main(['train'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == "error: optax is not installed: pip install 'sde-grok[networks]'\n"


def test_help_teaches(capsys):
    code, out, _ = run(capsys, "train", "--help")
    assert code == 0
    for word in ("--train-fraction", "Shrinkages", "Example", "censored"):
        assert word in out


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_keeps_what_is_finished(tmp_path):
    options = [*TINY, "--max-steps", "10000000", "--eta", "1e30,1e-9", "--seeds", "1"]
    command = [sys.executable, "-m", "sde_grok.cli", *options, "--out", str(tmp_path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    status = tmp_path / "runs.zarr" / "status" / "c"
    deadline = time.monotonic() + 120
    while not any(status.rglob("*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert f"interrupted: 1 of 2 runs are kept in {tmp_path}; the same command goes on" in err
    assert "Traceback" not in err
    assert sorted(open_runs(tmp_path)["status"].to_numpy().ravel()) == [2, 3]
