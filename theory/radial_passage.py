"""From the reduced to the radial SDE, and the exact mean of its passage time.

Claim 1 (Itô). If dθ = −γθ dt + q dW in d dimensions, then V = ‖θ‖² obeys

    dV = (d q² − 2γV) dt + 2q √V dB.

Claim 2 (Dynkin). The mean time T(V) from V inward to V* solves L T = −1 with T(V*) = 0, L the
generator of V. In κ = d/2 and x = γV/q², T = (1/2γ) ∫_{x*}^{x} u dx with

    x u′ + (κ − x) u = −1,    u = U(1, 1+κ, x) = ∫_0^∞ (1+t)^{κ−1} e^{−xt} dt    (DLMF 13.4.4).

Claim 3. A simulation agrees with the closed form.

The reduction is Lemma 2 of arXiv 2606.30388, as reported second-hand; the rest is derived here.
"""

from __future__ import annotations

import math

import sympy as sp

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape

LARGEST_Z = 4.0  # false-alarm rate 6e-5


def ito(dim: int) -> tuple[sp.Expr, sp.Expr]:
    """Residuals of the drift and of the squared diffusion of V, from Itô's formula."""
    gamma, q = sp.symbols("gamma q", positive=True)
    theta = sp.symbols(f"theta1:{dim + 1}", real=True)
    V = sum(x**2 for x in theta)
    drift = sum(-gamma * x * sp.diff(V, x) + q**2 / 2 * sp.diff(V, x, 2) for x in theta)
    square = sum((q * sp.diff(V, x)) ** 2 for x in theta)
    return sp.expand(drift - (dim * q**2 - 2 * gamma * V)), sp.expand(square - 4 * q**2 * V)


def generator_in_x() -> sp.Expr:
    """Residual of L T = −1 written in x, with T′(x) = u/2γ and u′ from claim 2."""
    gamma, q, kappa, x, u = sp.symbols("gamma q kappa x u", positive=True)
    V = x * q**2 / gamma
    du = (-1 - (kappa - x) * u) / x
    T_x, T_xx = u / (2 * gamma), du / (2 * gamma)
    dx_dV = gamma / q**2
    LT = (2 * kappa * q**2 - 2 * gamma * V) * T_x * dx_dV + 2 * q**2 * V * T_xx * dx_dV**2
    return sp.simplify(LT + 1)


def integral_solves_ode() -> sp.Expr:
    """Residual between the ODE under the integral sign and d/dt[(1+t)^κ e^{−xt}].

    That total derivative integrates to −1 between t = 0 and infinity, which is the right side.
    """
    kappa, x, t = sp.symbols("kappa x t", positive=True)
    integrand = (1 + t) ** (kappa - 1) * sp.exp(-x * t)
    left = x * sp.diff(integrand, x) + (kappa - x) * integrand
    return sp.simplify(left - sp.diff((1 + t) ** kappa * sp.exp(-x * t), t))


def simulated(n_paths: int = 100_000, seed: int = 0) -> tuple[float, float, float]:
    """Simulated mean, its standard error and the exact mean, γ = q = 1, d = 10, V from 20 to 3."""
    result = simulate_escape(
        Optimizer(eta=1.0, batch_size=1, lam=1.0, eps=0.0, decay="decoupled"),
        Geometry(rho_start=math.sqrt(20), rho_core=math.sqrt(3), dim=10),
        IsotropicNoise(1.0),
        system="radial",
        n_paths=n_paths,
        max_steps=1000,
        seed=seed,
    )
    assert result.exact_mean_steps is not None
    return *result.mean, result.exact_mean_steps


def main() -> int:
    """Print each check; the exit code is the number of those that failed."""
    residuals = {f"Itô, d = {dim}": sp.Matrix(ito(dim)) for dim in (1, 2, 3, 5)}
    residuals["generator in x"] = sp.Matrix([generator_in_x()])
    residuals["integral solves the ODE"] = sp.Matrix([integral_solves_ode()])
    failed = 0
    for name, residual in residuals.items():
        failed += not residual.is_zero_matrix
        print(f"{name}: residual {list(residual)}")
    mean, stderr, exact = simulated()
    z = (mean - exact) / stderr
    failed += abs(z) >= LARGEST_Z
    print(
        f"simulated {mean:.5f} ± {stderr:.5f}, exact {exact:.5f}: {z:+.2f} σ, {mean / exact - 1:+.3%}"
    )
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
