"""Slow, obvious references for the kernels: one path at a time, written from the formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import mpmath
import numpy as np

HIT, CENSORED, FAILED = 0, 1, 2
MOVE, START, BRIDGE = 0, 1, 2
MASK = 0xFFFFFFFF


# --- Random numbers ---------------------------------------------------------------------------


def philox(counter, key):
    """Philox-4x32-10 (Salmon et al., SC 2011, figure 2), on Python integers or uint64 arrays."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def words(seed, stream, path, step, pair):
    """Four words: counter (step, pair, path low, stream | path high), key the seed."""
    counter = (step, pair, path & MASK, stream << 24 | path >> 32)
    return philox(counter, (seed & MASK, seed >> 32))


def uniform(high, low):
    """Uniform on (0, 1], a multiple of 2⁻⁵²."""
    return 1.0 - ((high << 20) + (low >> 12)) / 2.0**52


def quarter_turn(r, t, bits):
    """r (sin, ±cos) of πt/2; bit 0 is the sign of the cosine, bit 1 puts it first."""
    sine, cosine = r * np.sin(np.pi / 2 * t), r * np.cos(np.pi / 2 * t)
    cosine = np.where(bits & 1, -cosine, cosine)
    return np.where(bits & 2, cosine, sine), np.where(bits & 2, sine, cosine)


def box_muller(w0, w1, w2, w3):
    """Two normals from four words."""
    r = np.sqrt(-2 * np.log(uniform(w0, w1)))
    return quarter_turn(r, uniform(w2, w3) - 0.5, w3)


def box_muller_single(w0, w1):
    """Two normals from two words; the uniforms are rounded to single precision."""
    u = np.float32(np.float64(np.float32(w0)) / 2.0**32 + 2.0**-33)
    t = np.float32(np.float64(np.float32(w1 >> 2)) / 2.0**30 - 0.5)
    return quarter_turn(np.sqrt(-2 * np.log(np.float64(u))), np.float64(t), w1)


def normals(seed, stream, path, step, n, *, single=False):
    """The first n normals of a step: two from each counter, or four in single precision."""
    each = 4 if single else 2
    w = words(seed, stream, path, step, np.arange(math.ceil(n / each), dtype=np.uint64))
    z = [*box_muller_single(*w[:2]), *box_muller_single(*w[2:])] if single else box_muller(*w)
    return np.stack(z, axis=1).ravel()[:n]


# --- Paths in d dimensions --------------------------------------------------------------------


class Walk(NamedTuple):
    """How a path ended; `time` in optimizer steps."""

    status: int
    time: float
    rho2: float
    state: tuple[np.ndarray, ...] = ()


def flat(theta):
    return np.zeros_like(theta)


def adam(theta, m, v, h, xi, variance, B1, B2, o, dt):
    """θ ← θ − η (m/B₁)/(√(v/B₂) + ε) − ηλθ with m and v updated first."""
    g = h + xi
    m = o.beta1 * m + (1 - o.beta1) * g
    v = o.beta2 * v + (1 - o.beta2) * g**2
    move = (m / B1) / (np.sqrt(v / B2) + o.eps) + o.decoupled * theta
    return theta - o.eta * move, m, v


def joint(theta, m, v, h, xi, variance, B1, B2, o, dt):
    """Euler–Maruyama for (θ, m, v); (Σ/b)^{1/2} dW = ξ √Δt."""
    kappa1, kappa2 = (1 - o.beta1) / o.eta, (1 - o.beta2) / o.eta
    pull = math.sqrt(B2) / B1 * m / (np.sqrt(v) + o.eps * math.sqrt(B2)) + o.decoupled * theta
    noise = kappa1 * math.sqrt(o.eta * dt) * xi
    return (
        theta - pull * dt,
        m + kappa1 * (h - m) * dt + noise,
        v + kappa2 * (h**2 + variance - v) * dt,
    )


def reduced(theta, m, v, h, xi, variance, B1, B2, o, dt):
    """Euler–Maruyama for θ alone, P = √(h² + diag Σ/b) + ε."""
    P = np.sqrt(h**2 + variance) + o.eps
    return theta - (h / P + o.decoupled * theta) * dt + math.sqrt(o.eta * dt) * xi / P, m, v


STEPS = {"discrete": adam, "joint": joint, "reduced": reduced}


