"""`sde-grok escape`: simulate on one rung."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Annotated, Literal

from sde_grok.cli.app import bar, ended_by_ctrl_c, option

if TYPE_CHECKING:
    from sde_grok.results import EscapeResult
    from sde_grok.runner import Progress

__all__ = ["escape"]

OPTIMIZER, GEOMETRY, RUN = "The optimizer", "Shell, core and noise", "The simulation"


def escape(
    system: Annotated[
        Literal["discrete", "joint", "reduced", "radial"], option("Rung of the ladder.", RUN)
    ] = "radial",
    eta: Annotated[float, option("Learning rate η > 0.", OPTIMIZER)] = 1e-3,
    batch_size: Annotated[int, option("Batch size b >= 1.", OPTIMIZER)] = 100,
    lam: Annotated[float, option("Weight shrinkage λ >= 0.", OPTIMIZER)] = 0.01,
    beta1: Annotated[float, option("Decay of the first moment, in [0, 1).", OPTIMIZER)] = 0.9,
    beta2: Annotated[float, option("Decay of the second moment, in [0, 1).", OPTIMIZER)] = 0.999,
    eps: Annotated[float, option("Adam's ε >= 0.", OPTIMIZER)] = 1e-8,
    decay: Annotated[
        Literal["coupled", "decoupled"],
        option("Adam with ℓ₂ in the gradient, or AdamW.", OPTIMIZER),
    ] = "coupled",
    dim: Annotated[int, option("Dimension d >= 1 of parameter space.", GEOMETRY)] = 128,
    sigma: Annotated[
        float, option("Standard deviation σ of one example's gradient, per coordinate.", GEOMETRY)
    ] = 1.0,
    rho_start: Annotated[float, option("Radius of the shell.", GEOMETRY)] = 11.313708498984761,
    rho_core: Annotated[float, option("Radius of the core.", GEOMETRY)] = 5.656854249492381,
    direction: Annotated[
        Literal["inward", "outward"], option("Whether the core is entered or left.", GEOMETRY)
    ] = "inward",
    paths: Annotated[int, option("Number of independent paths.", RUN)] = 1000,
    max_steps: Annotated[int, option("Censoring time in optimizer steps.", RUN)] = 100_000,
    seed: Annotated[int, option("Seed; path i depends on (seed, i) alone.", RUN)] = 0,
    dt: Annotated[
        float | None,
        option("Time step in optimizer steps; by default the rung's own.", RUN),
    ] = None,
    discrete_monitoring: Annotated[
        bool,
        option(
            "Stop a path only at optimizer steps, also on the radial rung.",
            RUN,
            "--discrete-monitoring",
        ),
    ] = False,
    as_json: Annotated[bool, option("Print one JSON object.", RUN, "--json")] = False,
) -> None:
    """Simulate the escape from the shell to the core on one rung of the ladder.

    The defaults are the checked example of the theory: 128 dimensions, ρ² from 128 to 32. Times are
    in optimizer steps; the mean stands beside its closed form where there is one.

    Example: `sde-grok escape --system joint --batch-size 2500 --paths 256`
    """
    from sde_grok import Geometry, IsotropicNoise, Optimizer, simulate_escape  # noqa: PLC0415

    optimizer = Optimizer(
        eta=eta,
        batch_size=batch_size,
        lam=lam,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        decay=decay,
    )
    geometry = Geometry(
        rho_start=rho_start,
        rho_core=rho_core,
        dim=dim,
        direction=direction,
    )
    with ended_by_ctrl_c(), bar("paths") as show:

        def progress(seen: Progress) -> None:
            show(
                seen.fraction,
                f"{seen.done} of {seen.n_paths} paths",
                seen.path_steps,
                "path-steps",
            )

        result = simulate_escape(
            optimizer,
            geometry,
            IsotropicNoise(sigma),
            system=system,
            n_paths=paths,
            max_steps=max_steps,
            seed=seed,
            dt=dt,
            discrete_monitoring=discrete_monitoring,
            progress=progress if show else None,
        )
    if result.failed_fraction > 0:
        print(f"warning: {result.failed_fraction:.2%} of the paths failed", file=sys.stderr)
    if as_json:
        print(json.dumps(result.summary(), allow_nan=False))
    else:
        print_result(result)


def print_result(result: EscapeResult) -> None:
    """Print a result as a table."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    mean, exact = result.mean, result.exact_mean_steps
    table = Table(title=f"Escape on the {result.system} rung", show_header=False)
    table.add_row("paths", f"{result.n_paths}")
    parts = (result.hit_fraction, result.censored_fraction, result.failed_fraction)
    table.add_row("hit, censored, failed", ", ".join(f"{part:.2%}" for part in parts))
    if result.hit_fraction > 0:
        limited = "" if result.censored_fraction == 0 else ", restricted to max_steps"
        table.add_row(f"mean steps{limited}", str(mean))
    if math.isfinite(result.median):
        table.add_row("median steps", f"{result.median:.6g}")
    if exact is not None:
        watched = "" if result.provenance["bridge"] else ", watched continuously"
        table.add_row(f"exact mean steps{watched}", f"{exact:.6g}")
        if not watched and result.hit_fraction == 1 and mean.stderr > 0:
            z, part = (mean.value - exact) / mean.stderr, mean.value / exact - 1
            table.add_row("deviation", f"{z:+.2f} standard errors, {part:+.3%}")
    table.add_row("path-steps", f"{result.path_steps:.4g}")
    table.add_row("wall seconds", f"{result.wall_seconds:.2f}")
    Console().print(table)
