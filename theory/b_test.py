"""Claim b-test: the batch size tells coupled from decoupled shrinkage.

Where gradient noise alone sets √v = s = σ/√b, coupled shrinkage contracts at the rate γ = λ/s and
the escape takes T ∝ b^−½ steps; decoupled shrinkage contracts at γ = λ, and T does not see b:

    ∂ ln T/∂ ln b → −½ (coupled),    0 (decoupled),    as λρ/(s√d) → 0.

The coupled law leaves this limit by the pull in √v = √(s² + λ²θ²), and by the noise floor.

Provenance: claimed by arXiv 2606.30388 (as reported second-hand) for the coupled form; derived for
the decoupled one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import exponents, matched_steps, mean_field_steps
from sde_grok.results import Estimate
from sde_grok.rungs.radial import radial_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "b-test"
DIM, START, CORE, SIGMA = 64, 64.0, 16.0, 1.0
BATCHES = (9, 36, 144)


class Scan(NamedTuple):
    """Mean escape steps over batch sizes."""

    batches: Sequence[float]
    means: list[Estimate]

    def exponent(self) -> Estimate:
        """Slope of ln T over ln b, weighted by the errors."""
        x = np.log(self.batches)
        y = np.log([m.value for m in self.means])
        weight = np.array([(m.value / m.stderr) ** 2 for m in self.means])
        x = x - np.average(x, weights=weight)
        return Estimate(
            float(np.sum(weight * x * y) / np.sum(weight * x**2)),
            float(1 / np.sqrt(np.sum(weight * x**2))),
        )


def leading_exponents() -> tuple[sp.Expr, sp.Expr]:
    """Residuals of b ∂ ln T/∂b for T = ln(ρ₀/ρ*)/(ηγ), γ = λ√b/σ and γ = λ."""
    b, eta, lam, sigma, log_ratio = sp.symbols("b eta lambda sigma L", positive=True)
    coupled = log_ratio / (eta * lam * sp.sqrt(b) / sigma)
    decoupled = log_ratio / (eta * lam)
    return (
        sp.simplify(b * sp.diff(sp.log(coupled), b) + sp.Rational(1, 2)),
        sp.simplify(b * sp.diff(sp.log(decoupled), b)),
    )


def pull_exponent() -> sp.Expr:
    """Residual of the second order in the pull p = λx/s of the coupled exponent of one coordinate.

    dk/dx = −√(s²+λ²x²)/(ηλx) has b ∂/∂b of its logarithm −½ s²/(s²+λ²x²) = −½ + p²/2 + O(p⁴).
    """
    b, p0 = sp.symbols("b p0", positive=True)  # p = p₀√b
    slowness = sp.sqrt(1 / b + p0**2) / p0
    local = sp.simplify(b * sp.diff(sp.log(slowness), b)).subs(b, 1)
    return sp.simplify(sp.series(local, p0, 0, 4).removeO() - (-sp.Rational(1, 2) + p0**2 / 2))


def scan(
    system: str,
    decay: str,
    *,
    eta: float,
    lam: float,
    batches: Sequence[int],
    n_paths: int,
    seed: int,
) -> Scan:
    """Escape over batch sizes; on the reduced rung with 2000 time steps a passage."""
    means = []
    for i, b in enumerate(batches):
        optimizer = Optimizer(eta=eta, batch_size=b, lam=lam, decay=decay)
        gamma = radial_rates(optimizer, SIGMA).gamma
        result = simulate_escape(
            optimizer,
            Geometry(rho_start=math.sqrt(START), rho_core=math.sqrt(CORE), dim=DIM),
            IsotropicNoise(SIGMA),
            system=system,
            n_paths=n_paths,
            max_steps=10**9,
            seed=seed + i,
            dt=math.log(START / CORE) / (2 * gamma * eta) / 2000 if system == "reduced" else None,
        )
        means.append(result.mean)
    return Scan(list(batches), means)


def along(law, batches: Sequence[float], *, eta: float, lam: float) -> Scan:
    """Return the law at the batch sizes of a scan, all with one relative error."""
    steps = law(START, CORE, dim=DIM, eta=eta, lam=lam, sigma=SIGMA, batch_size=np.array(batches))
    return Scan(batches, [Estimate(t, t) for t in steps.tolist()])


def local_exponent(law, b: float, *, eta: float, lam: float) -> float:
    """Local exponent of the law in b."""
    at = {"rho2_start": START, "rho2_core": CORE, "dim": DIM, "sigma": SIGMA}
    return exponents(law, at | {"eta": eta, "lam": lam, "batch_size": b}).batch_size


def check(law=matched_steps, *, seed: int = 0) -> Verdict:
    """Check the limit of `law`'s exponent, and the exponents of simulated scans."""
    coupled, decoupled = leading_exponents()
    symbolic = [
        Residual("coupled: b ∂ln T/∂b + ½", coupled),
        Residual("decoupled: b ∂ln T/∂b", decoupled),
        Residual("coupled: second order in the pull", pull_exponent()),
    ]
    # Floor and pull are largest at the ends of the scan; the local exponent is known there.
    quiet = {"eta": 1e-5, "lam": 0.002}
    noisy = {"eta": 1e-3, "lam": 0.02}
    departure = max(abs(local_exponent(law, b, **quiet) + 0.5) for b in BATCHES) / 0.5
    near_limit = scan("reduced", "coupled", batches=BATCHES, n_paths=256, seed=seed, **quiet)
    adam = scan("discrete", "coupled", batches=BATCHES, n_paths=256, seed=seed + 10, **noisy)
    adamw = scan(
        "discrete", "decoupled", batches=BATCHES, n_paths=256, seed=seed + 20, eta=1e-3, lam=0.1
    )
    remembering = partial(mean_field_steps, beta1=0.9, beta2=0.999)
    predicted = along(remembering, BATCHES, **noisy).exponent()
    numeric = [
        Comparison(
            "exponent in b of the law, coupled, pull 1e-4",
            Estimate(local_exponent(law, 100, eta=1e-9, lam=1e-5)),
            Estimate(-0.5),
            allowed=1e-4,  # the floor is 1e-4 of the core
        ),
        Comparison(
            "of the reduced rung, coupled", near_limit.exponent(), Estimate(-0.5), departure
        ),
        Comparison(
            "of discrete Adam, coupled, against the mean-field law",
            adam.exponent(),
            Estimate(predicted.value),
            allowed=0.4 / DIM / math.log(BATCHES[-1] / BATCHES[0]) / 0.5,  # its error is 0.4/d
        ),
        Comparison("of discrete Adam, decoupled", adamw.exponent(), Estimate(0.0)),
    ]
    wide = [10 ** (n / 2) for n in range(2, 12)]
    off = [local_exponent(law, b, **noisy) / -0.5 - 1 for b in wide]
    validity = f"λ = {noisy['lam']}: coupled exponent −½ " + within("b", wide, off, 0.1)
    data = {"near limit": near_limit, "adam": adam, "adamw": adamw, "law": law} | noisy
    return Verdict(CLAIM, "claimed", symbolic, numeric, validity, data)


