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


@pytest.mark.parametrize("name", ["a[/b]c", "[red]c"])
def test_a_folder_is_named_as_it_is(written, tmp_path, capsys, name):
    out = tmp_path / name
    code, text, error = run(["scan", str(written(TOML, "scan.toml")), "--out", str(out)], capsys)
    assert (code, error) == (0, "")
    assert text.endswith(f"kept in {out}\n")


def test_it_is_told_what_the_mean_is_of(written, tmp_path, capsys):
    file = written(TOML.replace("[base]", "[base]\nmax_steps = 50"), "scan.toml")
    code, _, error = run(["scan", str(file), "--out", str(tmp_path / "out")], capsys)
    assert code == 0
    assert "min(T, max_steps)" in error


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
        ["scan", file, "--dry-run", "--workers", "0"],
        ["scan", file, "--dry-run", "--workers", "-3"],
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
