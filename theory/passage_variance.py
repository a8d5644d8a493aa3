"""Claim radial-variance: the exact variance of the radial passage time.

The transform φ(V) = E e^{−αT} of the passage time from V solves L φ = αφ, L the generator of V. With
ln φ = −αT₁ + α²W/2 − …, the mean T₁ solves L T₁ = −1 and the variance W

    L W = −4q²V (T₁′)²,    W(V*) = 0.

In κ = d/2 and x = γV/q², with T₁ = (1/2γ) ∫ u dx and W = (1/2γ)² ∫ w dx inward,

    x w′ + (κ − x) w = −2x u²,    u = ∫_0^∞ f_x(t) dt,    f_x(t) = (1+t)^{κ−1} e^{−xt},
    w = x ∫∫ f_x(s) f_x(t) (t − s) ln[t(1+s)/(s(1+t))] ds dt.

Near a deterministic path (V* above the floor, d → ∞) the variance is of order 1/d; below the floor
it is the square of the mean, as for an exponential law.

Provenance: derived, from the radial model of arXiv 2606.30388 (as reported second-hand).
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import mean_passage_time, passage_time_variance
from sde_grok.results import Estimate
from sde_grok.unit_escape import unit_escape

CLAIM = "radial-variance"
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


def orders_in_alpha() -> tuple[sp.Expr, sp.Expr]:
    """Residuals of (L − α) φ/φ at the orders α and α², with the equations of T₁ and W put in."""
    V, alpha, d, q, gamma = sp.symbols("V alpha d q gamma", positive=True)
    T1, W = sp.Function("T1")(V), sp.Function("W")(V)
    phi = sp.exp(-alpha * T1 + alpha**2 * W / 2)

    def generator(g: sp.Expr) -> sp.Expr:
        drift = d * q**2 - 2 * gamma * V
        return drift * sp.diff(g, V) + 2 * q**2 * V * sp.diff(g, V, 2)

    series = sp.expand(sp.simplify((generator(phi) - alpha * phi) / phi))
    first = series.coeff(alpha, 1) + generator(T1) + 1
    second = 2 * series.coeff(alpha, 2) - (generator(W) + 4 * q**2 * V * sp.diff(T1, V) ** 2)
    return sp.simplify(first), sp.simplify(second)


def equation_in_x() -> sp.Expr:
    """Residual of L W + 4q²V (T₁′)² in x, with w′ from its equation."""
    gamma, q, kappa, x, u, w = sp.symbols("gamma q kappa x u w", positive=True)
    V, dx_dV = x * q**2 / gamma, gamma / q**2
    W_x, dw = w / (2 * gamma) ** 2, (-2 * x * u**2 - (kappa - x) * w) / x
    W_xx = dw / (2 * gamma) ** 2
    LW = (2 * kappa * q**2 - 2 * gamma * V) * W_x * dx_dV + 2 * q**2 * V * W_xx * dx_dV**2
    return sp.simplify(LW + 4 * q**2 * V * (u / (2 * gamma) * dx_dV) ** 2)


def by_parts() -> tuple[sp.Expr, sp.Expr]:
    """Residuals of two total derivatives, of t(1+t) f and of t ℓ (1+t) f, ℓ = ln[t/(1+t)].

    Both vanish at 0 and at infinity, so that with A = ∫ t f, B = ∫ t ℓ f and C = ∫ ℓ f

        x A′ = −u − (1+κ−x) A,    x B′ = −C − u − (1+κ−x) B.
    """
    x, kappa, t = sp.symbols("x kappa t", positive=True)
    f = (1 + t) ** (kappa - 1) * sp.exp(-x * t)
    log_p = sp.log(t / (1 + t))
    moment = t * (kappa - x - x * t) * f
    first = sp.diff(t * (1 + t) * f, t) - (moment + (1 + t) * f)
    second = sp.diff(t * log_p * (1 + t) * f, t) - (log_p * moment + ((1 + t) * log_p + 1) * f)
    return sp.simplify(first), sp.simplify(second)


def double_integral_solves_equation() -> sp.Expr:
    """Residual of the equation of w = 2x (uB − AC), with u′ = −A, C′ = −B, and A′, B′ by parts."""
    x, kappa, u, A, B, C = sp.symbols("x kappa u A B C")
    dA, dB = (-u - (1 + kappa - x) * A) / x, (-C - u - (1 + kappa - x) * B) / x
    w = 2 * x * (u * B - A * C)
    slopes = {u: -A, A: dA, B: dB, C: -B}
    dw = sp.diff(w, x) + sum(sp.diff(w, name) * slope for name, slope in slopes.items())
    return sp.simplify(x * dw + (kappa - x) * w + 2 * x * u**2)


def simulated(dim: int, start: float, core: float, seed: int) -> Estimate:
    """Variance of simulated passage times with γ = q = 1, and its error from the fourth moment."""
    result = unit_escape(dim, start, core, n_paths=N_PATHS, seed=seed)
    assert result.hit_fraction == 1
    square = (result.steps - result.steps.mean()) ** 2
    return Estimate(float(square.mean()), float(np.std(square)) / math.sqrt(N_PATHS))


def check(law=passage_time_variance, *, seed: int = 0) -> Verdict:
    """Check the algebra, `law` against simulated passages, and its two limits."""
    first, second = orders_in_alpha()
    t_f, t_log_f = by_parts()
    symbolic = [
        Residual("order α: L T₁ = −1", first),
        Residual("order α²: L W = −4q²V (T₁′)²", second),
        Residual("equation of W in x", equation_in_x()),
        Residual("by parts: t f", t_f),
        Residual("by parts: t ℓ f", t_log_f),
        Residual("double integral solves the equation", double_integral_solves_equation()),
    ]
    numeric = [
        Comparison(
            f"variance, d = {dim}, V {start:g} → {core:g}",
            simulated(dim, start, core, seed + i),
            Estimate(law(start, core, dim=dim, gamma=1.0, q2=1.0)),
        )
        for i, (dim, start, core) in enumerate(CASES)
    ]
    below = law(200.0, 30.0, dim=200, gamma=1.0, q2=1.0)
    mean = mean_passage_time(200.0, 30.0, dim=200, gamma=1.0, q2=1.0)
    numeric.append(
        Comparison(
            "variance over mean², d = 200, V* = 0.3 V∞",
            Estimate(below / mean**2),
            Estimate(1.0),
            # relaxation to the floor takes a time of order ln d; rounding of both laws
            allowed=math.log(200) / mean + 1e-9,
        )
    )
    return Verdict(CLAIM, "derived", symbolic, numeric, validity(law))


def validity(law) -> str:
    """Where the variance of small fluctuations about the mean path does for the exact one."""
    dims, off = (10, 100, 1000, 10_000, 1_000_000), []
    for d in dims:
        # W = ∫ 2x u² dx/(x−κ) with u = 1/(x−κ), from x = 4κ to 2κ
        small_noise = (1 / 4) * (2 * (1 / 1 - 1 / 3) + (1 / 1**2 - 1 / 3**2)) / (d / 2)
        off.append(small_noise / law(2.0 * d, 1.0 * d, dim=d, gamma=1.0, q2=1.0) - 1)
    return "small fluctuations, V/V∞ 4 → 2: " + within("d", dims, off)


if __name__ == "__main__":
    raise SystemExit(report(check()))
