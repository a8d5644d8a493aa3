"""Claim u-shape: ρ_M² is U-shaped in η/b, with its minimum at |c_M|/(2c_M⁽²⁾).

With ρ_M² = (ρ_M⁽⁰⁾)² + (η/b)c_M + (η/b)²c_M⁽²⁾ + … that takes c_M < 0 < c_M⁽²⁾. On the quadratic
landscape of claim theorem-1 (loss in n directions, X₀ → X_M at the rate g; none in d − n others,
which start at Y₀ and shrink at γ = ag; noise q² = η/b) noise has two effects: it widens the flat
directions, and changes the time in which they shrink. With φ₀ = (X_M/X₀)^a,

    c_M = (d−n)(1−φ₀)/2γ · (1 − Y₀/Y₀*),
    Y₀* = (d−n)(1−φ₀) / [2a² φ₀ (n/2 − 1 − a) (1/X_M − 1/X₀)],

so that there is a fall only if n/2 > 1 + a, where noise delays the exit, and Y₀ > Y₀*. Widening wins
in the end; whether the curve is a U is counted here over a grid of landscapes, from its exact form.
The exact minimum lies at u − Au² + (2A²−B)u³ − …, u = |c_M|/(2c_M⁽²⁾), A = 3c₃/2c_M⁽²⁾ and
B = 2c₄/c_M⁽²⁾, with c₃ and c₄ the next coefficients.

Provenance: claimed by arXiv 2606.30388 (as reported second-hand).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import sympy as sp
from scipy.optimize import minimize_scalar

from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.laws import (
    fit_memorization_radius,
    memorization_minimum,
    memorization_radius,
    quadratic_memorization_coefficients,
    quadratic_memorization_radius,
)
from sde_grok.results import Estimate
from sde_grok.runs.reference import load_cells, load_runs

CLAIM = "u-shape"
X_START, X_CORE, FLAT, GAMMA = 4.0, 1.0, 4, 0.5  # in units g = σ/s = 1; FLAT is d − n
FITTED = (1, 2, 4, 8, 16, 32, 64)  # n
STARTS = (1.0, 10.0, 100.0, 1e3, 1e4)  # Y₀
NOISE = np.array(
    [0.0, *np.geomspace(0.03, 3e3, 16)]
)  # nη/b: from a slight change to 3000 times X_M
SHALLOW = 22.0  # Y₀ just beyond Y₀* for n = 4, where the minimum is at little noise


def parabola_minimum() -> tuple[sp.Expr, sp.Expr]:
    """Residuals of the slope of the parabola at −c_M/2c_M⁽²⁾ and of its value there."""
    u, zero, c_m, c_m2 = sp.symbols("u rho2_zero c_M c_M2")
    rho2, lowest = zero + u * c_m + u**2 * c_m2, {u: -c_m / (2 * c_m2)}
    value = zero - c_m**2 / (4 * c_m2)
    return sp.simplify(sp.diff(rho2, u).subs(lowest)), sp.simplify(rho2.subs(lowest) - value)


def sign_of_c_m() -> sp.Expr:
    """Residual of c_M = dE ρ_M²/dq² at 0 as written with Y₀*, from φ to first order in q²."""
    x0, xm, y0, n, m, gamma, q2 = sp.symbols("X0 X_M Y0 n m gamma q2", positive=True)  # g = 1
    a, phi0 = gamma, (xm / x0) ** gamma
    phi = phi0 * (1 + a * (a - n / 2 + 1) * q2 * (1 / xm - 1 / x0))
    rho2 = xm + y0 * phi + m * q2 / (2 * gamma) * (1 - phi)
    threshold = m * (1 - phi0) / (2 * a**2 * phi0 * (n / 2 - 1 - a) * (1 / xm - 1 / x0))
    claimed = m * (1 - phi0) / (2 * gamma) * (1 - y0 / threshold)
    return sp.simplify(sp.diff(rho2, q2).subs(q2, 0) - claimed)


def displaced_minimum() -> list[sp.Expr]:
    """Residuals of −u + x + Ax² + Bx³ = 0, the slope, at u² and u³ for x as in the claim."""
    u, A, B = sp.symbols("u A B")
    x = u - A * u**2 + (2 * A**2 - B) * u**3
    slope = sp.expand(-u + x + A * x**2 + B * x**3)
    return [sp.simplify(slope.coeff(u, k)) for k in (2, 3)]


def landscape(n: int, y_start: float) -> dict[str, float]:
    """Arguments of the exact curve and of its coefficients."""
    return {
        "y2_start": y_start,
        "fitted_dim": n,
        "dim": n + FLAT,
        "fitted_rate": 1.0,
        "gamma": GAMMA,
        "noise": 1.0,
    }


def is_u_shaped(n: int, y_start: float) -> bool:
    """Whether the exact curve is lowest between the ends of NOISE."""
    rho2 = quadratic_memorization_radius(
        X_START, X_CORE, **landscape(n, y_start), eta=NOISE / n, batch_size=1
    )
    return 0 < int(np.argmin(rho2)) < rho2.size - 1


def lowest(curve: Callable[[float], float], near: float) -> float:
    """Minimum of a curve between half and twice a point."""
    options = {"xatol": 1e-9 * near}
    return float(
        minimize_scalar(curve, bounds=(near / 2, 2 * near), method="bounded", options=options).x
    )


def positions(law) -> list[Comparison]:
    """Compare `law` with the minimum of the parabola, and with that of the exact curve."""
    given = landscape(4, SHALLOW)
    c = quadratic_memorization_coefficients(X_START, X_CORE, **given)
    u = law(c_m=c.c_m, c_m2=c.c_m2)

    def parabola(v: float) -> float:
        return memorization_radius(eta=v, batch_size=1, **c._asdict())

    def exact(v: float) -> float:
        return quadratic_memorization_radius(X_START, X_CORE, **given, eta=v, batch_size=1)

    near, far = ((exact(v) - parabola(v)) / v**3 for v in (u / 4, u / 2))  # c₃ + c₄v + …
    c3, c4 = 2 * near - far, 4 * (far - near) / u
    A, B = 3 * c3 / (2 * c.c_m2), 2 * c4 / c.c_m2
    return [
        Comparison(
            "minimum of the parabola over η/b",
            Estimate(lowest(parabola, u)),
            Estimate(u),
            allowed=math.sqrt(1e-15 * c.rho2_zero / c.c_m2) / u,  # hidden by the rounding of ρ_M²
        ),
        Comparison(
            f"minimum of the exact curve, n = 4, Y₀ = {SHALLOW:g}, with Au² added",
            Estimate(lowest(exact, u) + A * u**2),
            Estimate(u),
            allowed=2 * abs(2 * A**2 - B) * u**2,  # twice the next term: the series is asymptotic
        ),
    ]


def check(law=memorization_minimum, *, seed: int = 0) -> Verdict:
    """Check the algebra, how often there is a U, and where `law` has its minimum; nothing is drawn."""
    slope, value = parabola_minimum()
    symbolic = [
        Residual("slope of the parabola at −c_M/2c_M⁽²⁾", slope),
        Residual("its value there, (ρ_M⁽⁰⁾)² − c_M²/4c_M⁽²⁾", value),
        Residual("c_M in terms of Y₀*", sign_of_c_m()),
        *(
            Residual(f"slope at u − Au² + (2A²−B)u³, order u^{k}", r)
            for k, r in enumerate(displaced_minimum(), start=2)
        ),
    ]
    found = {n: [y for y in STARTS if is_u_shaped(n, y)] for n in FITTED}
    shaped = [(n, y) for n, starts in found.items() for y in starts]
    placed = 0
    for n, y in shaped:
        c = quadratic_memorization_coefficients(X_START, X_CORE, **landscape(n, y))
        placed += math.isfinite(law(c_m=c.c_m, c_m2=c.c_m2))
    tried = len(FITTED) * len(STARTS)
    numeric = [
        Comparison(
            f"share of {tried} landscapes with a minimum at η/b > 0",
            Estimate(round(len(shaped) / tried, 3)),
            Estimate(1.0),
            claimed=True,
        ),
        Comparison(
            f"share of these {len(shaped)} with c_M < 0 < c_M⁽²⁾, which the formula needs",
            Estimate(round(placed / max(len(shaped), 1), 3)),
            Estimate(1.0),
            claimed=True,
        ),
        *positions(law),
    ]
    where = ", ".join(
        f"{f'from Y₀ = {min(starts):g}' if starts else 'at no Y₀'} for n = {n}"
        for n, starts in found.items()
    )
    validity = f"minimum at η/b > 0 {where}; Y₀ tried: {', '.join(f'{y:g}' for y in STARTS)}"
    return Verdict(CLAIM, "claimed", symbolic, numeric, f"{validity}; {measured()}")


def measured() -> str:
    """Coefficients fitted to the measured runs on Z₁₂₇ with λ = 1e-4, in four cells of η/b."""
    cells = [c for c in load_cells() if c.task == "z127" and c.lam == 1e-4]
    runs = [r for r in load_runs() if r["task"] == "z127" and r["lambda"] == 1e-4]
    ratio, rho2, stderr = [], [], []
    for c in cells:
        seeds = [
            r["rho2_mem"] for r in runs if (r["eta"], r["batch_size"]) == (c.eta, c.batch_size)
        ]
        ratio.append(c.eta / c.batch_size)
        rho2.append(float(np.mean(seeds)))
        stderr.append(float(np.std(seeds, ddof=1)) / math.sqrt(len(seeds)))
    found = fit_memorization_radius(ratio, rho2, stderr)
    errors = np.sqrt(np.diag(found.covariance))
    fitted = memorization_radius(
        eta=ratio, batch_size=1, rho2_zero=found.rho2_zero, c_m=found.c_m, c_m2=found.c_m2
    )
    chi2 = float(np.sum(((np.array(rho2) - fitted) / stderr) ** 2))
    return (
        f"measured on Z127, λ = 1e-4, four η/b from {min(ratio):.2g} to {max(ratio):.2g}: "
        f"c_M = ({Estimate(found.c_m / 1e8, errors[1] / 1e8)}) × 1e8, "
        f"c_M⁽²⁾ = ({Estimate(found.c_m2 / 1e12, errors[2] / 1e12)}) × 1e12, "
        f"χ² = {chi2:.0f} with 1 degree of freedom (errors of the seeds; the evaluation interval not in it)"
    )


if __name__ == "__main__":
    raise SystemExit(report(check()))
