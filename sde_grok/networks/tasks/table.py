"""The full table of an operation: what there is to learn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Table"]


class Table(NamedTuple):
    """All examples of a task.

    Attributes
    ----------
    inputs : (n, tokens) int32 array
        Tokens of each example, each below `vocabulary`.
    targets : (n,) int32 array
        Class of each example, below `classes`.
    vocabulary, classes : int
        Numbers of tokens and of classes.
    """

    inputs: NDArray[np.int32]
    targets: NDArray[np.int32]
    vocabulary: int
    classes: int
