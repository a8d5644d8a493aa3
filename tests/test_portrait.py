"""States of paths at given steps, landscapes at points, and the portrait that is drawn of both."""

import math

import numba
import numpy as np
import pytest
from stats_tools import check_z

from sde_grok import (
    FLAT,
    DiagonalNoise,
    Geometry,
    IsotropicNoise,
    Landscape,
    Optimizer,
    ParameterError,
    simulate_escape,
    simulate_grokking,
)
from sde_grok.kernels.outcome import MEASURES
from sde_grok.kernels.sweeps import Coefficients
from sde_grok.landscapes import circuits, quadratic
from sde_grok.landscapes.evaluate import evaluate
from sde_grok.laws import logistic_radius, margin_radius
from sde_grok.plotting import paper_style, save_figure
from sde_grok.portrait import (
    TwoCircuits,
    block_norms,
    escape_sequence,
    norm_drift,
    phase_portrait,
    spread,
)
from sde_grok.rungs import reduced
from sde_grok.trajectories import trajectories

DIMS, RHO_START, RATE = (20, 4), 0.6, 6.0
LOSSES = {"train_loss": 0.1, "test_loss": 0.2}
OPTIMIZER = Optimizer(eta=4e-3, batch_size=50, lam=0.02)
LANDSCAPE = circuits(DIMS, [1.0, RATE], [-5.0, RATE], degree=2, noise="loss")
SYSTEMS = ["discrete", "joint", "reduced"]


def arguments(system="joint", **changes):
    standard = {"rho_start": RHO_START, "dim": sum(DIMS), "system": system}
    return standard | {"n_paths": 8, "seed": 5, "threads": 1} | changes


def simulated(system="joint", at=(1,), **changes):
    nouns = OPTIMIZER, IsotropicNoise(1.0), LANDSCAPE
    return trajectories(*nouns, **arguments(system, **changes), at=at)


def stages(system="joint"):
    nouns = OPTIMIZER, IsotropicNoise(1.0), LANDSCAPE
    return simulate_grokking(*nouns, **arguments(system), **LOSSES, max_steps=5000)


def problem(**changes):
    rest = logistic_radius(OPTIMIZER.lam, rate=RATE, degree=2, scale=1.0) ** 0.5
    nouns = {"landscape": LANDSCAPE, "optimizer": OPTIMIZER, "noise": IsotropicNoise(1.0)}
    numbers = {"dims": DIMS, "rho_start": RHO_START, **LOSSES, "rest": (0.0, rest)}
    return TwoCircuits(**nouns | numbers | changes)


# --- A landscape at points ---------------------------------------------------------------------


@numba.njit
def tilted(theta, parameters, out):
    out[:] = parameters[0] * theta
    out[0] += 1.0


@numba.njit
def tilted_losses(theta, parameters, out):
    loss = 0.5 * parameters[0] * np.sum(theta * theta) + theta[0]
    out[0], out[1], out[2] = 0.5, loss, 2 * loss


USERS = Landscape("tilted", tilted, [0.3], tilted_losses)
WITH_LOSSES = {
    "circuits": LANDSCAPE,
    "quadratic": quadratic(np.arange(24.0), np.linspace(-1, 1, 24)),
    "a user's": USERS,
}


