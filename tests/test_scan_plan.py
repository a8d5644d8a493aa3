"""What a scan is: from a file or from arguments, refused in a line where it is none."""

import pytest
from small_scans import AXES, BASE, SMALL, TOML

from sde_grok import ParameterError
from sde_grok.scans import Scan, read_scan


def test_a_file_says_what_the_arguments_say(written):
    assert read_scan(written(TOML, "scan.toml")) == SMALL


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
