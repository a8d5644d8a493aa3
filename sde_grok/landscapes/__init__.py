"""Loss landscapes, one module each; `Landscape` takes a user's own gradient."""

from collections.abc import Callable
from typing import Final

from sde_grok.landscapes.circuits import circuits, margin, two_circuits
from sde_grok.landscapes.flat import FLAT
from sde_grok.landscapes.landscape import Landscape
from sde_grok.landscapes.quadratic import quadratic

__all__ = ["FLAT", "OF_SCALARS", "Landscape", "circuits", "margin", "quadratic", "two_circuits"]

OF_SCALARS: Final[dict[str, Callable[..., Landscape]]] = {
    "margin": margin,
    "two_circuits": two_circuits,
}
"""Landscapes with losses whose parameters are numbers and words, so that a scan can sweep each."""
