"""The SDE rungs against sdeint: the same paths on the same noise, the same law on its own."""

import math

import naive
import numpy as np
import pytest
import sdeint
from stats_tools import check_z

from sde_grok import DiagonalNoise
from sde_grok.results import Status

DIM, SIGMAS = 3, np.array([1.0, 2.0, 3.0])
STEPS = 60


def reduced(o, sigmas):
    """Drift and diffusion of θ as sdeint wants them, written from the theory; b = 1 in sigmas."""

    def P(theta):
        return np.sqrt((o.coupled * theta) ** 2 + sigmas**2) + o.eps

    def f(theta, t):
        return -o.coupled * theta / P(theta) - o.decoupled * theta

    def G(theta, t):
        return np.diag(math.sqrt(o.eta) * sigmas / P(theta))

    return f, G


def joint(o, sigmas):
    """Drift and diffusion of y = (θ, m, v)."""
    d = sigmas.size
    kappa1, kappa2 = (1 - o.beta1) / o.eta, (1 - o.beta2) / o.eta

    def f(y, t):
        theta, m, v = y[:d], y[d : 2 * d], y[2 * d :]
        h = o.coupled * theta
        pull = m / (np.sqrt(v) + o.eps) + o.decoupled * theta
        return np.concatenate([-pull, kappa1 * (h - m), kappa2 * (h**2 + sigmas**2 - v)])

    def G(y, t):
        noise = np.zeros((3 * d, d))
        noise[d : 2 * d] = np.diag(kappa1 * math.sqrt(o.eta) * sigmas)
        return noise

    return f, G


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
@pytest.mark.parametrize("system", ["reduced", "joint"])
def test_same_paths_on_the_same_noise(escape, system, decay):
    """Step for step: `itoEuler` given dW = z √Δt ends where the package ends, to rounding."""
    changes = {"decay": decay, "batch_size": 1, "eps": 0.01}
    result = escape(
        system,
        optimizer=changes,
        noise=DiagonalNoise(SIGMAS),
        max_steps=STEPS,
        keep_end_state=True,
        geometry={"rho_core": 1e-3},
        n_paths=5,
    )
    assert np.all(result.status == Status.CENSORED)
    o = escape.optimizer(**changes)
    f, G = {"reduced": reduced, "joint": joint}[system](o, SIGMAS)
    for path in range(result.n_paths):
        direction = naive.normals(1, naive.START, path, 0, DIM)
        theta = 2 * direction / np.linalg.norm(direction)
        h = o.coupled * theta
        start = theta if system == "reduced" else np.concatenate([theta, h, h**2 + SIGMAS**2])
        z = np.array([naive.normals(1, naive.MOVE, path, k, DIM) for k in range(STEPS)])
        grid = o.eta * np.arange(STEPS + 1)
        y = sdeint.itoEuler(f, G, start, grid, dW=z * math.sqrt(o.eta))
        got = np.concatenate([field[path] for field in result.end_state.values()])
        np.testing.assert_allclose(got, y[-1], rtol=1e-11, atol=1e-13)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("system", ["reduced", "joint"])
def test_same_mean_on_its_own_noise(escape, system):
    """Two hundred paths in two dimensions, one system of many coordinates for sdeint."""
    paths, dim, steps, changes = 200, 2, 400, {"decay": "coupled", "batch_size": 1, "eps": 0.0}
    o = escape.optimizer(**changes)
    result = escape(
        system,
        optimizer=changes,
        noise=DiagonalNoise(np.ones(dim)),
        geometry={"dim": dim},
        n_paths=20_000,
        max_steps=steps,
    )
    rng = np.random.default_rng(41)
    direction = rng.normal(size=(paths, dim))
    theta = (2 * direction / np.linalg.norm(direction, axis=1, keepdims=True)).ravel()
    h = o.coupled * theta
    start = theta if system == "reduced" else np.concatenate([theta, h, h**2 + 1])
    f, G = {"reduced": reduced, "joint": joint}[system](o, np.ones(theta.size))
    y = sdeint.itoEuler(f, G, start, o.eta * np.arange(steps + 1), generator=rng)
    inside = np.sum(y[:, : theta.size].reshape(steps + 1, paths, dim) ** 2, axis=2) <= 1
    assert inside.any(axis=0).all()
    assert result.hit_fraction == 1
    times = inside.argmax(axis=0)
    stderr = times.std(ddof=1) / math.sqrt(paths)
    z = check_z(f"sdeint, {system}", times.mean(), stderr, *result.mean)
    print(f"sdeint {times.mean():.2f} ± {stderr:.2f}, here {result.mean}, z = {z:.2f}")
