"""Rows on the init shell and the memorization shell, and on the order of the shells.

Numbers of a cell (η, λ, b) are medians of its seeds. The memorization shell is that of cells in which
each run groks later than it memorizes: elsewhere there is no delay to start from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import chdtri

from sde_grok.claims import FALSE_ALARM, LARGEST_Z, Comparison
from sde_grok.results import Estimate
from sde_grok.validate.rows.evidence import Evidence, Group, place
from sde_grok.validate.rows.shared import (
    ABSTRACT,
    MOST,
    REPORTED,
    displayed,
    mean_over,
    measured,
    neurons,
    pooled,
    ratio,
    share,
    whose,
    with_means,
)
from sde_grok.validate.rows.statistics import regression
from sde_grok.validate.verdicts import Part, Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SHELL_ROWS"]

ONE, NOTHING = Estimate(1.0), Estimate(0.0)
RADIUS = 0.05  # of ρ_Θ²: what would tell k from another count of neurons
POWER = 0.05  # of an exponent of ρ²: 12 % a factor of ten
SAME_RATIO = 0.02  # of an exponent that η/b is said not to leave
LINEAR = 0.1  # part by which slopes of ln ρ_M² in λ may differ
SIGNS = 2.0  # from one sign to the other
TINY = 1e-24  # of a mean square: rounding
SAME = 1e-5  # part of k within which two initialisations are one: of the same seed
MEAN, THICKNESS = "ρ_Θ²/k", "ln of the thickness over √(2k/p̃)"
SIGN, RATIO = "sign of d ln ρ_M²/dλ", "ratio of slopes"
FALLS, RISES = "ρ_M² falls below η/b =", "ρ_M² rises above η/b ="


def init_shell(evidence: Evidence) -> Row:
    """ρ_Θ² over k, and its scatter over the thickness of the shell."""
    drawn = evidence.found("init-shell", "mean of ρ², normal, k = 80")
    starts = [x for group in evidence.groups if (x := start(group)) is not None]
    parts = [*(p for x in starts for p in on_shell(x)), *on_one_shell(starts)]
    shown = displayed([p for p in parts if p.part == MEAN], RADIUS)
    return Row(
        id="init-shell",
        claim="Random initialisations lie on a thin shell: ρ_Θ² = k ± √(2k/p̃), LeCun scaling.",
        provenance=f"{REPORTED}; the moments are derived",
        quantity=f"ρ_Θ²/k, with the error of a shell as thick as claimed (network: {whose(shown)}); "
        "the scatter over seeds must be that thickness, too",
        closed_form=ONE,
        simulated=ratio(drawn.measured, drawn.expected.value) if drawn else None,
        network=measured(shown),
        comparisons=tuple(parts),
        resolution=RADIUS,
        sources=evidence.sources(["nesting"], ["init-shell"]),
        needs=(MEAN, THICKNESS),
    )


class Start(NamedTuple):
    """Initialisations of a group: ρ_Θ²/k, what the law says of its scatter, and what was found.

    Attributes
    ----------
    where, decay : str
        The group, and its kind of shrinkage.
    means : tuple of float
        Mean of the runs of each seed.
    sd : float
        Claimed standard deviation √(2/(k p̃)).
    harmonic : float
        p̃, harmonic mean of the neurons' numbers of weights.
    scatter : float
        Mean square of the runs about the mean of seeds, over sd², with as many degrees of freedom as
        seeds less one. Runs of a seed start alike: if not, that adds to it.
    """

    where: str
    decay: str
    means: tuple[float, ...]
    sd: float
    harmonic: float
    scatter: float

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the scatter."""
        return len(self.means) - 1


def start(group: Group) -> Start | None:
    """ρ_Θ² over the seeds; None unless it is a LeCun initialisation of known shape."""
    frame = group.every
    sizes = neurons(frame)
    lecun = all(frame["init"] == "lecun") and all(frame["init_scale"] == 1.0)
    known = frame.dropna(subset=["seed", "rho2_init"])
    if known.empty or sizes is None or not lecun:
        return None
    k, sd = sizes.mean, sizes.sd
    radii = known["rho2_init"] / k
    means = radii.groupby(known["seed"]).mean()
    squares = ((radii - means.mean()) ** 2).groupby(known["seed"]).mean()
    scatter = (
        float(squares.sum()) / (len(means) - 1) / (sd / k) ** 2 if len(means) > 1 else math.nan
    )
    where = f"{group.title} ({len(means)} seeds, k = {k:g})"
    return Start(where, group.decay, tuple(means), sd / k, 2 * k / sd**2, scatter)


