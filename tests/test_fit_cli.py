"""`sde-grok fit`: what it prints, its exit codes, and what it leaves behind."""

import json

import numpy as np
import pytest

from sde_grok import cli
from sde_grok.runs.reference import REFERENCE_RUNS

pd = pytest.importorskip("pandas")
pytest.importorskip("lifelines")

DATA = str(REFERENCE_RUNS)
Z127 = 'task == "z127" and `lambda` <= 3e-4 and T_grok > T_mem'


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(["fit", *arguments])
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


def fitted(capsys, *arguments):
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out), err


def test_json_of_the_reference_runs(capsys):
    found, err = fitted(capsys, DATA, "--where", Z127, "--method", "ols")
    assert err == ""
    assert (found["n"], found["n_censored"], found["n_left_out"]) == (44, 0, {})
    estimates = {name: round(e["estimate"], 3) for name, e in found["exponents"].items()}
    assert estimates == {"eta": -0.833, "lam": -0.497, "batch_size": -0.107}
    for e in found["exponents"].values():
        assert e["low"] < e["estimate"] < e["high"]
    for name, by_cell in found["exponents_by_cell"].items():
        assert by_cell["low"] < found["exponents"][name]["low"]  # the law misses cells as a whole
    assert round(found["mape_in_sample"], 3) == 0.188
    assert round(found["seed_floor"], 3) == 0.061
    assert found["mape_held_out"] > found["mape_in_sample"]
    assert next(iter(found["laws"])) == "collapse_law"
    assert len(found["laws"]) > 8
    for law in found["laws"].values():
        assert {"mape_in_sample", "mape_held_out", "constants"} <= set(law)


def test_the_laws_that_are_asked_for_and_no_other(capsys):
    laws = ["--law", "power_law", "--law", "constant_law"]
    found, _ = fitted(capsys, DATA, "--where", Z127, "--method", "ols", *laws)
    assert set(found["laws"]) == {"power_law", "constant_law"}
    assert found["laws"]["power_law"]["mape_one_cell"] is None


def test_an_axis_that_does_not_vary_is_absent(capsys):
    found, _ = fitted(capsys, DATA, "--where", f"{Z127} and batch_size == 100", "--method", "ols")
    assert set(found["exponents"]) == {"eta", "lam"}


def censored_runs(path):
    rng = np.random.default_rng(0)
    rows = [(e, b, s) for e in (1e-3, 2e-3, 4e-3) for b in (50, 100, 200) for s in range(3)]
    frame = pd.DataFrame(rows, columns=["eta", "batch_size", "seed"]).assign(T_mem=100.0)
    frame["lambda"] = 1e-4
    time = 100 + 1000 * (frame.eta / 1e-3) ** -1 * (frame.batch_size / 50) ** -0.5 * (
        rng.lognormal(0, 0.1, len(frame))
    )
    frame["T_grok"] = time.where(time <= 700)
    frame["steps_run"] = time.clip(upper=700)
    frame.to_csv(path, index=False)
    return int((time > 700).sum())


def test_censored_runs_count_by_survival_and_are_left_out_by_least_squares(capsys, tmp_path):
    n = censored_runs(tmp_path / "runs.csv")
    assert n > 2
    aft, err = fitted(capsys, str(tmp_path / "runs.csv"), "--bootstrap", "10")
    assert err == ""
    ols, err = fitted(capsys, str(tmp_path / "runs.csv"), "--method", "ols")
    assert err == f"warning: {n} rows left out ({n}: censored)\n"
    for found in (aft, ols):
        assert (found["n"], found["n_censored"]) == (27, n)
    assert aft["exponents_ols"] == ols["exponents"]
    assert aft["exponents"]["eta"]["estimate"] == pytest.approx(-1, abs=0.1)
    drawn = aft["exponents_bootstrap"]
    assert drawn["draws"] == 10
    assert drawn["eta"]["low"] < aft["exponents"]["eta"]["estimate"] < drawn["eta"]["high"]
    assert aft["distribution"] in {"lognormal", "weibull", "loglogistic"}
    assert ols["distribution"] == "ols"


def test_a_table_for_people_and_a_figure(capsys, tmp_path):
    code, out, err = run(
        capsys, DATA, "--where", Z127, "--method", "ols", "--law", "collapse_law", "--out",
        str(tmp_path / "new" / "folder"),
    )  # fmt: skip
    assert (code, err) == (0, "")
    for words in ("-0.833", "44 rows, 0 censored", "18.8 %", "6.1 %", "collapse_law"):
        assert words in out
    names = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert names == ["competition.pdf", "competition.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.csv"], "--data none.csv: must be a file"),
        ([DATA, "--where", "eta >"], "--where eta >: must be an expression"),
        ([DATA, "--response", "time"], "--response time: must be made of columns"),
        ([DATA, "--method", "cox"], "--method cox: must be one of aft, ols"),
        ([DATA, "--where", Z127, "--law", "no_law"], "--law no_law: must be one of"),
        ([DATA, "--where", Z127, "--bootstrap", "1"], "--bootstrap 1: must be"),
    ],
)
def test_errors_are_one_line(capsys, arguments, words):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 + ("warning" in err)
    assert words in err


def test_settings_that_vary_are_named_in_a_line(capsys):
    code, _, err = run(capsys, DATA, "--where", "T_grok > T_mem", "--method", "ols")
    assert code == 0
    assert err == "warning: task varies and is not fitted; --where chooses\n"


def test_one_run_a_cell_has_no_scatter_of_seeds(capsys, tmp_path):
    where = ("--where", f"{Z127} and seed == 0", "--method", "ols", "--law", "collapse_law")
    found, err = fitted(capsys, DATA, *where)
    assert (found["seed_floor"], err) == (None, "")
    code, out, _ = run(capsys, DATA, *where, "--out", str(tmp_path))
    assert code == 0
    assert "scatter of seeds –" in out


@pytest.mark.parametrize(("response", "exponents"), [("eta / eta", [0, 0]), ("1 / eta", [-1, 0])])
def test_an_exact_response_is_fitted_without_a_word(capsys, response, exponents):
    where = ("--where", 'task == "s5"', "--method", "ols", "--response", response)
    found, err = fitted(capsys, DATA, *where)
    assert err == ""
    limits = [[e["low"], e["high"]] for e in found["exponents_by_cell"].values()]
    np.testing.assert_allclose(limits, np.transpose([exponents] * 2), atol=1e-12)
    code, out, err = run(capsys, DATA, *where)
    assert (code, err) == (0, "")
    assert "0.0000000000" not in out


def test_text_in_a_column_of_a_law_leaves_out_that_law(capsys, tmp_path):
    path = tmp_path / "runs.csv"
    pd.read_csv(DATA).assign(rho2_mem="abc").to_csv(path, index=False)
    found, err = fitted(capsys, str(path), "--where", Z127, "--method", "ols")
    assert err == ""
    assert round(found["exponents"]["eta"]["estimate"], 3) == -0.833
    assert "constant_law" in found["laws"]
    assert "collapse_law" not in found["laws"]


def test_help_teaches(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "Example" in out
    assert "censored" in out
