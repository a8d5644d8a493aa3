"""Checks of user input: one line that names the field, the value and the allowed range."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Protocol

from sde_grok.dual import Dual, value_of

LONGEST = 80  # characters of a value in an error message

__all__ = ["MissingExtra", "ParameterError", "choice", "file_bytes", "integer", "number"]


class ParameterError(ValueError):
    """A parameter outside its allowed range.

    Parameters
    ----------
    field : str
        Name of the parameter.
    value : object
        What was given.
    allowed : str
        The allowed range, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        shape = getattr(value, "shape", ())
        try:
            shown = f"array of shape {shape}" if shape else repr(value)
        except ValueError:  # an integer of more digits than Python writes
            shown = f"a number of type {type(value).__name__}"
        if len(shown) > LONGEST:
            shown = shown[: LONGEST - 1] + "…"
        super().__init__(f"{field} = {shown}: must be {allowed}")

    def __reduce__(self) -> tuple[type[ParameterError], tuple[str, object, str]]:
        return type(self), (self.field, self.value, self.allowed)


class MissingExtra(ImportError):
    """Packages of an optional part that are not installed.

    Parameters
    ----------
    extra : str
        Name of the extra that brings them.
    packages : sequence of str
        What is missing.
    """

    def __init__(self, extra: str, packages: Sequence[str]) -> None:
        names = ", ".join(packages)
        super().__init__(f"{names} is not installed: pip install 'sde-grok[{extra}]'")


def number(
    field: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = True,
) -> float:
    """Return `value` as a finite float within the range, or raise `ParameterError`.

    Floats throughout: a kernel compiled for a float is not compiled again for an integer. A dual
    number stays one.
    """
    left = f"> {_shown(low)}" if open_low else f">= {_shown(low)}"
    right = f"< {_shown(high)}" if open_high else f"<= {_shown(high)}"
    bounds = ([left] if low > -math.inf else []) + ([right] if high < math.inf else [])
    allowed = f"a finite number {' and '.join(bounds)}".strip()
    try:
        x = float(value_of(value))
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(field, value, allowed) from None
    is_number = not isinstance(value, (bool, str, bytes)) and _kind(value) != "b"
    inside = (x > low if open_low else x >= low) and (x < high if open_high else x <= high)
    if not (is_number and math.isfinite(x) and inside):
        raise ParameterError(field, value, allowed)
    return value if isinstance(value, Dual) else x  # type: ignore[return-value]


def _shown(bound: float) -> str:
    """Write a bound in few digits, if they are all of it."""
    short = f"{bound:g}"
    return short if float(short) == bound else repr(bound)


def _kind(value: Any) -> str:
    """NumPy's letter for the kind of a number, "" if it is none of NumPy's."""
    return str(getattr(getattr(value, "dtype", None), "kind", ""))


def integer(field: str, value: Any, *, low: int, high: int = 2**63 - 1) -> int:
    """Return `value` as an int within [low, high], or raise `ParameterError`."""
    allowed = f"an integer >= {low}"
    if high < 2**63 - 1 or (isinstance(value, int) and value > high):
        allowed += f" and <= {high}"
    try:
        n = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    except (TypeError, ValueError):
        raise ParameterError(field, value, allowed) from None
    if isinstance(value, bool) or not low <= n <= high:
        raise ParameterError(field, value, allowed)
    return n


def choice(field: str, value: Any, options: tuple[str, ...]) -> str:
    """Return `value` if it is one of `options`, or raise `ParameterError`."""
    if value not in options:
        raise ParameterError(field, value, "one of " + ", ".join(options))
    return str(value)


class Readable(Protocol):
    """A file on disk or in a package."""

    def read_bytes(self) -> bytes: ...


def file_bytes(field: str, path: Readable) -> bytes:
    """Return what is in a file, or raise `ParameterError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ParameterError(field, str(path), f"a file to read ({error.strerror})") from None
