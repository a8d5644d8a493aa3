"""Swept axes: lists and ranges, all combinations of their values or pairs of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import fields
from inspect import signature
from typing import Any

import numpy as np

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.landscapes import OF_SCALARS

__all__ = ["axes_of", "base_of", "combinations", "plain_values"]

COMBINE = ("grid", "paired")
MOST_CELLS = 10**6
RANGE = "a list of distinct values, or a table with log or linear = [first, last] and n >= 2"
WHOLE = {
    *("batch_size", "dim", "max_steps", "embedding", "width", "heads", "hold", "eval_every"),
    *("noise_rank", "snapshot_every", "sketch"),
    *(
        name
        for make in OF_SCALARS.values()
        for name, parameter in signature(make, eval_str=True).parameters.items()
        if parameter.annotation is int
    ),
}
FAR = 2**53  # beyond, a float is another number

Axes = Mapping[str, tuple[Any, ...]]


def base_of(base: Any, names: Collection[str]) -> dict[str, Any]:
    """Return what all cells share, in the order of the names."""
    if not isinstance(base, Mapping):
        raise ParameterError("base", base, "a table of parameters")
    for name in base:
        choice("base", name, tuple(names))
    return {name: spelled(name, base[name]) for name in sorted(base)}


def axes_of(
    axes: Any, names: Collection[str], base: Mapping[str, Any], combine: str
) -> dict[str, tuple[Any, ...]]:
    """Return the values of each axis, checked but for what the parameters allow."""
    if not isinstance(axes, Mapping):
        raise ParameterError("axes", axes, "a table of parameters")
    for name in axes:
        choice("axes", name, tuple(names))
    if both := sorted(set(base) & set(axes)):
        raise ParameterError("axes", both[0], "in one of base and axes, not in both")
    found = {name: axis(name, values) for name, values in axes.items()}
    sizes = [len(values) for values in found.values()]
    paired = choice("combine", combine, COMBINE) == "paired"
    for name, values in found.items():
        if not paired and len(set(values)) < len(values):
            raise ParameterError(name, list(values), RANGE)
    if paired and len(set(sizes)) > 1:
        raise ParameterError("axes", sizes, "of one length if they are paired")
    if (n := sizes[0] if paired and sizes else math.prod(sizes)) > MOST_CELLS:
        raise ParameterError("axes", sizes, f"at most {MOST_CELLS} cells, not {n}")
    if paired and len(set(zip(*found.values(), strict=True))) < n:
        raise ParameterError("axes", list(found), "such that no two pairs are the same")
    return found


def combinations(axes: Axes, combine: str) -> list[dict[str, Any]]:
    """Values of the axes cell by cell, the last axis fastest; one cell if there is no axis."""
    together = zip if combine == "paired" and axes else itertools.product
    return [dict(zip(axes, values, strict=True)) for values in together(*axes.values())]


def plain_values(plan: Any) -> dict[str, Any]:
    """What a plan takes, by parameter, in lists where it has tuples of values."""
    found = {f.name: getattr(plan, f.name) for f in fields(plan)}
    return {**found, "axes": {name: list(values) for name, values in plan.axes.items()}}


def axis(name: str, values: Any) -> tuple[Any, ...]:
    """Return the values of an axis: a list, or a range on a log or linear scale."""
    if isinstance(values, Mapping):
        values = spaced(name, values)
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, (list, tuple, range)) or len(values) == 0:
        raise ParameterError(name, values, RANGE)
    found = tuple(spelled(name, value) for value in values)
    if any(isinstance(value, (list, tuple, dict)) for value in found):
        raise ParameterError(name, values, RANGE)
    if len({isinstance(value, str) for value in found}) > 1:
        raise ParameterError(name, values, RANGE)
    return found


def list_of(values: Any) -> list[Any]:
    """Return what is in a list, tuple or array; nothing if it is none."""
    return list(values) if isinstance(values, (list, tuple, np.ndarray)) else []


def spelled(name: str, value: Any) -> Any:
    """Return a number in one spelling, 2 or 2.0, which a cell's seed and a folder's name hang on."""
    if isinstance(value, np.generic):
        value = value.item()
    if name in WHOLE:
        return int(value) if isinstance(value, float) and value.is_integer() else value
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and abs(value) < FAR else value


def spaced(name: str, values: Mapping[str, Any]) -> list[Any]:
    """Return n values from the first to the last; whole numbers if the parameter is one."""
    kinds = sorted(set(values) - {"n"})
    if kinds not in (["log"], ["linear"]) or len(two := list_of(values[kinds[0]])) != 2:
        raise ParameterError(name, dict(values), RANGE)
    n = integer(name, values.get("n", 0), low=2, high=MOST_CELLS)
    low = 0 if kinds == ["log"] else -math.inf
    ends = [number(name, end, low=low, open_low=low == 0) for end in two]
    make: Any = np.geomspace if kinds == ["log"] else np.linspace
    found = [float(x) for x in make(*ends, n)]
    if name in WHOLE:
        return [round(x) for x in found]
    return [float(f"{x:.12g}") for x in found]  # 1e-3, not 0.0010000000000000002
