"""The laws that compete for measured times and radii: what each needs, and what is fitted of it.

Each is linear in its constants but the power law, which is linear in logarithms. A design is a
column of the law for each constant, from the formulas of `sde_grok.laws` at unit constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sde_grok import laws
from sde_grok.checks import ParameterError
from sde_grok.fits.relative import fit_linear, fit_power, predict_linear, predict_power
from sde_grok.fits.sample import AXES
from sde_grok.optimizer import Decay, Optimizer
from sde_grok.rungs.radial import Rates, radial_rates

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LAWS", "Candidate", "design"]

Array = NDArray[np.float64]
Columns = Mapping[str, Any]
Constants = dict[str, float]

TINY = 1e-300  # where a constant must be > 0 and its column is not wanted: lost in the rounding
RADII = ("rho2_start", "rho2_core")
ANY_RADII = {"rho2_start": 1.0, "rho2_core": 1.0}  # of laws that ignore them
OF_SCANS = (*RADII, *AXES, "dim", "sigma", "decay", "eps")
SMALL = 1e-3  # ε over the rest of √v: a law that leaves ε out is off by about that


def as_fitted(constants: Constants) -> Constants:
    """Report the constants as they were fitted."""
    return constants


class Candidate(NamedTuple):
    """A law, and how its constants are fitted.

    Attributes
    ----------
    response : str or None
        "delay", "t_mem", "rho2_mem" or "rho2_grok": what it predicts; None for anything.
    columns : tuple of str
        Columns that it needs, as `settings` names them.
    design : callable
        Columns of shape (n,) → (n, k) array, one column a constant; of a law without constants,
        its (n, 1) predictions.
    constants : tuple of str
        Names of the constants, in the order of the columns.
    lower : tuple of float
        Least value of each constant.
    fit, predict : callable
        As `fit_linear` and `predict_linear`.
    report : callable
        Constants as fitted → constants as the law's source has them.
    """

    response: str | None
    columns: tuple[str, ...]
    design: Callable[[Columns], Array]
    constants: tuple[str, ...] = ()
    lower: tuple[float, ...] = ()
    fit: Callable[[Array, Array, tuple[float, ...]], Array] = fit_linear
    predict: Callable[[Array, Array], Array] = predict_linear
    report: Callable[[Constants], Constants] = as_fitted


def columns_of(law: Callable[..., Any], *units: Mapping[str, float]) -> Callable[[Columns], Array]:
    """Design of a law that is linear in its constants: the law at each of the unit constants."""

    def of_settings(at: Columns) -> Array:
        return np.column_stack([np.atleast_1d(law(**at, **unit)) for unit in units])

    return of_settings


def of_delay(law: Callable[..., Any], *columns: str) -> Candidate:
    """Law of a delay with nothing to be fitted."""
    needed = (*RADII, *AXES, *columns)
    return Candidate("delay", needed, columns_of(law, {}))


def times_constant(law: Callable[..., Any], name: str = "constant") -> Candidate:
    """Law of a delay that is proportional to its one constant."""
    return of_delay(law)._replace(
        design=columns_of(law, {name: 1.0}), constants=(name,), lower=(0.0,)
    )


def without_radii(
    response: str, law: Callable[..., Any], **units: Mapping[str, float]
) -> Candidate:
    """Law of (η, λ, b) alone, of the common signature; the keywords are its constants."""
    design = columns_of(law, *({**ANY_RADII, **unit} for unit in units.values()))
    return Candidate(response, AXES, design, tuple(units), (0.0,) * len(units))


def stagewise() -> Candidate:
    """The rise and the fall of the norm, a constant each."""
    rise, fall = "rise_constant", "fall_constant"
    units = {rise: {rise: 1.0, fall: TINY}, fall: {rise: TINY, fall: 1.0}}
    return without_radii("delay", laws.stagewise_law, **units)


def theorem_3() -> Candidate:
    """Theorem 3 with σ, c_τ and c_τ⁽²⁾ free; s̄ = σ/√b."""
    corrections = ({"sigma": TINY, "c_tau": 1.0}, {"sigma": TINY, "c_tau2": 1.0})
    return times_constant(laws.transition_time, "sigma")._replace(
        design=columns_of(laws.transition_time, {"sigma": 1.0}, *corrections),
        constants=("sigma", "c_tau", "c_tau2"),
        lower=(0.0, -math.inf, -math.inf),
    )


def theorem_1() -> Candidate:
    """Theorem 1 with all three coefficients free; its minimum is reported with them."""
    names = ("rho2_zero", "c_m", "c_m2")
    units = [{name: float(name == one) for name in names} for one in names]
    design = columns_of(laws.memorization_radius, *units)
    lower = (0.0, -math.inf, -math.inf)
    columns = ("eta", "batch_size")
    return Candidate("rho2_mem", columns, design, names, lower, report=with_minimum)


def with_minimum(constants: Constants) -> Constants:
    """Add the ratio η/b at the minimum of Theorem 1; nan if it has none."""
    at = laws.memorization_minimum(c_m=constants["c_m"], c_m2=constants["c_m2"])
    return {**constants, "eta_over_b_minimum": at}


def theorem_2_design(at: Columns) -> Array:
    """Theorem 2 with c_G = c/√b."""
    point = {"eta": at["eta"], "lam": at["lam"]}
    zero = laws.generalization_radius(**point, rho2_zero=1.0, c_g=0.0)
    slope = laws.generalization_radius(**point, rho2_zero=0.0, c_g=at["batch_size"] ** -0.5)
    return np.column_stack([zero, slope])


def as_kappa(constants: Constants) -> Constants:
    """κ of a law that is proportional to 1/κ."""
    return {"kappa": 1 / constants["kappa"] if constants["kappa"] > 0 else math.inf}


def rates(
    eta: float, lam: float, batch_size: float, decay: Decay, sigma: float, eps: float
) -> Rates:
    """γ and q² of the radial rung."""
    optimizer = Optimizer(eta=eta, batch_size=int(batch_size), lam=lam, decay=decay, eps=eps)
    found = radial_rates(optimizer, sigma)
    if found is None:
        raise ParameterError("sigma", sigma, "so large that the rates are finite")
    return found


def radial_steps(law: Callable[..., Any]) -> Callable[[Columns], Array]:
    """Design of a passage time of the radial rung, with its γ and q², in steps."""

    def of_settings(at: Columns) -> Array:
        positive("sigma", at["sigma"])
        point = zip(*(at[name] for name in (*AXES, "decay", "sigma", "eps")), strict=True)
        gamma, q2 = np.array([rates(*values) for values in point]).T
        time = law(at["rho2_start"], at["rho2_core"], dim=at["dim"], gamma=gamma, q2=q2)
        return np.asarray(time / at["eta"])[:, None]

    return of_settings


def coupled_steps(law: Callable[..., Any], *columns: str) -> Candidate:
    """Law of a simulated escape under coupled shrinkage, with nothing to be fitted."""
    whole = columns_of(law, {})

    def of_settings(at: Columns) -> Array:
        for decay in set(at["decay"]) - {"coupled"}:
            raise ParameterError("decay", decay, "coupled")
        alone = ("decay", "eps")
        steps = whole({name: values for name, values in at.items() if name not in alone})
        check_eps(at)
        return steps

    return Candidate("delay", (*OF_SCANS, *columns), of_settings)


def check_eps(at: Columns) -> None:
    """Raise `ParameterError` unless ε is lost in √v, which is least at the core: √(s² + λ²V*/d)."""
    pull = at["lam"] * np.sqrt(at["rho2_core"] / at["dim"])
    rest = np.hypot(at["sigma"] / np.sqrt(at["batch_size"]), pull)
    if np.any(at["eps"] > SMALL * rest):
        worst = at["eps"][np.argmax(at["eps"] - SMALL * rest)]
        raise ParameterError("eps", float(worst), f"below {SMALL:g} of the rest of √v")


def power_design(at: Columns) -> Array:
    """1, ln η, ln λ and ln b; 0 for an axis that does not vary: its power is part of C."""
    logs = [np.log(positive(axis, at[axis])) for axis in AXES]
    return np.column_stack([np.ones(logs[0].size), *(x * (np.ptp(x) > 0) for x in logs)])


def as_power(constants: Constants) -> Constants:
    """C and the exponents."""
    return {**constants, "constant": math.exp(constants["constant"])}


def positive(field: str, values: Array) -> Array:
    """Return numbers > 0."""
    if not np.all(values > 0):
        raise ParameterError(field, float(values.min()), "> 0")
    return values


LAWS: Final[dict[str, Candidate]] = {
    "constant_law": without_radii("delay", laws.constant_law, constant={"constant": 1.0}),
    "norm_separation_law": times_constant(laws.norm_separation_law),
    "norm_first_passage_law": times_constant(laws.norm_first_passage_law, "kappa")._replace(
        report=as_kappa
    ),
    "omnigrok_law": of_delay(laws.omnigrok_law),
    "pinned_norm_law": times_constant(laws.pinned_norm_law),
    "gradient_flow_law": Candidate(
        "delay", (*AXES, "init_scale"), columns_of(laws.gradient_flow_law, ANY_RADII)
    ),
    "ridge_lower_bound": of_delay(laws.ridge_lower_bound),
    "collapse_law": times_constant(laws.collapse_law),
    "stagewise_law": stagewise(),
    "theorem_3": theorem_3(),
    "theorem_3_leading": times_constant(laws.transition_time, "sigma"),
    "power_law": Candidate(
        *(None, AXES, power_design, ("constant", *AXES), (-math.inf,) * 4),
        *(fit_power, predict_power, as_power),
    ),
    "memorization_law": without_radii("t_mem", laws.memorization_law, constant={"constant": 1.0}),
    "theorem_1": theorem_1(),
    "theorem_2": Candidate(
        *("rho2_grok", AXES, theorem_2_design, ("rho2_zero", "c"), (0.0, -math.inf)),
    ),
    "mean_passage_time": Candidate("delay", OF_SCANS, radial_steps(laws.mean_passage_time)),
    "law_limit": Candidate("delay", OF_SCANS, radial_steps(laws.law_limit)),
    "direction_averaged_steps": coupled_steps(laws.direction_averaged_steps),
    "matched_steps": coupled_steps(laws.matched_steps),
    "mean_field_steps": coupled_steps(laws.mean_field_steps, "beta1", "beta2"),
}
"""Laws by name. Those of simulated scans have nothing to be fitted.

