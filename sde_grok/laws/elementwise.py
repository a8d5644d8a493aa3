"""Let a law written for numbers accept arrays of parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Elementwise", "elementwise", "elementwise_fields"]

P = ParamSpec("P")
Fields = TypeVar("Fields", bound=tuple[Any, ...])


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
        out, shape = _each(law, args, kwargs)
        return out if shape is None else np.array(out, dtype=float).reshape(shape)

    return cast("Elementwise[P]", broadcast)


def elementwise_fields(law: Callable[..., Fields]) -> Callable[..., Fields]:
    """Apply a law that returns a NamedTuple of numbers: arrays make each field an array."""

    @wraps(law)
    def broadcast(*args: Any, **kwargs: Any) -> Any:
        out, shape = _each(law, args, kwargs)
        if shape is None:
            return out
        return type(out[0])(*(np.array(field).reshape(shape) for field in zip(*out, strict=True)))

    return broadcast


def _each(
    law: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[int, ...] | None]:
    """The law of numbers, and None; or its values at each element, and the broadcast shape."""
    given = (*args, *kwargs.values())
    if all(np.ndim(value) == 0 for value in given):
        return law(*args, **kwargs), None
    arrays = np.broadcast_arrays(*map(np.asarray, given))
    rows = zip(*(array.ravel().tolist() for array in arrays), strict=True)
    n = len(args)
    out = [law(*row[:n], **dict(zip(kwargs, row[n:], strict=True))) for row in rows]
    return out, arrays[0].shape
