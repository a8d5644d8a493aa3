"""Arithmetic modulo p: addition, multiplication, division (Power et al., arXiv 2201.02177)."""

from __future__ import annotations

import numpy as np

from sde_grok.networks.tasks.table import Table

__all__ = ["FORM", "PATTERN", "table"]

PATTERN = r"z(?P<p>[1-9][0-9]{0,3})(?:-(?P<operation>mul|div))?"
FORM = "z<p>, z<p>-mul (2 <= p <= 1000), z<p>-div (p prime)"
LARGEST = 1000


def table(p: str, operation: str | None) -> Table | None:
    """Tabulate x + y, x · y or x / y (y ≠ 0) mod p; None if there is no such task."""
    modulus = int(p)
    if not 2 <= modulus <= LARGEST or (operation == "div" and not _prime(modulus)):
        return None
    x, y = (grid.ravel() for grid in np.indices((modulus, modulus)))
    if operation == "div":
        x, y = x[y > 0], y[y > 0]
        inverse = np.array([pow(k, -1, modulus) if k else 0 for k in range(modulus)])
        result = x * inverse[y]
    else:
        result = x * y if operation == "mul" else x + y
    inputs = np.stack([x, y], axis=1).astype(np.int32)
    return Table(inputs, (result % modulus).astype(np.int32), modulus, modulus)


def _prime(n: int) -> bool:
    return all(n % k for k in range(2, int(n**0.5) + 1))
