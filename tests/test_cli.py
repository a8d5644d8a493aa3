"""The command line: what it prints, its exit codes, and what it leaves behind."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from sde_grok import cli

KEYS = {
    "system",
    "n_paths",
    "hit_fraction",
    "censored_fraction",
    "failed_fraction",
    "mean_steps",
    "stderr_steps",
    "median_steps",
    "exact_mean_steps",
    "path_steps",
    "wall_seconds",
    "seed",
}
SMALL = ["--dim", "10", "--rho-start", "4.0", "--rho-core", "3.0", "--paths", "64"]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


@pytest.mark.parametrize("system", ["discrete", "joint", "reduced", "radial"])
def test_json_has_the_promised_keys_on_every_rung(capsys, system):
    code, out, err = run(capsys, "escape", "--system", system, *SMALL, "--json")
    summary = json.loads(out)
    assert code == 0
    assert err == ""
    assert summary.keys() >= KEYS
    assert summary["system"] == system
    assert summary["n_paths"] == 64
    assert summary["hit_fraction"] == 1
    assert (summary["exact_mean_steps"] is not None) == (system == "radial")
    assert abs(summary["mean_steps"] - summary["median_steps"]) < 0.2 * summary["mean_steps"]


def test_every_option_reaches_the_simulation(capsys):
    values = {
        "--eta": 2e-3,
        "--batch-size": 50,
        "--lam": 0.02,
        "--beta1": 0.8,
        "--beta2": 0.99,
        "--eps": 1e-7,
        "--decay": "decoupled",
        "--dim": 4,
        "--sigma": 0.5,
        "--rho-start": 1.0,
        "--rho-core": 1.1,
        "--direction": "outward",
        "--paths": 8,
        "--max-steps": 1000,
        "--seed": 7,
    }
    options = [str(x) for pair in values.items() for x in pair]
    code, out, _ = run(capsys, "escape", *options, "--discrete-monitoring", "--json")
    summary = json.loads(out)
    assert code == 0
    assert summary["optimizer"] == {
        "eta": 2e-3,
        "batch_size": 50,
        "lam": 0.02,
        "beta1": 0.8,
        "beta2": 0.99,
        "eps": 1e-7,
        "decay": "decoupled",
    }
    assert summary["geometry"] == {
        "rho_start": 1.0,
        "rho_core": 1.1,
        "dim": 4,
        "direction": "outward",
    }
    assert summary["noise"] == {"kind": "IsotropicNoise", "sigma": 0.5}
    assert (summary["n_paths"], summary["max_steps"], summary["seed"]) == (8, 1000, 7)
    assert summary["bridge"] is False


def test_discrete_monitoring_is_later(capsys):
    arguments = ["escape", *SMALL, "--paths", "40000", "--eta", "0.05", "--json"]
    bridged = json.loads(run(capsys, *arguments)[1])
    monitored = json.loads(run(capsys, *arguments, "--discrete-monitoring")[1])
    error = math.hypot(bridged["stderr_steps"], monitored["stderr_steps"])
    assert monitored["mean_steps"] > bridged["mean_steps"] + 4 * error


BAD = [
    (("--eta", "nan"), "--eta", "> 0"),
    (("--eta", "0"), "--eta", "> 0"),
    (("--eta", "inf"), "--eta", "> 0"),
    (("--eta", "fast"), "--eta", "number"),
    (("--lam", "-0.1"), "--lam", ">= 0"),
    (("--sigma", "-1"), "--sigma", ">= 0"),
    (("--eps", "-1"), "--eps", ">= 0"),
    (("--beta1", "1"), "--beta1", "< 1"),
    (("--beta2", "-0.1"), "--beta2", ">= 0"),
    (("--batch-size", "0"), "--batch-size", ">= 1"),
    (("--dim", "0"), "--dim", ">= 1"),
    (("--paths", "0"), "--paths", ">= 1"),
    (("--max-steps", "0"), "--max-steps", ">= 1"),
    (("--seed", "-1"), "--seed", ">= 0"),
    (("--seed", str(2**64)), "--seed", f"<= {2**64 - 1}"),
    (("--batch-size", str(2**63)), "--batch-size", f"<= {2**63 - 1}"),
    (("--rho-start", "1e200"), "--rho-start", "< 1e+150"),
    (("--system", "discrete", "--dt", "2"), "--dt", "1 on the discrete rung"),
    (("--system", "joint", "--dt", "20"), "--dt", "<= 10"),
    (("--system", "reduced", "--dim", str(2**31)), "--dim", "GB"),
    (("--rho-core", "20"), "--rho-core", "< rho_start"),
    (("--rho-core", "0"), "--rho-core", ">= 1e-150"),
    (("--rho-start", "-1"), "--rho-start", ">= 1e-150"),
    (("--direction", "outward"), "--rho-core", "> rho_start"),
    (("--system", "quantum"), "--system", "'radial'"),
    (("--decay", "weak"), "--decay", "'coupled'"),
]


@pytest.mark.parametrize(("arguments", "field", "allowed"), BAD, ids=str)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, field, allowed):
    code, out, err = run(capsys, "escape", *arguments, "--json")
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert field in err
    assert allowed in err


def test_unknown_options_and_commands_are_one_line(capsys):
    for arguments in (["escape", "--speed", "1"], ["fly"]):
        code, out, err = run(capsys, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)


def test_help_teaches(capsys):
    code, out, _ = run(capsys, "escape", "--help")
    assert code == 0
    for word in ("--rho-core", "Learning rate", "Example"):
        assert word in out


def test_a_bare_call_prints_help_and_no_error(capsys):
    _, out, err = run(capsys)
    assert "escape" in out + err
    assert "error" not in err


def test_a_hopeless_core_is_warned_about_with_its_predicted_time(capsys):
    arguments = ["--dim", "9000", "--rho-start", "10", "--rho-core", "2", "--max-steps", "50"]
    code, out, err = run(capsys, "escape", *arguments, "--paths", "8", "--json")
    assert re.fullmatch(r"warning: .*10\^\d+ steps, beyond max_steps = 50: .*\n", err)
    summary = json.loads(out)
    assert code == 0
    assert summary["censored_fraction"] == 1
    assert summary["mean_steps"] is None
    assert summary["median_steps"] is None


def test_the_table_shows_the_exact_mean_beside_the_simulated_one(capsys):
    code, out, _ = run(capsys, "escape", *SMALL)
    assert code == 0
    for words in ("mean steps", "exact mean steps", "standard errors"):
        assert words in out


def test_an_unwritable_folder_is_bad_input(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, out, err = run(capsys, "validate", "--out", str(tmp_path / "file"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--out" in err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_ends_cleanly_and_says_what_was_done():
    hopeless = ["--lam", "0.00001", "--max-steps", "100000000", "--system", "joint"]
    command = [sys.executable, "-W", "ignore", "-m", "sde_grok.cli", "escape", *hopeless]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted: 0 of 1000 paths were finished" in err
    assert "Traceback" not in err
