"""Both stopping times of a path: against the naive path, and what censoring does to them."""

import math

import naive
import numpy as np
import pytest
from numba import njit

from sde_grok import (
    DiagonalNoise,
    Geometry,
    IsotropicNoise,
    Landscape,
    Optimizer,
    ParameterError,
    simulate_escape,
)
from sde_grok.escape_times import Status
from sde_grok.grokking import simulate_grokking
from sde_grok.landscapes import FLAT, circuits, loss_at_margin, margin, quadratic

SYSTEMS = ["discrete", "joint", "reduced"]
DIMS, TRAIN, TEST = (3, 4), (1.0, 3.0), (-2.0, 3.0)
SIGMAS = np.array([0.5, 1.0, 2.0, 1.0, 0.5, 1.0, 3.0])
KINDS = ["residual", "loss", "constant"]
FORMS = ["logistic", "exponential"]
OPTIMIZER = {"eta": 0.01, "batch_size": 16, "lam": 0.05}


def formulas(form, noise, degree=2.5, scale=1.5):
    """Gradient and measure of the circuits as they are written down."""

    def parts(theta):
        squares = np.array([x @ x for x in np.split(theta, np.cumsum(DIMS)[:-1])])
        z, seen = (np.array(a) @ squares ** (degree / 2) for a in (TRAIN, TEST))
        loss, unseen = (
            np.log1p(np.exp(-x)) if form == "logistic" else np.exp(-x) for x in (z, seen)
        )
        residual = 1 / (1 + np.exp(z)) if form == "logistic" else np.exp(-z)
        return squares, loss, unseen, residual

    def gradient(theta):
        squares, _, _, residual = parts(theta)
        force = -scale * residual * degree * np.array(TRAIN) * squares ** (degree / 2 - 1)
        return np.repeat(force, DIMS) * theta

    def measure(theta):
        _, loss, unseen, residual = parts(theta)
        f = {"residual": residual, "loss": math.sqrt(loss), "constant": 1.0}[noise]
        return f, scale * loss, scale * unseen

    landscape = circuits(DIMS, TRAIN, TEST, degree=degree, scale=scale, form=form, noise=noise)
    return landscape, gradient, measure


