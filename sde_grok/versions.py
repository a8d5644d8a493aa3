"""Versions of what made a result."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["revision", "versions"]


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of this package, of the compiler's parts, and of `packages`."""
    names = ("sde-grok", "numpy", "numba", "llvmlite", *packages)
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


@cache
def version(package: str) -> str:
    """Version of a package; its metadata take half a millisecond to parse."""
    return importlib.metadata.version(package)


def revision() -> str | None:
    """Git revision of this package's checkout, marked if it was changed; None outside of one."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    try:
        asked = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
