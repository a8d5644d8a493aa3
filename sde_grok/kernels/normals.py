"""Standard normals from Philox words by Box–Muller, written so that LLVM vectorises it.

Double precision: two words (52 bits) for the radius and two (52 + 2 bits) for the angle, so the
tails reach √(2·52·ln 2) = 8.5 standard deviations. Single precision: one word each; 6.7.
Logarithm, sine and cosine are polynomials (Chebyshev fits of the functions named beside them;
errors below 4e-16 relative in double, 3e-7 in single precision).
"""

from math import sqrt

import numpy as np
from numba import types
from numba.extending import overload

from sde_grok.kernels.jit import as_bits, as_float, fma, inlined
from sde_grok.kernels.philox import MASK, WORD_BITS, philox, stream_word

__all__ = ["ROWS", "fill_normals", "normal_pair", "uniform"]

ROWS = 4  # normals are made in blocks of rows: two (double) or four (single) for each counter

ONE_BITS = np.uint64(0x3FF0000000000000)
SIGN_BIT = np.uint64(0x8000000000000000)
SQRT_HALF_BITS = np.uint64(0x3FE6A09E667F3BCD)
EXPONENT_MASK = np.uint64(0xFFF0000000000000)
INTEGER_BITS, INTEGER = np.uint64(0x4338000000000000), 6755399441055744.0  # 1.5 · 2⁵²
MINUS_LN2 = -0.6931471805599453
ONE, TWO = np.uint64(1), np.uint64(2)


@inlined
def uniform(high, low):
    """Uniform on (0, 1], multiples of 2⁻⁵², from two 32-bit words."""
    return 2.0 - as_float(ONE_BITS | (high << np.uint64(20)) | (low >> np.uint64(12)))


@inlined
def _minus_log(u):
    """−ln u for normal positive u: u = 2ⁿ m with m in [√½, √2), ln m = 2 artanh (m−1)/(m+1)."""
    bits = as_bits(u)
    n_bits = (bits - SQRT_HALF_BITS) & EXPONENT_MASK
    m = as_float(bits - n_bits)
    # The exponent as a signed number, without the integer conversion that AVX2 lacks.
    n = (
        as_float(INTEGER_BITS + ((n_bits >> np.uint64(52)) ^ np.uint64(0x800)) - np.uint64(0x800))
        - INTEGER
    )
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = fma(z, 0.16837699024690378, 0.18121931271551903)
    p = fma(z, p, 0.22223434642576478)
    p = fma(z, p, 0.2857141601980294)
    p = fma(z, p, 0.4000000006174961)
    p = fma(z, p, 0.666666666665529)
    p = fma(z, p, 2.0)
    return fma(n, MINUS_LN2, -s * p)


@inlined
def _sin_cos(t):
    """Sine and cosine of πt/2 for t in [−½, ½]."""
    z = t * t
    p = fma(z, 5.633933781537854e-08, -3.59864335298231e-06)
    p = fma(z, p, 0.0001604411507421909)
    p = fma(z, p, -0.004681754132340976)
    p = fma(z, p, 0.07969262624604301)
    p = fma(z, p, -0.6459640975062443)
    p = fma(z, p, 1.5707963267948966)
    q = fma(z, 4.6552961874867623e-07, -2.520013526428479e-05)
    q = fma(z, q, 0.000919259950041661)
    q = fma(z, q, -0.02086348073494657)
    q = fma(z, q, 0.25366950789986475)
    q = fma(z, q, -1.2337005501361513)
    q = fma(z, q, 1.0)
    return t * p, q


@inlined
def normal_pair(w0, w1, w2, w3):
    """Two independent standard normals from four words (double precision)."""
    r = sqrt(2.0 * _minus_log(uniform(w0, w1)))
    t = 1.5 - as_float(ONE_BITS | (w2 << np.uint64(20)) | (w3 >> np.uint64(12)))
    s, c = _sin_cos(t)
    # Two unused bits choose the quarter: the sign of the cosine, and which of the two comes first.
    c = as_float(as_bits(r * c) ^ ((w3 & ONE) << np.uint64(63)))
    s = r * s
    swap = (w3 & TWO) != np.uint64(0)
    return (c if swap else s), (s if swap else c)


F = np.float32


@inlined
def _normal_pair_single(w0, w1):
    """Two independent standard normals from two words (single precision)."""
    u = fma(F(np.int64(w0)), F(2.0**-32), F(2.0**-33))
    r = sqrt(F(2.0) * F(_minus_log(np.float64(u))))
    t = fma(F(np.int64(w1 >> np.uint64(2))), F(2.0**-30), F(-0.5))
    z = t * t
    p = fma(z, F(-0.004602149212814176), F(0.07968021764775542))
    p = fma(z, p, F(-0.6459634776648118))
    p = fma(z, p, F(1.5707963219532366))
    q = fma(z, F(-0.020408158392998334), F(0.25359857130254576))
    q = fma(z, q, F(-1.2336970074214912))
    q = fma(z, q, F(0.9999999723284944))
    s = r * (t * p)
    c = r * q
    if (w1 & ONE) != np.uint64(0):
        c = -c
    swap = (w1 & TWO) != np.uint64(0)
    return (c if swap else s), (s if swap else c)


def _fill_double(z, n, first, d_first, row, d_pair, path, stream, k0, k1):
    zero = np.int64(k0 >> WORD_BITS)
    for block in range(z.shape[0] // 2):
        j = block ^ zero
        za, zb = z[2 * j], z[2 * j + 1]
        word0 = np.uint64(block) * d_first
        word1 = np.uint64(row // 2 + block) * d_pair
        for lane in range(n):
            p = path[lane]
            w0, w1, w2, w3 = philox(
                first[lane] + word0, word1, p & MASK, stream_word(stream, p), k0, k1
            )
            za[lane], zb[lane] = normal_pair(w0, w1, w2, w3)


def _fill_single(z, n, first, d_first, row, d_pair, path, stream, k0, k1):
    zero = np.int64(k0 >> WORD_BITS)
    for block in range(z.shape[0] // 4):
        # LLVM merges the alias checks of all blocks into one, which fails, unless it cannot tell
        # where the next block is: j = block, for a key word has 32 bits.
        j = block ^ zero
        za, zb, zc, zd = z[4 * j], z[4 * j + 1], z[4 * j + 2], z[4 * j + 3]
        word0 = np.uint64(block) * d_first
        word1 = np.uint64(row // 4 + block) * d_pair
        for lane in range(n):
            p = path[lane]
            w0, w1, w2, w3 = philox(
                first[lane] + word0, word1, p & MASK, stream_word(stream, p), k0, k1
            )
            za[lane], zb[lane] = _normal_pair_single(w0, w1)
            zc[lane], zd[lane] = _normal_pair_single(w2, w3)


def fill_normals(z, n, first, d_first, row, d_pair, path, stream, k0, k1):
    """Fill the first `n` columns of z (rows, lanes) with normals of the paths `path`.

    Counter of the j-th block of rows in a lane: (first + j·d_first, (j₀ + j)·d_pair, path, stream),
    j₀ the block of `row`. With d_pair = 1 the rows are coordinates of one step, from `row` on; with
    d_first = 1 they are steps.
    """
    fill = _fill_single if z.dtype == np.float32 else _fill_double
    fill(z, n, first, d_first, row, d_pair, path, stream, k0, k1)


@overload(fill_normals, jit_options={"error_model": "numpy"})
def _fill_normals_overload(z, n, first, d_first, row, d_pair, path, stream, k0, k1):
    return _fill_single if z.dtype == types.float32 else _fill_double
