"""Claim isotropic-noise: the gradient noise is small and isotropic near the shell.

Observation 2: the covariance Σ of the gradient of an example is a small multiple of the identity. Its
participation ratio (tr Σ)²/tr Σ² is the dimension d if and only if it is isotropic, since

    d tr Σ² − (tr Σ)² = Σ_{i<j} (λ_i − λ_j)²,

and at most its rank, n − 1 for n training examples; the ratio of the diagonal alone, which Adam's
preconditioner sees, can be d for all Σ. Measured networks (Z₅₉ addition, d = 27 712, n = 1740) say what
they are at memorization and at grokking. Isotropic is taken as a ratio of d within .1; small, as noise
of a minibatch no larger than the gradient, tr Σ/b <= ‖∇L‖². Numbers are medians over the seeds of a
cell (η, λ, b), and means over cells with the errors of their scatter.

Provenance: claimed by arXiv 2606.30388 (as reported second-hand), Observation 2; the inequality is
standard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp

from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.laws import participation_ratio
from sde_grok.results import Estimate
from sde_grok.runs.cells import cell_medians, over_cells
from sde_grok.runs.reference import classes, load_cells, load_z59_runs

CLAIM = "isotropic-noise"
EVENTS = {"mem": "memorization", "grok": "grokking"}
CLOSE = 0.1  # to the dimension, as a fraction

Run = Mapping[str, Any]


def inequality() -> list[Residual]:
    """What is left between (tr Σ)² and d tr Σ², for three eigenvalues; equal ones."""
    x = sp.symbols("lambda_1:4", positive=True)
    gap = 3 * sum(v**2 for v in x) - sum(x) ** 2
    squares = sum((a - b) ** 2 for a, b in combinations(x, 2))
    return [
        Residual("d Σλ² − (Σλ)² = Σ_{i<j} (λ_i − λ_j)², d = 3", sp.expand(gap - squares)),
        Residual("0 for equal eigenvalues", sp.expand(gap.subs(dict.fromkeys(x, x[0])))),
    ]


def rank_of_noise() -> sp.Expr:
    """Residual of Σ_i (g_i − ḡ) = 0: the n deviations of gradients span n − 1 directions."""
    g = sp.symbols("g_1:5")
    return sp.simplify(sum(x - sum(g) / len(g) for x in g))


def spectrum(law) -> list[Comparison]:
    """Compare the law with spectra whose ratio is known: equal, and geometric."""
    r = 0.5
    geometric = r ** np.arange(60)  # (1+r)/(1−r) directions, but for r^60
    cases = {
        "5 equal eigenvalues": (np.full(5, 0.3), 5.0),
        "(1/2)^k": (geometric, (1 + r) / (1 - r)),
    }
    return [
        Comparison(
            f"participation ratio of {name}",
            Estimate(law(float(x.sum()), float(np.sum(x**2)))),
            Estimate(expected),
            allowed=1e-12,
        )
        for name, (x, expected) in cases.items()
    ]


def whole(run: Run, event: str, law) -> float:
    """Participation ratio of Σ."""
    return law(run[f"noise_total_{event}"], run[f"noise_square_{event}"])


def diagonal(run: Run, event: str, law) -> float:
    """Participation ratio of its diagonal."""
    return law(run[f"noise_total_{event}"], run[f"noise_diagonal_square_{event}"])


def over_signal(run: Run, event: str) -> float:
    """Noise of a minibatch over the gradient, tr Σ/b over ‖∇L‖²."""
    return run[f"noise_total_{event}"] / run["batch_size"] / run[f"noise_signal_{event}"]


def measured_at(runs: Sequence[Run], event: str) -> list[Run]:
    """Runs whose noise was measured at the event."""
    name = f"noise_total_{event}"
    return [run for run in runs if np.isfinite(run[name])]


def check(law=participation_ratio, *, seed: int = 0) -> Verdict:
    """Check the algebra, `law` at known spectra, and the networks; nothing is drawn."""
    symbolic = [*inequality(), Residual("Σ_i (g_i − ḡ) = 0, n = 4", rank_of_noise())]
    runs = [run for run in load_z59_runs() if run["weight_decay"] == "coupled"]
    dim = load_cells(runs)[0].dim
    numeric = spectrum(law)
    for event, when in EVENTS.items():
        seen = measured_at(runs, event)
        for name, ratio in (("Σ", whole), ("diag Σ", diagonal)):
            share = cell_medians(seen, lambda run, e=event, r=ratio: r(run, e, law) / dim)
            mean, freedom = over_cells(share)
            numeric.append(
                Comparison(
                    f"isotropic: participation ratio of {name} over d, {when}",
                    mean,
                    Estimate(1.0),
                    allowed=CLOSE,
                    claimed=True,
                    freedom=freedom,
                )
            )
        small = cell_medians(seen, lambda run, e=event: over_signal(run, e)).values()
        numeric.append(
            Comparison(
                f"small: share of cells with tr Σ/b <= ‖∇L‖², {when}",
                Estimate(float(np.mean([x <= 1 for x in small]))),
                Estimate(1.0),
                claimed=True,
            )
        )
    words = [at_event(measured_at(runs, e), e, law) for e in EVENTS]
    return Verdict(CLAIM, "claimed", symbolic, numeric, "; ".join([*words, fall(runs)]))


def span(runs: Sequence[Run], value: Callable[[Run], float]) -> str:
    """Smallest and largest of the cells' medians."""
    found = cell_medians(runs, value).values()
    return f"{min(found):.3g} to {max(found):.3g}"


def at_event(runs: Sequence[Run], event: str, law) -> str:
    """Directions of Σ and of its diagonal, its largest eigenvalue, its size beside the gradient."""
    run = runs[0]
    n = int(run["train_fraction"] * classes(run["task"]) ** 2)
    dim = load_cells([run])[0].dim
    by_batch = ", ".join(
        f"{span([r for r in runs if r['batch_size'] == b], lambda r: over_signal(r, event))} "
        f"at b = {b:g}"
        for b in sorted({r["batch_size"] for r in runs})
    )
    return (
        f"{EVENTS[event]}: Σ has {span(runs, lambda r: whole(r, event, law))} directions of "
        f"{n - 1} that {n} examples can have and {dim} in all, its diagonal "
        f"{span(runs, lambda r: diagonal(r, event, law) / dim)} of all; largest eigenvalue "
        f"{span(runs, lambda r: r[f'noise_largest_{event}'] / r[f'noise_total_{event}'])} "
        f"of tr Σ; tr Σ/b over ‖∇L‖² {by_batch}"
    )


def fall(runs: Sequence[Run]) -> str:
    """Fall of tr Σ from memorization to grokking, by λ."""
    both = measured_at(measured_at(runs, "mem"), "grok")
    shown = ", ".join(
        f"{span([r for r in both if r['lambda'] == lam], lambda r: r['noise_total_mem'] / r['noise_total_grok'])}"
        f" at λ = {lam:g}"
        for lam in sorted({r["lambda"] for r in both})
    )
    return f"tr Σ at memorization over that at grokking: {shown}"


if __name__ == "__main__":
    raise SystemExit(report(check()))
