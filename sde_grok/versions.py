"""Versions of what made a result."""

from __future__ import annotations

import importlib.metadata
import platform

__all__ = ["versions"]


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of this package, of the compiler's parts, and of `packages`."""
    names = ("sde-grok", "numpy", "numba", "llvmlite", *packages)
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **found}
