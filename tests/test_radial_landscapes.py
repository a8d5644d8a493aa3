"""The radial rung where θ·∇L and f are functions of ρ: naive paths, limits, and what it stands for."""

import dataclasses
import math

import naive
import numpy as np
import pytest
from numba import njit
from scipy.optimize import brentq
from stats_tools import check_mean, check_z

from sde_grok import (
    FLAT,
    Geometry,
    IsotropicNoise,
    Landscape,
    Optimizer,
    ParameterError,
    simulate_escape,
)
from sde_grok.landscapes import circuits, margin
from sde_grok.results import Status

OUTWARD = {"rho_start": 1.0, "rho_core": 1.02, "direction": "outward"}
MONITORED = pytest.mark.parametrize("monitored", [False, True], ids=["bridge", "monitored"])
PRECISION = pytest.mark.parametrize("precision", ["double", "single"])


@njit
def _nothing(theta, parameters, out):
    out[:] = 0.0


@njit
def _flat(rho2, parameters):
    return 0.0, 1.0


@njit
def _bowl(theta, parameters, out):
    for i in range(theta.size):
        out[i] = parameters[0] * theta[i]


@njit
def _round_bowl(rho2, parameters):
    """θ·∇L = hV, and a noise that grows with ρ."""
    return parameters[0] * rho2, parameters[1] + parameters[2] * math.sqrt(rho2)


@njit
def _cliff(rho2, parameters):
    """Nothing, but what is no force or no f below the ρ² given."""
    if rho2 > parameters[0]:
        return 0.0, 1.0
    if parameters[1] == 0:
        raise ValueError("cliff")
    return (0.0, -1.0) if parameters[1] == 1 else (np.nan, 1.0)


@njit
def _well(rho2, parameters):
    """A force that falls off as 1/ρ: L = c ln ρ."""
    return parameters[0], 0.0


@njit
def _one_number(rho2, parameters):
    return rho2


NO_FORCE = Landscape("no force", _nothing, radial=_flat)
BOWL = Landscape("bowl", _bowl, [0.5, 0.5, 0.4], radial=_round_bowl)


# --- The landscape ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["exponential", "logistic"])
@pytest.mark.parametrize("noise", ["constant", "loss", "residual"])
def test_margin_is_a_function_of_the_radius(form, noise):
    """θ·∇L and f are those of its gradient in d dimensions."""
    landscape = margin(5, 0.7, degree=2.6, scale=3.0, form=form, noise=noise)
    theta = np.random.default_rng(0).normal(size=5)
    S, measured = np.zeros((5, 2, 1)), np.empty((3, 1))
    S[:, 0, 0] = theta
    landscape.in_lanes(S, 1, landscape.parameters, np.empty((2, 5)), measured)
    pull, f = landscape.radial(theta @ theta, landscape.parameters)
    assert pull == pytest.approx(theta @ S[:, 1, 0], rel=1e-12)
    assert f == pytest.approx(measured[0, 0], rel=1e-12)


def test_several_circuits_are_refused(escape):
    two = circuits([1, 2], [1.0, 1.0], [1.0, 1.0])
    with pytest.raises(ParameterError, match="function of ρ") as error:
        escape("radial", landscape=two)
    assert error.value.field == "landscape"


