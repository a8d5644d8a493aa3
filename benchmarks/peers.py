"""The same first-passage problems, solved with other tools: one small function for each.

Workloads, all by plain Euler–Maruyama in double precision unless a peer adds more:

radial    dρ = [(d−1)q²/(2ρ) − γρ] dt + q dB, d = 8, γ = 1, q = 0.15, ρ from 1 to 0.5, Δt = 1e-3
vector    dx = −γx dt + q dW in d = 8, stopped at |x| <= 0.5: the same passage, coordinate by
          coordinate
reduced   rung 3 on a flat landscape, coupled decay, d = 128, ρ² from 128 to 32, Δt = η
joint     rung 2 of the same problem: parameters, momentum and second moment

Every function takes (n_paths, seed) and returns a `Timing`. The first call may compile. A peer that
is not installed raises ImportError when it is called.

Comparisons are for one thread. Before this module is imported, set NUMBA_NUM_THREADS=1,
OPENBLAS_NUM_THREADS=1 and XLA_FLAGS="--xla_cpu_multi_thread_eigen=false
intra_op_parallelism_threads=1", and pin the process to one core: XLA keeps a thread of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Radial and vector: an Ornstein–Uhlenbeck process and its norm.
D, GAMMA, Q, START, CORE, DT = 8, 1.0, 0.15, 1.0, 0.5, 1e-3
REPULSION = 0.5 * (D - 1) * Q**2
KICK = Q * math.sqrt(DT)

# Reduced and joint: Adam on a flat landscape. S is the noise of one gradient, σ/√b.
DIM, START2, CORE2 = 128, 128.0, 32.0
ETA, DECAY, EPS, S = 1e-3, 0.01, 1e-8, 1.0 / math.sqrt(100.0)
RATE1, RATE2 = 1 - 0.9, 1 - 0.999  # 1−β₁, 1−β₂

STEP = {"radial": DT, "vector": DT, "reduced": ETA, "joint": ETA}
# For tools that cannot stop: late enough that fewer than one path in 1 000 is still under way.
HORIZON = {"radial": 2.0, "vector": 2.0, "reduced": 7.6, "joint": 7.6}


class Timing(NamedTuple):
    """What one call did."""

    times: Array  # hitting times in units of t, nan where not hit
    path_steps: int  # useful path-steps: up to each path's stop
    steps_run: int  # path-steps computed, those after the stop included


def timing(workload: str, steps: Array, steps_run: float | None = None) -> Timing:
    """Return the record of paths that stopped after `steps` steps."""
    useful = int(steps.sum())
    return Timing(steps * STEP[workload], useful, useful if steps_run is None else int(steps_run))


def on_axis(n_paths: int) -> Array:
    """Return starts at distance START from the origin."""
    return np.tile(START * np.eye(D)[0], (n_paths, 1))


def on_shell(n_paths: int, seed: int) -> Array:
    """Return starts uniform on the shell ρ² = START2."""
    x = np.random.default_rng([seed, 1]).standard_normal((n_paths, DIM))
    return x * np.sqrt(START2 / np.einsum("ij,ij->i", x, x))[:, None]


def adam_start(x: Array) -> tuple[Array, Array, Array]:
    """Return parameters, momentum and second moment at rest on their slow manifold."""
    h = DECAY * x
    return x, h, h**2 + S**2


# --- Numba: a loop over paths with early exit ------------------------------------------------
#
# Each kernel is compiled twice: naively, with prange and np.random, and with a Generator, whose
# normals are several times faster but whose single stream ties it to one thread.


@njit
def _legacy(rng):
    return np.random.normal()  # noqa: NPY002  what most people write


@njit
def _modern(rng):
    return rng.standard_normal()


@njit
def _seed(seed):
    np.random.seed(seed)  # noqa: NPY002  reaches one thread only


def _radial(draw, rng, n_paths):
    steps = np.empty(n_paths)
    for i in prange(n_paths):
        rho, k = START, 0
        while rho > CORE:
            rho += (REPULSION / rho - GAMMA * rho) * DT + KICK * draw(rng)
            k += 1
        steps[i] = k
    return steps


def _vector(draw, rng, n_paths):
    steps = np.empty(n_paths)
    for i in prange(n_paths):
        x = np.zeros(D)
        x[0] = START
        k, r2 = 0, START**2
        while r2 > CORE**2:
            r2 = 0.0
            for j in range(D):
                x[j] += -GAMMA * x[j] * DT + KICK * draw(rng)
                r2 += x[j] ** 2
            k += 1
        steps[i] = k
    return steps


def _reduced(draw, rng, start):
    steps = np.empty(len(start))
    for i in prange(len(start)):
        x = start[i].copy()
        k, r2 = 0, START2
        while r2 > CORE2:
            r2 = 0.0
            for j in range(DIM):
                h = DECAY * x[j]
                x[j] -= ETA * (h + S * draw(rng)) / (math.sqrt(h * h + S * S) + EPS)
                r2 += x[j] ** 2
            k += 1
        steps[i] = k
    return steps


def _joint(draw, rng, start):
    steps = np.empty(len(start))
    for i in prange(len(start)):
        x = start[i].copy()
        m = DECAY * x
        v = m**2 + S**2
        k, r2 = 0, START2
        while r2 > CORE2:
            r2 = 0.0
            for j in range(DIM):
                h = DECAY * x[j]
                x[j] -= ETA * m[j] / (math.sqrt(v[j]) + EPS)
                m[j] += RATE1 * (h - m[j] + S * draw(rng))
                v[j] += RATE2 * (h * h + S * S - v[j])
                r2 += x[j] ** 2
            k += 1
        steps[i] = k
    return steps


KERNELS = {"radial": _radial, "vector": _vector, "reduced": _reduced, "joint": _joint}
NAIVE = {workload: njit(parallel=True)(kernel) for workload, kernel in KERNELS.items()}
SERIAL = {workload: njit(kernel) for workload, kernel in KERNELS.items()}


def _numba_start(workload: str, n_paths: int, seed: int) -> int | Array:
    return n_paths if workload in {"radial", "vector"} else on_shell(n_paths, seed)


def naive_numba(workload: str, n_paths: int, seed: int) -> Timing:
    _seed(seed)
    start = _numba_start(workload, n_paths, seed)
    return timing(workload, NAIVE[workload](_legacy, 0, start))


def numba_generator(workload: str, n_paths: int, seed: int) -> Timing:
    start = _numba_start(workload, n_paths, seed)
    return timing(workload, SERIAL[workload](_modern, _rng(seed), start))


# --- NumPy: all running paths at once, finished ones removed ---------------------------------


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))  # the fastest of NumPy's bit generators


def _compacting(step: Callable[..., NDArray[np.bool_]], *state: Array) -> Array:
    """Return the number of steps of each path; `step` advances in place and says who has hit."""
    n = len(state[0])
    steps, label, k = np.empty(n), np.arange(n), 0
    while n:
        k += 1
        stop = step(*(x[:n] for x in state))
        hit = np.flatnonzero(stop)
        if hit.size:
            steps[label[hit]] = k
            n -= hit.size
            # The last running paths move into the gaps: cheaper than copying all that run.
            gaps, movers = hit[hit < n], n + np.flatnonzero(~stop[n : n + hit.size])
            for x in (label, *state):
                x[gaps] = x[movers]
    return steps


def numpy_radial(n_paths: int, seed: int) -> Timing:
    rng = _rng(seed)

    def step(rho: Array) -> NDArray[np.bool_]:
        move = rng.standard_normal(len(rho))
        move *= KICK
        move += (REPULSION * DT) / rho
        rho *= 1 - GAMMA * DT
        rho += move
        return rho <= CORE

    return timing("radial", _compacting(step, np.full(n_paths, START)))


def numpy_vector(n_paths: int, seed: int) -> Timing:
    rng = _rng(seed)

    def step(x: Array) -> NDArray[np.bool_]:
        move = rng.standard_normal(x.shape)
        move *= KICK
        x *= 1 - GAMMA * DT
        x += move
        return np.einsum("ij,ij->i", x, x) <= CORE**2

    return timing("vector", _compacting(step, on_axis(n_paths)))


def numpy_reduced(n_paths: int, seed: int) -> Timing:
    rng = _rng(seed)

    def step(x: Array) -> NDArray[np.bool_]:
        h = DECAY * x
        p = h * h
        p += S**2
        np.sqrt(p, out=p)
        p += EPS
        move = rng.standard_normal(x.shape)
        move *= S
        move += h
        move /= p
        move *= ETA
        x -= move
        return np.einsum("ij,ij->i", x, x) <= CORE2

    return timing("reduced", _compacting(step, on_shell(n_paths, seed)))


def numpy_joint(n_paths: int, seed: int) -> Timing:
    rng = _rng(seed)

    def step(x: Array, m: Array, v: Array) -> NDArray[np.bool_]:
        h = DECAY * x
        p = np.sqrt(v)
        p += EPS
        np.divide(m, p, out=p)
        p *= ETA
        x -= p
        force = rng.standard_normal(x.shape)
        force *= S
        force += h
        force *= RATE1
        m *= 1 - RATE1
        m += force
        h *= h
        h += S**2
        h *= RATE2
        v *= 1 - RATE2
        v += h
        return np.einsum("ij,ij->i", x, x) <= CORE2

    return timing("joint", _compacting(step, *adam_start(on_shell(n_paths, seed))))


# --- sdeint: whole paths, no stopping; the passage is looked for afterwards ------------------
#
# One path a call is how sdeint is meant. Most of that time is Python's, so the stacked form
# integrates STACK independent equations as one system; G, a full matrix, sets the best size.

STACK = 128


def _first_passage(workload: str, systems: list[NDArray[np.bool_]]) -> Timing:
    """Return when each path is first inside the core; `systems` hold tables time × path."""
    inside = np.concatenate(systems, axis=1)
    hit, last = inside.any(axis=0), len(inside) - 1
    steps = np.where(hit, inside.argmax(axis=0), last).astype(float)
    done = timing(workload, steps, last * inside.shape[1])
    return done._replace(times=np.where(hit, done.times, np.nan))


def _grid(workload: str) -> Array:
    return STEP[workload] * np.arange(round(HORIZON[workload] / STEP[workload]) + 1)


def sdeint_radial(n_paths: int, seed: int, stack: int) -> Timing:
    from sdeint import itoEuler

    rng, grid, g = np.random.default_rng(seed), _grid("radial"), Q * np.eye(stack)

    def system() -> NDArray[np.bool_]:
        start = np.full(stack, START)
        rho = itoEuler(
            lambda r, t: REPULSION / r - GAMMA * r, lambda r, t: g, start, grid, generator=rng
        )
        return rho <= CORE

    return _first_passage("radial", [system() for _ in range(math.ceil(n_paths / stack))])


def sdeint_vector(n_paths: int, seed: int, stack: int) -> Timing:
    from sdeint import itoEuler

    rng, grid, g = np.random.default_rng(seed), _grid("vector"), Q * np.eye(stack * D)

    def system() -> NDArray[np.bool_]:
        start = on_axis(stack).ravel()
        x = itoEuler(lambda x, t: -GAMMA * x, lambda x, t: g, start, grid, generator=rng)
        x = x.reshape(len(grid), stack, D)
        return np.einsum("tij,tij->ti", x, x) <= CORE**2

    return _first_passage("vector", [system() for _ in range(math.ceil(n_paths / stack))])


def sdeint_reduced(n_paths: int, seed: int) -> Timing:
    from sdeint import itoEuler

    rng, grid, g = np.random.default_rng(seed), _grid("reduced"), np.zeros((DIM, DIM))

    def scale(x: Array) -> Array:
        h = DECAY * x
        return np.sqrt(h * h + S**2) + EPS

    def diffusion(x: Array, t: float) -> Array:
        g.flat[:: DIM + 1] = math.sqrt(ETA) * S / scale(x)
        return g

    def path(start: Array) -> NDArray[np.bool_]:
        x = itoEuler(lambda x, t: -DECAY * x / scale(x), diffusion, start, grid, generator=rng)
        return np.einsum("ij,ij->i", x, x)[:, None] <= CORE2

    return _first_passage("reduced", [path(start) for start in on_shell(n_paths, seed)])


def sdeint_joint(n_paths: int, seed: int) -> Timing:
    from sdeint import itoEuler

    rng, grid, g = np.random.default_rng(seed), _grid("joint"), np.zeros((3 * DIM, DIM))
    np.fill_diagonal(g[DIM : 2 * DIM], RATE1 / math.sqrt(ETA) * S)

    def drift(y: Array, t: float) -> Array:
        x, m, v = y[:DIM], y[DIM : 2 * DIM], y[2 * DIM :]
        h, f = DECAY * x, np.empty(3 * DIM)
        f[:DIM] = -m / (np.sqrt(v) + EPS)
        f[DIM : 2 * DIM] = RATE1 / ETA * (h - m)
        f[2 * DIM :] = RATE2 / ETA * (h * h + S**2 - v)
        return f

    def path(x: Array) -> NDArray[np.bool_]:
        start = np.concatenate(adam_start(x))
        y = itoEuler(drift, lambda y, t: g, start, grid, generator=rng)[:, :DIM]
        return np.einsum("ij,ij->i", y, y)[:, None] <= CORE2

    return _first_passage("joint", [path(x) for x in on_shell(n_paths, seed)])


# --- diffrax: Euler with an Event ------------------------------------------------------------
#
# UnsafeBrownianPath (fresh normals every step, which is right for fixed steps) is some 15 times
# faster than VirtualBrownianTree. JAX's default generator stays: "rbg" is slower on a CPU, and
# under vmap it draws for the whole batch from the first key, which repeats once that path stops.


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


# --- kramers: one dimension only, with a Brownian-bridge test, so without Euler's bias -------


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


PEERS: dict[tuple[str, str], Callable[[int, int], Timing]] = {
    ("radial", "naive numba"): partial(naive_numba, "radial"),
    ("radial", "numba, Generator"): partial(numba_generator, "radial"),
    ("radial", "numpy"): numpy_radial,
    ("radial", "kramers"): kramers_radial,
    ("radial", "diffrax"): partial(diffrax_vmapped, "radial"),
    ("radial", "diffrax, one state"): diffrax_one_state,
    ("radial", "sdeint"): partial(sdeint_radial, stack=1),
    ("radial", "sdeint, stacked"): partial(sdeint_radial, stack=STACK),
    ("vector", "naive numba"): partial(naive_numba, "vector"),
    ("vector", "numba, Generator"): partial(numba_generator, "vector"),
    ("vector", "numpy"): numpy_vector,
    ("vector", "diffrax"): partial(diffrax_vmapped, "vector"),
    ("vector", "sdeint"): partial(sdeint_vector, stack=1),
    ("vector", "sdeint, stacked"): partial(sdeint_vector, stack=STACK // D),
    ("reduced", "naive numba"): partial(naive_numba, "reduced"),
    ("reduced", "numba, Generator"): partial(numba_generator, "reduced"),
    ("reduced", "numpy"): numpy_reduced,
    ("reduced", "diffrax"): partial(diffrax_vmapped, "reduced"),
    ("reduced", "sdeint"): sdeint_reduced,
    ("joint", "naive numba"): partial(naive_numba, "joint"),
    ("joint", "numba, Generator"): partial(numba_generator, "joint"),
    ("joint", "numpy"): numpy_joint,
    ("joint", "diffrax"): partial(diffrax_vmapped, "joint"),
    ("joint", "sdeint"): sdeint_joint,
}

# Numbers of paths for calls of about one second.
SIZES: dict[tuple[str, str], int] = {
    ("radial", "naive numba"): 40_000,
    ("radial", "numba, Generator"): 80_000,
    ("radial", "numpy"): 64_000,
    ("radial", "kramers"): 32_000,
    ("radial", "diffrax"): 4_000,
    ("radial", "diffrax, one state"): 8_000,
    ("radial", "sdeint"): 100,
    ("radial", "sdeint, stacked"): 40 * STACK,
    ("vector", "naive numba"): 4_000,
    ("vector", "numba, Generator"): 24_000,
    ("vector", "numpy"): 8_000,
    ("vector", "diffrax"): 2_000,
    ("vector", "sdeint"): 100,
    ("vector", "sdeint, stacked"): 5 * STACK,
    ("reduced", "naive numba"): 32,
    ("reduced", "numba, Generator"): 128,
    ("reduced", "numpy"): 64,
    ("reduced", "diffrax"): 32,
    ("reduced", "sdeint"): 8,
    ("joint", "naive numba"): 32,
    ("joint", "numba, Generator"): 128,
    ("joint", "numpy"): 64,
    ("joint", "diffrax"): 32,
    ("joint", "sdeint"): 8,
}
