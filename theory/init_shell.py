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
from scipy.special import ndtri

from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import init_shell_mean, init_shell_quantile, init_shell_sd
from sde_grok.results import Estimate

CLAIM = "init-shell"
WIDE = np.full(8, 128)
NETWORK = np.repeat([16, 32], [32, 48])  # rows of an embedding, and of a layer
SMALL = np.array([3, 5, 9])
SIZES = (10, 100, 1000, 10_000)
LEVELS = (0.01, 0.5, 0.99)
N_SHELLS = {"normal": 10_000, "uniform": 20_000}
CHUNK = 1_000


def cumulants_of_chi2() -> list[Residual]:
    """Mean pσ² and variance 2pσ⁴, from the logarithm of (1 + 2ασ²)^{−p/2}."""
    alpha, sigma, p = sp.symbols("alpha sigma p", positive=True)
    log_phi = -p / 2 * sp.log(1 + 2 * alpha * sigma**2)
    mean = -sp.diff(log_phi, alpha).subs(alpha, 0)
    variance = sp.diff(log_phi, alpha, 2).subs(alpha, 0)
    return [
        Residual("χ²: mean", sp.simplify(mean - p * sigma**2)),
        Residual("χ²: variance", sp.simplify(variance - 2 * p * sigma**4)),
    ]


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


def lecun() -> list[Residual]:
    """Mean k and variance 2k/p̃ for σ_j² = 1/p_j, from ln φ = −Σ (p_j/2) ln(1 + 2α/p_j), k = 3."""
    alpha, *p = sp.symbols("alpha p1:4", positive=True)
    k, harmonic = len(p), len(p) / sum(1 / x for x in p)
    log_phi = -sum(x / 2 * sp.log(1 + 2 * alpha / x) for x in p)
    mean = -sp.diff(log_phi, alpha).subs(alpha, 0)
    variance = sp.diff(log_phi, alpha, 2).subs(alpha, 0)
    return [
        Residual("LeCun: mean k", sp.simplify(mean - k)),
        Residual("LeCun: variance 2k/p̃", sp.simplify(variance - 2 * k / harmonic)),
    ]


def shells(rng: np.random.Generator, sizes: np.ndarray, entries: str) -> np.ndarray:
    """Draw the entries of N_SHELLS vectors with LeCun scaling; return ρ²."""
    half = math.sqrt(3)
    rho2 = []
    for start in range(0, N_SHELLS[entries], CHUNK):
        shape = min(CHUNK, N_SHELLS[entries] - start), int(sizes.sum())
        normal = entries == "normal"
        x = rng.standard_normal(shape) if normal else rng.uniform(-half, half, shape)
        rho2.append(x**2 @ np.repeat(1 / sizes, sizes))
    return np.concatenate(rho2)


def mean(rho2: np.ndarray) -> Estimate:
    """Mean of a sample and its error."""
    return Estimate(float(rho2.mean()), float(rho2.std()) / math.sqrt(rho2.size))


def standard_deviation(rho2: np.ndarray) -> Estimate:
    """Standard deviation of a sample and its error, from the fourth moment."""
    square = (rho2 - rho2.mean()) ** 2
    sd = math.sqrt(square.mean())
    return Estimate(sd, float(np.std(square)) / math.sqrt(rho2.size) / (2 * sd))


def exponent(low: Estimate, high: Estimate, ratio: float) -> Estimate:
    """Exponent between two numbers whose arguments differ by `ratio`."""
    stderr = math.hypot(low.stderr / low.value, high.stderr / high.value)
    return Estimate(math.log(high.value / low.value) / math.log(ratio), stderr / math.log(ratio))


def orders(wide: np.ndarray, network: np.ndarray) -> list[Comparison]:
    """Compare the claimed orders, ρ² = O(k) and thickness O(√(k/p̃)), as exponents."""
    spread = [np.sum(1 / sizes) for sizes in (WIDE, NETWORK)]  # k/p̃
    width = exponent(mean(wide), mean(network), NETWORK.size / WIDE.size)
    thickness = exponent(
        standard_deviation(wide), standard_deviation(network), spread[1] / spread[0]
    )
    return [
        Comparison("exponent of ρ² in k", width, Estimate(1.0), claimed=True),
        Comparison("exponent of the thickness in k/p̃", thickness, Estimate(0.5), claimed=True),
    ]


def check(law=init_shell_sd, *, seed: int = 0) -> Verdict:
    """Check the moments, the claimed orders, and the law of ρ²; `law` is the thickness."""
    symbolic = [
        *cumulants_of_chi2(),
        Residual("transform of a squared normal entry", transform_of_a_square()),
        Residual("variance of a squared uniform entry", uniform_variance()),
        *lecun(),
    ]
    rng = np.random.default_rng(seed)
    drawn = [
        (entries, sizes, shells(rng, sizes, entries))
        for entries, sizes in (("normal", WIDE), ("normal", NETWORK), ("uniform", SMALL))
    ]
    numeric = orders(drawn[0][2], drawn[1][2])
    by_lecun = math.sqrt(2 * np.sum(1 / NETWORK))
    numeric.append(
        Comparison(
            "law over √(2k/p̃), LeCun",
            Estimate(law(NETWORK, 1 / NETWORK) / by_lecun),
            Estimate(1.0),
            allowed=1e-12,  # rounding
        )
    )
    for entries, sizes, rho2 in drawn:
        where = f"{entries}, k = {sizes.size}"
        expected = Estimate(init_shell_mean(sizes, 1 / sizes))
        thickness = Estimate(law(sizes, 1 / sizes, entries=entries))
        numeric += [
            Comparison(f"mean of ρ², {where}", mean(rho2), expected),
            Comparison(f"thickness, {where}", standard_deviation(rho2), thickness),
        ]
        if sizes is WIDE:
            continue
        for level in LEVELS:
            quantile = init_shell_quantile(level, sizes, 1 / sizes, entries=entries)
            stderr = math.sqrt(level * (1 - level) / rho2.size)
            below = Estimate(float(np.mean(rho2 < quantile)), stderr)
            what = f"part below the {level:.0%} quantile, {where}"
            numeric.append(Comparison(what, below, Estimate(level)))
    widths = [16, 64, 256, 1024]
    relative = [law(np.full(w, w), 1 / w) / w for w in widths]  # a square layer, k = p = width
    thin = ", ".join(f"{r:.2%} at {w}" for r, w in zip(relative, widths, strict=True))
    normal = [
        (init_shell_quantile(0.99, [p], 1 / p) - 1) / (law([p], 1 / p) * -ndtri(0.01)) - 1
        for p in SIZES
    ]
    validity = (
        f"thickness over ρ² of a square layer, by width: {thin}; distance of the 99 % quantile "
        f"from the mean, against a normal law, {within('p', SIZES, normal, 0.1)}"
    )
    return Verdict(CLAIM, "claimed", symbolic, numeric, validity)


if __name__ == "__main__":
    raise SystemExit(report(check()))
