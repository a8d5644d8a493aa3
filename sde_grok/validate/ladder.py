"""The checked example on every rung: each against the rung before it and its closed form.

Flat landscape, d = 128, σ = 1, η = 1e-3, β = (.9, .999), ε = 1e-8; ρ² from 128 to 32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sde_grok.claims import Comparison
from sde_grok.escape import simulate_escape
from sde_grok.geometry import Geometry
from sde_grok.laws.matched import matched_steps
from sde_grok.laws.mean_field import mean_field_steps
from sde_grok.laws.monitoring import monitored_core
from sde_grok.laws.passage import mean_passage_time
from sde_grok.noise import IsotropicNoise
from sde_grok.optimizer import Decay, Optimizer
from sde_grok.problem import SYSTEMS, System
from sde_grok.results import Estimate
from sde_grok.rungs.radial import radial_rates
from sde_grok.validate.seeds import derived_seed

__all__ = ["GEOMETRY", "ROWS", "RungResult", "check_ladder", "example"]

GEOMETRY = Geometry(rho_start=math.sqrt(128.0), rho_core=math.sqrt(32.0), dim=128)
NOISE = IsotropicNoise(1.0)
MAX_STEPS = 100_000

ROWS: tuple[tuple[Decay, float, int], ...] = (
    ("coupled", 0.01, 100),
    ("coupled", 0.01, 2_500),
    ("coupled", 0.01, 10_000),
    ("coupled", 0.01, 400_000),
    ("decoupled", 0.1, 100),
    ("decoupled", 0.1, 10_000),
)


@dataclass(frozen=True)
class RungResult:
    """One rung of one row of the example; times in optimizer steps."""

    decay: str
    lam: float
    batch_size: int
    rung: System
    mean: float
    stderr: float
    n_paths: int
    hit_fraction: float
    law: str
    from_law: Comparison
    from_rung_above: Comparison | None
    verdict: str
    reasons: tuple[str, ...]
    failures: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        comparisons = {"from_law": self.from_law, "from_rung_above": self.from_rung_above}
        return asdict(self) | {
            name: None if c is None else c.as_dict() for name, c in comparisons.items()
        }


def example(decay: Decay, lam: float, batch_size: int) -> Optimizer:
    """Optimizer of the checked example."""
    return Optimizer(eta=1e-3, batch_size=batch_size, lam=lam, decay=decay)


def check_ladder(n_paths: int, seed: int) -> Iterator[RungResult]:
    """Simulate all rungs of all rows, with a seed of its own each."""
    for row, (decay, lam, batch_size) in enumerate(ROWS):
        optimizer = example(decay, lam, batch_size)
        above: tuple[Estimate, float] | None = None  # the rung above: its mean, its law
        for rung, system in enumerate(SYSTEMS):
            result = simulate_escape(
                optimizer,
                GEOMETRY,
                NOISE,
                system=system,
                n_paths=n_paths,
                max_steps=MAX_STEPS,
                seed=derived_seed(seed, row, rung),
            )
            mean = result.mean
            name, law = closed_form(optimizer, system)
            from_law = Comparison("its law", mean, Estimate(law), left_out(optimizer, system))
            from_above = above and Comparison(SYSTEMS[rung - 1], mean, above[0])
            yield RungResult(
                decay=decay,
                lam=lam,
                batch_size=batch_size,
                rung=system,
                mean=mean.value,
                stderr=mean.stderr,
                n_paths=n_paths,
                hit_fraction=result.hit_fraction,
                law=name,
                from_law=from_law,
                from_rung_above=from_above,
                verdict=verdict(from_law, from_above),
                reasons=reasons(optimizer, system, from_above, law / above[1] - 1) if above else (),
                failures=failures(optimizer, system, result.hit_fraction, from_law, from_above),
            )
            above = mean, law


def closed_form(optimizer: Optimizer, system: System) -> tuple[str, float]:
    """Name and value (steps) of the closed form of a rung.

    The radial rung has an exact mean, and so has a decoupled one of any kind, whose preconditioner
    is constant; a chain is seen at each step only. With coupled decay √v follows the path: the
    matched law has that and the noise floor, the mean-field law also the memory of m and v.
    """
    start, core = GEOMETRY.rho_start**2, GEOMETRY.rho_core**2
    point: dict[str, float] = {
        "dim": GEOMETRY.dim,
        "eta": optimizer.eta,
        "lam": optimizer.lam,
        "sigma": NOISE.sigma,
        "batch_size": optimizer.batch_size,
    }
    if optimizer.decay == "coupled" and system == "reduced":
        return "matched", float(matched_steps(start, core, **point))
    if optimizer.decay == "coupled" and system in {"discrete", "joint"}:
        point |= {"beta1": optimizer.beta1, "beta2": optimizer.beta2}
        return "mean field", float(mean_field_steps(start, core, **point))
    rates = radial_rates(optimizer, NOISE.sigma)
    assert rates is not None
    gamma, q2 = rates
    name = "exact"
    if system != "radial":
        name = "each step"
        rho = monitored_core(
            GEOMETRY.rho_core, q=math.sqrt(q2), dt=optimizer.eta, inward=GEOMETRY.inward
        )
        core = rho**2
    mean = mean_passage_time(start, core, dim=GEOMETRY.dim, gamma=gamma, q2=q2)
    return name, mean / optimizer.eta


def left_out(optimizer: Optimizer, system: System) -> float:
    """Relative error of the closed form: of order 1/d where √v follows the path, else none."""
    follows = optimizer.decay == "coupled" and system != "radial"
    return 1 / GEOMETRY.dim if follows else 0.0


def verdict(from_law: Comparison, from_above: Comparison | None) -> str:
    """Say in a word or two whether a rung agrees with its law and with the rung above."""
    off = [c.what for c in (from_law, from_above) if c is not None and not c.holds]
    return "off " + ", ".join(off) if off else "agrees"


def failures(
    optimizer: Optimizer,
    system: System,
    hit_fraction: float,
    from_law: Comparison,
    from_above: Comparison | None,
) -> tuple[str, ...]:
    """What contradicts the theory, or keeps a mean from being one.

    Each rung has the mean passage time of its closed form; the joint SDE describes Adam; with
    decoupled shrinkage all rungs agree. With coupled shrinkage a rung differs from the one above by
    what it leaves out, as their closed forms do.
    """
    same_as_above = system == "joint" or optimizer.decay == "decoupled"
    found = []
    if hit_fraction < 1:
        found.append(f"{1 - hit_fraction:.1%} of the paths did not reach the core")
    if same_as_above and from_above is not None and not from_above.holds:
        found.append(off(from_above))
    if not from_law.holds:
        found.append(off(from_law))
    return tuple(found)


def off(comparison: Comparison) -> str:
    """How far a mean is from something."""
    return f"{comparison.fraction:+.1%} ({comparison.z:+.1f} σ) from {comparison.what}"


def reasons(
    optimizer: Optimizer, system: System, from_above: Comparison | None, gap: float
) -> tuple[str, ...]:
    """Why a rung differs from the one above, if that is no failure; `gap` is that of their laws."""
    if from_above is None or from_above.holds or optimizer.decay == "decoupled":
        return ()
    if system == "reduced":
        memory = 1 / (1 - optimizer.beta2)
        part = memory / from_above.measured.value
        why = f"v remembers {memory:.0f} steps, {part:.0%} of the passage"
    elif system == "radial":
        why = f"λ|θᵢ| is {_pull_to_noise(optimizer):.2g} s at the start, not ≪ s = σ/√b"
    else:
        return ()
    return (f"{off(from_above)}, by the laws {gap:+.1%}: {why}",)


def _pull_to_noise(optimizer: Optimizer) -> float:
    """λ|θᵢ|/s for a typical coordinate on the shell."""
    s = NOISE.sigma / math.sqrt(optimizer.batch_size)
    return optimizer.coupled * GEOMETRY.rho_start / math.sqrt(GEOMETRY.dim) / s