`pinned_norm_law` is about a norm that is held, and `ridge_lower_bound` a bound: beside free runs
they are out of their ground, and stand here for completeness.
"""


def design(candidate: Candidate, frame: pd.DataFrame) -> Array:
    """Design of a law at the rows of a frame; each different setting is computed once.

    Parameters
    ----------
    candidate : Candidate
        The law.
    frame : pandas.DataFrame
        n rows, with the columns of a `Sample`.

    Returns
    -------
    (n, k) array
        In units of the response; infinite where the law says never.

    Raises
    ------
    ParameterError
        If a column is missing or not finite, or a setting is outside the law's range.
    """
    needed = settings(frame, candidate.columns)
    distinct = needed.drop_duplicates(ignore_index=True)
    place = needed.merge(distinct.reset_index(), on=list(needed), how="left")["index"].to_numpy()
    at = {name: distinct[name].to_numpy() for name in distinct}
    return np.asarray(candidate.design(at)[place], np.float64)


def settings(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Columns by the names that laws give them: radii at the events, or of the shell and core."""
    radii = zip(RADII, ("rho2_mem", "rho2_grok"), ("rho_start", "rho_core"), strict=True)
    known = {name: frame[name] for name in frame if name not in RADII}
    for name, event, radius in radii:
        if event in frame:
            known[name] = frame[event]
        elif radius in frame:
            known[name] = numbers(frame[radius]) ** 2
    known.setdefault("decay", known.get("weight_decay", "coupled"))
    known.setdefault("eps", Optimizer.eps)
    found = frame[[]].copy()
    for name in columns:
        column = known.get(name, math.nan)
        found[name] = column if name == "decay" else numbers(column)
        if name != "decay" and not np.isfinite(found[name]).all():
            raise ParameterError("data", list(frame), f"rows with a finite {name}")
    return found


def numbers(column: Any) -> Any:
    """Return numbers as floats, nan for what is none."""
    import pandas as pd  # noqa: PLC0415

    return pd.to_numeric(column, errors="coerce") * 1.0
