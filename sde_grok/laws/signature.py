"""The common signature of delay laws: (rho2_start, rho2_core, *, eta, lam, batch_size, …) → steps.

V₀ = ρ_M² and V* = ρ_G² are the squared norms ‖θ‖² at memorization and at grokking. What a law
ignores it still accepts and checks, so that laws can be exchanged.
"""

from __future__ import annotations

from sde_grok.checks import number

__all__ = ["checked_point", "positive"]


def checked_point(
    rho2_start: float, rho2_core: float, eta: float, lam: float, batch_size: float
) -> tuple[float, float, float]:
    """Return V₀, V* and γ = ηλ of the common signature."""
    start = number("rho2_start", rho2_start, low=0)
    core = number("rho2_core", rho2_core, low=0)
    gamma = positive("eta", eta) * number("lam", lam, low=0)
    positive("batch_size", batch_size)
    return start, core, gamma


def positive(field: str, value: float) -> float:
    """Return a number > 0."""
    return number(field, value, low=0, open_low=True)
