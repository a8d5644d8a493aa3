"""Scans of network runs: what is trained, where it is kept, and that the way there does not matter."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jax")

from sde_grok.checks import ParameterError
from sde_grok.cli import main
from sde_grok.fits import load_table
from sde_grok.networks import PRESETS, train_networks
from sde_grok.networks.store import Store
from sde_grok.scans import ScanInterrupted, open_scan, read_scan, scan
from sde_grok.scans.network_forecast import forecast_networks
from sde_grok.scans.networks import NetworkScan, together

BASE = {"task": "z11", "embedding": 8, "max_steps": 400, "hold": 2, "batch_size": 40}
AXES = {"eta": [0.01, 0.03], "width": [16, 24]}
TOML = """
preset = "tiny"
seeds = 2
[base]
task = "z11"
embedding = 8
max_steps = 400
hold = 2
batch_size = 40
[axes]
eta = [0.01, 0.03]
width = [16, 24]
"""
PLAN = NetworkScan(preset="tiny", seeds=2, base=BASE, axes=AXES)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the scan, and what `scan` gave."""
    out = tmp_path_factory.mktemp("networks")
    return out, scan(PLAN, out=out)


def test_a_file_says_what_the_arguments_say(written):
    assert read_scan(written(TOML, "scan.toml")) == PLAN


@pytest.mark.slow
def test_each_network_is_what_training_its_grid_gives(trained):
    out, runs = trained
    assert sorted(p.name for p in out.iterdir()) == ["networks.json", "width=16", "width=24"]
    assert runs["t_mem"].dims == ("width", "eta", "batch_size", "lam", "seed")
    for width in AXES["width"]:
        experiment = replace(
            PRESETS["tiny"], **BASE | {"eta": (0.01, 0.03), "width": width, "seeds": 2}
        )
        alone = train_networks(experiment)
        for name in ("t_mem", "status", "steps_run", "rho2", "noise_trace"):
            one = runs[name].sel(width=width)
            if "step" in one.dims:
                one = one.sel(step=alone["step"])
            np.testing.assert_array_equal(one, alone[name])
    assert runs["t_mem"].notnull().any()


@pytest.mark.slow
def test_a_folder_is_read_as_it_was_written(trained):
    out, runs = trained
    assert open_scan(out).identical(runs)
    table = load_table(out)
    assert len(table) == 8
    assert set(table["width"]) == {16, 24}


@pytest.mark.slow
def test_an_interrupted_scan_goes_on_to_the_same_runs(trained, tmp_path):
    def stop(seen):
        if 0 < seen.done < 5:
            raise KeyboardInterrupt

    with pytest.raises(ScanInterrupted, match="the same command goes on"):
        scan(PLAN, out=tmp_path, workers=1, progress=stop)
    kept = int(open_scan(tmp_path)["steps_run"].notnull().sum())
    assert 0 < kept < 8
    assert scan(PLAN, out=tmp_path).identical(trained[1])


@pytest.mark.slow
def test_pairs_are_networks_of_their_own(trained, tmp_path):
    axes = {"eta": [0.01, 0.03], "width": [16, 24]}
    runs = scan(replace(PLAN, axes=axes, combine="paired"), out=tmp_path)
    assert runs["status"].dims == ("cell", "batch_size", "lam", "seed")
    for cell, (eta, width) in enumerate(zip(*axes.values(), strict=True)):
        one = runs.isel(cell=cell)
        assert (float(one["eta"]), int(one["width"])) == (eta, width)
        np.testing.assert_array_equal(one["t_mem"], trained[1]["t_mem"].sel(eta=eta, width=width))
    assert open_scan(tmp_path).identical(runs)


