"""The joint SDE as a weak approximation of Adam, of order one in η at fixed t and κᵢ = (1−βᵢ)/η.

Claimed with the form dS = μ dt + √(η/b) σ dW; proved for Adam in arXiv 2205.10287 and 2411.15958.
The landscape is a bowl beside the origin, so that both E ρ² and E θ have something to say.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import naive
import numpy as np
import pytest
from numba import njit
from stats_tools import Z

from sde_grok import Geometry, IsotropicNoise, Landscape, Optimizer, simulate_escape

pytestmark = [pytest.mark.statistical, pytest.mark.slow]

KAPPA1, KAPPA2, T, DIM, LAM = 10.0, 4.0, 1.0, 4, 0.3
CURVATURE, CENTRE = 0.5, 0.8
ETAS = (1 / 20, 1 / 40, 1 / 80, 1 / 160)
N, SEED = 60_000, 51


@njit
def _beside(theta, parameters, out):
    for i in range(theta.size):
        out[i] = parameters[0] * (theta[i] - parameters[1])


def optimizer(eta):
    return Optimizer(eta=eta, batch_size=1, lam=LAM, beta1=1 - KAPPA1 * eta, beta2=1 - KAPPA2 * eta)


@cache
def ends(system, eta, dt=1.0):
    """θ at t = 1 on many paths that started at radius 1; the core is out of reach."""
    result = simulate_escape(
        optimizer(eta),
        Geometry(rho_start=1.0, rho_core=1e-9, dim=DIM),
        IsotropicNoise(1.0),
        Landscape("beside", _beside, [CURVATURE, CENTRE]),
        system=system,
        n_paths=N,
        max_steps=round(T / eta),
        seed=SEED,
        dt=dt,
        keep_end_state=True,
    )
    assert result.censored_fraction == 1
    return result.end_state["theta"]


MOMENTS = {
    "mean of ρ²": lambda theta: np.sum(theta**2, axis=1),
    "mean of θ": lambda theta: np.mean(theta, axis=1),
}


class WeakError(NamedTuple):
    """Moment of Adam less that of the joint SDE."""

    eta: float
    error: float
    stderr: float


def errors_of(moment, dt):
    """Of Euler–Maruyama with time step Δt = `dt`·η; with dt = 1/8 it is nearly the SDE itself.

    The paths of one number start at the same point. With dt = 1 they take the same normals, too,
    and the noise nearly cancels.
    """
    errors = []
    for eta in ETAS:
        difference = moment(ends("discrete", eta)) - moment(ends("joint", eta, dt))
        errors.append(WeakError(eta, difference.mean(), difference.std() / N**0.5))
    return errors


def slope(errors):
    """Fitted order, for the record."""
    eta, error, _ = np.array(errors).T
    return np.polyfit(np.log(eta), np.log(np.abs(error)), 1)[0]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("dt", [1.0, 1 / 8])
def test_error_falls_with_eta(moment, dt, record_property):
    """By more than √8 over a factor of eight in η, which is order ½; order one is eight."""
    errors = errors_of(MOMENTS[moment], dt)
    record_property("order", slope(errors))
    print(*errors, f"order {slope(errors):.3f}", sep="\n")
    coarse, fine = errors[0], errors[-1]
    half_order = (ETAS[0] / ETAS[-1]) ** 0.5
    margin = abs(coarse.error) - half_order * abs(fine.error)
    assert margin > Z * np.hypot(coarse.stderr, half_order * fine.stderr)


def test_noise_of_the_sde_matters():
    """The same equations without dW are of order one, too: the SDE must be closer."""
    eta, dt, square = ETAS[-1], 1 / 8, MOMENTS["mean of ρ²"]
    path, pair = np.arange(N, dtype=np.uint64)[:, None], np.arange(DIM // 2, dtype=np.uint64)
    direction = np.concatenate(
        naive.box_muller(*naive.words(SEED, naive.START, path, 0, pair)), axis=1
    )[:, [0, 2, 1, 3]]
    theta = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    h = CURVATURE * (theta - CENTRE) + LAM * theta
    m, v = h, h**2 + 1
    for _ in range(round(T / eta / dt)):
        h = CURVATURE * (theta - CENTRE) + LAM * theta
        theta, m, v = naive.joint(theta, m, v, h, 0.0, 1.0, 1.0, 1.0, optimizer(eta), eta * dt)
    without = square(ends("discrete", eta)) - square(theta)
    sde = errors_of(square, dt)[-1]
    print(f"without dW {without.mean():.5f}, with {sde.error:.5f} ± {sde.stderr:.5f}")
    stderr = np.hypot(without.std() / N**0.5, 2 * sde.stderr)
    assert abs(without.mean()) - 2 * abs(sde.error) > Z * stderr
