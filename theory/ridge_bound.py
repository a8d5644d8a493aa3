"""Claim ridge-bound: gradient descent on ridge regression takes longer than a bound that is proved.

For m parameters, n < m examples and an initialisation of variance ν² a parameter, it takes

    T_grok − T_mem >= ln(V₀/(2V*))/(4ηλ) − t₁,    V₀ = (m − n)ν²,    V* = (√(c/λ_min) + ‖θ*‖)²,

with high probability (`sde_grok.laws.ridge_lower_bound`). On the linear student (`sde_grok.landscapes.student`)
d = m, the paper's test loss c = ‖θ − t‖² is twice the one there, λ_min = 1, and gradients are
h(θ − t) + λθ: of the mean of squares over 2 and (λ/2)‖θ‖². Of a term λ‖θ‖² the λ here would be twice its
coefficient. Each coordinate then follows a linear recursion,

    θ(k) = θ̄ + (θ(0) − θ̄)(1 − η(h + λ))ᵏ,    θ̄ = h t/(h + λ),

from which both times follow exactly: the first k, rounded up, at which a loss is low enough. For t = 0
what the examples do not span contracts from V₀ to V* = c in ln(V₀/V*)/(−2 ln(1 − ηλ)) steps: twice
what the bound takes if it does not halve V₀, but for a fraction ηλ/2. So the bound lacks
ln(2V₀/V*)/(4ηλ) steps; a teacher adds to that, as ‖θ‖ <= √c + ‖t‖ is not sharp.

Gradient descent is Adam on the discrete rung at β₁ = β₂ = 0 with a large ε and η ε for η. Adam as it is
used divides by s = σ/√b where noise decides, and so has η/s for η: a delay ∝ s/(ηλ) ∝ b^−½, up to the
noise floor and to steps that become sign-like (`sde_grok.laws.mean_field_steps`). Of Adam the paper
claims nothing.

Provenance: the bound is claimed (proved) by arXiv 2601.19791; the exact times are derived here.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq

from sde_grok import (
    Geometry,
    GrokkingResult,
    IsotropicNoise,
    LongEscapeWarning,
    Optimizer,
    simulate_escape,
    simulate_grokking,
)
from sde_grok.claims import Comparison, Residual, Verdict, report
from sde_grok.escape_times import Status
from sde_grok.landscapes.student import linear_student, student_curvatures
from sde_grok.laws import exponents, mean_field_steps, ridge_lower_bound
from sde_grok.results import Estimate
from sde_grok.runs.powers import PowerFit, fit_powers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLAIM = "ridge-bound"
TRAIN_LOSS, TEST_LOSS = 0.01, 4.0
PATHS, PLAIN_EPS = 8, 1e9  # ε so large that √v beside it is nothing
SIGMA, ADAM_PATHS = 1.0, 32
MEMORY = {"beta1": 0.9, "beta2": 0.999}

Array = NDArray[np.float64]


class Descent(NamedTuple):
    """A student, the norm at which it starts, and the rates of gradient descent."""

    dim: int = 64
    examples: int = 16
    teacher: float = 1.0
    norm: float = 30.0
    eta: float = 0.1
    lam: float = 1e-3

    @property
    def unseen(self) -> float:
        """V₀: mean squared norm of what the examples do not span."""
        return (1 - self.examples / self.dim) * self.norm**2

    @property
    def core(self) -> float:
        """V* of the bound."""
        return (math.sqrt(2 * TEST_LOSS) + self.teacher) ** 2

    @property
    def reached(self) -> float:
        """That squared norm when the test loss is low enough: ‖θ − t‖² = ‖θ‖² + ‖t‖² on average."""
        return 2 * TEST_LOSS - (1 - self.examples / self.dim) * self.teacher**2

    def simulated(self, seed: int) -> GrokkingResult:
        """Paths of gradient descent."""
        rates = {"eta": self.eta * PLAIN_EPS, "eps": PLAIN_EPS, "lam": self.lam}
        plain = Optimizer(**rates, batch_size=1, beta1=0.0, beta2=0.0)
        longest = 10 + int(4 * math.log(self.norm) / (self.eta * self.lam))
        return stages(plain, self, sigma=0.0, n_paths=PATHS, max_steps=longest, seed=seed)

    def starts(self, seed: int) -> Array:
        """θ(0) of the same paths: what does not move on a flat landscape."""
        still = Optimizer(eta=self.eta, lam=0.0, batch_size=1)
        shell = Geometry(rho_start=self.norm, rho_core=self.norm / 2, dim=self.dim)
        options: dict[str, Any] = {"system": "discrete", "n_paths": PATHS, "max_steps": 1}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LongEscapeWarning)  # no path shall escape
            found = simulate_escape(
                still, shell, IsotropicNoise(0.0), seed=seed, keep_end_state=True, **options
            )
        return found.end_state["theta"]

    def exact(self, theta: Array) -> tuple[Array, Array]:
        """Steps to memorization and generalization from starts, by the recursion."""
        h = student_curvatures(self.dim, self.examples)
        t = self.teacher / math.sqrt(self.dim)
        rest, factor = h * t / (h + self.lam), 1 - self.eta * (h + self.lam)
        longest = 4 * math.log(self.norm) / (self.eta * self.lam)

        def crossing(start: Array, weights: Any, level: float) -> int:
            def excess(k: float) -> float:
                off = rest + (start - rest) * factor**k - t
                return float(np.sum(weights * off**2)) / 2 - level

            return math.ceil(brentq(excess, 0.0, longest, xtol=1e-9, rtol=1e-14))

        times = [(crossing(x, h, TRAIN_LOSS), crossing(x, 1.0, TEST_LOSS)) for x in theta]
        memorized, generalized = np.array(times, float).T
        return memorized, generalized


class Adam(NamedTuple):
    """Rates of Adam on the student of `Descent`, started nearer."""

    eta: float
    lam: float
    batch_size: int

    @property
    def student(self) -> Descent:
        """The student, and its start."""
        return Descent(norm=10.0)

    def simulated(self, seed: int) -> GrokkingResult:
        """Paths of Adam on the discrete rung."""
        longest = int(20 * self.s / (self.eta * self.lam) + 20 / self.eta)
        options = {"n_paths": ADAM_PATHS, "max_steps": longest, "seed": seed}
        return stages(Optimizer(**self._asdict(), **MEMORY), self.student, sigma=SIGMA, **options)

    @property
    def s(self) -> float:
        """σ/√b."""
        return SIGMA / math.sqrt(self.batch_size)

    @property
    def expected(self) -> float:
        """Steps to generalization: those in which what the examples do not span passes its core."""
        student = self.student
        # What the examples span has a floor of its own.
        h = student_curvatures(student.dim, student.examples)[: student.examples]
        core = student.reached - float(np.sum(self.eta * self.s / (2 * (h + self.lam))))
        options = {"dim": student.dim - student.examples, "sigma": SIGMA, **MEMORY}
        return float(mean_field_steps(student.unseen, core, **options, **self._asdict()))


class Run(NamedTuple):
    """Gradient descent as it was simulated, by the recursion, and its bound; each by path."""

    memorized: Array
    generalized: Array
    exact: tuple[Array, Array]
    bound: Array
    unseen: Array

    @property
    def delay(self) -> Array:
        """Steps between the two times."""
        return self.generalized - self.memorized

    @property
    def exact_delay(self) -> Array:
        """The same by the recursion."""
        return self.exact[1] - self.exact[0]


BASE = Descent()
LAMS = (1e-4, 1e-3, 1e-2, 1e-1)
SMALL = LAMS[2]  # λ up to which the delay is compared with 1/λ: beside the least h it is small
SCANS = {
    "λ": [BASE._replace(lam=lam) for lam in LAMS],
    "η": [BASE._replace(eta=eta) for eta in (0.025, 0.05)],
    "start": [BASE._replace(norm=norm) for norm in (10.0, 100.0)],
    "size": [BASE._replace(dim=d, examples=n) for d, n in ((32, 8), (256, 64), (256, 192))],
    "no teacher": [BASE._replace(teacher=0.0, norm=norm) for norm in (10.0, 30.0, 100.0)],
}
SHOWN = {"eta": 1e-3, "lam": 8e-3}  # in the figure, by b
ADAM = [Adam(*x) for x in itertools.product((5e-4, 1e-3), (4e-3, 8e-3), (25, 100, 400))]
BEYOND = [Adam(**SHOWN, batch_size=b) for b in (1_600, 6_400, 25_600, 102_400)]


def stages(optimizer: Optimizer, at: Descent, *, sigma: float, **options: Any) -> GrokkingResult:
    """Simulate a student until it has generalized."""
    return simulate_grokking(
        optimizer,
        IsotropicNoise(sigma),
        linear_student(at.dim, at.examples, teacher=at.teacher),
        rho_start=at.norm,
        dim=at.dim,
        train_loss=TRAIN_LOSS,
        test_loss=TEST_LOSS,
        system="discrete",
        **options,
    )


def algebra() -> list[Residual]:
    """The recursion, and what the bound lacks of the contraction from V₀ to V*."""
    theta, start, h, t, eta, lam, k = sp.symbols("theta theta_0 h t eta lambda k", positive=True)
    core, unseen, x = sp.symbols("V_c V_0 x", positive=True)
    rest = h * t / (h + lam)
    at = rest + (start - rest) * (1 - eta * (h + lam)) ** k
    step = theta - eta * (h * (theta - t) + lam * theta)
    recursion = at.subs(k, k + 1) - step.subs(theta, at)
    steps = sp.log(unseen / core) / (-2 * sp.log(1 - x))
    bound = sp.log(unseen / (2 * core)) / (4 * x)
    slack = sp.limit(x * (steps - bound), x, 0) - sp.log(2 * unseen / core) / 4
    later = sp.series(2 * x * steps / sp.log(unseen / core), x, 0, 2).removeO() - (1 - x / 2)
    return [
        Residual("θ(k) follows its recursion", sp.simplify(recursion)),
        Residual("V(k) = V₀(1 − ηλ)^{2k} is V* then", sp.simplify(contraction(steps, x))),
        Residual("the bound lacks ln(2V₀/V*)/(4ηλ)", sp.simplify(sp.expand_log(slack))),
        Residual("twice the bound from 2V₀ is late by ηλ/2", sp.simplify(later)),
    ]


def contraction(steps: sp.Expr, x: sp.Symbol) -> sp.Expr:
    """Logarithm of V₀(1 − x)^{2k} over V*."""
    core, unseen = sp.symbols("V_c V_0", positive=True)
    return sp.expand_log(sp.log(unseen / core) + 2 * steps * sp.log(1 - x), force=True)


def descended(law: Callable[..., Any], at: Descent, seed: int) -> Run:
    """Simulate a cell, solve it, and bound it from its times of memorization."""
    paths, starts = at.simulated(seed), at.starts(seed)
    memorized, generalized = paths.memorized.steps, paths.generalized.steps
    rates = {"eta": at.eta, "lam": at.lam, "batch_size": at.examples}
    bound = law(at.unseen, at.core, memorization_steps=memorized, **rates)
    unseen = np.sum(starts[:, at.examples :] ** 2, axis=1)
    return Run(memorized, generalized, at.exact(starts), np.asarray(bound), unseen)


def of_descent(law: Callable[..., Any], runs: Mapping[Descent, Run]) -> list[Comparison]:
    """Compare simulated delays with the recursion, with the bound, and its form with contraction."""
    off = [np.max(np.abs(run.delay / run.exact_delay - 1)) for run in runs.values()]
    above = [np.mean(run.delay > run.bound) for run in runs.values()]
    bounds = [np.mean(run.bound > 0) for run in runs.values()]
    found = [
        Comparison(
            "delay of gradient descent over that of the recursion, less 1, the worst path",
            Estimate(float(max(off))),
            Estimate(0.0),
            allowed=1e-3,
        ),
        Comparison(
            "paths of gradient descent with a delay above the bound",
            Estimate(float(np.mean(above))),
            Estimate(1.0),
            claimed=True,
        ),
        Comparison("bounds that are above 0", Estimate(float(np.mean(bounds))), Estimate(1.0)),
    ]
    for at in SCANS["no teacher"]:
        rates = {"eta": at.eta, "lam": at.lam, "batch_size": at.examples}
        twice = 2 * np.asarray(law(2 * runs[at].unseen, at.core, **rates))
        what = (
            f"steps to generalization without a teacher, ρ₀ = {at.norm:g}; twice the bound of 2V₀"
        )
        measured, expected = (Estimate(float(x.mean())) for x in (runs[at].generalized, twice))
        found.append(Comparison(what, measured, expected, allowed=1e-3))
    return found


def powers(law: Callable[..., Any], runs: Mapping[Descent, Run]) -> list[Comparison]:
    """Exponents of gradient descent beside those of the bound."""
    local = exponents(law, point())
    scanned = [*SCANS["λ"], *SCANS["η"]]
    cells = [at for at in scanned if at.lam <= SMALL]
    fit = fit_powers(
        [runs[at].delay.mean() for at in cells],
        {"eta": [at.eta for at in cells], "lam": [at.lam for at in cells]},
    )
    return [
        Comparison(
            f"delay of gradient descent: exponent of {name}",
            fit.exponent(name),
            Estimate(float(getattr(local, name))),
            allowed=0.01,
            claimed=True,
            freedom=fit.freedom,
        )
        for name in fit.names
    ]


def point() -> dict[str, float]:
    """Arguments of the bound at the middle of the scans."""
    radii = {"rho2_start": BASE.unseen, "rho2_core": BASE.core}
    return {**radii, "eta": BASE.eta, "lam": BASE.lam, "batch_size": 100.0}


def of_adam(law: Callable[..., Any], runs: Mapping[Adam, GrokkingResult]) -> list[Comparison]:
    """Exponents of Adam beside those of the bound with η/s for η, and its times beside their law."""

    def preconditioned(eta: Any, batch_size: Any, **others: Any) -> Any:
        return law(eta=eta * batch_size**0.5 / SIGMA, batch_size=batch_size, **others)

    local = exponents(preconditioned, point())
    fit = adam_fit(runs, lambda result: result.generalized.steps.mean())
    found = [
        Comparison(
            f"steps of Adam to generalization: exponent of {name}",
            fit.exponent(name),
            Estimate(float(getattr(local, name))),
            allowed=0.05,  # of the floor and of the pull λθ/s, which the law below has
            freedom=fit.freedom,
        )
        for name in fit.names
    ]
    ratios = [over_law(at, result) for at, result in runs.items()]
    error = math.hypot(*(ratio.stderr for ratio in ratios)) / len(ratios)
    average = Estimate(float(np.mean([ratio.value for ratio in ratios])), error)
    what = "steps of Adam to generalization over its law, mean of the cells"
    return [*found, Comparison(what, average, Estimate(1.0), allowed=0.01)]


def adam_fit(runs: Mapping[Adam, GrokkingResult], value: Callable[..., float]) -> PowerFit:
    """Exponents of Adam in η, λ and b."""
    factors = dict(zip(Adam._fields, zip(*runs, strict=True), strict=True))
    return fit_powers([value(result) for result in runs.values()], factors)


def mean(result: GrokkingResult) -> Estimate:
    """Mean steps to generalization, and its error."""
    steps = result.generalized.steps
    return Estimate(float(steps.mean()), float(steps.std(ddof=1)) / math.sqrt(steps.size))


def over_law(at: Adam, result: GrokkingResult) -> Estimate:
    """The same over the law of Adam."""
    steps, expected = mean(result), at.expected
    return Estimate(steps.value / expected, steps.stderr / expected)


def check(law=ridge_lower_bound, *, seed: int = 0) -> Verdict:
    """Check the algebra, `law` against gradient descent, and Adam on the same student."""
    cells = list(dict.fromkeys(itertools.chain.from_iterable(SCANS.values())))
    runs = {at: descended(law, at, seed) for at in cells}
    adam = {at: at.simulated(seed + i) for i, at in enumerate((*ADAM, *BEYOND))}
    at = point()
    by_hand = math.log(at["rho2_start"] / 2 / at["rho2_core"]) / (4 * at["eta"] * at["lam"])
    what = "law at the middle of the scans, t₁ = 0"
    printed = Comparison(what, Estimate(float(law(**at))), Estimate(by_hand), allowed=1e-12)
    noisy = {at: adam[at] for at in ADAM}
    numeric = [printed, *of_descent(law, runs), *powers(law, runs), *of_adam(law, noisy)]
    ended = Estimate(float(np.mean([np.mean(r.status == Status.HIT) for r in adam.values()])))
    numeric.append(Comparison("paths of Adam that do both", ended, Estimate(1.0)))
    data = {"runs": runs, "adam": adam}
    return Verdict(CLAIM, "claimed", algebra(), numeric, in_words(**data), data, rows(runs))


def rows(runs: Mapping[Descent, Run]) -> Sequence[Mapping[str, float]]:
    """Delay, bound and what one is over the other, by cell."""
    return [
        {
            **at._asdict(),
            "T_mem": float(run.memorized.mean()),
            "delay": float(run.delay.mean()),
            "bound": float(run.bound.mean()),
            "times": float(np.mean(run.delay / run.bound)),
        }
        for at, run in runs.items()
    ]


def in_words(runs: Mapping[Descent, Run], adam: Mapping[Adam, GrokkingResult]) -> str:
    """By how much delays exceed the bound, and exponents of Adam."""
    times = np.array([run.delay / run.bound for run in runs.values()])
    rates = [at.eta * at.lam for at in runs]
    delay = adam_fit({at: adam[at] for at in ADAM}, lambda result: result.delay.steps.mean())
    shown = " ".join(f"{float(e):+.2f}" for e in delay.exponents)
    first = min(at.batch_size for at, result in adam.items() if result.delay.steps.mean() < 0)
    last = BEYOND[-1]
    return (
        f"over {len(runs)} cells, ηλ {min(rates):g} … {max(rates):g}, the delay is "
        f"{times.min():.2f} … {times.max():.2f} times the bound; of Adam, whose memory of the first "
        f"gradients makes T_mem long, exponents of the delay in η, λ, b: {shown}; from b = {first} on "
        f"it generalizes before it memorizes, and at b = {last.batch_size} it takes "
        f"{over_law(last, adam[last])} of its law"
    )


def figure(data: Mapping[str, Any]) -> Figure:
    """Delay of gradient descent by λ with its bound, and time of Adam by b."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _by_lam(left, data["runs"])
    _by_batch(right, data["adam"])
    return figure


