"""Labelled results: one schema for simulated escapes and for training runs, as xarray Datasets.

Both have `escape_steps`, `status` and `rho2_end`, one entry a path or a run, and their provenance
as JSON in the attributes; `escape_times` reads either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sde_grok.checks import MissingExtra
from sde_grok.escape_times import EscapeTimes
from sde_grok.kernels.outcome import PENDING

try:
    import xarray as xr
except ImportError:
    raise MissingExtra("networks", ["xarray"]) from None

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sde_grok.results import EscapeResult

__all__ = [
    "CELL",
    "STAGES",
    "VARIABLES",
    "Variable",
    "attributes",
    "dataset",
    "each_run",
    "escape_dataset",
    "escape_times",
]

CELL = ("eta", "batch_size", "lam", "seed")


class Variable(NamedTuple):
    """What a variable is: its dimensions beside those of its path or run, its unit, its meaning."""

    dims: tuple[str, ...]
    units: str
    description: str


SERIES = ("step",)
VARIABLES = {
    "escape_steps": Variable((), "steps", "time from shell to core, or censoring time; nan failed"),
    "status": Variable((), "1", "0 escaped, 1 censored, 2 failed (non-finite), 3 not run yet"),
    "rho2_end": Variable((), "1", "squared norm of all parameters at the end"),
    "t_mem": Variable((), "steps", "memorization: first evaluation, train accuracy at threshold"),
    "t_grok": Variable((), "steps", "grokking: first evaluation, test accuracy at threshold"),
    "t_grok_sustained": Variable((), "steps", "grokking for good: first of `hold` in a row"),
    "t_peak": Variable((), "steps", "norm peak: largest rho2 up to t_grok, or in the whole run"),
    "t_core": Variable(
        (), "steps", "core entry: first evaluation from t_peak on, rho2 <= rho2_core"
    ),
    "rho2_core": Variable((), "1", "radius of the core that t_core is about, squared"),
    "steps_run": Variable((), "steps", "last evaluation, or the step at which the loss diverged"),
    "diverged_at": Variable((), "steps", "first step with a non-finite loss; nan if none"),
    "rho2_init": Variable((), "1", "squared norm at the start"),
    "rho2_mem": Variable((), "1", "squared norm at t_mem"),
    "rho2_grok": Variable((), "1", "squared norm at t_grok"),
    "rho2_peak": Variable((), "1", "squared norm at t_peak"),
    "train_loss_mem": Variable((), "nats", "train loss at t_mem"),
    "train_loss_grok": Variable((), "nats", "train loss at t_grok"),
    "train_loss_peak": Variable((), "nats", "train loss at t_peak"),
    "mean_sqrt_v_grok": Variable((), "nats", "mean_sqrt_v at t_grok"),
    "train_loss": Variable(SERIES, "nats", "mean cross-entropy of the training set"),
    "test_loss": Variable(SERIES, "nats", "mean cross-entropy of the test set"),
    "train_accuracy": Variable(SERIES, "1", "part of the training set that is right"),
    "test_accuracy": Variable(SERIES, "1", "part of the test set that is right"),
    "rho2": Variable(SERIES, "1", "squared norm of all parameters"),
    "rho2_layer": Variable((*SERIES, "layer"), "1", "squared norm of each layer"),
    "mean_sqrt_v": Variable(SERIES, "nats", "mean over the parameters of Adam's √v, as it is kept"),
    "m_deviation": Variable(SERIES, "1", "‖m − h‖/‖h‖, h the full gradient with coupled shrinkage"),
    "v_deviation": Variable(SERIES, "1", "‖v − E g²‖/‖E g²‖, E over minibatches here and now"),
    "gradient_norm2": Variable(SERIES, "nats^2", "‖h‖²"),
    "noise_trace": Variable(SERIES, "nats^2", "tr Σ, Σ the covariance of one example's gradient"),
    "shrinkage_pull": Variable(SERIES, "1/step", "rho2 a step: −2ηλ Σθᵢ²/Pᵢ; decoupled −2ηλρ²"),
    "loss_push": Variable(SERIES, "1/step", "rho2 a step: −2η Σ θᵢ ∂ᵢL/Pᵢ"),
    "noise_push": Variable(
        SERIES, "1/step", "rho2 a step: η² Σ Cᵢᵢ/Pᵢ²; nan if batches are dependent"
    ),
    "noise_eigenvalues": Variable(("checkpoint", "rank"), "nats^2", "largest eigenvalues of Σ"),
    "noise_total": Variable(("checkpoint",), "nats^2", "tr Σ"),
    "noise_square": Variable(("checkpoint",), "nats^4", "tr Σ²"),
    "noise_square_stderr": Variable(("checkpoint",), "nats^4", "standard error of noise_square"),
    "noise_diagonal_square": Variable(("checkpoint",), "nats^4", "Σ (Σᵢᵢ)²"),
    "noise_participation": Variable(
        ("checkpoint",), "1", "(tr Σ)²/tr Σ²: number of directions that share the noise"
    ),
    "noise_isotropy": Variable(("checkpoint",), "1", "noise_participation/d; 1 if isotropic"),
    "noise_of_batch": Variable(
        ("checkpoint", "examples"), "nats^2", "E ‖g − ∇L‖², g of so many examples; 64 draws"
    ),
    "noise_of_batch_stderr": Variable(
        ("checkpoint", "examples"), "nats^2", "standard error of noise_of_batch"
    ),
    "noise_signal": Variable(("checkpoint",), "nats^2", "‖∇L‖²"),
    "noise_step": Variable(("checkpoint",), "steps", "when the gradient noise was measured"),
    "theta": Variable(
        ("snapshot", "parameter"), "1", "all parameters in half precision, clipped, or a sketch"
    ),
}

STAGES = {
    "t_mem": Variable((), "steps", "memorization: first time step, train loss low enough"),
    "rho2_mem": Variable((), "1", "squared norm at t_mem"),
    "mean_sqrt_v_mem": Variable((), "nats", "mean over the parameters of Adam's √v at t_mem"),
    "t_peak": Variable((), "steps", "norm peak: largest rho2 from t_mem to the end of the path"),
    "rho2_peak": Variable((), "1", "squared norm at t_peak"),
    "mean_sqrt_v_peak": Variable((), "nats", "mean over the parameters of Adam's √v at t_peak"),
    "t_grok": Variable((), "steps", "grokking: first time step, test loss low enough"),
    "rho2_grok": Variable((), "1", "squared norm at t_grok"),
    "mean_sqrt_v_grok": Variable((), "nats", "mean over the parameters of Adam's √v at t_grok"),
    "escape_steps": Variable(
        (), "steps", "t_grok - t_mem, or the end less t_mem, or if that is nan the end; nan failed"
    ),
    "status": Variable((), "1", "0 memorized and grokked, 1 censored, 2 failed, 3 not run yet"),
}
"""Variables of paths on a landscape, where losses end a path rather than radii or accuracies."""


def attributes(name: str) -> dict[str, Any]:
    """Unit and meaning of a variable."""
    return {"units": VARIABLES[name].units, "long_name": VARIABLES[name].description}


def dataset(
    sizes: tuple[str, ...],
    values: Mapping[str, Any],
    coords: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> xr.Dataset:
    """Label arrays by the schema: the dimensions `sizes`, then those of each variable."""
    return xr.Dataset(
        {
            name: xr.Variable(
                (*sizes, *VARIABLES[name].dims),
                np.asarray(value),
                attributes(name),
            )
            for name, value in values.items()
        },
        dict(coords),
        {"provenance": json.dumps(provenance, ensure_ascii=False, sort_keys=True)},
    )


def escape_dataset(result: EscapeResult) -> xr.Dataset:
    """Label a simulation: dimension `path`; η, λ, b and the rung are scalar coordinates."""
    optimizer = result.provenance["optimizer"]
    coords = {name: optimizer[name] for name in ("eta", "lam", "batch_size")}
    values = {"escape_steps": result.steps, "status": result.status, "rho2_end": result.rho2_end}
    record = {**result.provenance, "max_steps": result.max_steps, "dt": result.dt}
    return dataset(("path",), values, {**coords, "system": result.system}, record)


def escape_times(data: xr.Dataset) -> EscapeTimes:
    """All escape times of a Dataset, simulated or measured, selected as you like beforehand."""
    status = data["status"].to_numpy().ravel()
    ended = status != PENDING
    return EscapeTimes(data["escape_steps"].to_numpy().ravel()[ended], status[ended])


def each_run(runs: xr.Dataset) -> Iterator[xr.Dataset]:
    """Go through the runs of a grid that were done, each with its own evaluations only."""
    for place in np.ndindex(*(runs.sizes[axis] for axis in CELL)):
        run = runs.isel(dict(zip(CELL, place, strict=True)))
        if int(run["status"]) != PENDING:
            yield run.isel(step=np.isfinite(run["rho2"].to_numpy()))
