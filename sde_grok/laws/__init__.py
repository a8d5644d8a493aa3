"""Closed forms: what the theory predicts without simulating anything.

Each module is one idea, each function one formula, whose docstring says where it comes from and
what it assumes. Times are in units of t = kη unless the name says steps; the laws of a delay, here
and in the literature, are in steps and share one signature (`sde_grok.laws.signature`).
"""

from sde_grok.laws.balance import balanced_radius
from sde_grok.laws.basin import generalizing_fraction
from sde_grok.laws.batch_rule import square_root_rule
from sde_grok.laws.crossover import crossover_steps, direction_averaged_steps
from sde_grok.laws.exponents import Exponents, exponents, regime
from sde_grok.laws.init_shell import init_shell_mean, init_shell_quantile, init_shell_sd
from sde_grok.laws.lifted import lifted_radius, margin_c_g
from sde_grok.laws.limits import (
    kramers_limit,
    law_limit,
    leading_law,
    log_kramers_limit,
    noise_floor,
)
from sde_grok.laws.literature import (
    constant_law,
    gradient_flow_law,
    norm_first_passage_law,
    norm_separation_law,
    omnigrok_law,
    pinned_norm_law,
    ridge_lower_bound,
)
from sde_grok.laws.margin import (
    largest_shrinkage,
    logistic_radius,
    loss_at_rest,
    margin_barrier,
    margin_radius,
    shrinkage_at_loss,
)
from sde_grok.laws.matched import matched_steps
from sde_grok.laws.mean_field import mean_field_steps
from sde_grok.laws.measured import (
    COLLAPSE,
    CORE_RADIUS,
    FALL,
    MEMORIZATION,
    PEAK_RADIUS,
    RISE,
    TWO_STARTS,
    collapse_law,
    core_radius_law,
    memorization_law,
    peak_radius_law,
    stagewise_law,
    two_start_law,
)
from sde_grok.laws.moments import momentum_noise, second_moment_lag
from sde_grok.laws.monitoring import BARRIER_SHIFT, evaluated_steps, monitored_core
from sde_grok.laws.participation import participation_ratio
from sde_grok.laws.passage import laplace_transform, log_mean_passage_time, mean_passage_time
from sde_grok.laws.radii import (
    MemorizationCoefficients,
    RadiusFit,
    fit_memorization_radius,
    generalization_radius,
    isotropic_c_g,
    memorization_minimum,
    memorization_radius,
    quadratic_memorization_coefficients,
    quadratic_memorization_radius,
)
from sde_grok.laws.stationary import stationary_variance
from sde_grok.laws.survival import passage_density, survival_function
from sde_grok.laws.transition import TransitionConstants, isotropic_constants, transition_time
from sde_grok.laws.variance import log_passage_time_variance, passage_time_variance

__all__ = [
    "BARRIER_SHIFT",
    "COLLAPSE",
    "CORE_RADIUS",
    "FALL",
    "MEMORIZATION",
    "PEAK_RADIUS",
    "RISE",
    "TWO_STARTS",
    "Exponents",
    "MemorizationCoefficients",
    "RadiusFit",
    "TransitionConstants",
    "balanced_radius",
    "collapse_law",
    "constant_law",
    "core_radius_law",
    "crossover_steps",
    "direction_averaged_steps",
    "evaluated_steps",
    "exponents",
    "fit_memorization_radius",
    "generalization_radius",
    "generalizing_fraction",
    "gradient_flow_law",
    "init_shell_mean",
    "init_shell_quantile",
    "init_shell_sd",
    "isotropic_c_g",
    "isotropic_constants",
    "kramers_limit",
    "laplace_transform",
    "largest_shrinkage",
    "law_limit",
    "leading_law",
    "lifted_radius",
    "log_kramers_limit",
    "log_mean_passage_time",
    "log_passage_time_variance",
    "logistic_radius",
    "loss_at_rest",
    "margin_barrier",
    "margin_c_g",
    "margin_radius",
    "matched_steps",
    "mean_field_steps",
    "mean_passage_time",
    "memorization_law",
    "memorization_minimum",
    "memorization_radius",
    "momentum_noise",
    "monitored_core",
    "noise_floor",
    "norm_first_passage_law",
    "norm_separation_law",
    "omnigrok_law",
    "participation_ratio",
    "passage_density",
    "passage_time_variance",
    "peak_radius_law",
    "pinned_norm_law",
    "quadratic_memorization_coefficients",
    "quadratic_memorization_radius",
    "regime",
    "ridge_lower_bound",
    "second_moment_lag",
    "shrinkage_at_loss",
    "square_root_rule",
    "stagewise_law",
    "stationary_variance",
    "survival_function",
    "transition_time",
    "two_start_law",
]
