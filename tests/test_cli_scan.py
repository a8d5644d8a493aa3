"""The command that scans: what it prints, and the line that it prints instead."""

import pytest
from small_scans import TOML, tree

from sde_grok.cli import main


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


def test_a_folder_that_cannot_be_written_to_is_a_line(written, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SystemExit) as exit_:
        main(["scan", str(written(TOML, "scan.toml")), "--out", str(blocked / "scan")])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
