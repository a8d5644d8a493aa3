"""Scans of network runs: a preset, what is changed of it, what is swept; the runs of each network.

η, b and λ are a grid within an experiment; every other axis means another experiment, whose runs
have a folder of their own, named by what it differs in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sde_grok.checks import ParameterError, choice, integer
from sde_grok.folders import NETWORKS, SCAN, make_whole, refuse_kinds, refuse_others, whole
from sde_grok.networks import PRESETS, Experiment, open_runs
from sde_grok.networks.lanes import Cell
from sde_grok.networks.store import Store, setup
from sde_grok.networks.train import expected_steps, train_member
from sde_grok.scans.axes import axes_of, base_of, combinations, plain_values

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NetworkScan", "Trainings", "open_network_scan"]

GRID = ("eta", "batch_size", "lam")
NAMES = tuple(f.name for f in fields(Experiment) if f.name not in {"seeds", "seed"})
LANES = 1


@dataclass(frozen=True, kw_only=True)
class NetworkScan:
    """Networks to train: some seeds of each combination of the swept parameters.

    Parameters
    ----------
    preset : str
        "tiny", "small" or "paper": what holds unless it is changed, the grid of η, b and λ, too.
    base : mapping
        Parameters of `Experiment` by name that all runs share.
    axes : mapping
        Swept parameters of `Experiment` by name, each a sequence of distinct values.
    combine : {"grid", "paired"}
        All combinations of the axes, or their first values together, their second, and so on.
    seeds : int, optional
        Runs of each cell; by default those of the preset.
    seed : int
        The first of the seeds.

    Raises
    ------
    ParameterError
        If a parameter is unknown or out of range in any of the experiments.
    """

    preset: str
    base: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, Any] = field(default_factory=dict)
    combine: str = "grid"
    seeds: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        preset = PRESETS[choice("preset", self.preset, tuple(PRESETS))]
        base = base_of(self.base, NAMES)
        for name, value in base.items():
            if isinstance(value, (list, tuple)) and name != "noise_at":
                raise ParameterError(name, value, "one value in base; several are an axis")
        found = {
            "base": base,
            "axes": axes_of(self.axes, NAMES, base, self.combine),
            "seeds": integer("seeds", preset.seeds if self.seeds is None else self.seeds, low=1),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)
        _ = self.experiments

    @property
    def outer(self) -> dict[str, tuple[Any, ...]]:
        """Axes along which experiments differ."""
        inner = () if self.combine == "paired" else GRID
        return {name: values for name, values in self.axes.items() if name not in inner}

    @cached_property
    def experiments(self) -> dict[str, Experiment]:
        """What is trained, by the name of its folder; "" if it is one experiment."""
        inner = {name: values for name, values in self.axes.items() if name not in self.outer}
        shared = {**self.base, **inner, "seeds": self.seeds, "seed": self.seed}
        return {
            ",".join(f"{name}={value}" for name, value in one.items()): replace(
                PRESETS[self.preset], **shared, **one
            )
            for one in combinations(self.outer, self.combine)
        }

    @property
    def n_cells(self) -> int:
        """Number of runs."""
        return sum(math.prod(e.shape) for e in self.experiments.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, by parameter; what `NetworkScan` takes."""
        return plain_values(self)


class Run(NamedTuple):
    """A run: the folder of its experiment, and its place on the axes of η, b, λ and seed."""

    folder: str
    cell: Cell


class Trainings:
    """The runs of a scan in a folder; see `sde_grok.scans.execute.Work`."""

    setup = staticmethod(setup)

    def __init__(self, plan: NetworkScan, out: Path) -> None:
        record(plan, out)
        self.plan = plan
        self.experiments = plan.experiments
        self.stores = {f: Store(e, out / f, LANES) for f, e in self.experiments.items()}
        self.costs = {
            Run(folder, cell): cost(experiment, cell)
            for folder, experiment in self.experiments.items()
            for cell in np.ndindex(experiment.shape)
        }
        self.missing = {Run(f, cell) for f, store in self.stores.items() for cell in store.missing}
        self.damaged: list[Run] = []

    def task(self, run: Run, threads: int) -> tuple[Any, dict[str, Any]]:
        """What trains a run, to be sent to another process; it uses one thread."""
        experiment = self.experiments[run.folder].as_dict()
        return train_member, {"experiment": experiment, "cell": run.cell}

    def put(self, run: Run, values: Mapping[str, Any]) -> None:
        """Keep a run."""
        self.stores[run.folder].put(run.cell, values)
        self.missing.remove(run)

    def finish(self) -> xr.Dataset:
        """Read all runs, and keep what follows from them together."""
        return together(
            self.plan, {folder: store.finish() for folder, store in self.stores.items()}
        )


def cost(experiment: Experiment, cell: Cell) -> float:
    """Multiplications of a run, but for a factor."""
    steps = expected_steps(experiment, cell)
    examples = experiment.batch_size[cell[1]] or experiment.n_train
    return steps * examples * experiment.n_parameters


def record(plan: NetworkScan, out: Path) -> None:
    """Write down what the folder is for, or raise `ParameterError` if it is for another scan."""
    refuse_kinds(out, SCAN)
    wanted = json.dumps(plan.as_dict(), ensure_ascii=False)
    if not (out / NETWORKS).exists():
        make_whole(out, NETWORKS, lambda path: path.write_text(wanted, "utf-8"))
    with whole(out, NETWORKS):
        found = dict(json.loads((out / NETWORKS).read_text("utf-8")))
    refuse_others(out, "a scan with", found, json.loads(wanted))


def open_network_scan(out: Path) -> xr.Dataset:
    """Read the runs of a scan, finished or not."""
    with whole(out, NETWORKS):
        plan = NetworkScan(**json.loads((out / NETWORKS).read_text("utf-8")))
    return together(plan, {folder: open_runs(out / folder) for folder in plan.experiments})


def together(plan: NetworkScan, runs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """One Dataset: its dimensions are those of runs, and the axes along which experiments differ.

    Series are as long as the longest, and end in nan.
    """
    import xarray as xr  # noqa: PLC0415

    if not plan.outer:
        return runs[""]
    each = []
    for one, at in zip(runs.values(), combinations(plan.outer, plan.combine), strict=True):
        if plan.combine == "paired":
            swept = {name: ("cell", [value]) for name, value in at.items()}
            squeezed = one.squeeze([name for name in GRID if name in at], drop=True)
            each.append(squeezed.expand_dims("cell").assign_coords(swept))
        else:
            each.append(one.expand_dims({name: [value] for name, value in at.items()}))
    each = list(xr.align(*each, join="outer", exclude={*plan.outer, "cell"}))
    how: Any = {"data_vars": "all", "coords": "minimal", "compat": "override", "join": "exact"}
    how["combine_attrs"] = "drop_conflicts"
    if plan.combine == "paired":
        return xr.concat(each, "cell", **how)
    joined: Any = xr.combine_by_coords(each, **how)  # which sorts
    return joined.sel({name: list(values) for name, values in plan.outer.items()})  # type: ignore[no-any-return]
