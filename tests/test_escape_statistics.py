"""Simulated escape times against exact laws, the checked example, and single precision."""

import math

import naive
import numpy as np
import pytest
from stats_tools import Z, check_mean, check_z

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.laws.monitoring import monitored_core
from sde_grok.laws.passage import laplace_transform, mean_passage_time

pytestmark = [
    pytest.mark.statistical,
    pytest.mark.filterwarnings("ignore::sde_grok.escape.LongEscapeWarning"),
]

N = 100_000


# --- The radial rung --------------------------------------------------------------------------

# Dimension, and V₀ and V* in units of the floor d q²/2γ.
PASSAGES = [
    *[(d, 4.0, 1.5) for d in (1, 2, 3, 10, 100, 1000)],  # inward, above the floor
    *[(d, 1.5, 1.0) for d in (1, 2, 3, 10, 100, 1000)],  # to the floor
    *[(d, 1.0, 0.3) for d in (1, 2, 3, 10)],  # below it
    *[(d, 0.2, 0.8) for d in (1, 2, 3, 10, 100, 1000)],  # outward
    *[(d, 0.8, 2.0) for d in (1, 2, 3, 10)],  # outward, beyond the floor
]
GAMMA = 1.3


def radial(d, start, core, *, seed=31, n_paths=N, **settings):
    """The radial rung with γ = 1.3 and q² = 1 in time units of a step, and its V₀ and V*."""
    V0, V1 = (x * d / (2 * GAMMA) for x in (start, core))
    result = simulate_escape(
        Optimizer(eta=1.0, batch_size=1, lam=GAMMA, eps=0.0, decay="decoupled"),
        Geometry(
            rho_start=math.sqrt(V0),
            rho_core=math.sqrt(V1),
            dim=d,
            direction="inward" if V0 > V1 else "outward",
        ),
        IsotropicNoise(1.0),
        system="radial",
        n_paths=n_paths,
        max_steps=10**6,
        seed=seed,
        **settings,
    )
    return result, (V0, V1), {"dim": d, "gamma": GAMMA, "q2": 1.0}


@pytest.mark.parametrize(("d", "start", "core"), PASSAGES)
def test_mean_of_the_radial_rung(d, start, core):
    result, V, law = radial(d, start, core)
    assert result.exact_mean_steps == pytest.approx(mean_passage_time(*V, **law))
    check_mean(f"radial d={d} {start}→{core}", result, result.exact_mean_steps)


@pytest.mark.parametrize("d", [10**4, 10**6])
@pytest.mark.parametrize("p", [0.9, 0.1])
def test_chance_to_reach_a_core_next_to_the_shell(d, p):
    """Without shrinkage the radius drifts away and reaches the core at once or never."""
    core = p ** (1 / (d / 2 - 1))
    result = simulate_escape(
        Optimizer(eta=1e-3, batch_size=1, lam=0.0, eps=0.0),
        Geometry(rho_start=1.0, rho_core=math.sqrt(core), dim=d),
        IsotropicNoise(1.0),
        system="radial",
        n_paths=20_000,
        max_steps=1000,
        seed=36,
    )
    expected = laplace_transform(0.0, 1.0, core, dim=d, gamma=0.0, q2=1e-3)
    assert expected == pytest.approx(p, rel=1e-6)
    stderr = math.sqrt(p * (1 - p) / result.n_paths)
    check_z(f"P(hit), d={d}, p={p}", result.hit_fraction, stderr, expected)


@pytest.mark.parametrize("max_steps", [920, 1124])
def test_chance_to_reach_a_core_far_below_the_floor_from_next_to_it(max_steps):
    """At once or, for any purpose, never; the mean time is beyond measure, whatever max_steps."""
    law = {"dim": 10, "gamma": 1.0, "q2": 1.0}
    result = simulate_escape(
        Optimizer(eta=0.01, batch_size=1, lam=1.0, eps=0.0, decay="decoupled"),
        Geometry(rho_start=1.1 * 0.02**0.5, rho_core=0.02**0.5, dim=10),
        IsotropicNoise(1.0),
        system="radial",
        n_paths=4000,
        max_steps=max_steps,
        seed=37,
        s=0.1,
    )
    expected = laplace_transform(0.1, 1.21 * 0.02, 0.02, **law)
    stderr = math.sqrt(expected * (1 - expected) / result.n_paths)
    check_z("P(hit) next to a core below the floor", result.hit_fraction, stderr, expected)


@pytest.mark.parametrize(
    ("d", "start", "core"), [(3, 4, 1.5), (100, 1.5, 1), (2, 1, 0.3), (10, 0.2, 0.8)]
)
def test_laplace_transform_of_the_radial_rung(d, start, core):
    result, V, law = radial(d, start, core, seed=32)
    for alpha in (0.2, 2.0, 10.0):
        e = np.exp(-alpha * result.steps)
        expected = laplace_transform(alpha, *V, **law)
        check_z(f"E exp(−{alpha}T), d={d} {start}→{core}", e.mean(), e.std() / N**0.5, expected)


@pytest.mark.parametrize(("d", "start", "core"), [(10, 4, 1.5), (10, 0.2, 0.8)])
def test_mean_of_the_monitored_radial_rung(d, start, core):
    """The continuous law with its barrier moved away, and not without."""
    dt = 0.002
    result, V, law = radial(d, start, core, seed=33, dt=dt, discrete_monitoring=True)
    shifted = monitored_core(math.sqrt(V[1]), q=1.0, dt=dt, inward=start > core) ** 2
    check_mean(f"monitored, d={d} {start}→{core}", result, mean_passage_time(V[0], shifted, **law))
    mean = result.mean
    assert (mean.value - mean_passage_time(*V, **law)) / mean.stderr > Z


