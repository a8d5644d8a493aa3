"""Tasks: one module a family, with the PATTERN of its names and the `table` that a name means."""

from __future__ import annotations

import re
from functools import lru_cache
from types import ModuleType

from sde_grok.checks import ParameterError
from sde_grok.networks.tasks import modular, parity, permutations
from sde_grok.networks.tasks.table import Table

__all__ = ["FAMILIES", "Table", "task_table"]

FAMILIES: tuple[ModuleType, ...] = (modular, permutations, parity)


@lru_cache(maxsize=8)
def task_table(name: str) -> Table:
    """Full table of the task `name`: "z59", "z59-mul", "z59-div", "s5", "parity-10-3", …

    Raises
    ------
    ParameterError
        If no family knows the name.
    """
    for family in FAMILIES:
        if match := re.fullmatch(family.PATTERN, str(name)):
            table: Table | None = family.table(**match.groupdict())
            if table is not None:
                return table
    raise ParameterError("task", name, "one of " + ", ".join(family.FORM for family in FAMILIES))
