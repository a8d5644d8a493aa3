"""Claim radial-mean: the exact mean passage time of the radial process.

The squared radius V of the radial rung, dV = (d q² − 2γV) dt + 2q √V dB, started at V₀, passes V*
for the first time after a mean time that solves L T = −1, T(V*) = 0, with L the generator of V
(Dynkin). In κ = d/2 and x = γV/q², T = (1/2γ) ∫_{x*}^{x₀} u dx inward, with

    x u′ + (κ − x) u = −1,    u = U(1, 1+κ, x) = ∫_0^∞ (1+t)^{κ−1} e^{−xt} dt    (DLMF 13.4.4),

and outward the same with u = −M(1, 1+κ, x)/κ. To either the solution x^{−κ} e^x of the homogeneous
equation might be added, but from far away E T grows as (1/2γ) ln x₀ only, and at the origin it is
smooth in θ.

Provenance: derived, from the radial model of arXiv 2606.30388 (as reported second-hand).
"""

from __future__ import annotations

import sympy as sp

from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.laws import mean_passage_time
from sde_grok.results import Estimate
from sde_grok.unit_escape import unit_escape

CLAIM = "radial-mean"
N_PATHS = 100_000
# (d, V₀, V*) in units γ = q = 1, where the noise floor is d/2
CASES = [
    (1, 2.0, 0.1),
    (2, 4.0, 0.5),
    (10, 20.0, 3.0),
    (10, 2.0, 8.0),
    (100, 200.0, 60.0),
    (1000, 2000.0, 480.0),
]


def generator_in_x() -> sp.Expr:
    """Residual of L T = −1 written in x, with T′(x) = u/2γ and u′ from the equation of u."""
    gamma, q, kappa, x, u = sp.symbols("gamma q kappa x u", positive=True)
    V = x * q**2 / gamma
    du = (-1 - (kappa - x) * u) / x
    T_x, T_xx = u / (2 * gamma), du / (2 * gamma)
    dx_dV = gamma / q**2
    LT = (2 * kappa * q**2 - 2 * gamma * V) * T_x * dx_dV + 2 * q**2 * V * T_xx * dx_dV**2
    return sp.simplify(LT + 1)


def inward_integral() -> list[Residual]:
    """Check u = ∫ (1+t)^{κ−1} e^{−xt} dt: the equation turns it into a total derivative."""
    kappa, x, t = sp.symbols("kappa x t", positive=True)
    integrand = (1 + t) ** (kappa - 1) * sp.exp(-x * t)
    left = x * sp.diff(integrand, x) + (kappa - x) * integrand
    whole = (1 + t) ** kappa * sp.exp(-x * t)
    decay = sp.limit(sp.log(whole) / t, t, sp.oo)  # whole falls like e^{−xt}
    return [
        Residual("inward: total derivative of (1+t)^κ e^{−xt}", sp.simplify(left - whole.diff(t))),
        Residual("inward: 1 at t = 0", whole.subs(t, 0) - 1),
        Residual("inward: 0 for t → ∞, as e^{−xt}", sp.simplify(decay + x)),
    ]


def outward_integral() -> list[Residual]:
    """Check u = −∫ r^{κ−1} e^{x(1−r)} dr between r = 0 and 1, in the same way, r = 1 − t."""
    kappa, x, r = sp.symbols("kappa x r", positive=True)
    integrand = -(r ** (kappa - 1)) * sp.exp(x * (1 - r))
    left = x * sp.diff(integrand, x) + (kappa - x) * integrand
    whole = -(r**kappa) * sp.exp(x * (1 - r))
    what = "outward: total derivative of −r^κ e^{x(1−r)}"
    return [
        Residual(what, sp.simplify(left - whole.diff(r))),
        Residual("outward: −1 at r = 1", whole.subs(r, 1) + 1),
        Residual("outward: 0 at r = 0", whole.subs(r, 0)),
    ]


def other_solution() -> sp.Expr:
    """Residual of the homogeneous equation for x^{−κ} e^x."""
    kappa, x = sp.symbols("kappa x", positive=True)
    u = x**-kappa * sp.exp(x)
    return sp.simplify(x * sp.diff(u, x) + (kappa - x) * u)


def check(law=mean_passage_time, *, seed: int = 0) -> Verdict:
    """Check the algebra, and `law` against simulated passages."""
    symbolic = [
        Residual("generator in x", generator_in_x()),
        *inward_integral(),
        *outward_integral(),
        Residual("x^{−κ} e^x solves x u′ + (κ−x) u = 0", other_solution()),
    ]
    numeric = [
        Comparison(
            f"mean passage time, d = {dim}, V {start:g} → {core:g}",
            unit_escape(dim, start, core, n_paths=N_PATHS, seed=seed + i).mean,
            Estimate(law(start, core, dim=dim, gamma=1.0, q2=1.0)),
        )
        for i, (dim, start, core) in enumerate(CASES)
    ]
    worst = max(numeric, key=lambda c: abs(c.fraction))
    over_floor = [2 * core / dim for dim, _, core in CASES]
    validity = (
        f"largest deviation {worst.fraction:+.2%} ± {worst.stderr / worst.expected.value:.2%} "
        f"over d = {min(CASES)[0]} … {max(CASES)[0]} and V*/V∞ = {min(over_floor):g} … "
        f"{max(over_floor):g}"
    )
    return Verdict(CLAIM, "derived", symbolic, numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
