"""Claim grokking-edge: delayed generalization appears and disappears where balance and basins have it.

Circuits m and g share the margin a_m ρ_m^h + a_g ρ_g^h of the training examples, and that of the test
is −κ ρ_m^h + a_g ρ_g^h. Three things decide what a path does, and each is known in closed form:

- it memorizes, at a radius that both circuits can have;
- whether it generalizes at all: the test loss must be above that of the rest of g alone,
  λ < λ_G = h a_g^{2/h} u^p/(1 + e^u), u = −ln(e^L − 1) (`sde_grok.laws.shrinkage_at_loss`);
- and from where: for h > 2 both circuits attract, and the line ρ_g/ρ_m = (a_m/a_g)^{1/(h−2)} parts
  their basins, whatever λ and the loss, as long as both circuits have a rest and the start is beyond
  their barrier (`sde_grok.laws.generalizing_fraction`). A path that starts
  on the wrong side memorizes and never generalizes, but for noise that carries it across.

The edge λ_G is looked for between λ on both sides of it; what is beyond it for a little is reached by
fluctuations alone, and not within the time here. The basins are held against the part of paths that
start uniformly on a sphere and generalize.

Measured networks (Z127, Z59, coupled shrinkage) have no such edge in the data: at the largest λ there
memorization and grokking coincide, and the delay vanishes rather than diverges.

Provenance: derived.
"""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import sympy as sp

from sde_grok import IsotropicNoise, Optimizer, simulate_grokking
from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.landscapes import two_circuits
from sde_grok.laws import generalizing_fraction, shrinkage_at_loss
from sde_grok.results import Estimate

CLAIM = "grokking-edge"
DEGREES, TEST_LOSSES = (2.0, 3.0), (0.05, 0.1)
BESIDE = 0.02  # the edge is looked for between λ_G (1 − BESIDE) and λ_G (1 + BESIDE)
PATHS, SHORT = 64, 3000  # steps: twice what it takes just inside, at most

RATIOS, DIMS = (1.4, 2.0, 2.5), (24, 8)  # a_g/a_m; d_m and d_g
MANY = 256
CARRIED = (
    0.08  # part of the paths that noise and unequal √v may carry across, of those near the line
)


def edges(law, seed: int) -> list[Comparison]:
    """λ at which paths stop generalizing, over the law's."""
    found = []
    for degree, loss, system in itertools.product(DEGREES, TEST_LOSSES, ("joint", "discrete")):
        expected = float(law(loss, rate=3.0, degree=degree, scale=1.0))
        factors = (1 - 3 * BESIDE, 1 - BESIDE, 1 + BESIDE, 1 + 3 * BESIDE)
        parts = [generalizing(f * expected, degree, loss, system, seed) for f in factors]
        inside = len(list(itertools.takewhile(lambda part: part > 0.5, parts)))
        ends = (0.0, *factors, 2.0)  # and if paths generalize again further out, it is no edge
        again = any(part > 0.5 for part in parts[inside:])
        middle = 0.0 if again else 0.5 * (ends[inside] + ends[inside + 1])
        what = f"λ where paths cease to generalize over the law's, h = {degree:g}, L = {loss:g}"
        found.append(
            Comparison(f"{what}, {system} rung", Estimate(middle), Estimate(1.0), allowed=BESIDE)
        )
    return found


@cache
def generalizing(lam: float, degree: float, loss: float, system, seed: int) -> float:
    """Part of the paths that generalize soon, of circuits of which g is easily found."""
    paths = simulate_grokking(
        Optimizer(eta=3e-4, batch_size=100, lam=lam),
        IsotropicNoise(1.0),
        two_circuits(8, 24, rate_memorizing=1.0, rate_generalizing=3.0, mislead=3.0, degree=degree),
        rho_start=0.5,
        dim=32,
        train_loss=0.3,
        test_loss=loss,
        system=system,
        n_paths=PATHS,
        max_steps=SHORT,
        seed=seed,
    )
    return float(np.isfinite(paths.generalized.steps).mean())


@cache
def basins(seed: int) -> list[Comparison]:
    """Part of the paths that generalize, and of those that memorize, by a_g/a_m."""
    found = []
    for ratio in RATIOS:
        paths = simulate_grokking(
            Optimizer(eta=1e-3, batch_size=100, lam=0.2),
            IsotropicNoise(20.0),
            two_circuits(
                *DIMS,
                rate_memorizing=1.0,
                rate_generalizing=ratio,
                mislead=3.0,
                degree=3.0,
                noise="constant",
            ),
            rho_start=1.0,
            dim=sum(DIMS),
            train_loss=0.1,
            test_loss=0.1,
            system="joint",
            n_paths=MANY,
            max_steps=120_000,
            seed=seed,
        )
        expected = float(
            generalizing_fraction(
                ratio, degree=3.0, dim_memorizing=DIMS[0], dim_generalizing=DIMS[1]
            )
        )
        for what, stage, part in (
            ("memorize", paths.memorized, 1.0),
            ("generalize", paths.generalized, expected),
        ):
            seen = float(np.isfinite(stage.steps).mean())
            error = math.sqrt(expected * (1 - expected) / MANY) if part < 1 else 0.0
            found.append(
                Comparison(
                    f"part of the paths that {what}, a_g/a_m = {ratio:g}",
                    Estimate(seen, error),
                    Estimate(part),
                    allowed=CARRIED / part if part < 1 else 0.0,
                )
            )
    return found


def separatrix() -> list[Residual]:
    """Where the drifts of ln ρ_g and ln ρ_m are the same, and the balance at a given loss."""
    a_m, a_g, h, r, lam, rho = sp.symbols("a_m a_g h r lambda rho", positive=True)
    u, a = sp.symbols("u a", positive=True)
    k = sp.symbols("k", positive=True)  # h − 2
    line = rho * (a_m / a_g) ** (1 / k)
    drift_g, drift_m = (r * (k + 2) * b * x**k - lam for b, x in ((a_g, line), (a_m, rho)))
    loss = sp.log(1 + sp.exp(-u))
    p = (h - 2) / h
    pull = -sp.diff(loss, u) * h * a * (u / a) ** p
    return [
        Residual(
            "ln ρ_g and ln ρ_m drift alike on the line",
            sp.simplify(sp.expand_power_base(drift_g - drift_m, force=True)),
        ),
        Residual("u = −ln(e^L − 1)", sp.simplify(sp.exp(-u) - (sp.exp(loss) - 1))),
        Residual(
            "λ at the rest of loss L",
            sp.simplify(
                sp.expand_power_base(
                    pull - h * a ** (2 / h) * u**p / (1 + sp.exp(u)), force=True
                ).rewrite(sp.exp)
            ),
        ),
    ]


def check(law=shrinkage_at_loss, *, seed: int = 0) -> Verdict:
    """Check the algebra, the edge in λ, and the basins."""
    found = basins(seed)
    shown = ", ".join(
        f"{c.measured.value:.2f} ({c.expected.value:.2f})" for c in found if "generalize" in c.what
    )
    words = (
        f"part that generalizes (law) for a_g/a_m = 1.4, 2, 2.5: {shown}; edge within {BESIDE:g}"
    )
    return Verdict(CLAIM, "derived", separatrix(), [*edges(law, seed), *found], words)


if __name__ == "__main__":
    raise SystemExit(report(check()))