BAD = {
    "not compiled": lambda: Landscape("bad", _nothing, radial=lambda rho2, parameters: (0.0, 1.0)),
    "no gradient": lambda: Landscape("bad", radial=_flat),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_bad_radial_functions_are_refused(make):
    with pytest.raises(ParameterError) as error:
        make()
    assert error.value.field == "radial"


def test_a_function_of_another_form_is_refused(escape):
    with pytest.raises(ParameterError, match="two numbers") as error:
        escape("radial", landscape=Landscape("bad", _nothing, radial=_one_number))
    assert error.value.field == "radial"


# --- The kernel -------------------------------------------------------------------------------


def exponential(a, h, C):
    """(θ·∇L, f) of the margin with f the square root of e^{−z}."""

    def forces(V):
        z = a * V ** (h / 2)
        return -C * math.exp(-z) * h * z, math.exp(-z / 2)

    return forces


def logistic(a, h, C):
    """(θ·∇L, f) of the logistic margin with f its residual."""

    def forces(V):
        z = a * V ** (h / 2)
        r = 1 / (1 + math.exp(z))
        return -C * r * h * z, r

    return forces


def bowl(V):
    return 0.5 * V, 0.5 + 0.4 * math.sqrt(V)


LOSS = margin(3, 0.3, degree=3, scale=0.2, noise="loss")
RESIDUAL = margin(3, 0.4, degree=2, scale=0.5, form="logistic")
COUPLED = {"lam": 0.3, "decay": "coupled"}
CASES = {
    "bowl": (BOWL, bowl, {}),
    "given s": (BOWL, bowl, {"s": 0.8}),
    "coarse": (BOWL, bowl, {"dt": 5.0}),
    "one dimension": (BOWL, bowl, {"geometry": {"dim": 1}}),
    "coupled margin": (LOSS, exponential(0.3, 3, 0.2), {"optimizer": COUPLED | {"eps": 0.1}}),
    "logistic margin": (RESIDUAL, logistic(0.4, 2, 0.5), {"optimizer": {"lam": 1.5, "eps": 0.2}}),
    "outward": (LOSS, exponential(0.3, 3, 0.2), {"geometry": OUTWARD, "optimizer": {"lam": 0.01}}),
    "censored": (BOWL, bowl, {"max_steps": 45, "dt": 1.0}),
    "censored between grid points": (BOWL, bowl, {"max_steps": 47, "dt": 2.3}),
    "large seed": (BOWL, bowl, {"seed": 2**64 - 1}),
}


@MONITORED
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_equals_naive(escape, case, monitored):
    landscape, forces, changes = case
    changes = {"dt": 1.5, "n_paths": 12, "seed": 3, "max_steps": 400} | changes
    result = escape("radial", landscape=landscape, discrete_monitoring=monitored, **changes)
    for path in range(result.n_paths):
        expected = naive.radial_on(
            escape.geometry(**changes.get("geometry", {})),
            escape.optimizer(**changes.get("optimizer", {})),
            2.0,
            forces,
            s=changes.get("s"),
            seed=changes["seed"],
            path=path,
            max_steps=changes["max_steps"],
            dt=changes["dt"],
            bridge=not monitored,
        )
        assert result.status[path] == expected.status
        assert result.steps[path] == pytest.approx(expected.time, rel=1e-9)
        if expected.status == Status.HIT or changes["max_steps"] % changes["dt"] == 0:
            assert result.rho2_end[path] == pytest.approx(expected.rho2, rel=1e-9)
    assert Status.HIT in result.status


WAYS = [
    {"threads": 2},
    {"threads": 2, "chunk": 1},
    {"threads": 2, "chunk": 7, "lanes": 8},
    {"threads": 1, "chunk": 64, "lanes": 16},
    {"threads": 1, "n_paths": 10},
]


@PRECISION
@MONITORED
def test_same_bits_however_it_is_run(escape, precision, monitored):
    settings = {"n_paths": 150, "max_steps": 43, "dt": 0.7, "precision": precision}
    settings |= {"landscape": BOWL, "discrete_monitoring": monitored}
    expected = escape("radial", threads=1, chunk=1000, lanes=64, **settings)
    assert {Status.HIT, Status.CENSORED} == set(expected.status)
    assert len({*zip(expected.steps, expected.rho2_end, strict=True)}) > 75
    for way in WAYS:
        got = escape("radial", **(settings | way))
        for name in ("steps", "status", "rho2_end"):
            first = getattr(expected, name)[: got.n_paths]
            assert np.array_equal(getattr(got, name), first), way


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["raises", "negative f", "nan"])
@MONITORED
def test_a_failing_function_fails_the_path(escape, kind, monitored):
    """The core at 1 is behind the cliff at 1.5: nobody may reach it; who stays above goes on."""
    cliff = Landscape("cliff", _nothing, [1.5**2, kind], radial=_cliff)
    result = escape(
        "radial", landscape=cliff, n_paths=300, max_steps=34, discrete_monitoring=monitored
    )
    assert {Status.CENSORED, Status.FAILED} == set(result.status)
    failed = result.status == Status.FAILED
    assert np.all(np.isnan(result.steps) == failed)
    assert np.all(np.isnan(result.rho2_end) == failed)
    assert np.all(result.rho2_end[~failed] > 1.4**2)  # a step from the cliff at most


