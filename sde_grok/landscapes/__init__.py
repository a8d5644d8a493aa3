"""Loss landscapes, one module each; `Landscape` takes a user's own gradient."""

from sde_grok.landscapes.circuits import circuits, margin
from sde_grok.landscapes.flat import FLAT
from sde_grok.landscapes.landscape import Landscape
from sde_grok.landscapes.quadratic import quadratic

__all__ = ["FLAT", "Landscape", "circuits", "margin", "quadratic"]
