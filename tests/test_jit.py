"""What the compiler does: instructions, their slow twins, vectors, the disk cache, no JIT at all."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from sde_grok import (
    FLAT,
    DiagonalNoise,
    Geometry,
    IsotropicNoise,
    Landscape,
    Optimizer,
    paths,
    simulate_escape,
)
from sde_grok.kernels import jit, radial
from sde_grok.kernels.coordinates import coordinate_kernel
from sde_grok.kernels.normals import fill_normals
from sde_grok.kernels.sweeps import Coefficients
from sde_grok.rungs import discrete, joint, reduced

SYSTEMS = ("radial", "reduced", "joint", "discrete")
SWEEPS = {"reduced": reduced.sweep, "joint": joint.sweep, "discrete": discrete.sweep}
anything = st.floats()


@njit
def _fma(a, b, c):
    return jit.fma(a, b, c)


@njit
def _inverse(x):
    return jit.inverse(x)


@njit
def _as_bits(x):
    return jit.as_bits(x)


@njit
def _as_float(bits):
    return jit.as_float(bits)


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


@given(anything, anything, anything)
def test_fma_equals_its_twin(a, b, c):
    assert same(_fma(a, b, c), jit.fma(a, b, c))


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
def test_fma_rounds_once(a, b):
    error = Fraction(a) * Fraction(b) - Fraction(a * b)
    assert _fma(a, b, -(a * b)) == float(error)


@given(st.floats(min_value=1e-300))
def test_inverse_equals_its_twin(x):
    assert _inverse(x) == jit.inverse(x) == 1 / x


def test_inverse_keeps_the_precision():
    assert _inverse(np.float32(3)) == np.float32(1) / np.float32(3) == jit.inverse(np.float32(3))


@given(anything, st.integers(0, 2**64 - 1))
def test_bits(x, bits):
    assert _as_bits(x) == jit.as_bits(x) == np.float64(x).view(np.uint64)
    expected = np.uint64(bits).view(np.float64)
    assert same(_as_float(np.uint64(bits)), expected)
    assert same(jit.as_float(bits), expected)


def wide_roots(asm):
    """Packed square roots on 256- or 512-bit registers."""
    return len(re.findall(r"\bvsqrtp[sd]\s.*%[yz]mm", asm))


needs_vectors = pytest.mark.skipif(
    not llvm.get_host_cpu_features().get("avx2", False), reason="no 256-bit vectors on this machine"
)
BOTH = pytest.mark.parametrize("number", [np.float64, np.float32], ids=["double", "single"])


def listing(function, *arguments):
    """Assembly of a function compiled for these arguments."""
    compiled = njit(error_model="numpy")(function)
    compiled(*arguments)
    (asm,) = compiled.inspect_asm().values()
    return asm


@needs_vectors
@BOTH
def test_normals_are_vectorised(number):
    def alone(z, at, key):
        fill_normals(z, 64, at, key, 0, key, at, key, key, key)

    asm = listing(alone, np.ones((16, 64), number), np.zeros(64, np.uint64), np.uint64(0))
    # As many at a time as Philox's 64-bit integers on a register: four, where the compiler prefers
    # 256 bits, and four roots in single precision fill 128.
    fours = re.search(r"\bvsqrtps\s.*%xmm", asm) and re.search(r"\bvpmuludq\s.*%ymm", asm)
    assert wide_roots(asm) or fours


@needs_vectors
@BOTH
@pytest.mark.parametrize("system", SWEEPS)
def test_sweeps_are_vectorised(system, number):
    sweep = SWEEPS[system]

    def alone(S, row, c):
        sweep(S, 1, 64, row, row, row[0], row[1], row, row, row, c)

    c = Coefficients(*np.full(len(Coefficients._fields), 0.5, number))
    assert wide_roots(listing(alone, np.ones((3, 4, 64), number), np.ones(64, number), c))


@needs_vectors
@pytest.mark.slow
@pytest.mark.parametrize("system", ["radial", "discrete"])
def test_kernels_are_vectorised(escape, system):
    escape(system, n_paths=1, lanes=64)
    kernel = radial.first_passage if system == "radial" else paths._compiled(system, 64, False)
    signature = next(s for s in kernel.signatures if "float32" not in str(s))
    # Compiled anew: code from the disk cache has no listing.
    fresh = njit(nogil=True, error_model="numpy")(kernel.py_func)
    fresh.compile(signature)
    # One root in the normals, one in the step.
    assert wide_roots(fresh.inspect_asm(signature)) >= 2


def test_kernels_are_found_in_the_disk_cache(escape):
    escape("reduced", lanes=8, n_paths=1)
    (signature, *_) = paths._compiled("reduced", 8, False).signatures
    again = coordinate_kernel("reduced", reduced.sweep, fields=2, lanes=8, stages=False)
    again.compile(signature)
    assert again.stats.cache_hits[signature] == 1


def test_digest_sees_every_source(tmp_path, monkeypatch):
    package = Path(jit.__file__).parent.parent
    shutil.copytree(package, tmp_path / "sde_grok", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "sde_grok" / "kernels" / "jit.py"))
    digests = {jit.source_digest()}
    assert digests == {jit._DIGEST}
    for name in ["kernels/philox.py", "rungs/joint.py", "landscapes/flat.py"]:
        with (tmp_path / "sde_grok" / name).open("a") as file:
            file.write("\n")
        digests.add(jit.source_digest())
    assert len(digests) == 4


@njit
def _bowl(theta, parameters, out):
    for i in range(theta.size):
        out[i] = parameters[0] * theta[i]


def ends_on_every_rung():
    """Times and end radii of a few paths on every rung: twenty steps, three dimensions."""
    ends = {}
    for system in SYSTEMS:
        radial_rung = system == "radial"
        result = simulate_escape(
            Optimizer(eta=0.01, batch_size=4, lam=0.3),
            Geometry(rho_start=2.0, rho_core=1.9, dim=3),
            IsotropicNoise(2.0) if radial_rung else DiagonalNoise([1.0, 2.0, 3.0]),
            FLAT if radial_rung else Landscape("bowl", _bowl, [0.2]),
            system=system,
            n_paths=5,
            max_steps=20,
            seed=2,
            dt=1.0,
            lanes=8,
            threads=1,
        )
        ends[system] = [result.steps.tolist(), result.status.tolist(), result.rho2_end.tolist()]
    return ends


@pytest.mark.slow
def test_without_the_jit():
    """The Python twins of all instructions give the same bits."""
    script = "import json, test_jit; print(json.dumps(test_jit.ends_on_every_rung()))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    ends = ends_on_every_rung()
    assert json.loads(done.stdout) == ends
    assert {status for _, statuses, _ in ends.values() for status in statuses} == {0, 1}