def simulate(system, landscape, noise=None, optimizer=None, **settings):
    standard = {"rho_start": 0.5, "dim": 7, "train_loss": 0.3, "test_loss": 0.2}
    standard |= {"n_paths": 12, "max_steps": 2000, "seed": 3, "threads": 1}
    return simulate_grokking(
        Optimizer(**OPTIMIZER | (optimizer or {})),
        noise or DiagonalNoise(SIGMAS),
        landscape,
        system=system,
        **standard | settings,
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("noise", KINDS)
@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_equals_naive(system, decay, noise, form):
    compare(system, decay, noise, form, rho_start=0.5)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_pinned_norm_equals_naive(system):
    found = compare(system, "coupled", "residual", "logistic", rho_start=0.9, pinned=True)
    np.testing.assert_array_equal(found.peak.steps, found.memorized.steps)
    assert (found.memorized.steps > 0).any()


RADII = {  # from inside and outside of the shell; a core within the start, and around it
    "shell from inside": {"rho_start": 0.5, "train_loss": None, "rho_shell": 0.7},
    "shell from outside": {"rho_start": 1.4, "train_loss": None, "rho_shell": 1.38},
    "core": {"rho_start": 0.5, "test_loss": None, "rho_core": 0.9},
    "both": {
        "rho_start": 1.4,
        "train_loss": None,
        "rho_shell": 1.39,
        "test_loss": None,
        "rho_core": 1.35,
    },
}


@pytest.mark.parametrize("settings", RADII.values(), ids=RADII)
@pytest.mark.parametrize("system", SYSTEMS)
def test_radii_in_place_of_losses_equal_naive(system, settings):
    found = compare(system, "coupled", "residual", "logistic", **settings)
    assert (found.memorized.steps > 0).any()
    if "rho_core" in settings:
        assert (found.generalized.steps >= found.memorized.steps).any()
        assert np.all(found.generalized.rho2[np.isfinite(found.generalized.rho2)] <= 1.35**2)


@pytest.mark.parametrize("system", SYSTEMS)
def test_radii_need_no_losses(system):
    """On the flat landscape a path passes a shell, then a core, as an escape does."""
    given = {"train_loss": None, "test_loss": None, "rho_shell": 1.9, "rho_core": 1.5}
    found = simulate(system, FLAT, rho_start=2.0, max_steps=5000, **given)
    assert np.all(found.status == Status.HIT)
    escaped = simulate_escape(
        Optimizer(**OPTIMIZER),
        Geometry(rho_start=2.0, rho_core=1.5, dim=7),
        DiagonalNoise(SIGMAS),
        system=system,
        n_paths=12,
        max_steps=5000,
        seed=3,
        dt=1.0,
    )
    np.testing.assert_array_equal(found.generalized.steps, escaped.steps)
    assert np.all(found.memorized.rho2 <= 1.9**2)


@pytest.mark.parametrize("form", FORMS)
def test_thresholds_on_the_margin_are_those_on_its_loss(form):
    found = simulate(
        "joint",
        margin(7, 2.0, form=form, scale=1.5),
        train_loss=loss_at_margin(1.0, scale=1.5, form=form),
        test_loss=loss_at_margin(2.0, scale=1.5, form=form),
    )
    z = [2.0 * stage.rho2**1.5 for stage in (found.memorized, found.generalized)]
    assert np.all(z[0] >= 1.0)
    assert np.all(z[1] >= 2.0)
    assert np.all(z[0] < 1.2)


def compare(system, decay, noise, form, **settings):
    """Run both and compare path by path; return the result."""
    landscape, gradient, measure = formulas(form, noise)
    found = simulate(system, landscape, optimizer={"decay": decay}, max_steps=400, **settings)
    for path in range(0, 12, 3):
        expected = naive.stages(
            system,
            Optimizer(**OPTIMIZER | {"decay": decay}),
            settings["rho_start"],
            np.diag(SIGMAS),
            gradient,
            measure,
            (settings.get("train_loss", 0.3), settings.get("test_loss", 0.2)),
            radii=(settings.get("rho_shell"), settings.get("rho_core")),
            seed=3,
            path=path,
            max_steps=400,
            pinned=settings.get("pinned", False),
        )
        for name in ("memorized", "peak", "generalized"):
            stage = getattr(found, name)
            steps, rho2, root_v = expected.get(name, (math.nan,) * 3)
            assert stage.steps[path] == pytest.approx(steps, nan_ok=True)
            assert stage.rho2[path] == pytest.approx(rho2, rel=1e-9, nan_ok=True)
            if system != "reduced":
                assert stage.root_v[path] == pytest.approx(root_v, rel=1e-9, nan_ok=True)
        both = {"memorized", "generalized"} <= set(expected)
        assert found.status[path] == (Status.HIT if both else Status.CENSORED)
    assert np.isfinite(found.memorized.steps).any()
    return found


def test_all_orders_of_the_stages_occur():
    """Or the comparison above would be of little."""
    landscape, *_ = formulas("logistic", "residual")
    found = simulate("joint", landscape)
    assert (found.generalized.steps > found.memorized.steps).any()
    assert (found.peak.steps > found.memorized.steps).any()
    assert (found.status == Status.HIT).any()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_users_functions_do_the_same(system):
    @njit
    def squares(theta):
        a = b = 0.0
        for i in range(theta.size):
            if i < 3:
                a += theta[i] ** 2
            else:
                b += theta[i] ** 2
        return a, b

    @njit
    def gradient(theta, parameters, out):
        a, b = squares(theta)
        r = 1 / (1 + math.exp(parameters[0] * a**1.5 + parameters[1] * b**1.5))
        for i in range(theta.size):
            rate, square = (parameters[0], a) if i < 3 else (parameters[1], b)
            out[i] = -r * 3 * rate * square**0.5 * theta[i]

    @njit
    def measure(theta, parameters, out):
        a, b = squares(theta)
        z = parameters[0] * a**1.5 + parameters[1] * b**1.5
        out[0] = 1 / (1 + math.exp(z))
        out[1] = math.log1p(math.exp(-z))
        out[2] = math.log1p(math.exp(-(parameters[2] * a**1.5 + parameters[3] * b**1.5)))

    own = Landscape("own", gradient, [*TRAIN, *TEST], measure=measure)
    one, other = simulate(system, own), simulate(system, circuits(DIMS, TRAIN, TEST))
    for name in ("memorized", "peak", "generalized"):
        np.testing.assert_array_equal(getattr(one, name).steps, getattr(other, name).steps)
        np.testing.assert_allclose(getattr(one, name).rho2, getattr(other, name).rho2, rtol=1e-9)


@pytest.mark.parametrize("landscape", [circuits(DIMS, TRAIN, TEST), margin(7, 2.0)])
def test_paths_do_not_hang_on_threads_and_number(landscape):
    one = simulate("joint", landscape, n_paths=100)
    two = simulate("joint", landscape, n_paths=300, threads=2)
    for name in ("memorized", "peak", "generalized"):
        for a, b in zip(
            vars(getattr(one, name)).values(), vars(getattr(two, name)).values(), strict=True
        ):
            np.testing.assert_array_equal(a, b[:100])


def test_times_are_censored_where_a_path_ended():
    landscape, *_ = formulas("logistic", "residual")
    found = simulate("joint", landscape, max_steps=40, n_paths=200)
    grok = found.times(found.generalized)
    missing = ~np.isfinite(found.generalized.steps)
    assert 0 < missing.sum() < 200
    assert np.all(grok.status[missing] == Status.CENSORED)
    assert np.all(grok.steps[missing] == 40)
    memorized = np.isfinite(found.memorized.steps)
    assert found.delay.n_paths == memorized.sum()
    np.testing.assert_array_equal(
        found.delay.steps, (grok.steps - found.memorized.steps)[memorized]
    )


def test_a_path_at_rest_at_once_takes_no_step():
    found = simulate("joint", margin(7, 2.0), rho_start=4.0)
    assert np.all(found.memorized.steps == 0)
    assert np.all(found.generalized.steps == 0)
    assert np.all(found.status == Status.HIT)
    assert found.path_steps == 0


def test_what_diverges_fails():
    landscape = quadratic(np.full(7, 1.0), test_centre=3.0)
    found = simulate("joint", landscape, optimizer={"eta": 1e300, "eps": 1.0}, max_steps=50)
    assert np.all(found.status == Status.FAILED)
    assert found.times(found.generalized).failed_fraction == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"landscape": Landscape("flat")}, "landscape"),
        ({"system": "radial"}, "system"),
        ({"rho_start": 0.0}, "rho_start"),
        ({"train_loss": math.nan}, "train_loss"),
        ({"test_loss": -1.0}, "test_loss"),
        ({"train_loss": None}, "train_loss"),
        ({"rho_shell": 1.0}, "train_loss"),
        ({"test_loss": None}, "test_loss"),
        ({"test_loss": None, "rho_core": 0.0}, "rho_core"),
        ({"test_loss": None, "rho_core": 1.0, "pinned": True}, "pinned"),
        ({"dim": 0}, "dim"),
        ({"dim": 8, "noise": IsotropicNoise(1.0)}, "dim"),
    ],
)
def test_bad_input_is_refused(changes, field):
    given = {"system": "joint", "landscape": margin(7, 2.0)} | changes
    with pytest.raises(ParameterError) as error:
        simulate(given.pop("system"), given.pop("landscape"), **given)
    assert error.value.field == field