def on_shell(x: Start) -> list[Part]:
    """Compare the mean with k, and the scatter over seeds with the thickness."""
    mean = Estimate(float(np.mean(x.means)), x.sd / math.sqrt(len(x.means)))
    there: dict[str, Any] = {"where": x.where, "decay": x.decay}
    parts = [Part(f"{x.where}: {MEAN}", mean, ONE, claimed=True, part=MEAN, **there)]
    if x.freedom > 0:
        parts.append(thickness(x.scatter, x.freedom, x.harmonic, **there))
    return parts


def thickness(scatter: float, freedom: int, harmonic: float, **there: Any) -> Part:
    """Compare ½ ln of a mean square over the claimed one with 0, by the limits of χ².

    They are further below than above: what decides must have room for both, what fails is beyond the
    one on its side. The resolution is half of what p̃ makes: a thickness of √(2k) is ½ ln p̃ away.
    """
    found = math.log(max(scatter, TINY)) / 2
    above, below = (
        abs(math.log(chdtri(freedom, tail) / freedom)) / 2
        for tail in (FALSE_ALARM / 2, 1 - FALSE_ALARM / 2)
    )
    side = above if found > 0 else below
    room = side if abs(found) > side else max(above, below)
    return Part(
        f"{there['where']}: {THICKNESS}", Estimate(found, room / LARGEST_Z), NOTHING,
        claimed=True, part=THICKNESS, resolution=math.log(harmonic) / 4, **there,
    )  # fmt: skip


def on_one_shell(starts: Sequence[Start]) -> list[Part]:
    """Mean and scatter of all groups together, without those that repeat seeds of others."""
    some: list[Start] = []
    for x in starts:
        if x.freedom > 0 and not any(repeats(x, y) for y in some):
            some.append(x)
    if len(some) < 2:
        return []
    freedom = sum(x.freedom for x in some)
    scatter, harmonic = (
        sum(x.freedom * value for x, value in zip(some, values, strict=True)) / freedom
        for values in ([x.scatter for x in some], [x.harmonic for x in some])
    )
    where = f"all groups ({sum(len(x.means) for x in some)} seeds)"
    there: dict[str, Any] = {"where": where, "over": tuple(x.where for x in some), "decay": "any"}
    mean = mean_over([on_shell(x)[0] for x in some])
    return [
        replace(mean, what=f"{where}: {MEAN}", **there),
        thickness(scatter, freedom, harmonic, **there),
    ]


def repeats(x: Start, y: Start) -> bool:
    """Whether networks of one shape have an initialisation in common."""
    apart = np.abs(np.subtract.outer(x.means, y.means))
    return x.sd == y.sd and bool(np.any(apart <= SAME))


def order(
    evidence: Evidence, cells: Callable[[Group], pd.DataFrame], pair: Sequence[str], meaning: str
) -> tuple[tuple[Comparison, ...], Estimate | None]:
    """Shares of cells in which one squared radius is above another: comparisons, and the pooled one."""
    outer, inner = pair
    found = {}
    for group in evidence.groups:
        medians = group.medians(cells(group)).dropna(subset=list(pair))
        if len(medians):
            found[place(group.title, medians)] = list(medians[outer] > medians[inner])
    compared = [share(f"{where}: share of {meaning}", meets) for where, meets in found.items()]
    return tuple(c for c in compared if c is not None), pooled(found.values())


def init_around_memorization(evidence: Evidence) -> Row:
    """ρ_Θ > ρ_M."""
    meaning, pair = "cells with ρ_Θ > ρ_M", ("rho2_init", "rho2_mem")
    comparisons, network = order(evidence, lambda group: group.frame, pair, meaning)
    return Row(
        id="nesting-init-m",
        claim="The init shell encloses the memorization shell: ρ_Θ > ρ_M.",
        provenance=ABSTRACT,
        quantity=f"share of {meaning} (network: of all)",
        closed_form=ONE,
        simulated=None,
        network=network,
        comparisons=comparisons,
        resolution=MOST,
        sources=evidence.sources(["nesting"]),
    )


