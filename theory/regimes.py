"""Claim regimes: the leading exponents (η, b, λ) = (−1, −½, −1) and where they end.

On a flat landscape with coupled shrinkage the escape time depends on λ and b through λ√b/σ alone, so
that ∂ ln T/∂ ln b = ½ ∂ ln T/∂ ln λ everywhere. The leading law T = (σ/(ηλ√b)) ln(ρ_M/ρ_G) has the
exponents (−1, −½, −1). It ends

- where the pull λ|θ| outgrows the noise σ/√b in Adam's √v: sign-like steps, (−1, 0, 0);
- where the noise floor dησ/(2λ√b) comes near the core: there a larger η also lifts the floor.

Provenance: the leading exponents are claimed by arXiv 2606.30388 (as reported second-hand); the
rest is derived.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from scipy.ndimage import distance_transform_edt

from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape
from sde_grok.claims import Comparison, Residual, Verdict, report, within
from sde_grok.laws import exponents, matched_steps, noise_floor, regime
from sde_grok.results import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLAIM = "regimes"
SHELL = {"rho2_start": 128.0, "rho2_core": 32.0, "dim": 128, "sigma": 1.0}
NAMES = ("noise-dominated", "crossover", "sign-like", "floor-limited")
LEADING = {"eta": -1.0, "batch_size": -0.5, "lam": -1.0}
SIGN_LIKE = {"eta": -1.0, "batch_size": 0.0, "lam": 0.0}
NOISY = 100  # batch size of the noise-dominated regime
N_PATHS = 512
GRID = 20
CLOSE = 0.02  # a limit is met within 2 %
BAND = {"b": -58.0, "eta": 90.0}  # how the borders run in the figure, in degrees


def one_group() -> tuple[sp.Expr, sp.Expr]:
    """Residuals: drift and noise of dθ = −λθ/P dt + √η (s/P) dW depend on λ/s alone.

    P = √(s² + λ²θ²); under λ → cλ, s → cs both stay.
    """
    theta, lam, s, c, eta = sp.symbols("theta lambda s c eta", positive=True)
    P = sp.sqrt(s**2 + lam**2 * theta**2)
    scaled = {lam: c * lam, s: c * s}
    drift, noise = lam * theta / P, sp.sqrt(eta) * s / P
    return tuple(sp.simplify(x.subs(scaled, simultaneous=True) - x) for x in (drift, noise))


def leading() -> list[sp.Expr]:
    """Residuals of the exponents of (σ/(ηλ√b)) ln(ρ_M/ρ_G)."""
    eta, b, lam, sigma, log_ratio = sp.symbols("eta b lambda sigma L", positive=True)
    T = sigma / (eta * lam * sp.sqrt(b)) * log_ratio
    claimed = (-1, -sp.Rational(1, 2), -1)
    return [
        sp.simplify(x * sp.diff(sp.log(T), x) - e)
        for x, e in zip((eta, b, lam), claimed, strict=True)
    ]


def at(eta: float, b: float, lam: float) -> dict[str, float]:
    """Return the arguments of a law."""
    return {**SHELL, "eta": eta, "batch_size": b, "lam": lam}


def limits(law) -> list[Comparison]:
    """Exponents of the law deep inside two regimes, within the size of what is left out.

    With the pull p = λρ₀√b/(σ√d), in its place σ/√b in √v, and the floor dησ/(2λ√b): noise-dominated
    p² and the floor over the core are left out, sign-like 1/p times the logarithm of the radii.
    """
    noisy, loud = at(eta=1e-9, b=1.0, lam=1e-3), at(eta=1e-9, b=1e12, lam=1.0)
    start, core, dim = (SHELL[name] for name in ("rho2_start", "rho2_core", "dim"))
    pull = [
        p["lam"] * math.sqrt(start * p["batch_size"] / dim) / SHELL["sigma"] for p in (noisy, loud)
    ]
    floor = noise_floor(dim=dim, gamma=noisy["lam"], q2=noisy["eta"])  # σ/√b = 1 there
    regimes = (
        ("noise-dominated", LEADING, noisy, pull[0] ** 2 + floor / core),
        ("sign-like", SIGN_LIKE, loud, math.log(start / core) / pull[1]),
    )
    return [
        Comparison(
            f"law, {name}, exponent of {x}",
            Estimate(getattr(exponents(law, point), x)),
            Estimate(limit[x]),
            left_out,
        )
        for name, limit, point, left_out in regimes
        for x in limit
    ]


def simulated(law, b: int, name: str, seed: int) -> list[Comparison]:
    """Exponent over a factor 2 on the reduced rung of the checked example, and that of the law.

    Allowed is the error of the law, of order 1/d in T, as far as it may differ between the ends.
    Noise-dominated, the claimed exponent is compared, too, up to the law's departure from it.
    """
    steps, predicted = [], []
    for i, factor in enumerate((2**-0.5, 2**0.5)):
        varied = {"eta": 1e-3, "b": float(b), "lam": 0.01}
        varied[name] *= factor
        point = at(**varied)
        predicted.append([f(**point) for f in (law, matched_steps)])
        result = simulate_escape(
            Optimizer(eta=point["eta"], batch_size=b, lam=point["lam"]),
            Geometry(rho_start=128**0.5, rho_core=32**0.5, dim=128),
            IsotropicNoise(1.0),
            system="reduced",
            n_paths=N_PATHS,
            max_steps=10**6,
            dt=predicted[i][1] / 500,  # its error is the same fraction at both ends
            seed=seed + i,
        )
        steps.append(result.mean)
    (low, high), log_2 = steps, math.log(2)
    slope = math.log(high.value / low.value) / log_2
    stderr = math.hypot(high.stderr / high.value, low.stderr / low.value) / log_2
    expected = math.log(predicted[1][0] / predicted[0][0]) / log_2
    left_out = 1 / SHELL["dim"] / log_2
    measured = Estimate(slope, stderr)
    what = f"reduced rung, b = {b}, exponent of {name}"
    compared = [Comparison(what, measured, Estimate(expected), left_out / abs(expected))]
    if b == NOISY:
        as_claimed = Estimate(LEADING[name])
        compared.append(
            Comparison(f"{what}, as claimed", measured, as_claimed, CLOSE, claimed=True)
        )
    return compared


def check(law=matched_steps, *, seed: int = 0) -> Verdict:
    """Check the limits of `law`'s exponents, and those of simulations across the crossover."""
    symbolic = [
        Residual(f"{name} sees λ/s alone", r)
        for name, r in zip(("drift", "noise"), one_group(), strict=True)
    ]
    symbolic += [
        Residual(f"leading law, exponent of {x}", r)
        for x, r in zip(LEADING, leading(), strict=True)
    ]
    numeric = limits(law)
    for i, (b, name) in enumerate(
        (b, name) for b in (NOISY, 10_000, 400_000) for name in ("eta", "lam")
    ):
        numeric += simulated(law, b, name, seed + 2 * i)
    return Verdict(CLAIM, "claimed", symbolic, numeric, validity(law), {"law": law})