@MONITORED
def test_a_flow_that_gets_too_quick_for_the_step_fails_the_path(escape, monitored):
    """V = 4 − 2ct loses a twelfth in the first half step, and more than a tenth of V = 3."""
    well = Landscape("well", _nothing, [33.0], radial=_well)
    slow = escape("radial", landscape=well, s=1.0, discrete_monitoring=monitored, dt=0.2)
    assert np.all(slow.status == Status.HIT)
    quick = escape("radial", landscape=well, s=1.0, discrete_monitoring=monitored, dt=1.0)
    assert np.all(quick.status == Status.FAILED)


def test_other_numbers_need_no_compilation(escape):
    from sde_grok.kernels.radial import local_first_passage  # noqa: PLC0415

    escape("radial", landscape=BOWL, n_paths=1)
    compiled = len(local_first_passage.signatures)
    escape("radial", landscape=dataclasses.replace(BOWL, parameters=[0.1, 1.0, 0.0]), n_paths=1)
    escape("radial", landscape=NO_FORCE, n_paths=1)
    assert len(local_first_passage.signatures) == compiled


# --- Limits -----------------------------------------------------------------------------------


def test_the_default_time_step_changes_rho2_by_a_fiftieth_at_most(escape):
    """By shrinkage and loss at the start: 2η(λ + h)/s a step; one step if that is slower."""
    bowl = Landscape("bowl", _bowl, [0.5, 1.0, 0.0], radial=_round_bowl)
    result = escape("radial", landscape=bowl, s=1.0)
    rate = 2 * result.provenance["optimizer"]["eta"] * (result.provenance["optimizer"]["lam"] + 0.5)
    assert result.dt == pytest.approx(0.02 / rate, rel=1e-12) or result.dt == 1 <= 0.02 / rate
    assert escape("radial", landscape=bowl, s=1000.0, max_steps=3, optimizer={"lam": 0.0}).dt == 1
    assert result.exact_mean_steps is None


FAR = margin(8, 5.0, noise="constant")  # of so large a margin that it is flat


@pytest.mark.parametrize("batch_size", [1000, 30_000, 1_000_000])
def test_the_default_time_step_follows_the_flow(batch_size):
    """Up to γη = 5: the exact law of the flat landscape, within four standard errors and 1e-3."""
    optimizer = Optimizer(eta=0.01, lam=0.5, batch_size=batch_size)
    given = {"system": "radial", "n_paths": 4000, "max_steps": 1000, "seed": 1}
    geometry = Geometry(rho_start=4.0, rho_core=2.0, dim=8)
    noise = IsotropicNoise(1.0)
    found = simulate_escape(optimizer, geometry, noise, FAR, **given)
    exact = simulate_escape(optimizer, geometry, noise, **given).exact_mean_steps
    assert np.all(found.status == Status.HIT)
    assert abs(found.mean.value - exact) < 4 * found.mean.stderr + 1e-3 * exact


def test_a_time_step_too_long_for_the_flow_is_refused():
    optimizer = Optimizer(eta=0.01, lam=0.5, batch_size=30_000)
    geometry = Geometry(rho_start=4.0, rho_core=2.0, dim=8)
    given = {"system": "radial", "n_paths": 4, "max_steps": 1000, "seed": 1, "dt": 1.0}
    with pytest.raises(ParameterError, match=r"^dt = 1"):
        simulate_escape(optimizer, geometry, IsotropicNoise(1.0), FAR, **given)


def test_without_noise_a_bowl_is_more_shrinkage(escape):
    """ρ = ρ₀ e^{−(λ + h/s)t} for θ·∇L = hV: the midpoint rule is exact to (γΔ)² = 1e-4."""
    bowl = Landscape("bowl", _bowl, [0.5, 1.0, 0.0], radial=_round_bowl)
    result = escape("radial", landscape=bowl, noise=IsotropicNoise(0.0), s=1.0)
    np.testing.assert_allclose(result.steps, math.log(2) / 0.015, rtol=1e-4)


FLAT_CASES = {
    "inward": {},
    "outward": {"geometry": OUTWARD | {"rho_core": 1.1}, "optimizer": {"lam": 0.01}},
}
EITHER_WAY = pytest.mark.parametrize("changes", FLAT_CASES.values(), ids=FLAT_CASES)


@EITHER_WAY
def test_without_a_force_the_mean_is_that_of_the_flat_rung(escape, changes):
    changes = {"n_paths": 20_000, "max_steps": 10**5, "threads": 2, "dt": 1.0} | changes
    result = escape("radial", landscape=NO_FORCE, seed=41, **changes)
    flat = escape("radial", seed=42, **changes)
    what = f"radial without a force from {result.rho2_end[0]:g}"
    check_mean(what, result, flat.exact_mean_steps)
    check_mean(f"{what} and flat", result, *flat.mean)