def memorization_around_core(evidence: Evidence) -> Row:
    """ρ_M > ρ_G."""
    meaning, pair = "cells with ρ_M > ρ_G", ("rho2_mem", "rho2_grok")
    comparisons, network = order(evidence, lambda group: group.surely_delayed, pair, meaning)
    return Row(
        id="nesting-m-g",
        claim="The memorization shell encloses the core: ρ_M > ρ_G, where grokking is delayed.",
        provenance=ABSTRACT,
        quantity=f"share of {meaning}, of those in which each run groks later than it memorizes, of "
        "networks whose delays differ by cell more than by chance (network: of all)",
        closed_form=ONE,
        simulated=None,
        network=network,
        comparisons=comparisons,
        resolution=MOST,
        sources=evidence.sources(["nesting"]),
    )


def u_shape(evidence: Evidence) -> Row:
    """Whether ρ_M² falls with η/b first, and rises later."""
    parts = tuple(c for group in evidence.coupled for c in two_lines(group))
    signs = [[p.measured.value > 0] for p in parts]
    return Row(
        id="u-shape",
        claim="ρ_M² is U-shaped in η/b: it falls first, and rises from |c_M|/(2c_M⁽²⁾) on.",
        provenance=REPORTED,
        quantity="share that is as claimed: of the signs of two slopes of ln ρ_M² in ln(η/b), below "
        "and above the vertex of a parabola, of each task (network: of all, however rough); of "
        "landscapes with a minimum (simulated)",
        closed_form=ONE,
        simulated=evidence.simulated("u-shape", "share of * landscapes with a minimum at η/b > 0"),
        network=pooled(signs),
        comparisons=parts,
        resolution=SIGNS,
        sources=evidence.sources((), ["u-shape"]),
        needs=(FALLS, RISES),
    )


def two_lines(group: Group) -> Iterator[Part]:
    """Compare the signs of the slopes below and above a vertex with those of a U.

    Two lines that meet at the vertex of a parabola, or next to the ends of the range if that is not
    inside, with a constant for each λ. A parabola alone bends up for all that falls ever more
    slowly; the lines must fall and rise.
    """
    cells = group.medians(group.delayed).dropna(subset=["rho2_mem"])
    x = np.log(cells["eta"] / cells["batch_size"])
    if len(inner := np.unique(x.round(9))[1:-1]) < 1:
        return
    logs, u = np.log(cells["rho2_mem"]), x - x.mean()
    bent, _ = regression(logs, {"u": u, "u²": u**2}, list(cells["lam"]))
    if "u²" not in bent or bent["u²"].value == 0:
        return
    vertex = x.mean() - bent["u"].value / (2 * bent["u²"].value)
    at = float(np.clip(vertex, inner[0], inner[-1]))
    lines = {FALLS: np.minimum(x - at, 0), RISES: np.maximum(x - at, 0)}
    found, freedom = regression(logs, lines, list(cells["lam"]))
    where = place(group.title, cells)
    for name, sign in ((FALLS, -1.0), (RISES, 1.0)):
        if name in found and found[name].value != 0:
            what = f"{where}: {name} {math.exp(at):.2g}, slope of {found[name]}"
            yield Part(
                what, sign_of(found[name], sign), ONE,
                claimed=True, freedom=freedom, where=where, part=name,
            )  # fmt: skip


def sign_of(slope: Estimate, claimed: float) -> Estimate:
    """1 if a slope has the claimed sign, −1 if not.

    Signs are 2 apart, and so are ± the slope in units of half of it: the error is in these.
    """
    sign = math.copysign(1.0, slope.value * claimed)
    return Estimate(sign, 2 * slope.stderr / abs(slope.value))


def eta_over_b(evidence: Evidence) -> Row:
    """Exponent of η in ρ_M² beside a function of η/b."""
    parts = with_means(c for group in evidence.coupled if (c := beside_ratio(group)) is not None)
    shown = displayed(parts, POWER)
    return Row(
        id="rho-m-eta-over-b",
        claim="ρ_M² depends on η and b by η/b alone.",
        provenance=REPORTED,
        quantity="exponent of η in ρ_M² beside a parabola in ln(η/b) for each λ (network: "
        f"{whose(shown)}); of η and b together (simulated: two circuits)",
        closed_form=NOTHING,
        simulated=evidence.simulated(
            "eta-over-b", "ρ_M², two circuits, joint rung: exponents of η and b together"
        ),
        network=measured(shown),
        comparisons=parts,
        resolution=POWER,
        sources=evidence.sources((), ["eta-over-b"]),
    )