def walk(
    system: str,
    o,
    geometry,
    factor: np.ndarray,
    gradient: Callable[[np.ndarray], np.ndarray] = flat,
    *,
    seed: int,
    path: int,
    max_steps: int,
    dt: float = 1.0,
    correct_bias: bool = False,
    single: bool = False,
) -> Walk:
    """One path of a rung in d dimensions, with Σ = factor factorᵀ; `single` is of normals alone."""
    F = factor / math.sqrt(o.batch_size)
    variance = (F**2).sum(axis=1)
    direction = normals(seed, START, path, 0, geometry.dim)
    theta = geometry.rho_start * direction / np.linalg.norm(direction)
    h = gradient(theta) + o.coupled * theta
    m, v = (0 * h, 0 * h) if correct_bias else (h, h**2 + variance)
    status, last = CENSORED, round(max_steps / dt)
    for k in range(last):
        xi = F @ normals(seed, MOVE, path, k, F.shape[1], single=single)
        h = gradient(theta) + o.coupled * theta
        t = (k + 1) * dt
        B1, B2 = (1 - o.beta1**t, 1 - o.beta2**t) if correct_bias else (1.0, 1.0)
        theta, m, v = STEPS[system](theta, m, v, h, xi, variance, B1, B2, o, dt * o.eta)
        if not np.all(np.isfinite([theta, m, v])):
            return Walk(FAILED, math.nan, math.nan)
        rho2 = float(theta @ theta)
        if rho2 <= geometry.rho_core**2 if geometry.inward else rho2 >= geometry.rho_core**2:
            status = HIT
            break
    state = (theta,) if system == "reduced" else (theta, m, v)
    return Walk(status, (k + 1) * dt, rho2, state)


def stages(
    system: str,
    o,
    rho_start: float,
    factor: np.ndarray,
    gradient: Callable[[np.ndarray], np.ndarray],
    measure: Callable[[np.ndarray], tuple[float, float, float]],
    losses: tuple[float | None, float | None],
    *,
    radii: tuple[float | None, float | None] = (None, None),
    seed: int,
    path: int,
    max_steps: int,
    pinned: bool = False,
) -> dict[str, tuple[float, float, float]]:
    """Time, ρ² and mean √v at memorization, at the norm peak after it, and at generalization.

    By the losses, or by the radii in place of those that are None.
    """
    shell, core = radii
    F, dim = factor / math.sqrt(o.batch_size), len(factor)
    direction = normals(seed, START, path, 0, dim)
    theta, found = rho_start * direction / np.linalg.norm(direction), {}
    for k in range(max_steps):
        f, train, test = measure(theta)
        variance = f**2 * (F**2).sum(axis=1)
        h = gradient(theta) + o.coupled * theta
        if k == 0:
            m, v = h, h**2 + variance
        rho2 = rho_start**2 if pinned else float(theta @ theta)  # or rounding made peaks
        here = (k, rho2, float(np.sqrt(v).mean()))
        if losses[0] is not None:
            learned = train <= losses[0]
        elif shell > rho_start:
            learned = rho2 >= shell**2
        else:
            learned = rho2 <= shell**2
        if learned:
            found.setdefault("memorized", here)
        if "memorized" in found and here[1] > found.get("peak", (0, -1.0))[1]:
            found["peak"] = here
        in_core = losses[1] is None and "memorized" in found and rho2 <= core**2
        if in_core or (losses[1] is not None and test <= losses[1]):
            found.setdefault("generalized", here)
        if {"memorized", "generalized"} <= set(found):
            break
        xi = f * (F @ normals(seed, MOVE, path, k, dim))
        theta, m, v = STEPS[system](theta, m, v, h, xi, variance, 1.0, 1.0, o, o.eta)
        if pinned:
            theta = theta * rho_start / np.linalg.norm(theta)
    return found


# --- Radial paths -----------------------------------------------------------------------------


