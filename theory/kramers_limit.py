"""Claim kramers-limit: below the noise floor the passage time is exponential in the dimension.

To V* = νV∞, ν < 1, from the floor or anywhere above it, as d = 2κ → ∞ at fixed ν,

    E T ≈ (1/2γ) √(2π/κ) ν/(1−ν) exp{κ[ν − 1 − ln ν]},

and T is exponentially distributed. Below the floor u = U(1, 1+κ, x) is close to the solution
Γ(κ) e^x x^{−κ} of x u′ + (κ−x) u = 0. Its integral from x* = κν is, by Laplace's method at that
end, where (ln u)′ = 1 − 1/ν, u(x*)/(1/ν − 1), and Stirling's formula for Γ(κ) gives the law. The
next terms of both make E T larger by a factor 1 + C/κ, C = 1/12 + 1/(1−ν)².

Provenance: derived (Laplace's method on the exact mean; Kramers 1940 for such escapes).
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import kramers_limit, log_mean_passage_time
from sde_grok.results import EscapeResult, Estimate

CLAIM = "kramers-limit"
RATES = {"gamma": 1.0, "q2": 1.0}  # then V∞ = κ, and times are in units of 1/γ
ORDER = {0.5: (200, 600, 2_000), 0.9: (6_000, 20_000, 60_000)}  # dimensions for each ν
SIMULATED = ((20, 0.3), (40, 0.4))  # (d, ν)
N_PATHS = 4_000
NETWORK, STEPS_PER_TIME = 350_000, 1e4  # dimension, and 1/γη steps


def algebra() -> list[Residual]:
    """The homogeneous solution, its slope at x*, the leading term, and the first correction."""
    x, y, kappa, nu = sp.symbols("x y kappa nu", positive=True)
    u = sp.gamma(kappa) * sp.exp(x) * x**-kappa
    equation = x * sp.diff(u, x) + (kappa - x) * u
    log_u = x - kappa * sp.log(x)
    slope, bend = (sp.diff(log_u, x, n).subs(x, kappa * nu) for n in (1, 2))
    stirling = sp.sqrt(2 * sp.pi / kappa) * (kappa / sp.E) ** kappa
    # ln Γ(κ) by its asymptotic series, DLMF 5.11.1, up to 1/κ
    log_gamma = (kappa - sp.Rational(1, 2)) * sp.log(kappa) - kappa + sp.log(2 * sp.pi) / 2
    law = sp.sqrt(2 * sp.pi / kappa) * nu / (1 - nu) * sp.exp(kappa * (nu - 1 - sp.log(nu)))
    laplace = stirling * sp.exp(log_u.subs(x, kappa * nu)) / -slope
    # ∫ e^{slope y + bend y²/2} dy to first order in the bend, over ∫ e^{slope y} dy
    a = sp.symbols("a", positive=True)
    first = sp.integrate(sp.exp(-a * y) * y**2 / 2, (y, 0, sp.oo)) * a
    return [
        Residual("Γ(κ) e^x x^{−κ} solves x u′ + (κ−x) u = 0", sp.simplify(equation)),
        Residual("(ln u)′ = 1 − 1/ν at x*", sp.simplify(slope - (1 - 1 / nu))),
        Residual("Stirling's leading term", sp.simplify(sp.expand_log(sp.log(stirling) - log_gamma))),
        Residual(
            "Γ(κ) over Stirling's term → 1",
            sp.limit(sp.loggamma(kappa) - log_gamma, kappa, sp.oo),
        ),
        Residual("Laplace's method gives the law", sp.simplify(sp.expand_log(sp.log(laplace / law)))),
        Residual(
            "Laplace's next term 1/(1−ν)²κ",
            sp.simplify(bend * first.subs(a, -slope).subs(nu, 1 / (1 + y)) 
                        .subs(y, 1 / nu - 1) - 1 / (1 - nu) ** 2 / kappa),
        ),
    ]


def next_term(nu: float) -> float:
    """C, so that the exact mean is law × (1 + C/κ)."""
    return 1 / 12 + 1 / (1 - nu) ** 2


def log_error(law, d: int, nu: float) -> float:
    """Logarithm of exact mean over law, from the floor."""
    exact = log_mean_passage_time(d / 2, nu * d / 2, dim=d, **RATES)
    return exact - math.log(law(nu * d / 2, dim=d, **RATES))


def order_in_d(law, nu: float) -> list[Comparison]:
    """Exponent and coefficient of the logarithm's error.

    Allowed is the next term: by Laplace's method it is C/κ of the error times some number; the
    series of E T in 1/κ(1−ν)², 1 + z + 3z² − … as that of an error function, has ln = z + O(5z²/2).
    """
    found = []
    dims = ORDER[nu]
    for low, high in zip(dims, dims[1:], strict=False):
        a, b = log_error(law, low, nu), log_error(law, high, nu)
        slope = math.log(b / a) / math.log(high / low) if a * b > 0 else math.nan
        allowed = 2.5 * next_term(nu) * 2 / low
        where = f"ν = {nu:g}, d = {high}"
        found += [
            Comparison(f"exponent of the log error in d, {where}", Estimate(slope), Estimate(-1.0), allowed),
            Comparison(f"κ × log error, {where}", Estimate(b * high / 2), Estimate(next_term(nu)), allowed),
        ]
    return found


def simulated(d: int, nu: float, seed: int) -> EscapeResult:
    """Simulate passages of the radial rung from the floor to ν times it, γ = q = η = 1."""
    return simulate_escape(
        Optimizer(eta=1.0, batch_size=1, lam=1.0, eps=0.0, decay="decoupled"),
        Geometry(rho_start=math.sqrt(d / 2), rho_core=math.sqrt(nu * d / 2), dim=d),
        IsotropicNoise(1.0),
        system="radial",
        n_paths=N_PATHS,
        max_steps=100_000,
        seed=seed,
    )


def spread(times: np.ndarray) -> Estimate:
    """Standard deviation over mean, with the standard error of the ratio (delta method)."""
    mean, sd = times.mean(), times.std()
    influence = ((times - mean) ** 2 - sd**2) / (2 * sd * mean) - sd * (times - mean) / mean**2
    return Estimate(float(sd / mean), float(influence.std() / math.sqrt(times.size)))


if __name__ == "__main__":
    for d, nu in SIMULATED:
        import time
        t=time.perf_counter(); r=simulated(d,nu,0); print(r.mean, spread(r.steps), time.perf_counter()-t, kramers_limit(nu*d/2,dim=d,**RATES), next_term(nu)*2/d)
    for nu in ORDER:
        for c in order_in_d(kramers_limit,nu): print(c)
    for r in algebra(): print(r)