@EITHER_WAY
def test_without_a_force_the_paths_are_those_of_the_flat_rung(escape, changes):
    """On the same normals: half a step is the exact flow up to (γΔ)³/6 = 2e-7."""
    changes = {"n_paths": 100, "max_steps": 10**5, "dt": 1.0, "seed": 5} | changes
    result, flat = (escape("radial", landscape=x, **changes) for x in (NO_FORCE, FLAT))
    np.testing.assert_allclose(result.steps, flat.steps, rtol=1e-4)
    assert not np.array_equal(result.steps, flat.steps)


# --- What it stands for -----------------------------------------------------------------------

DIM = 64
MARGINS = {
    "constant noise": (margin(DIM, 9.0**-3, scale=2.0, noise="constant"), 1e-8),
    "noise of the loss": (margin(DIM, 12.0**-4, degree=4, noise="loss"), 0.25),
}
_constant = MARGINS["constant noise"][0].radial
ALLOWANCE = 2e-3  # P is √(h² + f²σ²/b) + ε, not fσ/√b + ε; |h| is 8 % of fσ a coordinate at most


def rest(landscape, optimizer):
    """Squared radius at which the mean of dV is 0, where σ = b = 1."""

    def drift(V):
        pull, f = landscape.radial(V, landscape.parameters)
        s = f + optimizer.eps
        return DIM * optimizer.eta * (f / s) ** 2 - 2 * (optimizer.lam * V + pull) / s

    return brentq(drift, 80, 300)


def on_a_margin(system, landscape, eps, *, to, seed, max_steps):
    """4000 paths from 1.3 times the radius of rest to `to` times it, and that radius squared."""
    optimizer = Optimizer(eta=0.05, batch_size=1, lam=0.02, decay="coupled", eps=eps)
    V = rest(landscape, optimizer)
    result = simulate_escape(
        optimizer,
        Geometry(rho_start=1.3 * math.sqrt(V), rho_core=to * math.sqrt(V), dim=DIM),
        IsotropicNoise(1.0),
        landscape,
        system=system,
        n_paths=4000,
        seed=seed,
        max_steps=max_steps,
        threads=2,
        discrete_monitoring=True,
    )
    return result, V


MARGIN = pytest.mark.parametrize(("landscape", "eps"), MARGINS.values(), ids=MARGINS)


@MARGIN
def test_mean_passage_time_on_a_margin_is_that_of_the_reduced_rung(landscape, eps):
    (radial, _), (reduced, _) = (
        on_a_margin(system, landscape, eps, to=1.05, seed=seed, max_steps=100_000)
        for system, seed in (("radial", 51), ("reduced", 52))
    )
    assert reduced.hit_fraction == 1
    value, stderr = reduced.mean
    what = f"margin with eps = {eps}, radial and reduced"
    check_mean(what, radial, value, math.hypot(stderr, ALLOWANCE * value))


@njit
def _louder(rho2, parameters):
    return _constant(rho2, parameters)[0], 1.1


def test_noise_that_is_ten_percent_too_large_is_told_apart():
    landscape, eps = MARGINS["constant noise"]
    wrong = dataclasses.replace(landscape, radial=_louder)
    means = [
        on_a_margin(system, given, eps, to=1.05, seed=seed, max_steps=100_000)[0].mean
        for system, given, seed in (("radial", wrong, 51), ("reduced", landscape, 52))
    ]
    (value, stderr), (expected, error) = means
    assert abs(value - expected) > 6 * math.hypot(stderr, error, ALLOWANCE * expected)


@MARGIN
def test_mean_square_norm_on_a_margin_is_that_of_the_reduced_rung(landscape, eps):
    means = []
    for system, seed in (("radial", 53), ("reduced", 54)):
        end, V = on_a_margin(system, landscape, eps, to=0.1, seed=seed, max_steps=600)
        assert end.censored_fraction == 1
        means.append((end.rho2_end.mean(), end.rho2_end.std(ddof=1) / math.sqrt(end.n_paths)))
    (value, stderr), (expected, error) = means
    what = f"ρ² on a margin with eps = {eps}"
    check_z(what, value, stderr, expected, math.hypot(error, ALLOWANCE * expected))
    assert value < 1.3**2 * V - 20 * stderr  # it has left the start