@pytest.mark.parametrize(
    ("d", "start", "core"), [(1, 1.5, 1.0), (10, 1, 0.3), (1000, 4, 1.5), (3, 0.2, 0.8)]
)
def test_mean_in_single_precision(d, start, core):
    result, *_ = radial(d, start, core, seed=34, precision="single")
    check_mean(f"single, d={d} {start}→{core}", result, result.exact_mean_steps)


def test_reduced_rung_is_an_ornstein_uhlenbeck_process():
    """Decoupled and flat, θ is one, seen every η: exact but for the overshoot, 1.5 % here."""
    eta, lam, d, V = 1e-3, 1.0, 16, (0.04, 0.012)
    result = simulate_escape(
        Optimizer(eta=eta, batch_size=4, lam=lam, eps=0.0, decay="decoupled"),
        Geometry(rho_start=V[0] ** 0.5, rho_core=V[1] ** 0.5, dim=d),
        IsotropicNoise(2.0),
        system="reduced",
        n_paths=20_000,
        max_steps=20_000,
        seed=35,
    )
    # The process of which Euler's chain, θ ← (1 − λη)θ + η z, is a sample at times kη.
    gamma = -math.log1p(-lam * eta) / eta
    q2 = 2 * gamma * eta**2 / (1 - (1 - lam * eta) ** 2)
    core = monitored_core(V[1] ** 0.5, q=q2**0.5, dt=eta, inward=True) ** 2
    expected = mean_passage_time(V[0], core, dim=d, gamma=gamma, q2=q2) / eta
    check_mean("reduced, decoupled", result, expected)
    continuous = mean_passage_time(*V, dim=d, gamma=gamma, q2=q2) / eta
    assert (result.mean.value - continuous) / result.mean.stderr > Z


# --- The checked example ----------------------------------------------------------------------

# d = 128, σ = 1, η = 10⁻³, β = (.9, .999), ε = 10⁻⁸, ρ² from 128 to 32: mean steps ± standard
# error of 128 paths of an independent simulation.
EXAMPLE = {
    ("coupled", 0.01, 100): {"discrete": (7049, 10), "joint": (7041, 10), "reduced": (7040, 10)},
    ("coupled", 0.01, 2500): {"discrete": (1723, 3), "joint": (1722, 4), "reduced": (1633, 3)},
    ("coupled", 0.01, 10_000): {"discrete": (1222, 4), "joint": (1221, 4), "reduced": (1080, 3)},
    ("coupled", 0.01, 400_000): {"discrete": (985, 4), "joint": (985, 4), "reduced": (773, 3)},
    ("decoupled", 0.1, 100): {"discrete": (6978, 10), "joint": (6983, 11), "reduced": (6977, 10)},
    ("decoupled", 0.1, 10_000): {
        "discrete": (6978, 10),
        "joint": (6983, 11),
        "reduced": (6977, 10),
    },
}
# The decoupled rows are one and the same but for ε: the second is run in single precision.
SINGLE = {("decoupled", 0.1, 10_000)}


@pytest.mark.slow
@pytest.mark.parametrize("system", ["discrete", "joint", "reduced"])
@pytest.mark.parametrize("row", EXAMPLE, ids=lambda row: "-".join(map(str, row)))
def test_checked_example(row, system):
    decay, lam, batch_size = row
    result = simulate_escape(
        Optimizer(eta=1e-3, batch_size=batch_size, lam=lam, decay=decay),
        Geometry(rho_start=math.sqrt(128), rho_core=math.sqrt(32), dim=128),
        IsotropicNoise(1.0),
        system=system,
        n_paths=512,
        max_steps=20_000,
        seed=36,
        precision="single" if row in SINGLE else "double",
    )
    check_mean(f"{system}, {row}", result, *EXAMPLE[row][system])


# --- Single precision -------------------------------------------------------------------------

LONG = {"n_paths": 6, "max_steps": 500, "precision": "single"}


@pytest.mark.parametrize("system", ["discrete", "joint", "reduced"])
def test_rounding_of_single_precision(escape, system):
    """The same normals with all else in double precision: ρ² within 2·10⁻⁵ after 300 steps."""
    result = escape(system, optimizer={"lam": 0.25}, **LONG)
    for path in range(result.n_paths):
        twin = naive.walk(
            system,
            escape.optimizer(lam=0.25),
            escape.geometry(),
            2 * np.eye(3),
            seed=1,
            path=path,
            max_steps=500,
            single=True,
        )
        assert (result.status[path], result.steps[path]) == (twin.status, twin.time)
        assert result.rho2_end[path] == pytest.approx(twin.rho2, rel=2e-5)


def test_rounding_of_single_precision_on_the_radial_rung(escape):
    """Times within 10⁻⁴ of their own size."""
    result = escape("radial", optimizer={"lam": 0.25}, dt=1.0, **LONG)
    gamma, q2 = 0.25, 0.01 / (1 + 1e-8) ** 2
    for path in range(result.n_paths):
        twin = naive.radial(
            escape.geometry(),
            gamma=gamma,
            q2=q2,
            eta=0.01,
            seed=1,
            path=path,
            max_steps=500,
            dt=1.0,
            bridge=True,
            single=True,
        )
        assert result.status[path] == twin.status
        assert result.steps[path] == pytest.approx(twin.time, rel=1e-4)
