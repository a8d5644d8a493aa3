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
from sde_grok.dual import sqrt
from sde_grok.laws import exponents, matched_steps, mean_field_steps, mean_passage_time
from sde_grok.results import Estimate
from sde_grok.rungs.radial import radial_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = "b-test"
DIM, START, CORE, SIGMA = 64, 64.0, 16.0, 1.0
BATCHES = tuple(9 * 4**n for n in range(8))
N_PATHS = 128
CLOSE = 0.01  # a limit is met within 1 %
NOISY = BATCHES[:3]  # of the limit
NORMAL = 1.96  # of 95 % confidence

REMEMBERING = partial(mean_field_steps, beta1=0.9, beta2=0.999)


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

    def pairs(self) -> list[Scan]:
        """Split into neighbouring pairs."""
        return [
            Scan(self.batches[i : i + 2], self.means[i : i + 2])
            for i in range(len(self.batches) - 1)
        ]


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
            n_paths=N_PATHS,
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


def radial_steps(*, eta: float, lam: float, batch_size: float) -> float:
    """Exact mean steps of the radial rung with decoupled shrinkage: γ = λ, q² = (η/b)σ²/s² = η."""
    s = SIGMA / sqrt(batch_size)
    q2 = eta / batch_size * SIGMA**2 / s**2
    return mean_passage_time(START, CORE, dim=DIM, gamma=lam, q2=q2) / eta


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
    loud = {"eta": 1e-3, "lam": 0.02}
    reduced = scan("reduced", "coupled", batches=NOISY, seed=seed, **quiet)
    adam = scan("discrete", "coupled", batches=BATCHES, seed=seed + 10, **loud)
    adamw = scan("discrete", "decoupled", batches=NOISY, seed=seed + 20, eta=1e-3, lam=0.1)
    pairs, predicted = adam.pairs(), along(REMEMBERING, BATCHES, **loud).pairs()
    numeric = [
        Comparison(
            "exponent in b of the law, coupled, pull 1e-4",
            Estimate(local_exponent(law, 100, eta=1e-9, lam=1e-5)),
            Estimate(-0.5),
            allowed=1e-4,  # the floor is 2e-5 of the core
        ),
        Comparison(
            "of the exact mean on the radial rung, decoupled",
            Estimate(exponents(radial_steps, loud | {"batch_size": 100.0}).batch_size),
            Estimate(0.0),
            allowed=1e-12,  # rounding
        ),
        Comparison(
            "of the reduced rung, coupled",
            reduced.exponent(),
            Estimate(-0.5),
            CLOSE,
            claimed=True,
        ),
        Comparison(
            f"of discrete Adam, coupled, b {BATCHES[0]} to {BATCHES[1]}",
            pairs[0].exponent(),
            Estimate(-0.5),
            CLOSE,
            claimed=True,
        ),
        *(against_mean_field(*both) for both in zip(pairs, predicted, strict=True)),
        Comparison("of discrete Adam, decoupled", adamw.exponent(), Estimate(0.0)),
    ]
    wide = [10 ** (n / 2) for n in range(2, 12)]
    off = [local_exponent(law, b, **loud) / -0.5 - 1 for b in wide]
    scans = {"reduced, coupled": reduced, "Adam": pairs[0], "AdamW": adamw}
    validity = (
        f"λ = {loud['lam']}: coupled exponent −½ {within('b', wide, off, 0.1)}; simulated, with "
        f"95 % confidence: {', '.join(f'{name} {interval(s)}' for name, s in scans.items())}"
    )
    data = {"adam": adam, "adamw": adamw, "law": law} | loud
    return Verdict(CLAIM, "claimed", symbolic, numeric, validity, data)


def interval(scan: Scan) -> str:
    """Say the exponent over a scan, with its 95 % confidence interval."""
    slope = scan.exponent()
    low, high = (slope.value + sign * NORMAL * slope.stderr for sign in (-1, 1))
    return f"{low:+.4f} to {high:+.4f} (b {scan.batches[0]:g} to {scan.batches[-1]:g})"


def against_mean_field(pair: Scan, predicted: Scan) -> Comparison:
    """Compare the exponent of discrete Adam over a pair with that of the mean-field law."""
    (low, high), expected = pair.batches, predicted.exponent().value
    slope_error = 1 / DIM / math.log(high / low)  # the law's T is off by terms of order 1/d
    what = f"of discrete Adam, coupled, b {low:g} to {high:g}, against the mean-field law"
    return Comparison(what, pair.exponent(), Estimate(expected), slope_error / abs(expected))


def figure(data: Mapping[str, Any]) -> Figure:
    """Mean steps over b, and local exponents in b with those of the scans."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 3.0))
    left, right = figure.subplots(1, 2)
    b = np.geomspace(4, 1e6, 30)
    loud = {"eta": data["eta"], "lam": data["lam"]}
    for law, style, name in (
        (data["law"], "-", "matched law"),
        (REMEMBERING, "--", "mean-field law"),
    ):
        means = [m.value for m in along(law, b, **loud).means]
        left.plot(b, means, color="0.35", ls=style, label=name)
        right.plot(b, np.gradient(np.log(means), np.log(b)), color="0.35", ls=style)
    for name, marker, words in (("adam", "o", "Adam, coupled"), ("adamw", "s", "AdamW, decoupled")):
        bars = {"fmt": marker, "color": "C0" if name == "adam" else "C1", "mfc": "none"}
        means, pairs = data[name].means, data[name].pairs()
        left.errorbar(
            data[name].batches,
            [m.value for m in means],
            yerr=[m.stderr for m in means],
            label=words,
            **bars,
        )
        slopes = [pair.exponent() for pair in pairs]
        right.errorbar(
            [math.sqrt(pair.batches[0] * pair.batches[1]) for pair in pairs],
            [slope.value for slope in slopes],
            yerr=[NORMAL * slope.stderr for slope in slopes],
            **bars,
        )
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
