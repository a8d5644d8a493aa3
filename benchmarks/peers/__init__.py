"""The same first-passage problems, solved with other tools: one small function for each.

Every function takes (n_paths, seed) and returns a `Timing`. The first call may compile. A peer that
is not installed raises ImportError when it is called.

Comparisons are for one thread. Before this package is imported, set NUMBA_NUM_THREADS=1,
OPENBLAS_NUM_THREADS=1 and XLA_FLAGS="--xla_cpu_multi_thread_eigen=false
intra_op_parallelism_threads=1", and pin the process to one core: XLA keeps a thread of its own.
"""

from collections.abc import Callable
from functools import partial

from peers.diffrax_peers import diffrax_one_state, diffrax_vmapped
from peers.kramers_peers import kramers_radial
from peers.numba_peers import naive_numba, numba_generator
from peers.numpy_peers import numpy_joint, numpy_radial, numpy_reduced, numpy_vector
from peers.sdeint_peers import STACK, sdeint_joint, sdeint_radial, sdeint_reduced, sdeint_vector
from peers.workloads import D, Timing

__all__ = ["PEERS", "SIZES"]

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
