"""The radial rung: its kernel against the naive path, its splitting against the exact moments."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sde_grok import IsotropicNoise, LongEscapeWarning
from sde_grok.results import Status
from sde_grok.rungs.radial import splitting

OUTWARD = {"rho_start": 1.0, "rho_core": 1.02, "direction": "outward"}
CASES = {
    "inward": {},
    "below the floor": {"geometry": {"dim": 2, "rho_start": 0.1, "rho_core": 0.03}},
    "coarse": {"dt": 20.0},
    "core smaller than a step": {"geometry": {"dim": 1, "rho_start": 0.1, "rho_core": 0.001}},
    "one dimension": {"geometry": {"dim": 1}},
    "outward": {"geometry": OUTWARD, "optimizer": {"lam": 0.001}},
    "outward from 0": {
        "geometry": OUTWARD | {"rho_start": 0.0, "rho_core": 0.2},
        "optimizer": {"lam": 0.001},
    },
    "coupled": {"optimizer": {"decay": "coupled"}, "s": 0.8},
    "censored between grid points": {"max_steps": 71, "dt": 4.3},
    "large seed": {"seed": 2**64 - 1},
}


MONITORED = pytest.mark.parametrize("monitored", [False, True], ids=["bridge", "monitored"])


@MONITORED
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_equals_naive(escape, case, monitored):
    case = {"dt": 1.5, "n_paths": 12, "seed": 3, "max_steps": 400} | case
    result = escape("radial", discrete_monitoring=monitored, **case)
    optimizer = escape.optimizer(**case.get("optimizer", {}))
    s = case.get("s", 1 + optimizer.eps)  # σ/√b + ε, with σ = 2 and b = 4
    for path in range(result.n_paths):
        expected = naive.radial(
            escape.geometry(**case.get("geometry", {})),
            gamma=optimizer.coupled / s + optimizer.decoupled,
            q2=optimizer.eta / s**2,
            eta=optimizer.eta,
            seed=case["seed"],
            path=path,
            max_steps=case["max_steps"],
            dt=case["dt"],
            bridge=not monitored,
        )
        assert result.status[path] == expected.status
        assert result.steps[path] == pytest.approx(expected.time, rel=1e-9)
        if expected.status == Status.HIT:
            assert result.rho2_end[path] == pytest.approx(expected.rho2, rel=1e-9)
    assert Status.HIT in result.status


step = st.floats(1e-6, 5)


@given(st.floats(0, 100), st.integers(1, 10_000), step, step, step)
def test_splitting_has_the_exact_mean(V, dim, gamma, q2, dt):
    """E V → V e^{−2γΔt} + d q² (1 − e^{−2γΔt})/2γ."""
    split = splitting(dt, dim=dim, gamma=gamma, q2=q2)
    after = split.shrink * (split.shrink * V + split.grow + split.noise**2) + split.grow
    kept = math.exp(-2 * gamma * dt)
    assert after == pytest.approx(V * kept + dim * q2 * -math.expm1(-2 * gamma * dt) / (2 * gamma))


@given(step, step, step)
def test_splitting_has_the_exact_law_in_one_dimension(gamma, q2, dt):
    """An Ornstein–Uhlenbeck process: factor e^{−γΔt}, variance q² (1 − e^{−2γΔt})/2γ."""
    split = splitting(dt, dim=1, gamma=gamma, q2=q2)
    assert split.grow == 0
    assert split.shrink == pytest.approx(math.exp(-gamma * dt))
    variance = split.shrink * split.noise**2
    assert variance == pytest.approx(q2 * -math.expm1(-2 * gamma * dt) / (2 * gamma))


@given(st.integers(1, 1000), step, step)
def test_splitting_without_contraction_is_a_limit(dim, q2, dt):
    limit = splitting(dt, dim=dim, gamma=0.0, q2=q2)
    assert limit == pytest.approx(splitting(dt, dim=dim, gamma=1e-9, q2=q2), rel=1e-6)
    assert limit == pytest.approx((1, (dim - 1) * q2 * dt / 2, math.sqrt(q2 * dt)))


@MONITORED
def test_without_noise(escape, monitored):
    """ρ = ρ₀ e^{−γt} reaches the core at a known time."""
    result = escape(
        "radial", noise=IsotropicNoise(0.0), s=1.0, dt=0.5, discrete_monitoring=monitored
    )
    assert np.all(result.status == Status.HIT)
    late = result.steps - 100 * math.log(2)
    # Between grid points the path is taken for a straight line: late by (γΔ)²/8 of a step at most.
    assert np.all((late >= -1e-9) & (late < (0.5 if monitored else 1e-5)))


def test_end_of_censored_paths(escape):
    """Where they are at max_steps, if that is a whole number of time steps."""
    result = escape("radial", dt=1.0, max_steps=71, n_paths=12)
    for path in np.flatnonzero(result.status == Status.CENSORED):
        expected = naive.radial(
            escape.geometry(),
            gamma=1.0,
            q2=0.01 / (1 + 1e-8) ** 2,
            eta=0.01,
            seed=1,
            path=int(path),
            max_steps=71,
            dt=1.0,
            bridge=True,
        )
        assert result.rho2_end[path] == pytest.approx(expected.rho2, rel=1e-9)
    assert 0 < result.censored_fraction < 1


def test_without_noise_outward(escape):
    with pytest.warns(LongEscapeWarning, match="infinitely many"):
        result = escape("radial", noise=IsotropicNoise(0.0), s=1.0, geometry=escape.outward)
    assert np.all(result.status == Status.CENSORED)


def test_without_motion(escape):
    with pytest.warns(LongEscapeWarning, match="infinitely many"):
        result = escape("radial", optimizer={"lam": 0}, noise=IsotropicNoise(0.0), s=1.0)
    assert np.all(result.status == Status.CENSORED)
    assert np.all(result.rho2_end == 4)
