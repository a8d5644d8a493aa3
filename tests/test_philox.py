"""Philox-4x32-10: published vectors, and the layout of counter and key."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sde_grok.kernels.philox import BRIDGE, MOVE, START, philox, stream_word

# Known-answer vectors of Random123 (kat_vectors): counter, key, words.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip

word = st.integers(0, 2**32 - 1)


def integers(text):
    return [int(part, 16) for part in text.split()]


def compiled(counter, key):
    return [int(w) for w in philox(*map(np.uint64, (*counter, *key)))]


@pytest.mark.parametrize("function", [compiled, naive.philox], ids=["kernel", "naive"])
@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(function, counter, key, words):
    assert list(function(integers(counter), integers(key))) == integers(words)


@given(st.tuples(word, word, word, word), st.tuples(word, word))
def test_kernel_equals_naive(counter, key):
    assert compiled(counter, key) == list(naive.philox(counter, key))


def test_naive_takes_arrays():
    pairs = np.arange(5, dtype=np.uint64)
    together = np.array(naive.words(2**40 + 7, START, 2**33 + 1, 12, pairs))
    assert [naive.words(2**40 + 7, 1, 2**33 + 1, 12, i) for i in range(5)] == [
        tuple(map(int, column)) for column in together.T
    ]


@given(st.integers(0, 2**56 - 1))
def test_stream_and_high_bits_of_the_path_share_a_word(path):
    seen = {int(stream_word(stream, np.uint64(path))) for stream in (MOVE, START, BRIDGE)}
    assert seen == {(stream << 24) + (path >> 32) for stream in (0, 1, 2)}
