"""Variance of θ at rest under linear steps with momentum, from their Lyapunov equation."""

import numpy as np
from scipy.linalg import solve_discrete_lyapunov


def linear_variance(pull, keep, noise, root_v, *, eta, beta1, system="discrete"):
    """Gradient pull·θ and noise go to m, whose move is over √v; θ is kept but for 1 − `keep`.

    The discrete rung moves θ by the new m, the joint one by that before.
    """
    to_m, kick_m = np.array([(1 - beta1) * pull, beta1]), noise * (1 - beta1)
    if system == "discrete":
        to_theta, kick = np.array([keep, 0]) - eta / root_v * to_m, -eta / root_v * kick_m
    else:
        to_theta, kick = np.array([keep, -eta / root_v]), 0.0
    kicks = np.array([kick, kick_m])
    return solve_discrete_lyapunov(np.array([to_theta, to_m]), np.outer(kicks, kicks))[0, 0]
