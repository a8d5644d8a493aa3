"""Brownian bridge between two grid points: does it cross the barrier, and when?

Let a > 0 be the distance from the barrier at the start of a step and b at its end (b <= 0 if it was
crossed), both in units of the standard deviation of the step. Given the two, the path in between
is a Brownian bridge. It crosses with probability exp(−2ab), or 1 if b <= 0. Seen in the time
u = t/(Δ − t) it is a Brownian motion with drift b, so that its first crossing has u distributed as
an inverse Gaussian of mean a/|b| and shape a².
"""

import math

import numpy as np

from sde_grok.kernels.jit import inlined
from sde_grok.kernels.normals import normal_pair, uniform
from sde_grok.kernels.philox import BRIDGE, MASK, philox, stream_word

__all__ = ["FARTHEST_PRODUCT", "bridge_crossing", "digit", "first_digits"]

FARTHEST_PRODUCT = 20.0  # exp(−2·20) = 4e-18: a uniform of 52 bits never falls below


@inlined
def first_digits(step, path, k0, k1):
    """Words that hold the first base-256 digit of the uniforms of 16 steps, from `step` on."""
    return philox(step, np.uint64(2), path & MASK, stream_word(BRIDGE, path), k0, k1)


@inlined
def digit(words, i):
    """The digit, 0…255, of the i-th of 16 steps."""
    w0, w1, w2, w3 = words
    pair = (w0 if i < 4 else w1) if i < 8 else (w2 if i < 12 else w3)
    return np.float64((pair >> np.uint64(8 * (i % 4))) & np.uint64(255))


@inlined
def bridge_crossing(a, b, digit, step, path, k0, k1):
    """Fraction of the step at which the bridge from a to b first crosses 0; −1.0 if it does not.

    The draws are functions of (seed, path, step) alone. Most are settled by the first digit of the
    uniform and by e^x >= 1 + x + x²/2; the rest of its digits are drawn only if these matter.
    """
    x = 2.0 * a * b
    if b > 0.0 and digit * (1.0 + x + 0.5 * x * x) > 256.0:
        return -1.0
    word = stream_word(BRIDGE, path)
    w0, w1, w2, w3 = philox(step, np.uint64(0), path & MASK, word, k0, k1)
    if b > 0.0 and digit + uniform(w0, w1) > 256.0 * math.exp(-x):
        return -1.0
    v0, v1, v2, v3 = philox(step, np.uint64(1), path & MASK, word, k0, k1)
    z, _ = normal_pair(v0, v1, v2, v3)
    u = inverse_gaussian(a, abs(b), z, uniform(w2, w3))
    return 1.0 if math.isinf(u) else u / (1.0 + u)


@inlined
def inverse_gaussian(a, b, z, chance):
    """Hitting time of level a by a Brownian motion with drift b >= 0, from a normal and a uniform.

    Michael, Schucany and Haas (American Statistician 30, 1976): the smaller root of the quadratic
    that the squared normal solves, or the larger one with the complementary probability. With
    w = z²/2a the roots are a/(b + w ± √(w(w + 2b))); at b = 0 that is the Lévy law (a/z)².
    """
    w = 0.5 * z * z / a
    smaller = a / (b + w + math.sqrt(w * (w + 2.0 * b)))
    if b == 0.0 or smaller == math.inf or chance * (a + b * smaller) <= a:
        return smaller
    return (a / b) / smaller * (a / b)
