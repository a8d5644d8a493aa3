"""kramers: one dimension only, with a Brownian-bridge test, so without Euler's bias."""

from __future__ import annotations

import numpy as np

from peers.workloads import CORE, DT, GAMMA, REPULSION, START, Q, Timing, timing


def kramers_radial(n_paths: int, seed: int) -> Timing:
    from kramers.solvers.simulate import first_passage_times

    result = first_passage_times(
        lambda rho: REPULSION / rho - GAMMA * rho,
        Q**2 / 2,
        START,
        n_paths=n_paths,
        dt=DT,
        t_max=100.0,  # it ends when all paths have
        absorbing=(CORE, None),
        seed=seed,
    )
    return timing("radial", np.round(result.times / DT))
