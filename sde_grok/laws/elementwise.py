"""Let a law written for numbers accept arrays of parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Protocol, cast, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Elementwise", "elementwise"]

P = ParamSpec("P")


class Elementwise(Protocol[P]):
    """A law: numbers give a float, and arrays, broadcast together, an array."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> float: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> NDArray[np.float64]: ...


def elementwise(law: Callable[P, float]) -> Elementwise[P]:
    """Apply `law` to each element of its broadcast arguments, one at a time."""

    @wraps(law)
    def broadcast(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if all(np.ndim(value) == 0 for value in given):
            return law(*args, **kwargs)
        arrays = np.broadcast_arrays(*map(np.asarray, given))
        rows = zip(*(array.ravel().tolist() for array in arrays), strict=True)
        n = len(args)
        out = [law(*row[:n], **dict(zip(kwargs, row[n:], strict=True))) for row in rows]
        return np.array(out, dtype=float).reshape(arrays[0].shape)

    return cast("Elementwise[P]", broadcast)
