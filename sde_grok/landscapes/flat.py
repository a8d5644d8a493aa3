"""The flat landscape, ∇L = 0: shrinkage and noise alone."""

from sde_grok.landscapes.landscape import Landscape

__all__ = ["FLAT"]

FLAT = Landscape("flat")
