"""Claim radial-law: the whole law of the radial passage time, from its Laplace transform.

The transform φ(V) = E e^{−αT} of the passage time from V down to V* solves L φ = αφ. In κ = d/2,
x = γV/q² and a = α/2γ this is Kummer's equation x φ″ + (κ − x) φ′ = aφ, and

    E e^{−αT} = U(a, κ, x₀)/U(a, κ, x*),    Γ(a) U = ∫_0^∞ t^{a−1} (1+t)^{κ−a−1} e^{−xt} dt

(DLMF 13.4.4). The survival function P(T > t) has the transform (1 − φ)/α, and is recovered by
numerical inversion.

Provenance: derived, from the radial model of arXiv 2606.30388 (as reported second-hand).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from scipy.interpolate import CubicSpline
from scipy.special import kolmogi, ndtr

from sde_grok import EscapeResult
from sde_grok.claims import (
    FALSE_ALARM,
    Comparison,
    Residual,
    Verdict,
    kolmogorov_distance,
    report,
    within,
)
from sde_grok.laws import (
    laplace_transform,
    mean_passage_time,
    passage_density,
    survival_function,
)
from sde_grok.results import Estimate
from sde_grok.unit_escape import unit_escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "radial-law"
N_PATHS = 100_000
# (d, V₀, V*) in units γ = q = 1, where the noise floor is d/2
CASES = [
    (1, 2.0, 0.1),
    (2, 4.0, 0.5),
    (10, 20.0, 8.0),
    (10, 20.0, 3.0),
    (100, 200.0, 60.0),
    (1000, 2000.0, 480.0),
]
UNIT = {"gamma": 1.0, "q2": 1.0}
KNOTS = ndtr(np.linspace(-4.5, 4.5, 20))  # ranks of order statistics, dense at both ends


def generator_is_kummers() -> sp.Expr:
    """Residual of (L − α) φ = 2γ [x φ″ + (κ − x) φ′ − aφ]."""
    gamma, q, kappa, x, a = sp.symbols("gamma q kappa x a", positive=True)
    d1, d2, value = sp.symbols("phi1 phi2 phi")  # derivatives in x
    V, dx_dV = x * q**2 / gamma, gamma / q**2
    generator = (2 * kappa * q**2 - 2 * gamma * V) * d1 * dx_dV + 2 * q**2 * V * d2 * dx_dV**2
    return sp.simplify(
        generator - 2 * gamma * a * value - 2 * gamma * (x * d2 + (kappa - x) * d1 - a * value)
    )


def integral_solves_kummers() -> sp.Expr:
    """Residual of the equation under the integral against −d/dt[t^a (1+t)^{κ−a} e^{−xt}]."""
    a, kappa, x, t = sp.symbols("a kappa x t", positive=True)
    f = t ** (a - 1) * (1 + t) ** (kappa - a - 1) * sp.exp(-x * t)
    left = x * sp.diff(f, x, 2) + (kappa - x) * sp.diff(f, x) - a * f
    return sp.simplify((left + sp.diff(t**a * (1 + t) ** (kappa - a) * sp.exp(-x * t), t)) / f)


def survival_transform() -> sp.Expr:
    """Residual of ∫_0^∞ e^{−αt} P(T > t) dt = (1 − φ)/α, for T = τ and hence for all T."""
    alpha, tau, t = sp.symbols("alpha tau t", positive=True)
    transform = sp.integrate(sp.exp(-alpha * t), (t, 0, tau))
    return sp.simplify(transform - (1 - sp.exp(-alpha * tau)) / alpha)


def distance(law, result: EscapeResult, dim: int, start: float, core: float) -> float:
    """Kolmogorov's √n sup |S − S_n|, S by a cubic spline in ln t between order statistics.

    Against 500 knots its error was measured as 0.01 to 0.025 in √n S.
    """
    times = np.sort(result.steps)
    n = times.size
    knots = np.unique(times[np.round((n - 1) * KNOTS).astype(int)])
    at_knots = law(knots, start, core, dim=dim, **UNIT)
    survival = CubicSpline(np.log(knots), at_knots)(np.log(times))
    return kolmogorov_distance(1 - survival)


def check(law=survival_function, *, seed: int = 0) -> Verdict:
    """Check the algebra, and `law` and the transform against simulated passages."""
    symbolic = [
        Residual("generator is Kummer's", generator_is_kummers()),
        Residual("U(a, κ, x) solves Kummer's equation", integral_solves_kummers()),
        Residual("transform of P(T > t)", survival_transform()),
    ]
    numeric, data, off = [], [], []
    for i, (dim, start, core) in enumerate(CASES):
        result = unit_escape(dim, start, core, n_paths=N_PATHS, seed=seed + i)
        mean = mean_passage_time(start, core, dim=dim, **UNIT)
        where = f"d = {dim}, V {start:g} → {core:g}"
        numeric.append(
            Comparison(
                f"√n KS distance, {where}",
                Estimate(distance(law, result, dim, start, core)),
                Estimate(0.0),
                allowed=float(kolmogi(FALSE_ALARM)),
            )
        )
        weights = np.exp(-result.steps / mean)
        numeric.append(
            Comparison(
                f"E exp(−T/E T), {where}",
                Estimate(float(weights.mean()), float(weights.std()) / math.sqrt(N_PATHS)),
                Estimate(laplace_transform(1 / mean, start, core, dim=dim, **UNIT)),
            )
        )
        part, expected = np.mean(result.steps > mean), law(mean, start, core, dim=dim, **UNIT)
        error = math.sqrt(part * (1 - part) / N_PATHS)
        off.append(Estimate(float(part / expected - 1), error / expected))
        data.append((dim, start, core, result))
    dims = [dim for dim, _, _ in CASES]
    validity = "P(T > E T) " + within("d", dims, off, 0.03)
    return Verdict(CLAIM, "derived", symbolic, numeric, validity, {"cases": data, "law": law})


def figure(data: Mapping[str, Any]) -> Figure:
    """Density beside simulated histograms, and survival functions, in units of the mean."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 3.0))
    left, right = figure.subplots(1, 2)
    for i, (dim, start, core, result) in enumerate(data["cases"][1:-1]):
        mean = mean_passage_time(start, core, dim=dim, **UNIT)
        x = np.linspace(0.02, 3, 75)
        density = passage_density(x * mean, start, core, dim=dim, **UNIT)
        floor = f"$V^*/V_\\infty$ = {2 * core / dim:.2g}"
        left.plot(x, density * mean, color=f"C{i}", label=f"$d$ = {dim}, {floor}")
        left.hist(
            result.steps / mean,
            bins=np.linspace(0, 3, 91),
            weights=np.full(result.n_paths, 30 / result.n_paths),
            histtype="stepfilled",
            color=f"C{i}",
            alpha=0.25,
            lw=0,
        )
        x = np.linspace(0, 4, 40)
        right.plot(x, data["law"](x * mean, start, core, dim=dim, **UNIT), color=f"C{i}")
        part = np.array([0.99, 0.9, 0.7, *np.geomspace(0.5, 0.004, 12)])
        seen = np.quantile(result.steps, 1 - part) / mean
        right.plot(seen, part, "o", ms=3, mfc="none", mew=0.8, color=f"C{i}")
    left.set(xlabel="$T/\\mathrm{E}\\,T$", ylabel="density", xlim=(0, 3), ylim=(0, 2.2))
    right.set(
        xlabel="$t/\\mathrm{E}\\,T$",
        ylabel="$P(T > t)$",
        xlim=(0, 4),
        yscale="log",
        ylim=(3e-3, 1.1),
    )
    left.legend()
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
