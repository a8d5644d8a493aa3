"""How kernels are compiled, and the machine instructions that Numba does not name.

No ``fastmath`` anywhere: every operation is IEEE 754, and fused multiply-adds are written where
they are meant. So the bits of a result do not depend on whether LLVM vectorised a loop, nor on the
number of lanes. ``error_model="numpy"`` is needed for vectorisation: Python's division check is a
branch in the loop.

Numba's disk cache notices edits of the file that holds a kernel, not of files that the kernel
calls into. Kernels here are therefore stamped with a digest of every source file of the package
that can reach a kernel: an edit of any of them recompiles.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import FunctionType
from typing import Any

from llvmlite import ir
from numba import config, njit, types
from numba.core import sigutils
from numba.core.ccallback import CFunc
from numba.extending import intrinsic, overload

__all__ = [
    "as_bits",
    "as_float",
    "fma",
    "inlined",
    "inverse",
    "kernel",
    "pointer",
    "source_digest",
    "specialise",
]


def source_digest() -> str:
    """Digest of all sources from which kernels are made."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for folder in ("kernels", "rungs", "landscapes"):
        for path in sorted((root / folder).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


_DIGEST = source_digest()


def _stamp(made: Any) -> Any:
    """Let the disk cache compare the digest instead of one file's date and size."""
    cache_file = getattr(getattr(made, "_cache", None), "_cache_file", None)
    if cache_file is not None:  # absent with the JIT off
        cache_file._source_stamp = _DIGEST
    return made


def kernel(function: Callable[..., Any]) -> Any:
    """Compile an entry point: releases the GIL, kept on disk between processes."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return _stamp(njit(cache=True, **options)(function))
    except RuntimeError:  # there is no folder that the cache could be written to
        return njit(**options)(function)


def specialise(template: Callable[..., Any], name: str, **names: Any) -> Any:
    """Compile a kernel from `template` with the global `names` given: one text, many kernels.

    A kernel that took the functions as arguments, or closed over them, would never be found in the
    disk cache. Here they are globals of a copy, kept apart in the cache by its qualified `name`.
    """
    made = FunctionType(template.__code__, {**template.__globals__, **names}, template.__name__)
    made.__qualname__, made.__module__ = f"{template.__name__}.{name}", template.__module__
    made.__doc__ = template.__doc__
    return kernel(made)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function that only other kernels call; LLVM must inline it."""
    return njit(error_model="numpy", forceinline=True)(function)


def pointer(signature: Any, function: Callable[..., Any], *, cache: bool) -> Any:
    """Compile `function` to a pointer of fixed `signature`, which a kernel takes as an argument.

    A kernel that takes a pointer is compiled once and served from the disk cache whatever the
    function; a kernel that takes a jitted function as such never is.
    """
    if config.DISABLE_JIT:
        return function
    arguments, result = sigutils.normalize_signature(signature)
    made = CFunc(function, (arguments, result), locals={}, options={"error_model": "numpy"})
    if cache:
        with suppress(RuntimeError):  # as for `kernel`
            made.enable_caching()
        _stamp(made)
    made.compile()
    return made


@intrinsic
def _fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, a, a), generate


def fma(a: float, b: float, c: float) -> float:
    """Return a·b + c rounded once (this body is the slow exact twin of the instruction)."""
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return a * b + c
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    try:
        return float(exact) if exact else a * b + c
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


@overload(fma)
def _fma_overload(a, b, c):  # type: ignore[no-untyped-def]
    return lambda a, b, c: _fma(a, b, c)


@intrinsic
def _inverse(typingctx: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fdiv(ir.Constant(args[0].type, 1.0), args[0])

    return x(x), generate


def inverse(x: float) -> float:
    """Return 1/x in the precision of x, where 1.0/x would be a double."""
    return type(x)(1.0 / x)


@overload(inverse)
def _inverse_overload(x):  # type: ignore[no-untyped-def]
    return lambda x: _inverse(x)


@intrinsic
def _as_float(typingctx: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), generate


def as_float(bits: int) -> float:
    """Read 64 bits as a double."""
    return float(struct.unpack("<d", struct.pack("<Q", int(bits)))[0])


@overload(as_float)
def _as_float_overload(bits):  # type: ignore[no-untyped-def]
    return lambda bits: _as_float(bits)


@intrinsic
def _as_bits(typingctx: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(types.float64), generate


def as_bits(x: float) -> int:
    """Read a double as 64 bits."""
    return int(struct.unpack("<Q", struct.pack("<d", float(x)))[0])


@overload(as_bits)
def _as_bits_overload(x):  # type: ignore[no-untyped-def]
    return lambda x: _as_bits(x)
