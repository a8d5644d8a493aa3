"""Composition in the symmetric group S_n (Power et al., arXiv 2201.02177)."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from sde_grok.networks.tasks.table import Table

__all__ = ["FORM", "PATTERN", "table"]

PATTERN = r"s(?P<n>[0-9])"
FORM = "s<n> (2 <= n <= 6)"


def table(n: str) -> Table | None:
    """(a ∘ b)(i) = a(b(i)) for all pairs, permutations in lexicographic order."""
    if not 2 <= int(n) <= 6:
        return None
    group = np.array(list(permutations(range(int(n)))))
    order = len(group)
    a, b = (grid.ravel() for grid in np.indices((order, order)))
    composed = np.take_along_axis(group[a], group[b], axis=1)
    digits = int(n) ** np.arange(int(n))
    number = {int(code): i for i, code in enumerate(group @ digits)}
    targets = np.array([number[int(code)] for code in composed @ digits], np.int32)
    return Table(np.stack([a, b], axis=1).astype(np.int32), targets, order, order)