def beside_ratio(group: Group) -> Part | None:
    """Compare the exponent of η in ρ_M² at the same η/b and λ with 0."""
    cells = group.medians(group.delayed).dropna(subset=["rho2_mem"])
    u = np.log(cells["eta"] / cells["batch_size"])
    columns: dict[str, Any] = {}
    for lam in cells["lam"].unique():
        here = (cells["lam"] == lam).to_numpy(float)
        columns |= {f"{lam} u": here * u, f"{lam} u²": here * u**2}
    columns["eta"] = np.log(cells["eta"])
    found, freedom = regression(np.log(cells["rho2_mem"]), columns, list(cells["lam"]))
    if "eta" not in found:
        return None
    where, name = place(group.title, cells), "exponent of η in ρ_M² at the same η/b"
    return Part(
        f"{where}: {name}", found["eta"], NOTHING, SAME_RATIO,
        claimed=True, freedom=freedom, where=where, part=name,
    )  # fmt: skip


def falls_with_lambda(evidence: Evidence) -> Row:
    """Sign of the slope of ln ρ_M² in λ, and slopes one above the other."""
    parts = tuple(c for group in evidence.coupled for c in slopes(group))
    shown = displayed([p for p in parts if p.part == RATIO], SIGNS)
    paths = evidence.found("eta-over-b", "d ln ρ_M²/dλ, two circuits, λ = 0.0001*")
    return Row(
        id="rho-m-lambda",
        claim="ρ_M² falls as e^{−O(λ)}: ln ρ_M² is linear in λ.",
        provenance=REPORTED,
        quantity="slope of ln ρ_M² in λ below a λ over that above, means over (η, b) (network: "
        f"{whose(shown)}; simulated: two circuits); the slopes must be < 0, too",
        closed_form=ONE,
        simulated=ratio(paths.measured, paths.expected.value) if paths else None,
        network=measured(shown),
        comparisons=parts,
        resolution=SIGNS,
        sources=evidence.sources((), ["eta-over-b"]),
        needs=(SIGN, RATIO),
    )


def slopes(group: Group) -> Iterator[Part]:
    """Compare the sign of the slope with −1, and the ratio of slopes at each inner λ with 1."""
    cells = group.medians(group.delayed).dropna(subset=["rho2_mem"])
    settings = list(zip(cells["eta"], cells["batch_size"], strict=True))
    found, freedom = regression(np.log(cells["rho2_mem"]), {"lam": cells["lam"]}, settings)
    if "lam" not in found or found["lam"].value == 0:
        return
    where, slope = place(group.title, cells), found["lam"]
    there: dict[str, Any] = {"claimed": True, "where": where}
    what = f"{where}: {SIGN}, of {slope} for each unit of λ"
    sign = sign_of(slope, 1.0)
    yield Part(what, sign, Estimate(-1.0), freedom=freedom, part=SIGN, **there)
    table = cells.pivot_table(index=["eta", "batch_size"], columns="lam", values="rho2_mem")
    lams = np.array(table.columns, float)
    for i in range(1, len(lams) - 1):
        three = slice(i - 1, i + 2)
        logs = np.log(table.iloc[:, three].dropna().to_numpy())
        if len(logs) < 2:
            continue
        below, above = (np.diff(logs) / np.diff(lams[three])).T
        power_law = float(np.divide(*(np.diff(np.log(lams[three])) / np.diff(lams[three]))))
        yield Part(
            f"{where}: {RATIO} at λ {lams[i]:g}", ratio_of_means(below, above), ONE, LINEAR,
            freedom=len(logs) - 1, part=RATIO, resolution=(power_law - 1) / 2, **there,
        )  # fmt: skip


def ratio_of_means(over: Any, under: Any) -> Estimate:
    """Ratio of the means of n pairs, with the error of the scatter of over − ratio·under."""
    if under.mean() == 0:
        return Estimate(math.nan, math.nan)
    found = over.mean() / under.mean()
    scatter = np.std(over - found * under, ddof=1) / math.sqrt(len(over))
    return Estimate(float(found), float(scatter / abs(under.mean())))


SHELL_ROWS = (
    init_shell,
    init_around_memorization,
    memorization_around_core,
    u_shape,
    eta_over_b,
    falls_with_lambda,
)
