"""Delay laws of the literature, side by side.

Every law is called as law(rho2_start, rho2_core, *, eta, lam, batch_size, …) and returns the delay
T_grok − T_mem in optimizer steps (see `sde_grok.laws.signature`); what has to be fitted follows as
keywords. λ is the shrinkage of the law's own source, coupled or decoupled.
"""

from __future__ import annotations

import math

from sde_grok.checks import number
from sde_grok.dual import exp_or_inf, log, sqrt
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.limits import leading_law
from sde_grok.laws.signature import checked_point, positive

__all__ = [
    "constant_law",
    "gradient_flow_law",
    "norm_first_passage_law",
    "norm_separation_law",
    "omnigrok_law",
    "pinned_norm_law",
    "ridge_lower_bound",
]


@elementwise
def constant_law(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    constant: float,
) -> float:
    """Delay C/(2ηλ), whatever the norms.

    Parameters
    ----------
    rho2_start, rho2_core : float
        Squared radii V₀ and V*, >= 0. Ignored.
    eta : float
        Learning rate η > 0.
    lam : float
        Shrinkage λ >= 0.
    batch_size : float
        Batch size b > 0. Ignored.
    constant : float
        C > 0, to be fitted.

    Returns
    -------
    float
        Delay in optimizer steps; infinite for λ = 0. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: recomputed from the runs released with arXiv 2606.13753, not a claim of that paper.
    With C from one cell, the others are off by 20 % on average.
    """
    *_, gamma = checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    constant = positive("constant", constant)
    return constant / (2 * gamma) if gamma > 0 else math.inf


@elementwise
def norm_separation_law(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    constant: float = 1.0,
) -> float:
    """Delay (C/γ) ln(V₀/V*), γ = ηλ.

    Parameters
    ----------
    rho2_start, rho2_core, eta, lam, batch_size
        As for `constant_law`. b is ignored.
    constant : float
        C > 0, to be fitted.

    Returns
    -------
    float
        Delay in optimizer steps; infinite if V* is never reached, so for V₀ < V*. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: claimed by arXiv 2603.13331 up to the constant, as Θ((1/γ) ln(V₀/V*)), with γ = ηλ
    for SGD and γ >= ηλ for AdamW. Pure contraction at rate γ has C = ½ (`omnigrok_law`).
    """
    start, core, gamma = checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    return 2 * positive("constant", constant) * leading_law(start, core, gamma=gamma)


@elementwise
def norm_first_passage_law(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    kappa: float = 1.0,
) -> float:
    """Delay (1/(2κηλ)) ln(V₀/V*).

    Parameters
    ----------
    rho2_start, rho2_core, eta, lam, batch_size
        As for `constant_law`. b is ignored. The source fits V*, too.
    kappa : float
        Correction κ > 0 of the contraction rate by AdamW, to be fitted.

    Returns
    -------
    float
        Delay in optimizer steps; infinite if V* is never reached, so for V₀ < V*. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: claimed by arXiv 2605.18845. A noiseless law, unlike `mean_passage_time`. It is
    `norm_separation_law` with C = 1/(2κ).
    """
    start, core, gamma = checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    return leading_law(start, core, gamma=positive("kappa", kappa) * gamma)


@elementwise
def omnigrok_law(
    rho2_start: float, rho2_core: float, *, eta: float, lam: float, batch_size: float
) -> float:
    """Delay ln(w₀/w_c)/(ηλ) = ½ ln(V₀/V*)/(ηλ), w = √V the norm.

    Parameters
    ----------
    rho2_start, rho2_core, eta, lam, batch_size
        As for `constant_law`. b is ignored. Nothing is fitted.

    Returns
    -------
    float
        Delay in optimizer steps; infinite if V* is never reached, so for V₀ < V*. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: claimed by arXiv 2210.01117, known here second-hand, for contraction of the norm by
    decoupled decay alone. It is `leading_law` with γ = ηλ a step.
    """
    start, core, gamma = checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    return leading_law(start, core, gamma=gamma)


