"""Loss landscapes, one module each; `Landscape` takes a user's own gradient."""

from collections.abc import Callable
from typing import Final

from sde_grok.landscapes.circuits import circuits, loss_at_margin, margin, two_circuits
from sde_grok.landscapes.evaluate import Evaluation, evaluate
from sde_grok.landscapes.flat import FLAT
from sde_grok.landscapes.landscape import Landscape
from sde_grok.landscapes.quadratic import quadratic
from sde_grok.landscapes.student import linear_student

__all__ = [
    "FLAT",
    "OF_SCALARS",
    "Evaluation",
    "Landscape",
    "circuits",
    "evaluate",
    "linear_student",
    "loss_at_margin",
    "margin",
    "quadratic",
    "two_circuits",
]

OF_SCALARS: Final[dict[str, Callable[..., Landscape]]] = {
    "linear_student": linear_student,
    "margin": margin,
    "two_circuits": two_circuits,
}
"""Landscapes with losses whose parameters are numbers and words, so that a scan can sweep each."""
