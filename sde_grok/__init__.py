"""Test the stochastic theory of grokking: escape times from the shell to the core."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sde_grok.checks import ParameterError as ParameterError
    from sde_grok.escape import LongEscapeWarning as LongEscapeWarning
    from sde_grok.escape import simulate_escape as simulate_escape
    from sde_grok.geometry import Geometry as Geometry
    from sde_grok.grokking import GrokkingResult as GrokkingResult
    from sde_grok.grokking import simulate_grokking as simulate_grokking
    from sde_grok.landscapes import FLAT as FLAT
    from sde_grok.landscapes import Landscape as Landscape
    from sde_grok.noise import DenseNoise as DenseNoise
    from sde_grok.noise import DiagonalNoise as DiagonalNoise
    from sde_grok.noise import IsotropicNoise as IsotropicNoise
    from sde_grok.optimizer import Optimizer as Optimizer
    from sde_grok.results import EscapeResult as EscapeResult
    from sde_grok.results import Status as Status
    from sde_grok.runner import Interrupted as Interrupted

# Imported when first used: Numba and SciPy take longer to load than the rest together.
_HOMES = {
    "DenseNoise": "noise",
    "DiagonalNoise": "noise",
    "EscapeResult": "results",
    "FLAT": "landscapes",
    "Geometry": "geometry",
    "GrokkingResult": "grokking",
    "Interrupted": "runner",
    "IsotropicNoise": "noise",
    "Landscape": "landscapes",
    "LongEscapeWarning": "escape",
    "Optimizer": "optimizer",
    "ParameterError": "checks",
    "Status": "results",
    "simulate_escape": "escape",
    "simulate_grokking": "grokking",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
