"""`sde-grok figures`: scripts that are found by themselves, and what is drawn of which data."""

import importlib
import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from sde_grok import ParameterError
from sde_grok.cli.figures import network_cells, scripts
from sde_grok.laws import collapse_law, margin_radius, matched_steps
from sde_grok.networks import PRESETS, train_networks
from sde_grok.runs.delays import point, with_delay
from sde_grok.runs.reference import Cell
from sde_grok.scans import LandscapeScan, scan
from sde_grok.validate.claims import load_claims

main = importlib.import_module("sde_grok.cli").main
NAMES = ["moments", "phase_portrait", "predicted", "radii", "shell_core_map", "transition_time"]
TRAINED = ["moments", "shell_core_map"]  # need runs that do not come with the package
SMALL = replace(
    PRESETS["tiny"],
    task="z11",
    embedding=8,
    width=16,
    max_steps=120,
    snapshot_every=20,
    sketch=32,
    noise_at=("init", "end"),
    noise_rank=4,
)
CIRCUITS = LandscapeScan(
    landscape="two_circuits",
    paths=4,
    base={
        "dim_memorizing": 56, "dim_generalizing": 8, "rate_memorizing": 0.32, "mislead": 10.6,
        "rate_generalizing": 9.3, "noise": "loss", "degree": 2.5, "rho_start": 0.81, "sigma": 4.5,
        "train_loss": 0.02, "test_loss": 0.1, "eta": 3e-3,
    },
    axes={"lam": [0.024, 0.073], "batch_size": [100, 400]},
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with runs and with a scan."""
    folder = tmp_path_factory.mktemp("data")
    train_networks(SMALL, out=folder / "runs")
    scan(CIRCUITS, out=folder / "circuits")
    return folder


def module(name):
    return scripts()[name].module


def run(*arguments):
    """Exit code of the command."""
    with pytest.raises(SystemExit) as stop:
        main(["figures", *map(str, arguments)])
    return stop.value.code


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- The command --------------------------------------------------------------------------------


def test_the_figures_are_the_scripts():
    assert list(scripts()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_script_says_what_it_shows_of_which_data_and_how_it_is_made(name):
    script = scripts()[name]
    assert script.shows.endswith(".")
    assert f"sde-grok figures {name} " in script.module.__doc__
    assert bool(script.needs) is (name in TRAINED)
    assert script.needs in script.module.__doc__


def test_the_list_names_figures_and_what_they_need(capsys):
    assert run("--list") == 0
    out = capsys.readouterr().out
    assert re.findall(r"^(\w+): ", out, re.MULTILINE) == NAMES
    assert out.count("sde-grok train --preset tiny") == len(TRAINED)


@pytest.mark.parametrize("name", TRAINED)
def test_the_command_that_makes_the_data_would(name):
    """Its options are those of `sde-grok train`, and give what is drawn."""
    words = scripts()[name].needs.split()
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert words[:2] == ["sde-grok", "train"]
    assert options.pop("--out") == "DIR"
    preset = PRESETS[options.pop("--preset")]
    fields = {key[2:].replace("-", "_"): value for key, value in options.items()}
    fields = {k: tuple(v.split(",")) if k == "noise_at" else int(v) for k, v in fields.items()}
    made = replace(preset, **fields)
    assert made.noise_at if name == "moments" else made.snapshot_every


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_drawn_and_the_same_bytes_each_time(name, data, tmp_path, capsys):
    assert run(name, "--data", data, "--out", tmp_path / "a") == 0
    assert f"{name}.png" in capsys.readouterr().out
    assert run(name, "--data", data, "--out", tmp_path / "b") == 0
    found = bytes_of(tmp_path / "a")
    also = {"escape_sequence"} if name == "phase_portrait" else set()
    assert set(found) == {f"{stem}.{kind}" for stem in {name} | also for kind in ("png", "pdf")}
    assert found == bytes_of(tmp_path / "b")


@pytest.mark.parametrize("name", TRAINED)
def test_a_figure_without_its_data_is_one_line_with_the_command(name, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for given in ([], ["--data", tmp_path / "empty"]):
        assert run("radii", name, *given, "--out", tmp_path / "out") == 2
        line = capsys.readouterr().err
        assert line.startswith("error: --data ")
        assert line.count("\n") == 1
        assert scripts()[name].needs in line
    assert not (tmp_path / "out").exists()


def test_unknown_names_are_one_line_with_the_list(tmp_path, capsys):
    assert run("radii", "../claims", "--out", tmp_path / "out") == 2
    line = capsys.readouterr().err
    assert line == f"error: Invalid value for NAMES: '../claims' is none of {', '.join(NAMES)}\n"
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_none_is_one_line(tmp_path, capsys):
    assert run("radii", "--data", tmp_path / "no", "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err == f"error: --data {tmp_path / 'no'}: must be a folder\n"
    (tmp_path / "file").touch()
    assert run("radii", "--out", tmp_path / "file") == 2
    assert capsys.readouterr().err.startswith(f"error: --out {tmp_path / 'file'}: must be a folder")
    (tmp_path / "full" / "radii.pdf").mkdir(parents=True)
    assert run("radii", "--out", tmp_path / "full") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["radii.pdf"]
    assert not (tmp_path / "out").exists()


def test_a_folder_with_nothing_in_it_is_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run("radii", "--data", tmp_path / "empty", "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.endswith("of a train or a scan, or of such folders\n")
    assert not (tmp_path / "out").exists()


def test_damaged_data_are_one_line(data, tmp_path, capsys):
    store = tmp_path / "bad" / "runs.zarr"
    store.mkdir(parents=True)
    (store / "zarr.json").write_text('{"node_type": "group", "zarr_format": 3}')
    for name in (*TRAINED, "radii", "transition_time"):
        assert run(name, "--data", tmp_path, "--out", tmp_path / "out") == 2
        line = capsys.readouterr().err
        assert line.startswith(f"error: --data {store.parent}: must be a folder whose runs.zarr")
        assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


DOT = '''"""A dot.

    sde-grok figures dot --out DIR
"""


def load(folder=None):
    return [1.0]


def draw(data):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(data, "o")
    return figure
'''
LACKING = '''"""Nothing.

    sde-grok figures lacking --out DIR
"""

from sde_grok.checks import ParameterError

NEEDS = "sde-grok train"


def load(folder=None):
    raise ParameterError("data", folder, "a folder of `sde-grok train`")
'''


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of scripts."""
    folder = tmp_path / "theory" / "figures"
    folder.mkdir(parents=True)
    monkeypatch.setattr("sde_grok.validate.claims.theory_folder", lambda: folder.parent)
    (folder / "dot.py").write_text(DOT)
    return folder


def test_a_figure_is_added_by_adding_a_file(shelf, tmp_path, capsys):
    (shelf / "spot.py").write_text(DOT)
    assert run("spot", "--out", tmp_path / "out") == 0
    assert set(bytes_of(tmp_path / "out")) == {"spot.png", "spot.pdf"}


def test_of_all_figures_those_without_data_are_left_out_in_a_line(shelf, tmp_path, capsys):
    (shelf / "lacking.py").write_text(LACKING)
    assert run("--out", tmp_path / "out") == 0
    assert capsys.readouterr().err == "lacking is left out: needs a folder of `sde-grok train`\n"
    assert set(bytes_of(tmp_path / "out")) == {"dot.png", "dot.pdf"}


def test_a_figure_that_fails_leaves_nothing_of_the_others(shelf, tmp_path):
    (shelf / "wrong.py").write_text(DOT.replace("return [1.0]", "return {}['lost']"))
    with pytest.raises(KeyError, match="lost"):
        main(["figures", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_an_error_of_another_parameter_is_no_lack_of_data(shelf, tmp_path, capsys):
    (shelf / "lacking.py").write_text(LACKING.replace('Error("data"', 'Error("lam"'))
    assert run("--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith("error: --lam None: must be")
    assert not (tmp_path / "out").exists()


# --- The map of shell and core ------------------------------------------------------------------


def test_points_of_a_plane_are_mapped_at_their_distances():
    angle = np.linspace(0, 2.5, 12)
    rho = np.linspace(1, 3, 12)
    points = rho[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    start = angle + 0.3 * np.sin(np.arange(12))
    found, stress = module("shell_core_map").radial_map(pdist(points), rho, start)
    assert stress < 1e-4
    np.testing.assert_allclose(pdist(found), pdist(points), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.hypot(*found.T), rho)


def test_what_has_no_room_in_a_plane_has_stress():
    """Of three orthogonal directions the map makes 120°: √3 in place of √2."""
    found, stress = module("shell_core_map").radial_map(
        pdist(np.eye(3)), np.ones(3), np.array([0.0, 1.9, 4.3])
    )
    np.testing.assert_allclose(pdist(found), math.sqrt(3), rtol=1e-3)
    assert stress == pytest.approx(math.sqrt(3 / 2) - 1, rel=1e-3)


def test_the_gradient_of_the_stress_is_right():
    """A least stress is no larger than that of random maps nearby."""
    rng = np.random.default_rng(1)
    theta = rng.normal(size=(9, 5))
    rho, start = np.linalg.norm(theta, axis=1), rng.uniform(0, 6, 9)
    found, stress = module("shell_core_map").radial_map(pdist(theta), rho, start)
    phi = np.arctan2(found[:, 1], found[:, 0])
    for _ in range(50):
        near = phi + 0.01 * rng.normal(size=9)
        x = rho[:, None] * np.column_stack([np.cos(near), np.sin(near)])
        off = np.sum((pdist(x) - pdist(theta)) ** 2) / np.sum(pdist(theta) ** 2)
        assert math.sqrt(off) >= stress * (1 - 1e-9)


def test_tracks_begin_at_init_and_have_the_norms_of_the_runs(data):
    found = module("shell_core_map").load(data)
    assert len(found.tracks) == SMALL.seeds
    for track, position in zip(found.tracks, found.positions, strict=True):
        assert track.snapshot[0] == 0
        np.testing.assert_allclose(np.hypot(*position.T), track.rho_of_snapshots)
        sketched = np.linalg.norm(track.theta, axis=1)
        np.testing.assert_allclose(sketched, track.rho_of_snapshots, rtol=5 / math.sqrt(2 * 32))


# --- Radii --------------------------------------------------------------------------------------


def test_means_are_over_settings_that_are_there_for_each_value():
    radii = module("radii")
    cell = network_cells(None)["Z127"][0]
    grid = [(1e-3, 100), (1e-3, 400), (3e-3, 100)]  # (3e-3, 400) was not run
    cells = [replace(cell, eta=e, batch_size=b, lam=1e-4, rho2_mem=e * b) for e, b in grid]
    x, y, error = radii.means(cells, "batch_size", "rho2_mem")
    assert (x.tolist(), y.tolist(), error.tolist()) == ([100, 400], [0.1, 0.4], [0, 0])


def test_the_rest_of_a_margin_is_fitted():
    lam = np.array([3e-5, 1e-4, 1e-3])
    planted = margin_radius(lam, rate=2e-5, degree=3.0, scale=3.0)
    law = module("radii").margin_fit(lam, planted)
    np.testing.assert_allclose(law(lam), planted, rtol=1e-5)
    between = margin_radius(3e-4, rate=2e-5, degree=3.0, scale=3.0)
    assert law(np.array([3e-4]))[0] == pytest.approx(between, rel=1e-4)


def test_the_lift_is_that_of_the_claim():
    lift = module("radii").load().lift
    claim = next(c for c in load_claims() if c.id == "core-radius").module()
    medians = claim.check().data["medians"]["coupled"]
    expected, _ = claim.lift(medians)
    assert (lift.fitted.value, lift.fitted.stderr) == pytest.approx(
        (expected.value, expected.stderr)
    )
    np.testing.assert_allclose(sorted(lift.lever), sorted(map(claim.lever, medians)))


# --- Transition times ---------------------------------------------------------------------------


def planted(law, **constants):
    """Cells on a grid whose delays are those of a law."""
    cells = []
    for eta in (1e-3, 3e-3):
        for lam in (1e-4, 3e-4, 1e-3):
            for b in (100, 200, 400):
                steps = law(8000.0, 4900.0, eta=eta, lam=lam, batch_size=b, **constants)
                delays = steps * np.array([0.9, 1.1])
                numbers = {"beta1": 0.9, "beta2": 0.999, "dim": 1000, "sqrt_v": 1.0, "n_runs": 2}
                at = {"eta": eta, "lam": lam, "batch_size": b}
                radii = {"rho2_mem": 8000.0, "rho2_grok": 4900.0}
                cells.append(Cell("z59", "coupled", **at, **numbers, **radii, delays=delays))
    return cells


def test_the_law_that_delays_obey_has_no_error_and_the_others_have():
    script = module("transition_time")
    for law, name, constants in (
        (collapse_law, "collapse", {"constant": 2.5}),
        (matched_steps, "matched law", {"sigma": 0.01, "dim": 1000}),
    ):
        task = script.predicted(planted(law, **constants))
        errors = {of: task.error(of) for of in script.LAWS}
        assert errors.pop(name) == pytest.approx(0, abs=1e-6)
        assert min(errors.values()) > 0.01
        assert point(task.middle) == (1e-3, 3e-4, 200)


def test_sigma_of_the_matched_law_is_recovered():
    script = module("transition_time")
    task = script.predicted(planted(matched_steps, sigma=0.01, dim=1000))
    assert script.sigma_of(task.middle) == pytest.approx(0.01, rel=1e-6)


def test_cells_along_an_axis_differ_in_it_alone():
    script = module("transition_time")
    task = script.predicted(planted(collapse_law, constant=1.0))
    for axis in script.AXES:
        found = [point(task.cells[n])._asdict() for n in script.along(task, axis)]
        assert len({at.pop(axis) for at in found}) == len(found) > 1
        assert all(at == found[0] for at in found)


def test_a_scan_of_two_circuits_is_a_row_and_other_scans_are_none(data, tmp_path):
    script = module("transition_time")
    assert list(script.load()) == ["Z127", "Z59"]
    found = script.load(data)
    assert list(found) == ["Z127", "Z59", "two circuits"]
    cells = script.circuits(data / "circuits")
    swept = [(c.lam, c.batch_size) for c in cells]
    assert swept == list(itertools.product([0.024, 0.073], [100, 400]))
    assert {c.n_runs for c in cells} == {4}
    assert [point(c) for c in found["two circuits"].cells] == [point(c) for c in with_delay(cells)]
    other = {"seed": 1, **{name: getattr(CIRCUITS, name) for name in ("landscape", "base")}}
    axes = {"lam": [0.024], "batch_size": [100], "sigma": [2.0, 4.5]}
    base = {name: x for name, x in other.pop("base").items() if name != "sigma"}
    scan(LandscapeScan(**other, base=base, axes=axes, paths=2), out=tmp_path / "sigmas")
    with pytest.raises(ParameterError, match="eta, lam and batch_size alone"):
        script.load(tmp_path)


# --- Moments and noise --------------------------------------------------------------------------


def test_spectra_are_shares_of_the_noise_and_d_is_that_of_the_network(data):
    found = module("moments").load(data).spectrum
    assert found.dim == SMALL.n_parameters
    assert list(found.shares) == ["init", "end"]
    for shares in found.shares.values():
        assert shares.shape == (SMALL.seeds, SMALL.noise_rank)
        assert np.all(np.diff(shares, axis=1) <= 0)
        assert np.all((shares > 1 / found.dim) & (shares.sum(axis=1, keepdims=True) < 1))


def test_deviations_of_moments_are_medians_of_cells():
    script = module("moments")
    runs = [
        {"eta": e, "lambda": 1e-3, "batch_size": 25.0, "x": x}
        for e, values in ((1e-3, (1, 2, 9)), (3e-3, (4, 5, math.nan)), (1e-2, (7,)))
        for x in values
    ]
    assert script.by_batch(runs, lambda run: run["x"]) == {25.0: (4.5, 2.0, 7.0)}


def test_the_package_carries_the_scripts():
    """Where it is installed, theory/ is inside it."""
    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text("utf-8")
    assert '"theory" = "sde_grok/theory"' in text
