"""Claim init-shell: random initialisations concentrate on a thin shell, O(k) wide and O(√(k/p̃)) thick.

A parameter vector of k independent sub-vectors, the j-th of p_j normal entries of variance σ_j², has
ρ_Θ² = Σ_j σ_j² χ²_{p_j}, of Laplace transform Π_j (1 + 2ασ_j²)^{−p_j/2}: mean Σ p_j σ_j² and variance
2 Σ p_j σ_j⁴. LeCun scaling σ_j² = 1/p_j makes the mean k and the standard deviation √(2k/p̃), p̃ the
harmonic mean of the p_j. For uniform entries the variance is 4/5 Σ p_j σ_j⁴.

Provenance: k and √(k/p̃) are claimed by arXiv 2606.30388 (as reported second-hand) as orders of
magnitude of ρ_Θ²; the moments, the law and the factor √2 are derived.
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp
from scipy.stats import norm

from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import init_shell_mean, init_shell_quantile, init_shell_sd
from sde_grok.results import Estimate

CLAIM = "init-shell"
NETWORK = np.repeat([256, 512], [127, 639])  # rows of an embedding, and of two layers of width 512
SMALL = np.array([3, 5, 9])
SIZES = (10, 100, 1000, 10_000)
N_SHELLS = 20_000
LEVELS = (0.01, 0.5, 0.99)


def cumulants_of_chi2() -> list[sp.Expr]:
    """Residuals of mean pσ² and variance 2pσ⁴, from the logarithm of (1 + 2ασ²)^{−p/2}."""
    alpha, sigma, p = sp.symbols("alpha sigma p", positive=True)
    log_phi = -p / 2 * sp.log(1 + 2 * alpha * sigma**2)
    mean = -sp.diff(log_phi, alpha).subs(alpha, 0)
    variance = sp.diff(log_phi, alpha, 2).subs(alpha, 0)
    return [sp.simplify(mean - p * sigma**2), sp.simplify(variance - 2 * p * sigma**4)]


def transform_of_a_square() -> sp.Expr:
    """Residual of E e^{−αx²} = (1 + 2ασ²)^{−½} for a normal entry x of variance σ²."""
    alpha, sigma = sp.symbols("alpha sigma", positive=True)
    x = sp.symbols("x", real=True)
    density = sp.exp(-(x**2) / (2 * sigma**2)) / sp.sqrt(2 * sp.pi * sigma**2)
    mean = sp.integrate(sp.exp(-alpha * x**2) * density, (x, -sp.oo, sp.oo))
    return sp.simplify(mean * sp.sqrt(1 + 2 * alpha * sigma**2) - 1)


def uniform_variance() -> sp.Expr:
    """Residual of Var x² = 4σ⁴/5 for x uniform on ±√3σ."""
    x, sigma = sp.symbols("x sigma", positive=True)
    half = sp.sqrt(3) * sigma
    second, fourth = (sp.integrate(x**n / half, (x, 0, half)) for n in (2, 4))
    return sp.simplify(fourth - second**2 - sp.Rational(4, 5) * sigma**4)


def lecun() -> list[sp.Expr]:
    """Residuals of mean k and variance 2k/p̃ for three sub-vectors with σ_j² = 1/p_j."""
    p = sp.symbols("p1:4", positive=True)
    k, harmonic = len(p), len(p) / sum(1 / x for x in p)
    return [
        sp.simplify(sum(x / x for x in p) - k),
        sp.simplify(sum(2 * x / x**2 for x in p) - 2 * k / harmonic),
    ]


def shells(rng: np.random.Generator, sizes: np.ndarray, entries: str) -> np.ndarray:
    """Draw ρ² with LeCun scaling."""
    if entries == "normal":
        return np.sum(rng.chisquare(sizes, (N_SHELLS, sizes.size)) / sizes, axis=1)
    x = rng.uniform(-math.sqrt(3), math.sqrt(3), (N_SHELLS, sizes.sum()))
    return np.sum(x**2 / np.repeat(sizes, sizes), axis=1)


def standard_deviation(rho2: np.ndarray) -> Estimate:
    """Standard deviation of a sample and its error, from the fourth moment."""
    square = (rho2 - rho2.mean()) ** 2
    sd = math.sqrt(square.mean())
    return Estimate(sd, float(np.std(square)) / math.sqrt(rho2.size) / (2 * sd))


def check(law=init_shell_sd, *, seed: int = 0) -> Verdict:
    """Check the moments and the law of ρ²; `law` is the thickness."""
    symbolic = [
        *(
            Residual(f"χ²: {n}", r)
            for n, r in zip(("mean", "variance"), cumulants_of_chi2(), strict=True)
        ),
        Residual("transform of a squared normal entry", transform_of_a_square()),
        Residual("variance of a squared uniform entry", uniform_variance()),
        *(
            Residual(f"LeCun: {n}", r)
            for n, r in zip(("mean k", "variance 2k/p̃"), lecun(), strict=True)
        ),
    ]
    rng = np.random.default_rng(seed)
    numeric, k = [], NETWORK.size
    harmonic = k / np.sum(1 / NETWORK)
    numeric.append(
        Comparison(
            "thickness over √(2k/p̃), LeCun",
            Estimate(law(NETWORK, 1 / NETWORK) / math.sqrt(2 * k / harmonic)),
            Estimate(1.0),
            allowed=1e-12,  # rounding
        )
    )
    for entries, sizes in (("normal", NETWORK), ("uniform", SMALL)):
        rho2 = shells(rng, sizes, entries)
        mean = Estimate(float(rho2.mean()), float(rho2.std()) / math.sqrt(N_SHELLS))
        expected = Estimate(init_shell_mean(sizes, 1 / sizes))
        numeric += [
            Comparison(f"mean of ρ², {entries}, k = {sizes.size}", mean, expected),
            Comparison(
                f"thickness, {entries}, k = {sizes.size}",
                standard_deviation(rho2),
                Estimate(law(sizes, 1 / sizes, entries=entries)),
            ),
        ]
        for level in LEVELS:
            quantile = init_shell_quantile(level, sizes, 1 / sizes, entries=entries)
            below = Estimate(
                float(np.mean(rho2 < quantile)), math.sqrt(level * (1 - level) / N_SHELLS)
            )
            numeric.append(
                Comparison(
                    f"part below the {level:.0%} quantile, {entries}", below, Estimate(level)
                )
            )
    widths = [16, 64, 256, 1024]
    relative = [law(np.full(w, w), 1 / w) / w for w in widths]  # a square layer, k = p = width
    thin = ", ".join(f"{r:.2%} at {w}" for r, w in zip(relative, widths, strict=True))
    normal = [
        (init_shell_quantile(0.99, [p], 1 / p) - 1) / (law([p], 1 / p) * norm.isf(0.01)) - 1
        for p in SIZES
    ]
    validity = (
        f"thickness over radius of a square layer, by width: {thin}; the normal law has the 99 % "
        f"quantile's distance from the mean {within('p', SIZES, normal, 0.1)}"
    )
    return Verdict(CLAIM, "claimed", symbolic, numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
