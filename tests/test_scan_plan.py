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
    "too few to know an error by": ({"paths": 15, "precision": 0.1}, "paths"),
    "precision": ({"precision": 0}, "precision"),
    "most": ({"max_paths": 10}, "max_paths"),
    "most below first": ({"precision": 0.1, "max_paths": 10}, "max_paths"),
    "seed": ({"seed": -1}, "seed"),
    "rung": ({"base": BASE | {"system": "quantum"}}, "system"),
    "ragged range": ({"axes": AXES | {"eta": {"log": [[1, 2], 3], "n": 3}}}, "eta"),
    "range of a number": ({"axes": AXES | {"eta": {"log": 3, "n": 3}}}, "eta"),
    "truth": ({"base": BASE | {"sigma": True}}, "sigma"),
    "same pair twice": (
        {"combine": "paired", "axes": {"eta": [0.01, 0.01], "batch_size": [4, 4]}},
        "axes",
    ),
    "more paths than fit": ({"paths": 10**12}, "paths"),
    "a number without end": ({"base": BASE | {"sigma": 10**5000}}, "sigma"),
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
    [
        ("paths = ", "file"),
        ("swept = 1", "file"),
        (b"\xff", "file"),
        ("base = 3", "base"),
        (f"paths = 1{'0' * 5000}", "file"),
        (f"paths = 0x{'f' * 5000}", "paths"),
    ],
)
def test_bad_files_are_refused_in_a_line(written, text, field):
    with pytest.raises(ParameterError) as error:
        read_scan(written(text, "scan.toml"))
    assert error.value.field == field


def test_a_cell_has_one_seed_however_its_numbers_are_written():
    other = Scan(
        base={**BASE, "dim": 3.0, "rho_start": 2, "rho_core": 1, "lam": 1, "sigma": 2},
        axes={"eta": [0.005, 0.01], "batch_size": [4.0, 8.0, 16.0]},
        paths=40,
        seed=7,
    )
    assert other == SMALL
    assert repr(other) == repr(SMALL)  # 2 == 2.0, but a seed is made of what is written
    assert list(map(other.seed_of, other.cells())) == list(map(SMALL.seed_of, SMALL.cells()))


def test_pairs_may_share_values():
    axes = {"eta": [0.01, 0.02, 0.01], "batch_size": [4, 4, 8]}
    plan = Scan(base=BASE, axes=axes, combine="paired", paths=2)
    assert [(c["eta"], c["batch_size"]) for c in plan.cells()] == [(0.01, 4), (0.02, 4), (0.01, 8)]


def test_most_paths_have_a_bound_of_their_own():
    for paths, most in ((16, 16_000), (20_000, 10**6), (10**6, 10**7), (10**8, 10**8)):
        assert Scan(base=BASE, axes=AXES, paths=paths, precision=0.1).most_paths == most
