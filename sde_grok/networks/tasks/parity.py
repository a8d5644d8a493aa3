"""Sparse parity: the parity of k of n bits (Barak et al., arXiv 2207.08799)."""

from __future__ import annotations

import numpy as np

from sde_grok.networks.tasks.table import Table

__all__ = ["FORM", "PATTERN", "table"]

PATTERN = r"parity-(?P<n>[1-9][0-9]?)-(?P<k>[1-9][0-9]?)"
FORM = "parity-<n>-<k> (1 <= k <= n <= 16)"


def table(n: str, k: str) -> Table | None:
    """Parity of the first k bits of every word of n bits; which k does not matter to a network."""
    bits, relevant = int(n), int(k)
    if not 1 <= relevant <= bits <= 16:
        return None
    inputs = (np.arange(2**bits)[:, None] >> np.arange(bits)).astype(np.int32) & 1
    return Table(inputs, inputs[:, :relevant].sum(axis=1, dtype=np.int32) % 2, 2, 2)
