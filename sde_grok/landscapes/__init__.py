"""Loss landscapes, one module each; `Landscape` takes a user's own gradient."""

from sde_grok.landscapes.flat import FLAT
from sde_grok.landscapes.landscape import Landscape

__all__ = ["FLAT", "Landscape"]
