"""A store holds one scan, each cell wholly or not at all, whatever stops it or damages it."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr
from small_scans import AXES, BASE, MANY, SMALL, tree

from sde_grok import ParameterError
from sde_grok.folders import alone
from sde_grok.scans import Scan, ScanInterrupted, open_scan, read_scan, scan


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


@pytest.mark.parametrize("name", ["eta", "batch_size", "lam", "seed", "dt", "system"])
@pytest.mark.parametrize("damage", [flip, Path.unlink], ids=["flipped", "lost"])
def test_a_store_whose_cells_are_labelled_wrongly_is_refused(tmp_path, name, damage):
    scan(SMALL, out=tmp_path)
    files = chunks(tmp_path, name)
    damage(files[0] if files else tmp_path / "scan.zarr" / name / "c")
    for read in (lambda: open_scan(tmp_path), lambda: scan(SMALL, out=tmp_path)):
        with pytest.raises(ParameterError, match="whole"):
            read()


RECORDS = ["zarr.json", "eta/zarr.json", "status/zarr.json", "escape_steps/zarr.json"]
WRONG = {
    "empty": lambda _: b"",
    "cut": lambda b: b[:200],
    "no UTF-8": lambda _: b"\xff\xfe",
    "nothing": lambda _: b"null",
    "number": lambda _: b"1",
    "list": lambda _: b"[]",
    "table": lambda _: b"{}",
    "shape": lambda b: b.replace(b'"shape": [\n    2', b'"shape": [\n    1'),
    "names": lambda b: b.replace(b'"batch_size",\n    "path"', b'"path",\n    "batch_size"'),
    "fill value": lambda b: b.replace(b'"NaN"', b"0.0"),
    "record": lambda b: b.replace(b'"provenance": "{', b'"provenance": "[{'),
    "lost": None,
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("damage", WRONG.values(), ids=list(WRONG))
def test_damaged_records_are_a_line(done, tmp_path, name, damage):
    shutil.copytree(done[0] / "scan.zarr", tmp_path / "scan.zarr")
    path = tmp_path / "scan.zarr" / name
    if damage is None:
        path.unlink()
    elif damage(path.read_bytes()) == path.read_bytes():
        return  # it has no such part
    else:
        path.write_bytes(damage(path.read_bytes()))
    for read in (lambda: open_scan(tmp_path), lambda: scan(SMALL, out=tmp_path)):
        with pytest.raises(ParameterError, match="whole") as error:
            read()
        assert "\n" not in str(error.value)


def test_two_processes_are_not_at_one_folder(done, tmp_path):
    with alone(tmp_path), pytest.raises(ParameterError, match="no other process"):
        scan(SMALL, out=tmp_path)
    scan(SMALL, out=tmp_path)
    assert tree(tmp_path) == tree(done[0])


@pytest.mark.parametrize("name", ["runs.zarr", "networks.json"])
def test_a_folder_of_networks_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ParameterError, match=f"without {name}"):
        scan(SMALL, out=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


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
    assert int((open_scan(tmp_path)["n_paths"] > 0).sum()) == stop.value.progress.done
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


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    out = tmp_path_factory.mktemp("many")
    file = out / "scan.toml"
    file.write_text(MANY.replace("paths = 2000", "paths = 20_000"))  # or no kill is in its midst
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
    assert "0 of 20 cells are kept" in ran.stderr
    assert int((open_scan(first)["n_paths"] > 0).sum()) == 0
    scan(read_scan(file), out=first)
    assert tree(first) == tree(second)