@pytest.mark.slow
def test_another_scan_is_refused_and_nothing_touched(trained, tmp_path):
    out, runs = trained
    other = replace(PLAN, axes=AXES | {"width": [16, 32]})
    with pytest.raises(ParameterError, match="another axes") as error:
        scan(other, out=out)
    assert error.value.field == "out"
    assert open_scan(out).identical(runs)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "1", "{}", '{"seed": 0, "speed": 1}', "\xff"]
)
def test_a_damaged_record_is_a_line(tmp_path, text):
    (tmp_path / "networks.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ParameterError, match="whole"):
        open_scan(tmp_path)
    with pytest.raises(ParameterError, match=r"whole|another"):
        scan(PLAN, out=tmp_path)


def test_a_folder_of_simulations_is_refused(tmp_path):
    (tmp_path / "scan.zarr").mkdir()
    with pytest.raises(ParameterError, match=r"without scan\.zarr"):
        scan(PLAN, out=tmp_path)
    with pytest.raises(ParameterError, match=r"without scan\.zarr"):
        train_networks(PRESETS["tiny"], out=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["scan.zarr"]


def test_axes_stay_in_the_order_given(tmp_path):
    plan = NetworkScan(preset="tiny", axes={"width": [16, 4, 8.0]})
    assert [*plan.experiments] == ["width=16", "width=4", "width=8"]
    store = {n: Store(e, tmp_path / n, 1).finish() for n, e in plan.experiments.items()}
    assert together(plan, store)["width"].values.tolist() == [16, 4, 8]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eta", "batch_size", "layer"])
def test_runs_that_are_labelled_wrongly_are_refused(tmp_path, name):
    one = replace(PLAN, base=BASE | {"width": 16}, axes={"eta": [0.01]}, seeds=1)
    scan(one, out=tmp_path)
    next((tmp_path / "runs.zarr" / name).rglob("c/*")).unlink()
    for read in (lambda: open_scan(tmp_path), lambda: scan(one, out=tmp_path)):
        with pytest.raises(ParameterError, match="whole"):
            read()


@pytest.mark.slow
def test_a_damaged_chunk_is_told(trained, tmp_path):
    one = replace(PLAN, base=BASE | {"width": 16}, axes={"eta": [0.01]}, seeds=1)
    scan(one, out=tmp_path)
    chunk = next(p for p in (tmp_path / "runs.zarr" / "rho2" / "c").rglob("*") if p.is_file())
    raw = bytearray(chunk.read_bytes())
    raw[len(raw) // 2] ^= 1
    chunk.write_bytes(bytes(raw))
    with pytest.raises(ParameterError, match="whole"):
        open_scan(tmp_path)
    with pytest.raises(ParameterError, match="whole"):
        scan(one, out=tmp_path)


@pytest.mark.slow
def test_the_forecast_bounds_what_it_takes(trained):
    seen = forecast_networks(PLAN)
    assert (seen.n_networks, seen.n_runs) == (2, 8)
    assert seen.seconds > 0
    size = sum(p.stat().st_size for p in trained[0].rglob("rho2/c/**/*") if p.is_file())
    assert seen.bytes > size


BAD = {
    "preset": ({"preset": "huge"}, "preset"),
    "unknown": ({"base": BASE | {"rho_core": 1.0}}, "base"),
    "seed is no axis": ({"axes": {"seed": [1, 2]}}, "axes"),
    "list in base": ({"base": BASE | {"lam": [0.1, 0.2]}}, "lam"),
    "both": ({"base": BASE | {"width": 8}}, "axes"),
    "one out of range": ({"axes": AXES | {"beta1": [0.9, 1.0]}}, "beta1"),
    "seeds": ({"seeds": 0}, "seeds"),
    "first seed": ({"seed": -1}, "seed"),
}


@pytest.mark.parametrize(("changes", "field"), BAD.values(), ids=list(BAD))
def test_bad_plans_are_refused_in_a_line(changes, field):
    with pytest.raises(ParameterError) as error:
        NetworkScan(**({"preset": "tiny", "base": BASE, "axes": AXES} | changes))
    assert error.value.field == field
    assert "\n" not in str(error.value)


def test_what_only_simulations_have_is_refused(written, tmp_path, capsys):
    file = written('preset = "tiny"\nprecision = 0.01\n', "scan.toml")
    with pytest.raises(SystemExit, match="2"):
        main(["scan", str(file), "--out", str(tmp_path / "out")])
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_trains_and_forecasts(written, tmp_path, capsys, trained):
    file = str(written(TOML, "scan.toml"))
    for arguments, words in (
        (["--dry-run"], "8 runs of 2 networks"),
        (["--out", str(tmp_path / "out")], "2 width × 2 eta × 2 seed"),
    ):
        with pytest.raises(SystemExit, match="0"):
            main(["scan", file, *arguments])
        assert words in capsys.readouterr().out
    assert open_scan(tmp_path / "out").identical(trained[1])
