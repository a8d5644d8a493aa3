"""Claim kramers-limit: below the noise floor the passage time is exponential in the dimension.

To V* = νV∞, ν < 1, from the floor or anywhere above it, as d = 2κ → ∞ at fixed ν,

    E T ≈ (1/2γ) √(2π/κ) ν/(1−ν) exp{κ[ν − 1 − ln ν]},

and T is exponentially distributed. Below the floor u = U(1, 1+κ, x) is close to the solution
Γ(κ) e^x x^{−κ} of x u′ + (κ−x) u = 0. Its integral from x* = κν is, by Laplace's method at that
end, where (ln u)′ = 1 − 1/ν, u(x*)/(1/ν − 1), and Stirling's formula for Γ(κ) gives the law. The
next terms of both make it larger by a factor 1 + C/κ + …, C = 1/12 + 1/(1−ν)².

Provenance: derived (Laplace's method on the exact mean; Kramers 1940 for such escapes).
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import numpy as np
import sympy as sp
from scipy.special import kolmogi

from sde_grok.claims import (
    FALSE_ALARM,
    Comparison,
    Residual,
    Verdict,
    kolmogorov_distance,
    report,
    within,
)
from sde_grok.laws import kramers_limit, log_mean_passage_time, mean_passage_time
from sde_grok.results import EscapeResult, Estimate
from sde_grok.unit_escape import unit_escape

CLAIM = "kramers-limit"
NU = sp.symbols("nu", positive=True)
RATES = {"gamma": 1.0, "q2": 1.0}  # then V∞ = κ, and times are in units of 1/γ
ORDER = {0.5: (200, 600, 2_000), 0.9: (6_000, 20_000, 60_000)}  # dimensions for each ν
D_SIMULATED, NU_SIMULATED, N_PATHS = 30, 0.3, 8_000
STARTS = (1, 3)  # over the floor
TIME_STEP = 0.02  # means are then 0.2 ± 0.2 % too late, by 300 000 paths
TRIED = (200, 2_000, 20_000, 200_000)  # dimensions
NETWORK, STEPS = 350_000, 1e4  # dimension of a network, and steps in a time 1/γ: γη = 1e-4


def algebra() -> list[Residual]:
    """Check the homogeneous solution, its slope at x*, the leading term and the next one."""
    x, kappa = sp.symbols("x kappa", positive=True)
    nu = NU
    u = sp.gamma(kappa) * sp.exp(x) * x**-kappa
    equation = x * sp.diff(u, x) + (kappa - x) * u
    log_u = x - kappa * sp.log(x)
    slope = sp.diff(log_u, x).subs(x, kappa * nu)
    stirling = sp.sqrt(2 * sp.pi / kappa) * (kappa / sp.E) ** kappa
    law = sp.sqrt(2 * sp.pi / kappa) * nu / (1 - nu) * sp.exp(kappa * (nu - 1 - sp.log(nu)))
    laplace = stirling * sp.exp(log_u.subs(x, kappa * nu)) / -slope
    log_ratio = sp.loggamma(kappa) - sp.expand_log(sp.log(stirling))
    return [
        Residual("Γ(κ) e^x x^{−κ} solves x u′ + (κ−x) u = 0", sp.simplify(equation)),
        Residual("(ln u)′ = 1 − 1/ν at x*", sp.simplify(slope - (1 - 1 / nu))),
        Residual("Γ(κ) → Stirling's term", sp.limit(log_ratio, kappa, sp.oo)),
        Residual("Laplace's law", sp.simplify(sp.expand_log(sp.log(laplace / law)))),
        Residual("C", sp.simplify(series()[0] - sp.Rational(1, 12) - 1 / (1 - NU) ** 2)),
    ]


@cache
def series() -> tuple[sp.Expr, sp.Expr]:
    """C and C₂ of E T = law × (1 + C/κ + C₂/κ² + …).

    With x = x*(1 + y/κ), Laplace's integrand is e^{−(1−ν)y} times a series in 1/κ, and Stirling's
    series is 1 + 1/12κ + 1/288κ² + … (DLMF 5.11.3).
    """
    y, e = sp.symbols("y e", positive=True)  # e = 1/κ
    rest = sp.series((y - sp.log(1 + e * y) / e), e, 0, 3).removeO()
    factor = sp.expand(sp.series(sp.exp(rest), e, 0, 3).removeO())
    a = 1 - NU  # ∫ aⁿ⁺¹ yⁿ e^{−ay} dy = n!
    powers = sp.Poly(factor, y).terms()
    laplace = sum(sp.factorial(n) * term / a**n for (n,), term in powers)
    both = sp.Poly(sp.expand(laplace * (1 + e / 12 + e**2 / 288)), e)
    return both.coeff_monomial(e), both.coeff_monomial(e**2)


def coefficients(nu: float) -> tuple[float, float]:
    """C and C₂ at a number."""
    c, c2 = (float(term.subs(NU, sp.Rational(str(nu)))) for term in series())
    return c, c2


def log_error(law, d: int, nu: float) -> float:
    """Logarithm of exact mean over law, from the floor."""
    exact = log_mean_passage_time(d / 2, nu * d / 2, dim=d, **RATES)
    return exact - math.log(law(nu * d / 2, dim=d, **RATES))


def order_in_d(law, nu: float) -> list[Comparison]:
    """Exponent and coefficient of the log error C/κ + (C₂ − C²/2)/κ² + …

    Allowed is the second term, as a fraction of the first, at the lower dimension of each pair.
    """
    found = []
    c, c2 = coefficients(nu)
    for low, high in pairwise(ORDER[nu]):
        a, b = log_error(law, low, nu), log_error(law, high, nu)
        slope = math.log(b / a) / math.log(high / low) if a * b > 0 else math.nan
        allowed = abs(c2 - c**2 / 2) / c * 2 / low
        what = "exponent of the log error in d", "κ × log error"
        for name, value, expected in zip(what, (slope, b * high / 2), (-1.0, c), strict=True):
            where = f"{name}, ν = {nu:g}, d = {high}"
            found.append(Comparison(where, Estimate(value), Estimate(expected), allowed))
    return found


def simulated(over_floor: float, seed: int) -> EscapeResult:
    """Simulate passages of the radial rung to ν times the floor, γ = q = η = 1."""
    d, nu = D_SIMULATED, NU_SIMULATED
    return unit_escape(d, over_floor * d / 2, nu * d / 2, n_paths=N_PATHS, seed=seed, dt=TIME_STEP)


def simulations(law, seed: int) -> list[Comparison]:
    """Compare `law` × (1 + C/κ + C₂/κ²) with a mean, T with an exponential, and two starts.

    Allowed are the last of these terms for the mean; for the distance of the distribution functions
    the time ln κ/2γ of relaxation over the mean, as that much of T is not exponential; and for the
    starts the difference of their exact means.
    """
    d, nu, kappa = D_SIMULATED, NU_SIMULATED, D_SIMULATED / 2
    c, c2 = coefficients(nu)
    factor = 1 + c / kappa + c2 / kappa**2
    expected = Estimate(law(nu * kappa, dim=d, **RATES) * factor)
    exact = [mean_passage_time(v * kappa, nu * kappa, dim=d, **RATES) for v in STARTS]
    near, distant = runs = [simulated(v, seed + i) for i, v in enumerate(STARTS)]
    where = f"d = {d}, ν = {nu:g}, from"
    last = c2 / kappa**2 / factor
    numeric = [Comparison(f"mean, {where} {STARTS[0]} V∞", near.mean, expected, last)]
    for v, mean, run in zip(STARTS, exact, runs, strict=True):
        allowed = kolmogi(FALSE_ALARM) + math.sqrt(N_PATHS) * math.log(kappa) / 2 / mean
        what = f"√n × distance from exponential, {where} {v} V∞"
        far = Estimate(kolmogorov_distance(-np.expm1(-np.sort(run.steps) / mean)))
        numeric.append(Comparison(what, far, Estimate(0.0), float(allowed)))
    what = f"mean, {where} {STARTS[1]} as from {STARTS[0]} V∞"
    return [*numeric, Comparison(what, distant.mean, near.mean, exact[1] / exact[0] - 1)]


def check(law=kramers_limit, *, seed: int = 0) -> Verdict:
    """Check the algebra, and `law` against the exact mean and simulated passages."""
    numeric = [c for nu in ORDER for c in order_in_d(law, nu)] + simulations(law, seed)
    off = [math.expm1(-log_error(law, d, 0.9)) for d in TRIED]
    log_mean = log_mean_passage_time(NETWORK / 2, 0.9 * NETWORK / 2, dim=NETWORK, **RATES)
    digits = (log_mean + math.log(STEPS)) / math.log(10)
    validity = (
        f"ν = 0.9: {within('d', TRIED, off)}. Extensive in d: at d = {NETWORK} and γη = "
        f"{1 / STEPS:g}, ν = 0.9 takes 10^{digits:.0f} steps"
    )
    return Verdict(CLAIM, "derived", algebra(), numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
