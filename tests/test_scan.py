"""Scans: what a cell is, that it is there wholly or not at all, and that nothing stops a scan."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sde_grok import Geometry, IsotropicNoise, Optimizer, ParameterError, simulate_escape
from sde_grok.cli import main
from sde_grok.escape_times import EscapeTimes
from sde_grok.scans import Scan, ScanInterrupted, open_scan, read_scan, scan
from sde_grok.scans.cell import expected_cost
from sde_grok.scans.execute import costs
from sde_grok.scans.forecast import forecast

BASE = {"dim": 3, "rho_start": 2.0, "rho_core": 1.0, "lam": 1.0, "decay": "decoupled", "sigma": 2.0}
AXES = {"eta": [0.005, 0.01], "batch_size": [4, 8, 16]}
SMALL = Scan(base=BASE, axes=AXES, paths=40, seed=7)
TOML = """
paths = 40
seed = 7
[base]
dim = 3
rho_start = 2.0
rho_core = 1.0
lam = 1.0
decay = "decoupled"
sigma = 2.0
[axes]
eta = [0.005, 0.01]
batch_size = [4, 8, 16]
"""


def tree(out):
    """Bytes of all files of a store by their path."""
    root = out / "scan.zarr"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


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


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("done")
    return out, scan(SMALL, out=out)


def test_a_file_says_what_the_arguments_say(written):
    assert read_scan(written(TOML, "scan.toml")) == SMALL


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
        base=BASE | {"batch_size": 4, "eta": 0.01}, paths=8, precision=1e-6, max_paths=50, seed=1
    )
    cells = scan(plan, out=tmp_path)
    assert cells["n_paths"] == 50
    assert cells["escape_steps"].dims == ("path",)


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


def test_ranges_are_spaced_and_whole_where_they_must_be():
    axes = {
        "eta": {"log": [1e-4, 1e-2], "n": 3},
        "batch_size": {"log": [10, 1000], "n": 4},
        "sigma": {"linear": [1, 2], "n": 3},
    }
    base = {k: v for k, v in BASE.items() if k != "sigma"}
    plan = Scan(base=base, axes=axes, paths=2)
    assert plan.axes["eta"] == (1e-4, 1e-3, 1e-2)
    assert plan.axes["batch_size"] == (10, 46, 215, 1000)
    assert plan.axes["sigma"] == (1.0, 1.5, 2.0)
    assert all(isinstance(b, int) for b in plan.axes["batch_size"])


BAD = {
    "unknown parameter": ({"base": BASE | {"learning_rate": 1}}, "base"),
    "twice": ({"base": BASE | {"eta": 1.0}}, "axes"),
    "no eta": ({"axes": {"batch_size": [4]}}, "eta"),
    "one cell out of range": ({"axes": AXES | {"eta": [0.01, -1]}}, "eta"),
    "same value twice": ({"axes": AXES | {"eta": [0.01, 0.01]}}, "eta"),
    "nothing": ({"axes": AXES | {"eta": []}}, "eta"),
    "range": ({"axes": AXES | {"eta": {"log": [0, 1], "n": 3}}}, "eta"),
    "range of one": ({"axes": AXES | {"eta": {"log": [0.1, 1], "n": 1}}}, "eta"),
    "unequal pairs": ({"combine": "paired"}, "axes"),
    "paths": ({"paths": 0}, "paths"),
    "precision": ({"precision": 0}, "precision"),
    "most": ({"max_paths": 10}, "max_paths"),
    "most below first": ({"precision": 0.1, "max_paths": 10}, "max_paths"),
    "seed": ({"seed": -1}, "seed"),
    "rung": ({"base": BASE | {"system": "quantum"}}, "system"),
    "too many": ({"axes": {"eta": {"log": [1e-9, 1], "n": 10**6}, "batch_size": [1, 2]}}, "axes"),
}


@pytest.mark.parametrize(("changes", "field"), BAD.values(), ids=list(BAD))
def test_bad_plans_are_refused_in_a_line(changes, field):
    with pytest.raises(ParameterError) as error:
        Scan(**({"base": BASE, "axes": AXES, "paths": 40} | changes))
    assert error.value.field == field
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "field"),
    [("paths = ", "file"), ("swept = 1", "file"), (b"\xff", "file"), ("base = 3", "base")],
)
def test_bad_files_are_refused_in_a_line(written, text, field):
    with pytest.raises(ParameterError) as error:
        read_scan(written(text, "scan.toml"))
    assert error.value.field == field


def test_a_store_of_another_scan_is_refused_and_left_alone(done):
    out, _ = done
    before = tree(out)
    for changes, what in (
        ({"paths": 41}, "paths"),
        ({"seed": 8}, "seed"),
        ({"base": BASE | {"sigma": 3.0}}, "base"),
        ({"axes": AXES | {"eta": [0.005]}}, "axes"),
    ):
        other = Scan(**({"base": BASE, "axes": AXES, "paths": 40, "seed": 7} | changes))
        with pytest.raises(ParameterError, match=f"another {what}"):
            scan(other, out=out)
    assert tree(out) == before


def test_a_store_of_other_versions_is_refused(tmp_path, monkeypatch):
    scan(SMALL, out=tmp_path)
    monkeypatch.setattr("sde_grok.scans.store.versions", lambda: {"sde-grok": "0.0"})
    with pytest.raises(ParameterError, match="versions"):
        scan(SMALL, out=tmp_path)


def chunks(out, name):
    """Chunks of an array in the order of their cells."""
    return sorted(p for p in (out / "scan.zarr" / name / "c").rglob("*") if p.is_file())


def flip(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["escape_steps", "status"])
@pytest.mark.parametrize(
    "damage", [flip, lambda p: p.write_bytes(p.read_bytes()[:-9]), lambda p: p.write_bytes(b"")]
)
def test_damaged_chunks_are_told_and_done_again(done, tmp_path, name, damage):
    scan(SMALL, out=tmp_path)
    damage(chunks(tmp_path, name)[2])
    assert int((open_scan(tmp_path)["n_paths"] == 0).sum()) == 1
    seen = []
    scan(SMALL, out=tmp_path, progress=seen.append)
    assert seen[-1].damaged == 1
    assert tree(tmp_path) == tree(done[0])


@pytest.mark.parametrize("name", ["escape_steps", "status"])
def test_lost_chunks_are_done_again(done, tmp_path, name):
    scan(SMALL, out=tmp_path)
    chunks(tmp_path, name)[3].unlink()
    scan(SMALL, out=tmp_path)
    assert tree(tmp_path) == tree(done[0])


def test_a_store_without_its_metadata_is_refused(tmp_path):
    scan(SMALL, out=tmp_path)
    (tmp_path / "scan.zarr" / "zarr.json").write_text("{")
    for read in (lambda: open_scan(tmp_path), lambda: scan(SMALL, out=tmp_path)):
        with pytest.raises(ParameterError, match="whole"):
            read()


def test_what_is_there_is_not_done_again(tmp_path):
    scan(SMALL, out=tmp_path)
    before = {p: p.stat().st_mtime_ns for p in chunks(tmp_path, "status")}
    chunks(tmp_path, "status")[0].unlink()
    scan(SMALL, out=tmp_path)
    after = {p: p.stat().st_mtime_ns for p in chunks(tmp_path, "status")}
    assert sorted(p for p in before if before[p] != after[p]) == chunks(tmp_path, "status")[:1]


def test_ctrl_c_keeps_what_was_finished(done, tmp_path):
    def press(seen):
        if seen.done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(ScanInterrupted, match="the same command goes on") as stop:
        scan(SMALL, out=tmp_path, workers=1, progress=press)
    assert 2 <= stop.value.progress.done < 6
    scan(SMALL, out=tmp_path)
    assert tree(tmp_path) == tree(done[0])


def test_ctrl_c_does_not_wait_for_long_cells(tmp_path):
    slow = Scan(
        base={"dim": 64, "rho_start": 9.0, "rho_core": 1.0, "lam": 1e-3, "eta": 1e-5}
        | {"batch_size": 4, "system": "joint", "max_steps": 10**8},
        paths=1000,
    )
    began = time.monotonic()

    def press(_):
        if time.monotonic() > began + 1:
            raise KeyboardInterrupt

    with pytest.raises(ScanInterrupted):
        scan(slow, out=tmp_path, progress=press)
    assert time.monotonic() < began + 60  # hours, if it waited


MANY = """
paths = 2000
seed = 2
[base]
dim = 3
rho_start = 2.0
rho_core = 1.0
lam = 1.0
decay = "decoupled"
sigma = 2.0
system = "joint"
[axes]
eta = { log = [0.002, 0.004], n = 5 }
batch_size = [4, 8, 16, 32]
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    out = tmp_path_factory.mktemp("many")
    file = out / "scan.toml"
    file.write_text(MANY)
    scan(read_scan(file), out=out)
    return file, out


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_change_nothing(many, tmp_path):
    file, out = many
    script = Path(__file__).with_name("kill_scan.py")
    command = [sys.executable, str(script), str(file), str(tmp_path), "20", "0.5"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    seen = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(seen) == 20
    killed = [s for s in seen if s["killed"]]
    assert len(killed) >= 5
    assert any(0 < s["done"] < 20 for s in killed)
    counts = [s["done"] for s in seen]
    assert counts == sorted(counts)
    scan(read_scan(file), out=tmp_path)
    assert tree(tmp_path) == tree(out)


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))  # metadata fit, chunks do not
from sde_grok.cli import main
main()
"""


def test_a_full_disk_is_a_line_and_leaves_a_valid_store(written, tmp_path):
    file = written(MANY.replace("joint", "radial"), "scan.toml")
    first, second = tmp_path / "first", tmp_path / "second"
    scan(read_scan(file), out=second)
    command = [sys.executable, "-c", LIMITED, "scan", str(file), "--out", str(first)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1
    assert int((open_scan(first)["n_paths"] > 0).sum()) == 0
    scan(read_scan(file), out=first)
    assert tree(first) == tree(second)


def test_a_folder_that_cannot_be_written_to_is_a_line(written, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SystemExit) as exit_:
        main(["scan", str(written(TOML, "scan.toml")), "--out", str(blocked / "scan")])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_forecast_is_near(many, tmp_path):
    file, out = many
    plan = read_scan(file)
    seen = forecast(plan)
    assert (seen.n_cells, seen.paths) == (20, 40_000)
    size = sum(p.stat().st_size for p in (out / "scan.zarr").rglob("*"))
    assert size / 2 < seen.bytes < 2 * size
    assert seen.seconds > 0


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


def run(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    seen = capsys.readouterr()
    return exit_.value.code, seen.out, seen.err


def test_the_command_scans_and_goes_on(written, tmp_path, capsys, done):
    file = str(written(TOML, "scan.toml"))
    for _ in range(2):
        code, text, error = run(["scan", file, "--out", str(tmp_path)], capsys)
        assert (code, error) == (0, "")
        assert "2 × 3" in text
    assert tree(tmp_path) == tree(done[0])


def test_a_dry_run_writes_nothing(written, tmp_path, capsys):
    file = written(TOML, "scan.toml")
    before = sorted(tmp_path.rglob("*"))
    code, text, error = run(["scan", str(file), "--dry-run"], capsys)
    assert (code, error) == (0, "")
    assert "6 cells" in text
    assert "on disk" in text
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_commands_are_a_line(written, tmp_path, capsys):
    file = str(written(TOML, "scan.toml"))
    out = ["--out", str(tmp_path / "out")]
    for arguments in (
        ["scan", file],
        ["scan", str(tmp_path / "none.toml"), *out],
        ["scan", file, *out, "--workers", "0"],
        ["scan", file, *out, "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"],
        ["scan", file, *out, "--scheduler", "nowhere"],
    ):
        code, text, error = run(arguments, capsys)
        assert (code, text) == (2, ""), arguments
        assert error.count("\n") == 1, error
        assert not (tmp_path / "out").exists()


def test_an_unfinished_scan_is_read(done, tmp_path):
    def press(seen):
        if seen.done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(ScanInterrupted):
        scan(SMALL, out=tmp_path, workers=1, progress=press)
    part = open_scan(tmp_path)
    there = part["n_paths"] > 0
    assert 2 <= int(there.sum()) < 6
    xr.testing.assert_equal(
        part["mean_steps"].where(there, drop=False),
        open_scan(done[0])["mean_steps"].where(there),
    )
