"""Passages of the radial process in its own units, γ = q = 1, for the derivations in `theory/`."""

from __future__ import annotations

import math
from typing import Any

from sde_grok.escape import simulate_escape
from sde_grok.geometry import Geometry
from sde_grok.noise import IsotropicNoise
from sde_grok.optimizer import Optimizer
from sde_grok.results import EscapeResult

__all__ = ["unit_escape"]


def unit_escape(
    dim: int, start: float, core: float, *, n_paths: int, seed: int, **settings: Any
) -> EscapeResult:
    """Simulate dV = (d − 2V) dt + 2√V dB from V = `start` to `core`; the floor is d/2.

    Parameters
    ----------
    dim : int
        Dimension d >= 1.
    start, core : float
        Squared radii V₀ and V*; inward if V₀ > V*, else outward.
    n_paths, seed : int
        As for `simulate_escape`.
    **settings
        What else `simulate_escape` takes; `max_steps` is 100 000 if not given.

    Returns
    -------
    EscapeResult
        η is 1, so that its steps are units of time.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """
    return simulate_escape(
        Optimizer(eta=1.0, batch_size=1, lam=1.0, eps=0.0, decay="decoupled"),
        Geometry(
            rho_start=math.sqrt(start),
            rho_core=math.sqrt(core),
            dim=dim,
            direction="inward" if start > core else "outward",
        ),
        IsotropicNoise(1.0),
        system="radial",
        n_paths=n_paths,
        seed=seed,
        **{"max_steps": 100_000, **settings},
    )
