"""States of paths at chosen optimizer steps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.escape import LongEscapeWarning, simulate_escape
from sde_grok.escape_times import Status
from sde_grok.geometry import SMALLEST, Geometry
from sde_grok.landscapes import Landscape
from sde_grok.noise import Noise
from sde_grok.optimizer import Optimizer
from sde_grok.problem import SYSTEMS, System

__all__ = ["Trajectories", "trajectories"]

Array = NDArray[np.float64]
WHOLE = 1e-9  # from a whole number, for rounding
IN_COORDINATES = tuple(system for system in SYSTEMS if system != "radial")


class Trajectories(NamedTuple):
    """States of paths; nan from where a path became non-finite.

    Attributes
    ----------
    steps : (n,) integer array
        Optimizer steps, ascending.
    theta : (n, n_paths, d) array
        θ after so many steps.
    m, v : (n, n_paths, d) array or None
        Adam's moments there; None on the reduced rung.
    """

    steps: NDArray[np.int64]
    theta: Array
    m: Array | None = None
    v: Array | None = None


def trajectories(
    optimizer: Optimizer,
    noise: Noise,
    landscape: Landscape,
    *,
    rho_start: float,
    dim: int,
    system: System,
    n_paths: int,
    at: Sequence[int],
    seed: int,
    first_path: int = 0,
    dt: float = 1.0,
    correct_bias: bool = False,
    threads: int | None = None,
) -> Trajectories:
    """States of paths at the optimizer steps `at`, those of `simulate_grokking` to the bit.

    A path is a function of the problem and (seed, i), so that its state after k steps is the end of
    a run of k steps: exact, at the cost of one run for each entry of `at`, Σ `at` steps a path in
    all. No loss and no core ends a path.

    Parameters
    ----------
    optimizer : Optimizer
        Learning rate, batch size, shrinkage and Adam's constants.
    noise : IsotropicNoise, DiagonalNoise or DenseNoise
        Covariance Σ of one example's gradient where the landscape's factor f is 1.
    landscape : Landscape
        With losses or without.
    rho_start : float
        Radius of the init shell, > 0.
    dim : int
        Dimension d.
    system : {"discrete", "joint", "reduced"}
        Rung of the ladder.
    n_paths : int
        Number of independent paths.
    at : sequence of int
        Optimizer steps >= 1, multiples of `dt`; returned in ascending order, each once.
    seed : int
        0 … 2⁶⁴ − 1; as in `simulate_escape`.
    first_path : int
        Number of the first path.
    dt : float
        Time step in optimizer steps; 1 on the discrete rung.
    correct_bias : bool
        Start m and v at zero and correct Adam's bias. Not on the reduced rung.
    threads : int, optional
        Threads.

    Returns
    -------
    Trajectories

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    Interrupted
        On Ctrl-C.
    """
    choice("system", system, IN_COORDINATES)
    try:
        steps = sorted({integer("at", k, low=1) for k in at})
    except TypeError:
        steps = []
    if not steps:
        raise ParameterError("at", at, "a sequence of at least one step")
    stride = number("dt", dt, low=0, open_low=True)
    if any(abs(k / stride - round(k / stride)) > WHOLE for k in steps):
        raise ParameterError("at", at, f"whole multiples of dt = {dt:g}")
    geometry = Geometry(rho_start=rho_start, rho_core=SMALLEST, dim=dim)  # no path gets there
    states: list[dict[str, Array]] = []
    for k in steps:
        with warnings.catch_warnings():  # that no path gets there is what is wanted
            warnings.simplefilter("ignore", LongEscapeWarning)
            result = simulate_escape(
                optimizer,
                geometry,
                noise,
                landscape,
                system=system,
                n_paths=n_paths,
                max_steps=k,
                seed=seed,
                first_path=first_path,
                dt=dt,
                correct_bias=correct_bias,
                keep_end_state=True,
                threads=threads,
            )
        ended_early = result.status != Status.CENSORED
        for state in result.end_state.values():
            state[ended_early] = np.nan
        states.append(result.end_state)
    stacked = {name: np.stack([state[name] for state in states]) for name in states[0]}
    return Trajectories(np.array(steps, np.int64), **stacked)
