"""Philox-4x32-10, the counter-based generator of Salmon et al. (SC 2011, "Random123").

A number is a function of (seed, stream, path, counter): no state, so that a path draws the same
numbers whatever runs beside it. The 128-bit counter is laid out as

    word 0: step    word 1: coordinate pair    word 2: path, low    word 3: stream | path, high

and the 64-bit key is the seed. All words are 32 bits wide, held in uint64 so that LLVM uses the
vector multiply 32 × 32 → 64.
"""

import numpy as np

from sde_grok.kernels.jit import inlined

__all__ = ["BRIDGE", "MOVE", "START", "WORD_BITS", "philox", "stream_word"]

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
MASK, WORD_BITS = np.uint64(0xFFFFFFFF), np.uint64(32)

# Streams: what a number is for. Numbers of different streams never coincide.
MOVE, START, BRIDGE = np.uint64(0), np.uint64(1), np.uint64(2)


@inlined
def stream_word(stream, path):
    """Counter word 3: eight bits of stream, 24 high bits of the path."""
    return (stream << np.uint64(24)) | (path >> WORD_BITS)


@inlined
def _round(c0, c1, c2, c3, k0, k1):
    p0, p1 = M0 * c0, M1 * c2
    return (p1 >> WORD_BITS) ^ c1 ^ k0, p1 & MASK, (p0 >> WORD_BITS) ^ c3 ^ k1, p0 & MASK


@inlined
def _two_rounds(c0, c1, c2, c3, k0, k1):
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + W0) & MASK, (k1 + W1) & MASK
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    return c0, c1, c2, c3, (k0 + W0) & MASK, (k1 + W1) & MASK


@inlined
def philox(c0, c1, c2, c3, k0, k1):
    """Four random 32-bit words for the counter (c0, c1, c2, c3) and the key (k0, k1)."""
    # Ten rounds, written out: a loop here would keep the loop over lanes from vectorising.
    c0, c1, c2, c3, k0, k1 = _two_rounds(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3, k0, k1 = _two_rounds(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3, k0, k1 = _two_rounds(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3, k0, k1 = _two_rounds(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3, k0, k1 = _two_rounds(c0, c1, c2, c3, k0, k1)
    return c0, c1, c2, c3
