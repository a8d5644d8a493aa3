"""Rest on landscapes, as the laws have it: the variance on a parabola, the radius of a margin."""

import numpy as np
import pytest
from linear_steps import linear_variance
from stats_tools import check_z

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.landscapes import margin, quadratic
from sde_grok.laws import margin_radius, stationary_variance

pytestmark = [
    pytest.mark.statistical,
    pytest.mark.filterwarnings("ignore::sde_grok.LongEscapeWarning"),
]

ETA, BETA1, DIM, PATHS = 1e-3, 0.9, 64, 512
SETTINGS = {(1.0, 1.0, 1.0): 2.50e-4, (1.0, 0.1, 0.5): 4.76e-5, (0.3, 1.0, 2.0): 2.17e-4}


def variance_of_adamw(curvature, sigma, lam, system):
    """Variance of θ where √v is what it is on average: σ² and the gradient's own variance."""
    variance = ETA / 2 / (curvature / sigma + lam)
    for _ in range(20):
        root_v = np.sqrt(sigma**2 + curvature**2 * variance)
        variance = linear_variance(
            curvature, 1 - ETA * lam, sigma, root_v, eta=ETA, beta1=BETA1, system=system
        )
    return variance


@pytest.mark.parametrize("system", ["discrete", "joint"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_adamw_rests_with_the_variance_of_its_linear_steps(setting, system):
    """Eight times of rest or more, from a start with the radius of rest."""
    curvature, sigma, lam = setting
    law = stationary_variance(
        curvature, eta=ETA, lam=lam, sigma=sigma, batch_size=1, decay="decoupled"
    )
    assert law == pytest.approx(SETTINGS[setting], rel=2e-3)
    start = (DIM * law) ** 0.5
    found = simulate_escape(
        Optimizer(eta=ETA, batch_size=1, lam=lam, decay="decoupled"),
        Geometry(rho_start=start, rho_core=1e-4 * start, dim=DIM),
        IsotropicNoise(sigma),
        quadratic(np.full(DIM, curvature)),
        system=system,
        n_paths=PATHS,
        max_steps=5000,
        seed=1,
    )
    mean, stderr = found.rho2_end.mean() / DIM, found.rho2_end.std() / DIM / PATHS**0.5
    check_z(f"{setting}, {system}", mean, stderr, variance_of_adamw(*setting, system))
    assert mean == pytest.approx(law, rel=0.05)  # the law's own error is of first order in η


@pytest.mark.parametrize("lam", [1e-3, 1e-2, 1e-1])
@pytest.mark.parametrize("system", ["discrete", "joint"])
def test_a_margin_rests_where_its_loss_balances_shrinkage(lam, system):
    """Whatever η and b: noise that falls with the residual moves it by less than 0.2 %."""
    radius = margin_radius(lam, rate=1.0, degree=3.0, scale=1.0)
    for eta, batch_size in ((1e-3, 100), (1e-3, 400), (3e-4, 100)):
        found = simulate_escape(
            Optimizer(eta=eta, batch_size=batch_size, lam=lam),
            Geometry(rho_start=1.1 * radius**0.5, rho_core=1e-3, dim=DIM),
            IsotropicNoise(1.0),
            margin(DIM, 1.0),
            system=system,
            n_paths=32,
            max_steps=int(20 / eta),
            seed=1,
        )
        assert found.rho2_end.mean() == pytest.approx(radius, rel=2e-3)
        assert found.rho2_end.std() < 0.02 * radius
