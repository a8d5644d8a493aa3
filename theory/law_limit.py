"""Claim law-limit: in large dimension the mean passage time is that of the mean path.

As d → ∞ at fixed V₀/V∞ and V*/V∞, both above the floor V∞ (inward) or both below it (outward),

    E T → (1/2γ) ln[(V₀ − V∞)/(V* − V∞)].

With κ = d/2 and V = ξV∞, the exact mean is (κ/2γ) ∫_{ξ*}^{ξ₀} u dξ, where x u′ + (κ−x) u = −1 at
x = κξ, that is ξ du/dξ + κ(1−ξ) u = −1. Order by order, u = u₀/κ + u₁/κ² + u₂/κ³ + … with

    u₀ = 1/(ξ−1),    uₙ₊₁ = ξ uₙ′/(ξ−1),

and the integral of u₀ is the law. Its error is C₁/2γκ, C₁ = ∫u₁ dξ, so it falls as 1/d.

Provenance: derived.
"""

from __future__ import annotations

import math
from functools import cache

import sympy as sp

from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import law_limit, mean_passage_time
from sde_grok.results import Estimate
from sde_grok.unit_escape import unit_escape

CLAIM = "law-limit"
N_PATHS = 20_000
DIMS = (1_000, 30_000, 1_000_000)
RATIOS = ((4.0, 2.0), (2.0, 1.5), (0.25, 0.5))  # (V₀, V*)/V∞, inward twice and outward
NEAR = (4.0, 2.0, 1.1, 1.01)  # V*/V∞ at d = 1000, from twice as far
RATES = {"gamma": 1.0, "q2": 1.0}  # then V∞ = κ and x = V
XI = sp.symbols("xi", positive=True)


@cache
def terms() -> tuple[sp.Expr, ...]:
    """u₀, u₁ and u₂."""
    u = [1 / (XI - 1)]
    for _ in range(2):
        u.append(sp.factor(XI * sp.diff(u[-1], XI) / (XI - 1)))
    return tuple(u)


def orders() -> list[Residual]:
    """What u₀/κ + u₁/κ² + u₂/κ³ leaves of the equation, at each order in 1/κ."""
    e = sp.symbols("e", positive=True)  # 1/κ
    u = sum(term * e ** (n + 1) for n, term in enumerate(terms()))
    left = sp.Poly(sp.expand(e * XI * sp.diff(u, XI) + (1 - XI) * u + e), e)  # times 1/κ
    return [
        Residual(f"equation at order 1/κ^{n}", sp.simplify(left.coeff_monomial(e ** (n + 1))))
        for n in range(3)
    ]


def law_is_integral() -> sp.Expr:
    """Residual of d/dξ ln|ξ−1| = u₀: the law is the integral of u₀ from ξ* to ξ₀."""
    V, floor = sp.symbols("V V_inf", positive=True)
    return sp.simplify(sp.diff(sp.log(V - floor), V) - terms()[0].subs(XI, V / floor) / floor)


def coefficient(n: int, start: float, core: float) -> float:
    """Cₙ, so that 2γ E T = Σ Cₙ/κⁿ."""
    primitive = sp.integrate(sp.apart(terms()[n], XI), XI)
    return float(primitive.subs(XI, sp.Rational(start)) - primitive.subs(XI, sp.Rational(core)))


def errors(law, start: float, core: float) -> list[float]:
    """2γ times (exact mean − law) at each of DIMS."""
    return [
        2
        * (
            mean_passage_time(start * d / 2, core * d / 2, dim=d, **RATES)
            - law(start * d / 2, core * d / 2, dim=d, **RATES)
        )
        for d in DIMS
    ]


def order_in_d(law, start: float, core: float) -> list[Comparison]:
    """Exponent and coefficient of the error; allowed are the next term, C₂/κC₁, and rounding.

    The exact mean is an integral good to some 1e-12, which the error is C₁/κ times.
    """
    c1, c2 = coefficient(1, start, core), coefficient(2, start, core)
    off, found = errors(law, start, core), []
    for a, b, d_low, d_high in zip(off, off[1:], DIMS, DIMS[1:], strict=False):
        allowed = abs(2 * c2 / d_low / c1) + 1e-12 * d_high / abs(c1)
        where = f"V/V∞ {start:g} → {core:g}, d = {d_high}"
        slope = math.log(b / a) / math.log(d_high / d_low) if a * b > 0 else math.nan
        found += [
            Comparison(
                f"exponent of the error in d, {where}", Estimate(slope), Estimate(-1.0), allowed
            ),
            Comparison(f"κ × error, {where}", Estimate(b * d_high / 2), Estimate(c1), allowed),
        ]
    return found


def simulated(law, start: float, core: float, seed: int) -> Comparison:
    """Compare `law` at d = 1000 with the radial rung; allowed is C₁/κ."""
    d = DIMS[0]
    V_start, V_core = start * d / 2, core * d / 2
    mean = unit_escape(d, V_start, V_core, n_paths=N_PATHS, seed=seed).mean
    expected = law(V_start, V_core, dim=d, **RATES)
    allowed = abs(coefficient(1, start, core)) / d / expected  # C₁/2γκ, γ = 1
    return Comparison(
        f"mean, d = {d}, V/V∞ {start:g} → {core:g}", mean, Estimate(expected), allowed
    )


def check(law=law_limit, *, seed: int = 0) -> Verdict:
    """Check the expansion, and `law` against the exact mean and simulated passages."""
    symbolic = [*orders(), Residual("the law is the integral of u₀", law_is_integral())]
    numeric = [c for start, core in RATIOS for c in order_in_d(law, start, core)]
    numeric += [simulated(law, *ratio, seed + i) for i, ratio in enumerate(RATIOS)]
    d = DIMS[0]
    off = []
    for near in NEAR:
        V = (1 + 2 * (near - 1)) * d / 2, near * d / 2
        off.append(law(*V, dim=d, **RATES) / mean_passage_time(*V, dim=d, **RATES) - 1)
    validity = f"d = {d}, start twice as far from V∞: " + within("V*/V∞", NEAR, off)
    return Verdict(CLAIM, "derived", symbolic, numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
