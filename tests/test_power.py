"""Planted errors are rejected by the checks that the right code passes."""

import numpy as np
import pytest
from scipy.stats import chi2
from stats_tools import check_mean, check_p

from sde_grok import Geometry, IsotropicNoise, Optimizer, escape, simulate_escape
from sde_grok import paths as package_paths
from sde_grok.rungs.radial import splitting

pytestmark = pytest.mark.statistical

rejected = pytest.raises(AssertionError, match=r"z = |p = ")


def radial(*, n_paths=100_000, seed=61, **settings):
    """Ten dimensions, from four times the floor to one and a half, γ = q² = 1."""
    return simulate_escape(
        Optimizer(eta=1.0, batch_size=1, lam=1.0, eps=0.0, decay="decoupled"),
        Geometry(rho_start=20**0.5, rho_core=7.5**0.5, dim=10),
        IsotropicNoise(1.0),
        system="radial",
        n_paths=n_paths,
        max_steps=1000,
        seed=seed,
        **settings,
    )


def check_radial(**settings):
    result = radial(**settings)
    check_mean("radial rung, planted or not", result, result.exact_mean_steps)


def test_right_code_passes():
    check_radial()


WRONG = {
    "γ 3 % too large": lambda dt, *, dim, gamma, q2: splitting(
        dt, dim=dim, gamma=1.03 * gamma, q2=q2
    ),
    "q² 3 % too small": lambda dt, *, dim, gamma, q2: splitting(
        dt, dim=dim, gamma=gamma, q2=0.97 * q2
    ),
    "(d − 2) in place of (d − 1)": lambda dt, *, dim, gamma, q2: splitting(
        dt, dim=dim - 1, gamma=gamma, q2=q2
    ),
    "Itô's correction forgotten": lambda dt, *, dim, gamma, q2: splitting(
        dt, dim=1, gamma=gamma, q2=q2
    ),
    "noise of half a step": lambda dt, *, dim, gamma, q2: splitting(
        dt, dim=dim, gamma=gamma, q2=q2
    )._replace(noise=(q2 * dt / 2) ** 0.5),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_splitting(wrong, monkeypatch):
    monkeypatch.setattr(package_paths, "splitting", wrong)
    with rejected:
        check_radial()


def test_bridge_switched_off():
    with rejected:
        check_radial(discrete_monitoring=True, dt=0.005)


def test_crossings_given_to_the_end_of_the_step(monkeypatch):
    """A bridge that finds crossings but does not say when."""

    def late(problem, numerics):
        run = right(problem, numerics)

        def rounded_up(first, outcome, control):
            run(first, outcome, control)
            outcome.time[:] = np.ceil(outcome.time)

        return rounded_up

    right = package_paths.path_kernel
    check_radial(dt=0.02)
    monkeypatch.setattr(escape, "path_kernel", late)
    with rejected:
        check_radial(dt=0.02)


def check_scatter():
    """Means of forty runs with other seeds scatter as their own standard errors say."""
    results = [radial(n_paths=2000, seed=seed, chunk=100) for seed in range(40)]
    z = [(r.mean.value - r.exact_mean_steps) / r.mean.stderr for r in results]
    square = 39 * np.var(z, ddof=1)
    check_p("scatter of means", 2 * min(chi2.sf(square, 39), chi2.cdf(square, 39)))


def plant_numbering(monkeypatch, numbered):
    """Let kernels see another number of the first path of their chunk."""
    right = package_paths.path_kernel

    def wrong(problem, numerics):
        run = right(problem, numerics)
        return lambda first, outcome, control: run(numbered(first), outcome, control)

    monkeypatch.setattr(escape, "path_kernel", wrong)


def test_paths_are_independent():
    check_scatter()


def test_chunks_that_repeat_each_other(monkeypatch):
    plant_numbering(monkeypatch, lambda first: 0)
    with rejected:
        check_scatter()


def test_chunks_that_overlap(monkeypatch):
    plant_numbering(monkeypatch, lambda first: first // 4)
    with rejected:
        check_scatter()


def test_seed_that_is_ignored(monkeypatch):
    key = package_paths._key
    monkeypatch.setattr(package_paths, "_key", lambda seed: key(7))
    with rejected:
        check_scatter()


@pytest.mark.parametrize(("system", "mean"), [("reduced", (1722, 4)), ("joint", (1633, 3))])
def test_one_rung_is_not_taken_for_another(system, mean):
    """The row b = 2500 of the checked example, with the means of the two rungs exchanged."""
    result = simulate_escape(
        Optimizer(eta=1e-3, batch_size=2500, lam=0.01),
        Geometry(rho_start=128**0.5, rho_core=32**0.5, dim=128),
        IsotropicNoise(1.0),
        system=system,
        n_paths=128,
        max_steps=20_000,
        seed=62,
    )
    with rejected:
        check_mean(system, result, *mean)