def figure(data: Mapping[str, Any]) -> Figure:
    """Mean steps over b, and local exponents in b with those of the scans."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 3.0))
    left, right = figure.subplots(1, 2)
    b = np.geomspace(4, 1e6, 40)
    remembering = partial(mean_field_steps, beta1=0.9, beta2=0.999)
    noisy = {"eta": data["eta"], "lam": data["lam"]}
    for law, style, name in (
        (data["law"], "-", "matched law"),
        (remembering, "--", "mean-field law"),
    ):
        means = [m.value for m in along(law, b, **noisy).means]
        left.plot(b, means, color="0.35", ls=style, label=name)
        right.plot(b, np.gradient(np.log(means), np.log(b)), color="0.35", ls=style)
    for name, marker, words in (("adam", "o", "Adam, coupled"), ("adamw", "s", "AdamW, decoupled")):
        scan = data[name]
        left.errorbar(
            scan.batches,
            [m.value for m in scan.means],
            yerr=[m.stderr for m in scan.means],
            fmt=marker,
            mfc="none",
            label=words,
        )
        center, slope = math.sqrt(scan.batches[0] * scan.batches[-1]), scan.exponent()
        right.errorbar(center, slope.value, yerr=1.96 * slope.stderr, fmt=marker, mfc="none")
    for exponent, words in ((-0.5, "noise-dominated"), (0.0, "sign-like, decoupled")):
        right.axhline(exponent, color="0.6", lw=0.8, ls=":")
        right.annotate(words, (1e6, exponent), ha="right", va="bottom", fontsize=8, color="0.4")
    left.set(xscale="log", yscale="log", xlabel="batch size $b$", ylabel="mean escape time (steps)")
    right.set(
        xscale="log",
        xlabel="batch size $b$",
        ylabel=r"$\partial \ln T/\partial \ln b$",
        ylim=(-0.6, 0.1),
    )
    left.legend()
    return figure


if __name__ == "__main__":
    raise SystemExit(report(check()))
