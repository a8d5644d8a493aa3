"""diffrax: Euler with an Event.

UnsafeBrownianPath (fresh normals every step, which is right for fixed steps) is some 15 times
faster than VirtualBrownianTree. JAX's default generator stays: "rbg" is slower on a CPU, and
under vmap it draws for the whole batch from the first key, which repeats once that path stops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from peers.workloads import (
    CORE,
    CORE2,
    DECAY,
    DIM,
    DT,
    EPS,
    ETA,
    GAMMA,
    RATE1,
    RATE2,
    REPULSION,
    START,
    STEP,
    D,
    Q,
    S,
    Timing,
    adam_start,
    on_axis,
    on_shell,
    timing,
)


class _Equation(NamedTuple):
    """An equation in JAX; written so that the state may carry a leading axis of paths."""

    drift: Callable[[Any], Any]
    noise: Callable[[Any, Any], Any]  # of (state, dW)
    stop: Callable[[Any], Any]
    shape: tuple[int, ...]  # of dW


def _equation(workload: str) -> _Equation:
    import jax.numpy as jnp

    def inside(x: Any) -> Any:
        return jnp.sum(x * x, axis=-1) <= CORE2

    def scale(x: Any) -> Any:
        return jnp.sqrt((DECAY * x) ** 2 + S**2) + EPS

    def adam(y: Any) -> Any:
        x, m, v = y
        h = DECAY * x
        dv = RATE2 / ETA * (h * h + S**2 - v)
        return -m / (jnp.sqrt(v) + EPS), RATE1 / ETA * (h - m), dv

    def adam_noise(y: Any, dw: Any) -> Any:
        zero = jnp.zeros_like(dw)
        return zero, RATE1 / math.sqrt(ETA) * S * dw, zero

    return {
        "radial": _Equation(
            lambda r: REPULSION / r - GAMMA * r, lambda r, dw: Q * dw, lambda r: r <= CORE, ()
        ),
        "vector": _Equation(
            lambda x: -GAMMA * x,
            lambda x, dw: Q * dw,
            lambda x: jnp.sum(x * x, axis=-1) <= CORE**2,
            (D,),
        ),
        "reduced": _Equation(
            lambda x: -DECAY * x / scale(x),
            lambda x, dw: math.sqrt(ETA) * S / scale(x) * dw,
            inside,
            (DIM,),
        ),
        "joint": _Equation(adam, adam_noise, lambda y: inside(y[0]), (DIM,)),
    }[workload]


def _diffrax_solve(equation: _Equation, key: Any, y0: Any, dt: float) -> Any:
    import diffrax
    import jax
    from lineax import FunctionLinearOperator

    dw = jax.ShapeDtypeStruct(equation.shape, np.float64)
    diffusion = diffrax.ControlTerm(
        lambda t, y, args: FunctionLinearOperator(lambda w: equation.noise(y, w), dw),
        diffrax.UnsafeBrownianPath(dw, key),
    )
    return diffrax.diffeqsolve(
        diffrax.MultiTerm(diffrax.ODETerm(lambda t, y, args: equation.drift(y)), diffusion),
        diffrax.Euler(),
        t0=0.0,
        t1=np.inf,
        dt0=dt,
        y0=y0,
        event=diffrax.Event(lambda t, y, args, **kwargs: equation.stop(y)),
        adjoint=diffrax.ForwardMode(),
        max_steps=None,
    )


def _diffrax_start(workload: str, n_paths: int, seed: int) -> Any:
    if workload == "radial":
        return np.full(n_paths, START)
    if workload == "vector":
        return on_axis(n_paths)
    x = on_shell(n_paths, seed)
    return adam_start(x) if workload == "joint" else x


@cache
def _vmapped(workload: str) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)

    def steps(key: Any, y0: Any) -> Any:
        solution = _diffrax_solve(_equation(workload), key, y0, STEP[workload])
        return solution.stats["num_steps"]

    return jax.jit(jax.vmap(steps))


def diffrax_vmapped(workload: str, n_paths: int, seed: int) -> Timing:
    import jax

    solve = _vmapped(workload)
    keys = jax.random.split(jax.random.key(seed), n_paths)
    steps = np.asarray(solve(keys, _diffrax_start(workload, n_paths, seed)), float)
    return timing(workload, steps, n_paths * steps.max())


def _with_clocks(equation: _Equation, n_paths: int) -> _Equation:
    """Make all paths one state, each path frozen inside the core and with a clock that stops."""
    import jax.numpy as jnp

    def running(y: Any) -> Any:
        return jnp.where(equation.stop(y[0]), 0.0, 1.0)

    return _Equation(
        lambda y: (running(y) * equation.drift(y[0]), running(y)),
        lambda y, dw: (running(y) * equation.noise(y[0], dw), jnp.zeros(n_paths)),
        lambda y: jnp.all(equation.stop(y[0])),
        (n_paths,),
    )


@cache
def _one_state(n_paths: int) -> Any:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    equation = _with_clocks(_equation("radial"), n_paths)

    def steps(key: Any) -> Any:
        start = (jnp.full(n_paths, START), jnp.zeros(n_paths))
        return jnp.round(_diffrax_solve(equation, key, start, DT).ys[1][-1] / DT)

    return jax.jit(steps)


def diffrax_one_state(n_paths: int, seed: int) -> Timing:
    """One random key a step for all paths, not one for each: faster where a path is a scalar."""
    import jax

    steps = np.asarray(_one_state(n_paths)(jax.random.key(seed)), float)
    return timing("radial", steps, n_paths * steps.max())
