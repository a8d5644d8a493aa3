"""What is simulated and how: the checked arguments of `simulate_escape`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.geometry import Geometry
from sde_grok.kernels.outcome import LANE_GROUP
from sde_grok.landscapes import Landscape
from sde_grok.laws.passage import log_mean_passage_time
from sde_grok.noise import IsotropicNoise, Noise
from sde_grok.optimizer import Optimizer
from sde_grok.rungs.radial import Rates, radial_rates

__all__ = ["SYSTEMS", "Numerics", "Problem", "System"]

System = Literal["discrete", "joint", "reduced", "radial"]
SYSTEMS: tuple[System, ...] = get_args(System)
MOST_LANES = 64
MOST_TIME_STEPS = 2**32 - 1  # the step is one word of the random counter
KINDS: dict[str, tuple[type, ...]] = {
    "optimizer": (Optimizer,),
    "geometry": (Geometry,),
    "noise": get_args(Noise),
    "landscape": (Landscape,),
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An escape on one rung; `s` is the radial rung's preconditioner if it is not σ/√b + ε."""

    optimizer: Optimizer
    geometry: Geometry
    noise: Noise
    landscape: Landscape
    system: System
    s: float | None = None
    correct_bias: bool = False

    def __post_init__(self) -> None:
        choice("system", self.system, SYSTEMS)
        for field, kind in KINDS.items():
            if not isinstance(getattr(self, field), kind):
                names = " or ".join(k.__name__ for k in kind)
                raise ParameterError(field, getattr(self, field), f"of type {names}")
        if not isinstance(self.noise, IsotropicNoise):
            self.noise.deviations(self.geometry.dim)  # has it the right length?
        if self.landscape.dim not in (None, self.geometry.dim):
            allowed = f"{self.landscape.dim}, that of the landscape"
            raise ParameterError("dim", self.geometry.dim, allowed)
        if self.s is not None:
            object.__setattr__(self, "s", number("s", self.s, low=0, open_low=True))
        if self.system == "radial":
            self._check_radial()
        elif self.s is not None:
            raise ParameterError("s", self.s, "left out, but for the radial rung")
        if self.correct_bias:
            self._check_bias_correction()

    def _check_radial(self) -> None:
        if not self.landscape.is_flat and self.landscape.radial is None:
            allowed = "flat or given as a function of ρ for the radial rung"
            raise ParameterError("landscape", self.landscape.name, allowed)
        if not isinstance(self.noise, IsotropicNoise):
            kind = type(self.noise).__name__
            raise ParameterError("noise", kind, "isotropic for the radial rung")
        if self.landscape.is_flat and self.rates is None:
            allowed = "such that λ/s and (σ/s)² are finite numbers, s = σ/√b + ε"
            raise ParameterError("sigma", self.noise.sigma, allowed)

    def _check_bias_correction(self) -> None:
        if self.system in {"reduced", "radial"}:
            allowed = f"False: the {self.system} rung has no moments"
            raise ParameterError("correct_bias", True, allowed)
        if self.system == "joint" and self.optimizer.eps == 0:
            allowed = "> 0 on the joint rung with correct_bias, which starts at m = v = 0"
            raise ParameterError("eps", 0.0, allowed)

    @property
    def rates(self) -> Rates | None:
        """γ and q² of the radial rung; None if it does not apply, or they depend on ρ."""
        if not self.landscape.is_flat or not isinstance(self.noise, IsotropicNoise):
            return None
        return radial_rates(self.optimizer, self.noise.sigma, self.s)

    @property
    def log_exact_mean_steps(self) -> float | None:
        """Logarithm of the mean escape time of the radial rung; None if it does not apply."""
        if self.rates is None:
            return None
        log_mean = _log_mean(self.geometry, self.rates)
        return None if log_mean is None else log_mean - math.log(self.optimizer.eta)


@lru_cache(maxsize=2**17)  # a quadrature takes a millisecond, and is asked for before and in a run
def _log_mean(geometry: Geometry, rates: Rates) -> float | None:
    """Logarithm of the mean passage time; None beyond the range of the closed form."""
    start, core = geometry.rho_start**2, geometry.rho_core**2
    try:
        return log_mean_passage_time(start, core, dim=geometry.dim, gamma=rates.gamma, q2=rates.q2)
    except ParameterError:  # which is not the range of the simulation
        return None


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """How a problem is simulated. `dt` is in optimizer steps."""

    n_paths: int
    first_path: int
    max_steps: int
    seed: int
    dt: float
    bridge: bool
    precision: str
    threads: int
    chunk: int | None
    lanes: int
    keep_end_state: bool

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "n_paths": integer("n_paths", self.n_paths, low=1, high=2**40),
            "first_path": integer("first_path", self.first_path, low=0, high=2**40),
            "seed": integer("seed", self.seed, low=0, high=2**64 - 1),
            "dt": number("dt", self.dt, low=0, open_low=True, high=self.max_steps, open_high=False),
            "precision": choice("precision", self.precision, ("double", "single")),
            "threads": integer("threads", self.threads, low=1),
            "lanes": integer("lanes", self.lanes, low=LANE_GROUP, high=MOST_LANES),
        }
        if self.chunk is not None:
            checked["chunk"] = integer("chunk", self.chunk, low=1)
        if checked["lanes"] % LANE_GROUP:
            raise ParameterError("lanes", self.lanes, f"a multiple of {LANE_GROUP}")
        if self.max_steps > MOST_TIME_STEPS * checked["dt"]:
            allowed = f"<= {MOST_TIME_STEPS * self.dt:.4g} with the time step dt = {self.dt:g}"
            raise ParameterError("max_steps", self.max_steps, allowed)
        for field, value in checked.items():
            object.__setattr__(self, field, value)

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """Float type of the simulation."""
        return np.float32 if self.precision == "single" else np.float64
