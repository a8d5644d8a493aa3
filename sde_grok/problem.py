"""What is simulated and how: the checked arguments of `simulate_escape`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.geometry import Geometry
from sde_grok.landscapes import Landscape
from sde_grok.laws.passage import log_mean_passage_time
from sde_grok.noise import IsotropicNoise, Noise
from sde_grok.optimizer import Optimizer
from sde_grok.rungs.radial import Rates, radial_rates

__all__ = ["SYSTEMS", "Numerics", "Problem", "System"]

System = Literal["discrete", "joint", "reduced", "radial"]
SYSTEMS: tuple[System, ...] = get_args(System)
LANE_GROUP, MOST_LANES = 8, 64
MOST_TIME_STEPS = 2**32 - 1  # the step is one word of the random counter


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
        self.noise.deviations(self.geometry.dim)
        if self.system != "radial" and self.s is not None:
            raise ParameterError("s", self.s, "left out, but for the radial rung")
        if self.s is not None:
            object.__setattr__(self, "s", number("s", self.s, low=0, open_low=True))
        if self.correct_bias and self.system in {"reduced", "radial"}:
            raise ParameterError(
                "correct_bias", True, f"False: the {self.system} rung has no moments"
            )
        if self.system == "radial":
            self._check_radial()

    def _check_radial(self) -> None:
        if self.landscape.gradient is not None:
            raise ParameterError("landscape", self.landscape.name, "flat for the radial rung")
        if not isinstance(self.noise, IsotropicNoise):
            raise ParameterError(
                "noise", type(self.noise).__name__, "isotropic for the radial rung"
            )
        if self.rates is None:
            raise ParameterError("sigma", self.noise.sigma, "> 0 for the radial rung if eps = 0")

    @property
    def rates(self) -> Rates | None:
        """γ and q² of the radial rung; None if it does not describe the problem."""
        if self.landscape.gradient is not None or not isinstance(self.noise, IsotropicNoise):
            return None
        optimizer = self.optimizer
        s = self.noise.sigma / math.sqrt(optimizer.batch_size) + optimizer.eps
        if self.s is not None:
            s = self.s
        return radial_rates(optimizer, self.noise.sigma, s) if s > 0 else None

    @property
    def log_exact_mean_steps(self) -> float | None:
        """Logarithm of the mean escape time of the radial rung; None if it does not apply."""
        if self.rates is None:
            return None
        start, core = self.geometry.rho_start**2, self.geometry.rho_core**2
        gamma, q2 = self.rates
        try:
            log_mean = log_mean_passage_time(start, core, dim=self.geometry.dim, gamma=gamma, q2=q2)
        except ParameterError:  # beyond the range of the closed form, which is not the simulation's
            return None
        return log_mean - math.log(self.optimizer.eta)


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """How a problem is simulated. `dt` is in optimizer steps."""

    n_paths: int
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
