"""First passage of many paths in d dimensions, in lockstep lanes: the template of three kernels.

The state is one array S of shape (d, fields, LANES), each path a column. A lane whose path ended
takes the next path; when none is left, the last lane moves into the gap.
"""

import math

import numpy as np

from sde_grok.kernels.jit import inlined, specialise
from sde_grok.kernels.normals import ROWS, fill_normals, normal_pair
from sde_grok.kernels.outcome import (
    CENSORED,
    FAILED,
    GROK,
    HIT,
    LOSS,
    MEASURES,
    MEMORY,
    NOISE,
    PATH_STEPS,
    PEAK,
    STAGE_FIELDS,
    STOP,
    TEST,
    whole_groups,
)
from sde_grok.kernels.philox import MASK, MOVE, START, philox, stream_word

__all__ = ["coordinate_kernel"]

CHUNK = 32  # coordinates at a time: their normals stay in the first-level cache

# Names that `coordinate_kernel` fills in.
LANES = FIELDS = 0
STAGES = False


def sweep(*_):
    """Advance one coordinate in all lanes; see `sde_grok.kernels.sweeps`."""


@inlined
def _place_on_shell(S, lane, rho, path, k0, k1):
    """Put the θ of one lane uniformly on the sphere of radius rho (DLMF 5.19: a normal direction)."""
    square = 0.0
    for pair in range((S.shape[0] + 1) // 2):
        w0, w1, w2, w3 = philox(
            np.uint64(0), np.uint64(pair), path & MASK, stream_word(START, path), k0, k1
        )
        za, zb = normal_pair(w0, w1, w2, w3)
        S[2 * pair, 0, lane] = za
        square += za * za
        if 2 * pair + 1 < S.shape[0]:
            S[2 * pair + 1, 0, lane] = zb
            square += zb * zb
    scale = rho / math.sqrt(square)
    for i in range(S.shape[0]):
        S[i, 0, lane] *= scale


@inlined
def _begin(S, n, more, first, start, path, steps, rho2, stages, k0, k1):
    """Put the next paths, of which `first` is one, in `more` lanes from the n-th on."""
    for new in range(more):
        lane = n + new
        path[lane], steps[lane], rho2[lane] = first + new, 0, start * start
        stages[lane, :] = np.nan
        _place_on_shell(S, lane, start, path[lane], k0, k1)


@inlined
def _start_moments(S, first, last, variance, noise, at_zero, c):
    """Set m = h and v = h² + f² diag Σ/b in the lanes from `first` to before `last`, or both to 0."""
    for lane in range(first, last):
        square = noise[lane] * noise[lane]
        for i in range(S.shape[0]):
            h = S[i, 1, lane] + c.coupled * S[i, 0, lane]
            S[i, 2, lane] = 0.0 if at_zero else h
            S[i, 3, lane] = 0.0 if at_zero else h * h + variance[i] * square


@inlined
def _correlate(factor, source, z, width):
    """Set z = factor · source in each lane, summed in a fixed order."""
    for i in range(factor.shape[0]):
        for lane in range(width):
            z[i, lane] = 0.0
        for j in range(factor.shape[1]):
            for lane in range(width):
                z[i, lane] += factor[i, j] * source[j, lane]


@inlined
def _bias_correction(c, log_betas, steps, width, ratio, eps):
    """Fill √B₂/B₁ and ε√B₂ with Bᵢ = 1 − βᵢᵏ, k in optimizer steps at the end of this time step."""
    for lane in range(width):
        k = np.float64(steps[lane] + 1) * c.stride
        B1, B2 = -math.expm1(k * log_betas[0]), -math.expm1(k * log_betas[1])
        ratio[lane], eps[lane] = math.sqrt(B2) / B1, c.eps * math.sqrt(B2)


@inlined
def _none_ended(rho2, steps, width, core, side, last):
    """Count one step, and tell in a loop without branches whether all paths go on."""
    ended = 0
    for lane in range(width):
        steps[lane] += np.uint64(1)
        on = (side * (rho2[lane] - core) > 0.0) & (rho2[lane] < np.inf) & (steps[lane] < last)
        ended += not on
    return ended == 0


@inlined
def _status(S, lane, rho2, steps, core, side, last):
    """How a path ends here, or −1 if it goes on."""
    status = CENSORED if steps >= last else -1
    if side * (rho2 - core) <= 0.0:
        status = HIT
    if not rho2 < np.inf or (status >= 0 and not _is_finite(S, lane)):
        status = FAILED
    return status


@inlined
def _is_finite(S, lane):
    """Whether a path is finite in all its fields; a moment may overflow before θ does."""
    finite = True
    for i in range(S.shape[0]):
        for field in range(S.shape[1]):
            finite = finite and math.isfinite(S[i, field, lane])
    return finite


@inlined
def _record(outcome, p, status, steps, rho2, S, lane):
    outcome.status[p], outcome.steps[p] = status, steps
    outcome.time[p] = np.nan if status == FAILED else np.float64(steps)
    outcome.rho2[p] = np.nan if status == FAILED else np.float64(rho2)
    if outcome.state.shape[0] > 0:
        for i in range(S.shape[0]):
            outcome.state[p, 0, i] = S[i, 0, lane]
            for field in range(2, S.shape[1]):
                outcome.state[p, field - 1, i] = S[i, field, lane]


@inlined
def _move(S, source, target):
    for i in range(S.shape[0]):
        for field in range(S.shape[1]):
            S[i, field, target] = S[i, field, source]


@inlined
def _retire(S, path, steps, rho2, stages, measured, staged, n, first, core, side, last, outcome):
    """Record the paths that ended and close the gaps; return how many of the `n` lanes go on."""
    for lane in range(n - 1, -1, -1):  # downwards: the last lane moves into a freed one
        status = _status(S, lane, rho2[lane], steps[lane], core, side, last)
        if staged and status < 0:
            both = not (math.isnan(stages[lane, MEMORY]) or math.isnan(stages[lane, GROK]))
            status = HIT if both else status
        if status < 0:
            continue
        p = np.int64(path[lane]) - first
        _record(outcome, p, status, steps[lane], rho2[lane], S, lane)
        n -= 1
        if staged:
            outcome.stages[p, :] = stages[lane, :]
            stages[lane, :], measured[:, lane], rho2[lane] = stages[n, :], measured[:, n], rho2[n]
        path[lane], steps[lane] = path[n], steps[n]
        _move(S, n, lane)
    return n


@inlined
def _clamp(S, rho, rho2, n):
    """Scale θ to the norm rho in the first n lanes."""
    for lane in range(n):
        scale = rho / math.sqrt(rho2[lane])
        for i in range(S.shape[0]):
            S[i, 0, lane] *= scale
        rho2[lane] = rho * rho


@inlined
def _mean_root_v(S, lane):
    """Mean √v of a path; nan on a rung without it."""
    if S.shape[1] < 4:
        return np.nan
    total = 0.0
    for i in range(S.shape[0]):
        total += math.sqrt(S[i, 3, lane])
    return total / S.shape[0]


@inlined
def _note(stages, lane, stage, steps, rho2, S):
    stages[lane, stage], stages[lane, stage + 1] = steps, rho2
    stages[lane, stage + 2] = _mean_root_v(S, lane)


@inlined
def _reached(threshold, loss, rho2):
    return loss <= threshold.loss and threshold.side * (rho2 - threshold.rho2) <= 0.0


@inlined
def _watch(stages, measured, S, steps, rho2, n, learned, general):
    """Note where paths memorize, are largest from then on, and generalize; tell if any did both."""
    any_ended = False
    for lane in range(n):
        if math.isnan(stages[lane, MEMORY]) and _reached(learned, measured[LOSS, lane], rho2[lane]):
            _note(stages, lane, MEMORY, steps[lane], rho2[lane], S)
        memorized = not math.isnan(stages[lane, MEMORY])
        if memorized and not stages[lane, PEAK + 1] >= rho2[lane]:
            _note(stages, lane, PEAK, steps[lane], rho2[lane], S)
        # A small start is inside the core, which counts as reached from the shell alone.
        first = math.isnan(stages[lane, GROK]) and (memorized or general.side == 0.0)
        if first and _reached(general, measured[TEST, lane], rho2[lane]):
            _note(stages, lane, GROK, steps[lane], rho2[lane], S)
        any_ended = any_ended or not (
            math.isnan(stages[lane, MEMORY]) or math.isnan(stages[lane, GROK])
        )
    return any_ended


@inlined
def _whole_blocks(n):
    return (n + ROWS - 1) // ROWS * ROWS


def first_passage(
    first,
    start,
    core,
    side,
    last,
    learned,
    general,
    pinned,
    correct_bias,
    log_betas,
    amplitude,
    variance,
    factor,
    gradient,
    parameters,
    c,
    key,
    lanes,
    outcome,
    control,
):
    """Simulate paths `first`, `first` + 1, … until each passes the core or `last` steps are over.

    Parameters
    ----------
    first : int
        Number of the first path.
    start, core : float
        Radius at the start, and the squared radius at which a path ends.
    side : float
        +1 if the core is passed from outside, −1 from inside.
    last : int
        Censoring time in steps.
    learned, general : Threshold
        Where a path has memorized and generalized; it ends with both, if these STAGES are watched.
    pinned : bool
        Set the norm back to that of the start after each step, if these STAGES are watched.
    correct_bias : bool
        Start the moments at zero and correct Adam's bias, as an optimizer does.
    log_betas : pair of floats
        ln β₁ and ln β₂, in double precision also where c has β₂ = 1.
    amplitude, variance : (d,) arrays
        Factor of the normals that makes ξ, and diag Σ/b, both where f = 1.
    factor : (d, r) array
        Σ^{1/2}/√b if Σ is dense; r = 0 otherwise.
    gradient : pointer
        gradient(S, n, parameters, scratch, measured): writes field 1 of the first n lanes of S, and
        what the landscape measures in them.
    parameters : (n,) array
        Handed to `gradient`.
    c : Coefficients
    key : Key
    lanes : int
        Paths in lockstep, <= LANES and a multiple of 8.
    outcome : Outcome
        Written to; `time` in steps.
    control : int64 array
    """
    k0, k1 = key
    d, rank, n_paths = amplitude.size, factor.shape[1], outcome.time.size
    rows = _whole_blocks(d if rank else min(d, CHUNK))
    z = np.empty((rows, LANES), amplitude.dtype)
    source = np.empty((_whole_blocks(rank), LANES), amplitude.dtype)
    S = np.zeros((d, FIELDS, LANES), amplitude.dtype)
    scratch = np.empty((2, d), amplitude.dtype)
    measured = np.ones((MEASURES, LANES), amplitude.dtype)
    stages = np.full((LANES, STAGE_FIELDS), np.nan)
    rho2 = np.zeros(LANES)  # sums of sums, so that single precision holds at any d
    part = np.zeros(LANES, amplitude.dtype)
    ratio = np.ones(LANES, amplitude.dtype)  # √B₂/B₁
    eps = np.full(LANES, c.eps)  # ε√B₂
    path = np.zeros(LANES, np.uint64)
    steps = np.zeros(LANES, np.uint64)
    no, one, seen = np.uint64(0), np.uint64(1), 0
    n, waiting = 0, 0
    while control[STOP] == 0:
        more = min(lanes - n, n_paths - waiting)
        _begin(S, n, more, first + waiting, start, path, steps, rho2, stages, k0, k1)
        n, waiting = n + more, waiting + more
        if n == 0:
            break
        width = whole_groups(n)
        gradient(S, n, parameters, scratch, measured)
        noise = measured[NOISE]
        if FIELDS > 2:
            _start_moments(S, seen, n, variance, noise, correct_bias, c)
        if STAGES and _watch(stages, measured, S, steps, rho2, n, learned, general):
            n = _retire(
                S, path, steps, rho2, stages, measured, STAGES, n, first, core, side, last, outcome
            )
            width = whole_groups(n)
        rho2[:] = 0
        if correct_bias:
            _bias_correction(c, log_betas, steps, width, ratio, eps)
        if rank:
            fill_normals(source, width, steps, no, 0, one, path, MOVE, k0, k1)
            _correlate(factor, source, z, width)
        for top in range(0, d, rows):
            if not rank:
                fill_normals(z, width, steps, no, top, one, path, MOVE, k0, k1)
            part[:] = 0
            for i in range(top, min(d, top + rows)):
                sweep(
                    S, i, width, z[i - top], noise, amplitude[i], variance[i], ratio, eps, part, c
                )
            for lane in range(width):
                rho2[lane] += np.float64(part[lane])
        if STAGES and pinned:
            _clamp(S, start, rho2, n)
        control[PATH_STEPS] += n
        if not _none_ended(rho2, steps, width, core, side, last):
            n = _retire(
                S, path, steps, rho2, stages, measured, STAGES, n, first, core, side, last, outcome
            )
        seen = n


def coordinate_kernel(name, sweep, *, fields, lanes, stages):
    """Compile the template for one rung, whose `sweep` keeps `fields` fields, and `lanes` lanes.

    With `stages`, a path ends by what the landscape measures.
    """
    globals_ = {"sweep": sweep, "FIELDS": fields, "LANES": lanes, "STAGES": stages}
    kind = "stages" if stages else ""
    return specialise(first_passage, f"{name}{lanes}{kind}", **globals_)
