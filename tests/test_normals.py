"""Normals: against NumPy on the same words, their layout, and their distribution."""

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy.stats import binomtest, kstest, norm
from stats_tools import check_p, check_z

from sde_grok.kernels.normals import _normal_pair_single, fill_normals, normal_pair

# A few roundings of 1.1e-16 on both sides, and 4e-16 of the kernel's polynomials.
DOUBLE = {"rtol": 1e-15, "atol": 0}
# One rounding of single precision is 6e-8; radius, polynomial and product make five.
SINGLE = {"rtol": 4e-7, "atol": 0}
BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
SIZE = 2**21

word = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2, 3, 2**31, 2**32 - 2, 2**32 - 1])


@njit(error_model="numpy")
def _fill(z, n, first, d_first, row, d_pair, path, stream, k0, k1):
    fill_normals(z, n, first, d_first, row, d_pair, path, stream, k0, k1)


def fill(shape, dtype, paths, *, n=None, first=0, d_first=0, row=0, d_pair=1, stream=0, seed=0):
    """Normals of the package, as rows × lanes."""
    u = np.uint64
    z = np.full(shape, np.nan, dtype)
    firsts = np.full(shape[1], first, u)
    n = shape[1] if n is None else n
    key = u(seed & naive.MASK), u(seed >> 32)
    paths = np.asarray(paths, u)
    _fill(z, n, firsts, u(d_first), row, u(d_pair), paths, u(stream), *key)
    return z


@given(word, word, word, word)
def test_pair_equals_numpy(w0, w1, w2, w3):
    pair = normal_pair(*map(np.uint64, (w0, w1, w2, w3)))
    np.testing.assert_allclose(pair, naive.box_muller(w0, w1, w2, w3), **DOUBLE)


@given(word, word)
def test_pair_equals_numpy_in_single_precision(w0, w1):
    pair = _normal_pair_single(np.uint64(w0), np.uint64(w1))
    assert all(type(z) is float or z.dtype == np.float32 for z in pair)
    np.testing.assert_allclose(pair, naive.box_muller_single(w0, w1), **SINGLE)


@BOTH
def test_coordinates_of_a_step(dtype):
    seed, stream, step, paths = 2**63 + 9, 2, 77, [0, 3, 2**32 + 3, 2**40 - 1]
    z = fill((4000, 4), dtype, paths, first=step, stream=stream, seed=seed)
    single = dtype == np.float32
    expected = [naive.normals(seed, stream, p, step, 4000, single=single) for p in paths]
    np.testing.assert_allclose(z, np.transpose(expected), **(SINGLE if single else DOUBLE))


@BOTH
def test_rows_start_anywhere_and_spare_lanes_stay(dtype):
    whole = fill((64, 8), dtype, range(8), first=5, seed=1)
    part = fill((12, 8), dtype, range(8), first=5, seed=1, row=20, n=3)
    assert np.array_equal(part[:, :3], whole[20:32, :3])
    assert np.all(np.isnan(part[:, 3:]))


@BOTH
def test_rows_may_be_steps(dtype):
    each = 16 // np.dtype(dtype).itemsize
    steps = fill((16, 2), dtype, [7, 9], first=3, d_first=1, d_pair=0)
    one_by_one = [fill((each, 2), dtype, [7, 9], first=3 + j) for j in range(16 // each)]
    # A counter's normals do not change with what the rows are.
    assert np.array_equal(steps, np.vstack(one_by_one))


@BOTH
def test_no_two_numbers_coincide(dtype):
    paths, each = [0, 1, 2**8, 2**32, 2**32 + 1, 2**39], 32
    blocks = [
        fill((each, len(paths)), dtype, paths, first=first, stream=stream, seed=seed)
        for first, stream, seed in itertools.product(
            [0, 1, 2**32 - 1], [0, 1, 2], [0, 1, 2**32, 2**33 + 1]
        )
    ]
    # Pairs, for a single number of 24 bits may well coincide with another.
    pairs = np.concatenate(
        [b.reshape(each // 2, 2, -1).swapaxes(1, 2).reshape(-1, 2) for b in blocks]
    )
    assert len(np.unique(pairs, axis=0)) == len(pairs) == 36 * len(paths) * each // 2


@pytest.fixture(scope="module")
def sample():
    """Two million normals a precision: 128 coordinates of each path, in double precision."""

    def draw(dtype, **where):
        return fill((128, SIZE // 128), dtype, range(SIZE // 128), **where).astype(np.float64)

    return draw


@pytest.mark.statistical
@BOTH
def test_distribution(sample, dtype):
    z = sample(dtype, seed=20240601).ravel()
    check_p("Kolmogorov–Smirnov", kstest(z, "norm").pvalue)
    # Standard errors of the first moments of N(0, 1): √(E z²ᵏ − (E zᵏ)²).
    for k, mean, deviation in [(1, 0, 1), (2, 1, 2**0.5), (3, 0, 15**0.5), (4, 3, 96**0.5)]:
        check_z(f"E z^{k}", np.mean(z**k), deviation / SIZE**0.5, mean)


@pytest.mark.statistical
@BOTH
@pytest.mark.parametrize("level", [2.0, 3.0, 4.0, 4.5])
def test_tails(sample, dtype, level):
    z = sample(dtype, seed=20240602)
    beyond = int(np.count_nonzero(np.abs(z) > level))
    check_p(f"|z| > {level}", binomtest(beyond, SIZE, 2 * norm.sf(level)).pvalue)


@pytest.mark.statistical
@BOTH
def test_independence(sample, dtype):
    z = sample(dtype, seed=20240603)
    others = {
        "next coordinate": np.roll(z, 1, axis=0),
        "next counter": np.roll(z, 4, axis=0),
        "next path": np.roll(z, 1, axis=1),
        "next step": sample(dtype, seed=20240603, first=1),
        "other stream": sample(dtype, seed=20240603, stream=1),
        "next seed": sample(dtype, seed=20240604),
    }
    for name, other in others.items():
        check_z(f"correlation with the {name}", np.mean(z * other), SIZE**-0.5, 0)
        # (z² − 1)(z'² − 1) has variance 4: a common radius would show here.
        squares = np.mean((z**2 - 1) * (other**2 - 1))
        check_z(f"correlation of the squares with the {name}", squares, 2 * SIZE**-0.5, 0)