def validity(law) -> str:
    """Where the exponent −½ of b ends, in the pull and in the floor."""
    pulls = (0.03, 0.1, 0.3, 1.0, 3.0)  # λρ₀/(s√d)
    off = [exponents(law, at(1e-9, 1.0, p)).batch_size / -0.5 - 1 for p in pulls]
    floors = (0.01, 0.1, 0.3, 0.9)  # V∞/V*
    lam = 1e-3  # pull 1e-3
    near = []
    for floor in floors:
        eta = floor * SHELL["rho2_core"] / noise_floor(dim=SHELL["dim"], gamma=lam, q2=1.0)
        near.append(exponents(law, at(eta, 1.0, lam)).eta / -1 - 1)
    return (
        f"exponent of b {within('λρ₀/(s√d)', pulls, off, 0.1)}; "
        f"exponent of η {within('V∞/V*', floors, near, 0.1)}"
    )


def figure(data: Mapping[str, Any]) -> Figure:
    """Regimes over (λ, b) and (λ, η): the local exponent of b, and the borders of the regimes."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.6, 3.1))
    panels = figure.subplots(1, 2)
    lams = np.geomspace(1e-4, 10, GRID)
    sides = (("b", np.geomspace(1, 1e6, GRID)), ("eta", np.geomspace(1e-5, 1e-1, GRID)))
    for axes, (name, values) in zip(panels, sides, strict=True):
        fixed = {"eta": 1e-3, "b": 100.0}
        across, up = np.meshgrid(lams, values)
        local = exponents(data["law"], at(lam=across, **fixed | {name: up}))
        mesh = axes.pcolormesh(
            lams,
            values,
            np.ma.masked_invalid(local.batch_size),
            vmin=-1,
            vmax=0,
            cmap="viridis",
            shading="gouraud",
        )
        lines = {"colors": "w", "linewidths": 0.8, "linestyles": "-"}
        axes.contour(lams, values, np.nan_to_num(local.eta), levels=[-0.9], **lines)
        axes.contour(lams, values, local.lam, levels=[-0.9, -0.1], **lines)
        kind = regime(local)
        for regime_name in NAMES:
            write(axes, regime_name, lams, values, kind == regime_name, BAND[name])
        axes.set(xscale="log", yscale="log", xlabel=r"shrinkage $\lambda$")
        axes.grid(visible=False)
    panels[0].set_ylabel("batch size $b$")
    panels[1].set_ylabel(r"learning rate $\eta$")
    panels[0].set_title(r"$\eta = 10^{-3}$", loc="left")
    panels[1].set_title("$b = 100$", loc="left")
    figure.colorbar(mesh, ax=panels, label=r"$\partial \ln T/\partial \ln b$", extend="min")
    return figure


def write(axes: Axes, name: str, lams, values, inside, angle: float) -> None:
    """Write a regime's name into it, as far from its borders as can be."""
    from matplotlib.patheffects import withStroke  # noqa: PLC0415

    depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    deep = np.argwhere(depth >= 0.7 * depth.max())
    row, column = deep[np.argmin(np.sum((deep - deep.mean(axis=0)) ** 2, axis=1))]
    turned = angle if name in {"crossover", "sign-like"} or angle < 0 else 0.0
    axes.text(
        lams[column],
        values[row],
        name,
        color="w",
        ha="center",
        va="center",
        fontsize=8,
        rotation=turned,
        path_effects=[withStroke(linewidth=1.5, foreground="0.25")],
    )


if __name__ == "__main__":
    raise SystemExit(report(check()))