def crossing(a, b, *, seed, path, step):
    """When, as a part of the step, the bridge from a to b (noise units) crosses 0; None if never.

    P(crossing) = exp(−2ab). The uniform's first base-256 digit is one byte of a counter shared by
    16 steps, the others come from the step's own.
    """
    digit = words(seed, BRIDGE, path, step // 16 * 16, 2)[step % 16 // 4] >> 8 * (step % 4) & 255
    w = words(seed, BRIDGE, path, step, 0)
    if b > 0 and (digit + uniform(w[0], w[1])) / 256 > math.exp(-2 * a * b):
        return None
    z, _ = box_muller(*words(seed, BRIDGE, path, step, 1))
    u = hitting_time(a, abs(b), z, uniform(w[2], w[3]))
    return float(u / (1 + u)) if mpmath.isfinite(u) else 1.0


def hitting_time(a, b, z, chance):
    """Inverse Gaussian of mean a/b and shape a², as Michael, Schucany and Haas (1976) print it.

    In 700 digits, for the printed formula cancels by the square of a/b. Without drift, the Lévy law (a/z)².
    """
    with mpmath.workdps(700):
        a, b, y, chance = (mpmath.mpf(float(x)) for x in (a, b, z * z, chance))
        if y == 0:
            return a / b if b else mpmath.inf
        if b == 0:
            return a**2 / y
        mean, shape = a / b, a**2
        root = mpmath.sqrt(4 * mean * shape * y + mean**2 * y**2)
        smaller = mean + mean**2 * y / (2 * shape) - mean / (2 * shape) * root
        return smaller if chance <= mean / (mean + smaller) else mean**2 / smaller


def radial(
    geometry,
    *,
    gamma: float,
    q2: float,
    eta: float,
    seed: int,
    path: int,
    max_steps: int,
    dt: float,
    bridge: bool,
    single: bool = False,
) -> Walk:
    """Strang's splitting of dρ = [(d−1)q²/(2ρ) − γρ] dt + q dB, one path; `single` as above."""
    duration, side = dt * eta, 1 if geometry.inward else -1
    decay = math.exp(-gamma * duration)
    drift = (geometry.dim - 1) * q2 / (2 * gamma) * (1 - decay)
    noise = math.sqrt(q2 * math.sinh(gamma * duration) / gamma)
    V, last = geometry.rho_start**2, max_steps / dt
    k, each = 0, 4 if single else 2  # one counter's normals are those of so many steps
    while k < last:
        z = normals(seed, MOVE, path, k // each, each, single=single)[k % each]
        a = side * (math.sqrt(V) - geometry.rho_core)
        V = decay * (math.sqrt(decay * V + drift) + noise * z) ** 2 + drift
        if not math.isfinite(V):
            return Walk(FAILED, math.nan, math.nan)
        b = side * (math.sqrt(V) - geometry.rho_core)
        part = 1.0 if b <= 0 else None
        if bridge:
            part = crossing(a / noise, b / noise, seed=seed, path=path, step=k)
        if part is not None and k + part <= last:
            return Walk(HIT, (k + part) * dt, geometry.rho_core**2 if bridge else V)
        k += 1
    return Walk(CENSORED, max_steps, V)


def radial_on(
    geometry,
    o,
    sigma: float,
    forces: Callable[[float], tuple[float, float]],
    *,
    s: float | None = None,
    seed: int,
    path: int,
    max_steps: int,
    dt: float,
    bridge: bool,
) -> Walk:
    """Strang's splitting of the radial SDE where forces(V) = (θ·∇L, f), one path."""

    def local(V):
        pull, f = forces(V)
        P = f * sigma / math.sqrt(o.batch_size) + o.eps if s is None else s
        return pull / P, o.eta / o.batch_size * (f * sigma / P) ** 2, o.coupled / P + o.decoupled

    def drift(V):
        pull, q2, gamma = local(V)
        return (geometry.dim - 1) * q2 - 2 * gamma * V - 2 * pull

    def half_step(V):
        """V after it, and whether shrinkage and loss changed it by a tenth at most."""
        middle = V + duration / 4 * drift(V)
        pull, _, gamma = local(middle)
        fall = abs(2 * gamma * middle + 2 * pull) * duration / 2
        return V + duration / 2 * drift(middle), fall <= 0.1 * middle

    duration, side = dt * o.eta, 1 if geometry.inward else -1
    V, last, k = geometry.rho_start**2, max_steps / dt, 0
    while k < last:
        z = normals(seed, MOVE, path, k // 2, 2)[k % 2]
        a = side * (math.sqrt(V) - geometry.rho_core)
        V, fine = half_step(V)
        noise = math.sqrt(local(V)[1] * duration)
        V, also = half_step((math.sqrt(V) + noise * z) ** 2)
        if not (fine and also):
            return Walk(FAILED, math.nan, math.nan)
        b = side * (math.sqrt(V) - geometry.rho_core)
        part = 1.0 if b <= 0 else None
        if bridge:
            part = crossing(a / noise, b / noise, seed=seed, path=path, step=k)
        if part is not None and k + part <= last:
            return Walk(HIT, (k + part) * dt, geometry.rho_core**2 if bridge else V)
        k += 1
    return Walk(CENSORED, max_steps, V)