@elementwise
def pinned_norm_law(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    constant: float,
    alpha: float = 7.5,
) -> float:
    """Delay C e^{α(ρ−1)} of a network whose norm is held at √V₀ = ρ √V*.

    Parameters
    ----------
    rho2_start : float
        Squared norm V₀ >= 0 at which the network is held.
    rho2_core : float
        Squared critical norm V* = W_c² > 0: where it groks when the norm is free.
    eta, lam, batch_size
        As for `constant_law`. Ignored.
    constant : float
        C > 0, to be fitted: delay in steps at the critical norm, for the η and λ at hand.
    alpha : float
        Exponent α >= 0.

    Returns
    -------
    float
        Delay in optimizer steps; infinite beyond the range of floats. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: claimed by arXiv 2606.13753 as T ∝ e^{αρ}; α = 7.5 recomputed from its data
    (modular tasks with p = 41…71, R² = .996). Of C it is known that it falls with η, more slowly
    than 1/η. Claim `pinned-norm`.
    """
    start, *_ = checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    held = sqrt(start / positive("rho2_core", rho2_core))
    growth = number("alpha", alpha, low=0) * (held - 1)
    return positive("constant", constant) * exp_or_inf(growth)


@elementwise
def gradient_flow_law(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    init_scale: float,
) -> float:
    """Delay (1/λ) ln α of gradient flow from an initialisation scaled by α, in steps: ln α/(ηλ).

    Parameters
    ----------
    rho2_start, rho2_core, eta, lam, batch_size
        As for `constant_law`. The radii and b are ignored.
    init_scale : float
        Scale α > 1 of the initial parameters, in units of those of order one.

    Returns
    -------
    float
        Delay in optimizer steps of length η; infinite for λ = 0. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Provenance: claimed by arXiv 2311.18817, known here second-hand, for homogeneous networks,
    α → ∞ and λ → 0: the leading order, of which nothing is fitted. It assumes plain gradients; for
    Adam it is an analogy. With √V₀ = α √V* it is `omnigrok_law`.
    """
    *_, gamma = checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    log_scale = log(number("init_scale", init_scale, low=1, open_low=True))
    return log_scale / gamma if gamma > 0 else math.inf


@elementwise
def ridge_lower_bound(
    rho2_start: float,
    rho2_core: float,
    *,
    eta: float,
    lam: float,
    batch_size: float,
    memorization_steps: float = 0.0,
) -> float:
    """Lower bound ln(V₀/(2V*))/(4ηλ) − t₁ of the delay of ridge regression; 0 if that is negative.

    Parameters
    ----------
    rho2_start : float
        V₀ = (m − n) ν² >= 0: mean squared norm at initialisation, outside the span of the n
        examples, of m parameters of variance ν².
    rho2_core : float
        V* = (√(c/λ_min) + ‖θ*‖)² >= 0, for test loss c, teacher θ* and least eigenvalue λ_min of
        the covariance of the features.
    eta, lam, batch_size
        As for `constant_law`. b is ignored: full-batch gradient descent.
    memorization_steps : float
        t₁ >= 0, bounded by n ln(6B²‖θ₀‖²/ε)/(2ηλ⁺) for training loss ε, features of norm at most B
        and least positive eigenvalue λ⁺ of ΦᵀΦ: free of λ.

    Returns
    -------
    float
        Optimizer steps that the delay exceeds, with high probability; infinite for λ = 0 or
        V* = 0. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `ridge-bound`. Provenance: claimed (proved) by arXiv 2601.19791, version 4, Theorem 4.2,
    Eqs (6) and (7), read as text; for m − n large and λ small, as stated there. Nothing is fitted.
    Contraction takes more than twice the first term: 1 − ηλ >= e^{−2ηλ} is used, and half of V₀, as
    it fluctuates.
    """
    start, core, gamma = checked_point(rho2_start, rho2_core, eta, lam, batch_size)
    t1 = number("memorization_steps", memorization_steps, low=0)
    if start / 2 <= core:
        return 0.0
    bound = leading_law(start / 2, core, gamma=2 * gamma) - t1
    return bound if bound > 0 else 0.0
