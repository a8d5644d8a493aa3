"""Closed forms: what the theory predicts without simulating anything.

The exact first-passage law of the radial Ornstein–Uhlenbeck process, its large-dimension limits,
the leading law, the crossover law of coupled decay, the correction for discrete observation, and
the moments of the init shell. Each function is one formula; its docstring says where the formula
comes from and what it assumes. Times are in units of t = kη unless the name says steps.
"""

from sde_grok.laws.crossover import crossover_steps, direction_averaged_steps
from sde_grok.laws.init_shell import init_shell_mean, init_shell_sd
from sde_grok.laws.limits import (
    kramers_limit,
    law_limit,
    leading_law,
    log_kramers_limit,
    noise_floor,
)
from sde_grok.laws.monitoring import BARRIER_SHIFT, monitored_core
from sde_grok.laws.passage import laplace_transform, log_mean_passage_time, mean_passage_time

__all__ = [
    "BARRIER_SHIFT",
    "crossover_steps",
    "direction_averaged_steps",
    "init_shell_mean",
    "init_shell_sd",
    "kramers_limit",
    "laplace_transform",
    "law_limit",
    "leading_law",
    "log_kramers_limit",
    "log_mean_passage_time",
    "mean_passage_time",
    "monitored_core",
    "noise_floor",
]