def _by_lam(axes: Axes, runs: Mapping[Descent, Run]) -> None:
    cells = [runs[at] for at in SCANS["λ"]]
    axes.loglog(LAMS, [r.exact_delay.mean() for r in cells], color="C0", label="exact")
    axes.loglog(
        LAMS, [r.delay.mean() for r in cells], "o", mfc="none", color="C0", label="simulated"
    )
    axes.loglog(LAMS, [r.bound.mean() for r in cells], "--", color="0.35", label="proved bound")
    axes.set(xlabel=r"shrinkage $\lambda$", ylabel="delay, steps", title="gradient descent")
    axes.legend()


def _by_batch(axes: Axes, runs: Mapping[Adam, GrokkingResult]) -> None:
    line = [at for at in runs if at._asdict() == {**SHOWN, "batch_size": at.batch_size}]
    sizes = [at.batch_size for at in line]
    batches = np.geomspace(sizes[0], sizes[-1], 25)
    curve = [Adam(**SHOWN, batch_size=round(b)).expected for b in batches]
    student, rate = line[0].student, SHOWN["eta"] * SHOWN["lam"] / SIGMA
    plain = math.log(student.unseen / student.reached) / (2 * rate * np.sqrt(batches))
    values, errors = zip(*(mean(runs[at]) for at in line), strict=True)
    axes.plot(batches, plain, ":", color="0.35", label=r"descent, $\eta/s$ for $\eta$")
    axes.plot(batches, curve, color="C1", label="mean-field law")
    axes.errorbar(sizes, values, yerr=errors, fmt="s", mfc="none", color="C1", label="Adam")
    axes.set(xscale="log", yscale="log", xlabel="batch size $b$", title="Adam")
    axes.set_ylabel("steps to generalization")
    axes.legend()


if __name__ == "__main__":
    raise SystemExit(report(check()))