@pytest.mark.parametrize("landscape", WITH_LOSSES.values(), ids=WITH_LOSSES)
def test_gradients_are_those_of_the_train_loss(landscape):
    theta = np.random.default_rng(1).normal(scale=0.2, size=(2, 3, 24))
    step = 1e-5 * np.eye(24)
    here = evaluate(landscape, theta)
    up, down = (evaluate(landscape, theta[..., None, :] + s * step).train_loss for s in (1, -1))
    assert here.train_loss.shape == here.test_loss.shape == here.noise.shape == (2, 3)
    np.testing.assert_allclose(here.gradient, (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


def test_a_points_values_are_those_of_the_plain_function():
    """The compiled pointer gives what the Python source does."""
    theta = np.random.default_rng(2).normal(scale=0.3, size=(5, 24))
    S, measured = np.zeros((24, 2, 5)), np.full((MEASURES, 5), np.nan)
    S[:, 0] = theta.T
    LANDSCAPE.in_lanes(S, 5, LANDSCAPE.parameters, np.empty((2, 24)), measured)
    here = evaluate(LANDSCAPE, theta)
    np.testing.assert_allclose(here.gradient, S[:, 1].T, rtol=1e-13)
    np.testing.assert_allclose([*here[1:]], measured, rtol=1e-13)


def test_what_a_landscape_lacks_is_nan():
    bare = Landscape("bare", tilted, [0.3])
    for landscape in (FLAT, bare):
        here = evaluate(landscape, np.ones(4))
        assert here.noise == 1
        assert np.isnan([here.train_loss, here.test_loss]).all()
    np.testing.assert_array_equal(evaluate(FLAT, np.ones(4)).gradient, 0)
    np.testing.assert_allclose(evaluate(bare, np.ones(2)).gradient, [1.3, 0.3])


@pytest.mark.parametrize("theta", [1.0, [], np.ones(3), np.full(24, np.inf)])
def test_points_that_are_none_are_refused(theta):
    with pytest.raises(ParameterError) as error:
        evaluate(LANDSCAPE, theta)
    assert error.value.field == "theta"


# --- States of paths ---------------------------------------------------------------------------


@pytest.mark.parametrize("system", SYSTEMS)
def test_states_are_the_ends_of_single_runs(system):
    """To the bit, whatever the other paths and steps are."""
    found = simulated(system, at=[70, 3, 70])
    np.testing.assert_array_equal(found.steps, [3, 70])
    geometry = Geometry(rho_start=RHO_START, rho_core=1e-9, dim=sum(DIMS))
    alone = {"n_paths": 1, "first_path": 6, "seed": 5, "max_steps": 70, "keep_end_state": True}
    nouns = OPTIMIZER, geometry, IsotropicNoise(1.0), LANDSCAPE
    state = simulate_escape(*nouns, system=system, **alone).end_state
    for name in ("theta", "m", "v"):
        if name in state:
            np.testing.assert_array_equal(getattr(found, name)[1, 6], state[name][0])
        else:
            assert getattr(found, name) is None
    later = simulated(system, at=[70], n_paths=2, first_path=6)
    np.testing.assert_array_equal(found.theta[1, 6:], later.theta[0])


@pytest.mark.parametrize("system", SYSTEMS)
def test_states_at_the_stages_are_those_of_grokking(system):
    result = stages(system)
    for stage in (result.memorized, result.peak, result.generalized):
        for path, (steps, rho2, root_v) in enumerate(
            zip(stage.steps, stage.rho2, stage.root_v, strict=True)
        ):
            here = simulated(system, at=[int(steps)], n_paths=1, first_path=path)
            assert np.sum(here.theta**2) == pytest.approx(rho2, rel=1e-13)
            if here.v is not None:
                assert np.sqrt(here.v).mean() == pytest.approx(root_v, rel=1e-13)


def test_losses_are_passed_between_the_steps_of_a_stage():
    """A path's train loss is low enough at τ_M, and was not a step earlier; so for the test at τ_G."""
    result = stages()
    for stage, name in ((result.memorized, "train_loss"), (result.generalized, "test_loss")):
        for path, steps in enumerate(stage.steps):
            at = [int(steps) - 1, int(steps)]
            theta = simulated(at=at, n_paths=1, first_path=path).theta
            before, there = getattr(evaluate(LANDSCAPE, theta), name)[:, 0]
            assert there <= LOSSES[name] < before


def test_a_flat_landscape_has_paths_without_a_warning():
    """Though none reaches a core that is not there."""
    geometry = {"rho_start": 2.0, "dim": 3, "n_paths": 4}
    found = trajectories(
        OPTIMIZER, IsotropicNoise(1.0), FLAT, **arguments(**geometry), at=[5], dt=0.5
    )
    assert found.theta.shape == (1, 4, 3)
    assert np.isfinite(found.theta).all()


def test_states_after_a_failure_are_nan():
    steep = quadratic(np.full(3, 1e300))
    found = trajectories(
        Optimizer(eta=1.0, batch_size=1, lam=1e300, decay="decoupled"),
        IsotropicNoise(1.0),
        steep,
        **arguments("reduced", dim=3),
        at=[1, 9],
    )
    assert np.isnan(found.theta[1]).all()


@pytest.mark.parametrize(("dt", "at"), [(2.0, (2, 3)), (0.3, (1,))])
def test_steps_between_time_steps_are_refused(dt, at):
    """The state is that of the last whole time step, which is another one."""
    with pytest.raises(ParameterError) as error:
        simulated("joint", at=at, dt=dt)
    assert error.value.field == "at"


BAD = {
    "no step": ("at", ()),
    "no sequence": ("at", 5),
    "step 0": ("at", (0, 5)),
    "radial": ("system", (5,)),
}


@pytest.mark.parametrize(("field", "at"), BAD.values(), ids=BAD)
def test_bad_steps_and_rungs_are_refused(field, at):
    with pytest.raises(ParameterError) as error:
        simulated("radial" if field == "system" else "joint", at=at)
    assert error.value.field == field


# --- Drift -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["logistic", "exponential"])
@pytest.mark.parametrize("degree", [2, 3])
def test_the_drift_is_zero_at_rest(form, degree):
    law = logistic_radius if form == "logistic" else margin_radius
    rest = law(OPTIMIZER.lam, rate=RATE, degree=degree, scale=1.0) ** 0.5
    landscape = circuits(DIMS, [1.0, RATE], [-5.0, RATE], degree=degree, form=form)
    here = problem(landscape=landscape)
    np.testing.assert_allclose(norm_drift(here, 0.0, rest), 0, atol=1e-8)
    inside, outside = norm_drift(here, 0.0, rest * np.array([0.99, 1.01]))[1]
    assert inside > 1e-3
    assert outside < -1e-3


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_the_drift_is_that_of_the_reduced_rung(decay):
    """By the function that its kernel is made of, at one point."""
    optimizer = Optimizer(eta=1e-3, batch_size=50, lam=0.5, decay=decay)
    sigmas = np.linspace(0.5, 1.5, sum(DIMS))
    theta = spread(0.7, 0.4, DIMS)
    of = evaluate(LANDSCAPE, theta)
    c = Coefficients(*[math.nan] * len(Coefficients._fields))._replace(
        eps=optimizer.eps, coupled=optimizer.coupled, decoupled=optimizer.decoupled
    )
    h, variance = of.gradient + c.coupled * theta, (of.noise * sigmas) ** 2 / 50
    moved = [reduced.drift(*numbers, c) for numbers in zip(theta, h, variance, strict=True)]
    blocks = np.split(theta * moved, [DIMS[0]])
    here = problem(optimizer=optimizer, noise=DiagonalNoise(sigmas))
    expected = [block.sum() / rho for block, rho in zip(blocks, (0.7, 0.4), strict=True)]
    np.testing.assert_allclose(norm_drift(here, 0.7, 0.4), expected, rtol=1e-12)


@pytest.mark.statistical
def test_norms_of_paths_move_by_the_drift_and_by_what_noise_adds():
    """Where noise sets P, so that uneven coordinates move as even ones do."""
    optimizer = Optimizer(eta=1e-4, batch_size=50, lam=0.02)
    dims = (300, 300)
    landscape = circuits(dims, [1.0, 3.0], [-5.0, 3.0], degree=2)
    noise = IsotropicNoise(60.0)
    same = {"rho_start": 1.0, "dim": 600, "system": "reduced", "n_paths": 256, "seed": 7}
    theta = trajectories(optimizer, noise, landscape, **same, at=[1, 21]).theta
    rho2 = np.array(block_norms(theta, dims)) ** 2
    here = problem(landscape=landscape, noise=noise, optimizer=optimizer, dims=dims)
    start = np.sqrt(rho2[:, 0])
    drift = 2 * start * norm_drift(here, *start)  # of ρ_c², to which noise adds η d_c f²σ²/(b P²)
    seen = (rho2[:, 1] - rho2[:, 0]) / (20 * 1e-4) - 1e-4 * 300
    for block, rest, push in zip("mg", seen - drift, drift.mean(axis=1), strict=True):
        error = rest.std() / 256**0.5
        check_z(f"motion of ρ_{block}² less the drift", rest.mean(), error, 0.0)
        assert push > 10 * error


def test_norms_that_are_spread_are_those_of_their_blocks():
    norms = np.random.default_rng(0).uniform(size=(2, 3, 5))
    np.testing.assert_allclose(block_norms(spread(*norms, DIMS), DIMS), norms, rtol=1e-14)


# --- Figures -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    result = stages()
    ends = np.concatenate([result.memorized.steps, result.generalized.steps])
    at = np.unique([*np.geomspace(1, ends.max(), 12), *ends]).astype(int)
    with paper_style():
        return phase_portrait(problem(), paths=simulated(at=at), stages=result), result


def norms_in(axes, points):
    """ρ_m and ρ_g of points of a panel."""
    x, y = np.asarray(points).T
    return (y * np.sqrt(1 - x), y * np.sqrt(x)) if "share" in axes.get_xlabel() else (x, y)


def with_gid(axes, gid):
    (found,) = [artist for artist in axes.get_children() if artist.get_gid() == gid]
    return found


@pytest.mark.parametrize("panel", [0, 1])
def test_shells_are_where_losses_are_at_their_thresholds(drawn, panel):
    axes = drawn[0].axes[panel]
    for gid, level in (("train", 0.1), ("test", 0.2), ("init", RHO_START)):
        vertices = np.concatenate([path.vertices for path in with_gid(axes, gid).get_paths()])
        norms = norms_in(axes, vertices)
        of = evaluate(LANDSCAPE, spread(*norms, DIMS))
        values = {"train": of.train_loss, "test": of.test_loss, "init": np.hypot(*norms)}[gid]
        assert len(vertices) > 30
        np.testing.assert_allclose(values, level, rtol=2e-3)


@pytest.mark.parametrize("panel", [0, 1])
def test_the_portrait_has_its_elements(drawn, panel):
    figure, result = drawn
    axes = figure.axes[panel]
    for gid, stage in (("memorized", result.memorized), ("generalized", result.generalized)):
        norms = norms_in(axes, with_gid(axes, gid).get_xydata())
        assert np.hypot(*norms) == pytest.approx(stage.rho2**0.5)
    star = norms_in(axes, with_gid(axes, "rest").get_xydata())
    np.testing.assert_allclose(np.ravel(star), problem().rest)
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 12]
    assert len(lines) == 8
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    low, high = axes.get_ylim()
    assert all(low <= y <= high for line in lines for y in line.get_ydata())


def test_nothing_is_drawn_of_what_there_is_not():
    paths = simulated(at=[5, 9])
    figure = phase_portrait(problem(rest=None, train_loss=1e-9), paths=paths)
    gids = {artist.get_gid() for artist in figure.axes[1].get_children()}
    assert {"init", "test"} <= gids
    assert not {"train", "memorized", "generalized", "rest"} & gids


def test_marks_need_the_states_of_their_steps():
    result = stages()
    at = np.unique(result.memorized.steps).astype(int)
    for paths in (simulated(at=at), simulated(at=range(1, 3), n_paths=2)):
        with pytest.raises(ParameterError) as error:
            phase_portrait(problem(), paths=paths, stages=result)
        assert error.value.field == "paths"


def test_the_sequence_shows_each_point_in_its_stage():
    at = [2, 60, 2000]
    paths = simulated(at=at, n_paths=32)
    figure = escape_sequence(problem(), paths=paths, titles=["a", "b", "c"])
    here = evaluate(LANDSCAPE, paths.theta)
    learned = here.train_loss <= LOSSES["train_loss"]
    both = learned & (here.test_loss <= LOSSES["test_loss"])
    expected = {"not yet memorized": ~learned, "memorized": learned & ~both, "generalized": both}
    rho_m, rho_g = block_norms(paths.theta, DIMS)
    for k, axes in enumerate(figure.axes):
        for gid, who in expected.items():
            points = with_gid(axes, gid).get_xydata()
            np.testing.assert_allclose(points.T, [rho_m[k][who[k]], rho_g[k][who[k]]])
        assert axes.get_title() == f"{'abc'[k]}\n$k$ = {at[k]}"
    assert not learned[0].any()
    assert both[2].all()
    with pytest.raises(ParameterError):
        escape_sequence(problem(), paths=paths, titles=["a"])


def test_figures_are_the_same_bytes_each_time(tmp_path):
    paths = simulated(at=[5, 60, 400])

    def written(name):
        with paper_style():
            figures = [
                phase_portrait(problem(), paths=paths),
                escape_sequence(problem(), paths=paths, titles="abc"),
            ]
            files = [
                f for n, x in enumerate(figures) for f in save_figure(x, tmp_path / f"{name}{n}")
            ]
        return [file.read_bytes() for file in files]

    assert written("first") == written("second")


WRONG = {
    "three blocks": ({"dims": (1, 2, 3)}, "dims"),
    "another dimension": ({"dims": (20, 5)}, "dims"),
    "no losses": ({"landscape": FLAT}, "landscape"),
    "no sphere": ({"rho_start": 0.0}, "rho_start"),
    "no loss": ({"test_loss": 0.0}, "test_loss"),
}


@pytest.mark.parametrize(("changes", "field"), WRONG.values(), ids=WRONG)
def test_wrong_problems_are_refused(changes, field):
    with pytest.raises(ParameterError) as error:
        problem(**changes)
    assert error.value.field == field
