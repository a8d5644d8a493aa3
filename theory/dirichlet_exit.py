"""Claim theorem-1: the memorization radius is a power series in η/b.

    ρ_M² = (ρ_M⁽⁰⁾)² + (η/b) c_M + (η/b)² c_M⁽²⁾ + O((η/b)³).

The model has loss in n directions, |x|² = X, and none in d − n others, |y|² = Y; both contract, at
rates g and γ, and get the noise q² = (η/b) σ²/s². Memorization is the exit of X at X_M, at a time τ
whose Laplace transform φ = E e^{−2γτ} solves a Dirichlet problem,

    (n q² − 2gX) φ′ + 2q²X φ″ = 2γ φ,   φ(X_M) = 1,   φ = S(X₀)/S(X_M),   ε = q²/g,
    S(X) = X^{−a} Σ_k (a)_k (a−κ+1)_k (−ε/X)^k / k!,   a = γ/g, κ = n/2   (DLMF 13.7.3),

and E ρ_M² = X_M + Y₀φ + (d−n)(q²/2γ)(1−φ). Without noise the Y₀ part is Y₀e^{−2γτ₀}, the claimed
exp(−O(λ)). Whether the series is U-shaped is another claim, u-shape.

Provenance: form and order are claimed by arXiv 2606.30388 (as reported second-hand), the
coefficients derived.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import (
    memorization_minimum,
    memorization_radius,
    quadratic_memorization_coefficients,
    quadratic_memorization_radius,
)
from sde_grok.results import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "theorem-1"
N_PATHS = 10_000
X_START, X_CORE, N, D, GAMMA = 4.0, 1.0, 4, 8, 0.5  # in units g = σ/s = 1
Y_START = {"U-shaped": 40.0, "monotone": 8.0}
RATIOS = (0.05, 0.15, 0.3, 0.6, 1.0)  # of η and b, which is q² here


def wave(x, *, a, kappa, eps, order: int) -> sp.Expr:
    """S(X) X^a up to ε^order."""
    k = range(order + 1)
    return sum(sp.rf(a, i) * sp.rf(a - kappa + 1, i) * (-eps / x) ** i / sp.factorial(i) for i in k)


def solves_order_by_order(order: int) -> list[sp.Expr]:
    """Residuals of the Dirichlet problem at ε⁰ … ε^order."""
    X, a, kappa, eps = sp.symbols("X a kappa epsilon", positive=True)
    S = X**-a * wave(X, a=a, kappa=kappa, eps=eps, order=order)
    left = (kappa * eps - X) * sp.diff(S, X) + eps * X * sp.diff(S, X, 2) - a * S
    powers = sp.Poly(sp.expand(sp.simplify(left * X**a)), eps)
    return [sp.simplify(powers.coeff_monomial(eps**i)) for i in range(order + 1)]


def flat_directions() -> tuple[sp.Expr, sp.Expr]:
    """Residuals of dE Y/dt = (d−n)q² − 2γ E Y and of E Y = Y₀ at t = 0.

    They are for E Y = Y₀e^{−2γt} + (d−n)(q²/2γ)(1 − e^{−2γt}).
    """
    t, gamma, m, q2, Y0 = sp.symbols("t gamma m q2 Y0", positive=True)
    Y = Y0 * sp.exp(-2 * gamma * t) + m * q2 / (2 * gamma) * (1 - sp.exp(-2 * gamma * t))
    return sp.simplify(sp.diff(Y, t) - m * q2 + 2 * gamma * Y), sp.simplify(Y.subs(t, 0) - Y0)


def expansion(order: int, *, x0, xm, y0, n, d, g, gamma) -> list[sp.Expr]:
    """Coefficients of E ρ_M² at 1, q², q⁴ …, by division of the two series."""
    eps, a, kappa = sp.Symbol("epsilon"), gamma / g, sp.sympify(n) / 2
    top, bottom = (sp.Poly(wave(x, a=a, kappa=kappa, eps=eps, order=order), eps) for x in (x0, xm))
    phi: list[sp.Expr] = []
    for i in range(order + 1):
        known = sum(phi[j] * bottom.coeff_monomial(eps ** (i - j)) for j in range(i))
        phi.append(top.coeff_monomial(eps**i) - known)
    phi = [(xm / x0) ** a * p / g**i for i, p in enumerate(phi)]
    widening = [0, *((d - n) / (2 * gamma) * (int(i == 0) - p) for i, p in enumerate(phi))]
    return [
        xm * int(i == 0) + y0 * p + w for i, (p, w) in enumerate(zip(phi, widening, strict=False))
    ]


def coefficient_formulas() -> tuple[sp.Expr, sp.Expr]:
    """Residuals of c_M and c_M⁽²⁾ as `quadratic_memorization_coefficients` states them (q² = η/b)."""
    x0, xm, y0, n, d, g, gamma = sp.symbols("X0 X_M Y0 n d g gamma", positive=True)
    a = gamma / g
    h = a - n / 2 + 1
    phi0, delta1, delta2 = (xm / x0) ** a, 1 / xm - 1 / x0, 1 / xm**2 - 1 / x0**2
    a1, a2 = a * h, a * (a + 1) * h * (h + 1) / 2
    c_m = y0 * phi0 * a1 * delta1 / g + (d - n) * (1 - phi0) / (2 * gamma)
    c_m2 = y0 * phi0 * (a1**2 * delta1 / xm - a2 * delta2) / g**2
    c_m2 -= (d - n) * phi0 * h * delta1 / (2 * g**2)
    _, first, second = expansion(2, x0=x0, xm=xm, y0=y0, n=n, d=d, g=g, gamma=gamma)
    return sp.simplify(first - c_m), sp.simplify(second - c_m2)


def shrinkage_slope() -> sp.Expr:
    """Residual of d ln φ₀/dγ = −2τ₀, τ₀ = ln(X₀/X_M)/2g the noiseless time."""
    x0, xm, g, gamma = sp.symbols("X0 X_M g gamma", positive=True)
    slope = sp.diff(sp.log((xm / x0) ** (gamma / g)), gamma)
    return sp.simplify(sp.expand_log(slope + sp.log(x0 / xm) / g))


def landscape(y_start: float, *, gamma: float = GAMMA) -> dict[str, float]:
    """Arguments of the laws."""
    return {
        "y2_start": y_start,
        "fitted_dim": N,
        "dim": D,
        "fitted_rate": 1.0,
        "gamma": gamma,
        "noise": 1.0,
    }


def simulated(y_start: float, ratio: float, seed: int) -> Estimate:
    """Mean ρ_M² given the simulated times τ of the fitted directions: the mean over y is known."""
    eta = 4 * ratio
    exits = simulate_escape(
        Optimizer(eta=eta, batch_size=4, lam=1.0, eps=0.0, decay="decoupled"),
        Geometry(rho_start=math.sqrt(X_START), rho_core=math.sqrt(X_CORE), dim=N),
        IsotropicNoise(1.0),
        system="radial",
        s=1.0,
        n_paths=N_PATHS,
        max_steps=math.ceil(1000 / eta),
        seed=seed,
    )
    shrunk = np.exp(-2 * GAMMA * eta * exits.steps)
    rho2 = X_CORE + y_start * shrunk + (D - N) * ratio / (2 * GAMMA) * (1 - shrunk)
    return Estimate(float(rho2.mean()), float(rho2.std(ddof=1)) / math.sqrt(rho2.size))


def order_of_error(law, y_start: float, u: float) -> Comparison:
    """Local exponent of the error of the expansion between u/2 and u: 3 + (c₄/2c₃)u/ln 2 + …"""
    given = landscape(y_start)
    c = quadratic_memorization_coefficients(X_START, X_CORE, **given)._asdict()
    errors = [
        law(X_START, X_CORE, **given, eta=v, batch_size=1)
        - memorization_radius(eta=v, batch_size=1, **c)
        for v in (u / 2, u)
    ]
    c3, c4 = higher(y_start)
    return Comparison(
        f"order of what the derived coefficients leave out, Y₀ = {y_start:g}",
        Estimate(math.log2(abs(errors[1] / errors[0]))),
        Estimate(3.0),
        allowed=abs(c4 / c3) * u / 3,  # of the exponent 3; 0.72 of it is the next term's
    )


def order_of_form(law, y_start: float, u: float) -> Comparison:
    """Local exponent of the third difference of ρ_M² over η/b, whatever the coefficients are.

    With spacing v it is 6c₃v³ + 36c₄v⁴ + …: the exponent is 3 + (3c₄/c₃)u/ln 2 + …
    """
    differences = []
    for v in (u / 2, u):
        rho2 = law(X_START, X_CORE, **landscape(y_start), eta=v * np.arange(4), batch_size=1)
        differences.append(float(np.diff(rho2, 3)[0]))
    c3, c4 = higher(y_start)
    return Comparison(
        f"order of the third difference over η/b, Y₀ = {y_start:g}",
        Estimate(math.log2(abs(differences[1] / differences[0]))),
        Estimate(3.0),
        allowed=abs(6 * c4 / c3) * u / 3,
        claimed=True,
    )


@cache
def higher(y_start: float) -> tuple[float, float]:
    """Coefficients of (η/b)³ and (η/b)⁴."""
    exact = {"x0": X_START, "xm": X_CORE, "y0": y_start, "n": N, "d": D, "g": 1.0, "gamma": GAMMA}
    c3, c4 = expansion(4, **{name: sp.nsimplify(v) for name, v in exact.items()})[3:]
    return float(c3), float(c4)


def shrinkage(law) -> list[Comparison]:
    """Compare the Y₀ part without noise with e^{−2γτ₀} at GAMMA, and its order in λ with 1.

    With coupled shrinkage g = (h+λ)/s and γ = λ/s, so that 2γτ₀ = λ/(h+λ) ln(X₀/X_M): the order is
    h/(h+λ), and 1 within λ/h for a shrinkage that is weak against the loss.
    """

    def log_part(**rates: float) -> float:
        given = landscape(40.0) | rates
        rho2 = law(X_START, X_CORE, **given, eta=0, batch_size=1)
        return math.log((rho2 - X_CORE) / 40.0)

    once, rounding, weak = log_part(), 1e-12, 0.01  # weak: λ/h
    low, high = (log_part(gamma=x, fitted_rate=1 + x) for x in (weak, 2 * weak))
    return [
        Comparison(
            "ln of the Y₀ part over γ, without noise",
            Estimate(once / GAMMA),
            Estimate(-math.log(X_START / X_CORE)),
            rounding,
        ),
        Comparison(
            "exponent of that logarithm in λ, from λ = 0.01 h, coupled",
            Estimate(math.log2(high / low)),
            Estimate(1.0),
            2 * weak,
            claimed=True,
        ),
    ]


def check(law=quadratic_memorization_radius, *, seed: int = 0) -> Verdict:
    """Check the algebra, and `law` against its expansion and against simulated exits."""
    mean, start = flat_directions()
    first, second = coefficient_formulas()
    symbolic = [
        *(Residual(f"Dirichlet problem, ε^{i}", r) for i, r in enumerate(solves_order_by_order(4))),
        Residual("mean of the flat directions", mean),
        Residual("its start", start),
        Residual("c_M", first),
        Residual("c_M⁽²⁾", second),
        Residual("d ln φ₀/dγ = −2τ₀", shrinkage_slope()),
    ]
    numeric, data = [], {"law": law}
    for i, (shape, y_start) in enumerate(Y_START.items()):
        given = landscape(y_start)
        points = [simulated(y_start, u, seed + 10 * i + j) for j, u in enumerate(RATIOS)]
        data[shape] = points
        for u, point in zip(RATIOS, points, strict=True):
            expected = law(X_START, X_CORE, **given, eta=4 * u, batch_size=4)
            what = f"ρ_M², {shape} (Y₀ = {y_start:g}), η/b = {u:g}"
            numeric.append(Comparison(what, point, Estimate(expected)))
        numeric += [order_of_error(law, y_start, 0.01), order_of_form(law, y_start, 0.01)]
    numeric += shrinkage(law)
    return Verdict(CLAIM, "claimed", symbolic, numeric, validity(law), data)


def validity(law) -> str:
    """Where the expansion ends."""
    phrases = []
    for shape, y_start in Y_START.items():
        given = landscape(y_start)
        c = quadratic_memorization_coefficients(X_START, X_CORE, **given)._asdict()
        near = memorization_radius(eta=np.array(RATIOS), batch_size=1, **c)
        off = near / law(X_START, X_CORE, **given, eta=np.array(RATIOS), batch_size=1) - 1
        phrases.append(f"{shape}: {within('η/b', RATIOS, off.tolist())}")
    return "second order, " + "; ".join(phrases)


def figure(data: Mapping[str, Any]) -> Figure:
    """ρ_M² over η/b, exact, expanded and simulated, in the U-shaped and the monotone case."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 3.0))
    u = np.linspace(0, 1.1, 111)
    for axes, (shape, y_start) in zip(figure.subplots(1, 2), Y_START.items(), strict=True):
        given = landscape(y_start)
        c = quadratic_memorization_coefficients(X_START, X_CORE, **given)
        exact = data["law"](X_START, X_CORE, **given, eta=u, batch_size=1)
        near = memorization_radius(eta=u, batch_size=1, **c._asdict())
        axes.plot(u, exact, color="0.35", label="exact")
        axes.plot(u, near, ls="--", label="Theorem 1, second order")
        minimum = memorization_minimum(c_m=c.c_m, c_m2=c.c_m2)
        if math.isfinite(minimum):
            axes.axvline(minimum, color="C0", lw=0.8, ls=":")
            label = r"$|c_M|/2c_M^{(2)}$"
            axes.annotate(
                label, (minimum, 0.9), xycoords=("data", "axes fraction"), fontsize=8, color="C0"
            )
        axes.errorbar(
            RATIOS,
            [p.value for p in data[shape]],
            yerr=[1.96 * p.stderr for p in data[shape]],
            fmt="o",
            color="C1",
            mfc="none",
            label="simulated",
        )
        axes.set(
            title=f"{shape}, $Y_0$ = {y_start:g}",
            xlabel=r"$\eta/b$ (units $g = \sigma/s = 1$)",
            ylabel=r"$\rho_M^2$ (same units)",
            ylim=(0.98 * exact.min(), 1.02 * max(exact.max(), exact[0] + 0.2)),
        )
    figure.axes[1].legend(loc="upper left")
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
