"""How far Adam's moments are from their mean field, m → h and v → E g².

    m ← β₁m + (1−β₁)g,   v ← β₂v + (1−β₂)g²,   g = h + noise of covariance C.

With h and C at rest the memory of m leaves of the noise

    E‖m − h‖² = (1−β₁)² Σ_j β₁^{2j} tr C = (1−β₁)/(1+β₁) tr C.

With E g² falling as e^{−k/T}, v remembers larger gradients: with r = β₂ e^{1/T}, k steps after it was
at its mean field,

    v/E g² = r^k + (1−β₂)(1 − r^k)/(1 − r),

which becomes (1−β₂)/(1 − β₂e^{1/T}) if r < 1, and grows without end if not.
"""

from __future__ import annotations

from sde_grok.checks import number
from sde_grok.dual import exp, expm1, log, sqrt
from sde_grok.laws.elementwise import elementwise

__all__ = ["momentum_noise", "second_moment_lag"]


@elementwise
def momentum_noise(
    noise_trace: float, gradient_norm2: float, *, batch_size: float, beta1: float
) -> float:
    """Root mean square of ‖m − h‖/‖h‖ that noise alone makes, √((1−β₁)/(1+β₁) tr Σ/(b‖h‖²)).

    Parameters
    ----------
    noise_trace : float
        tr Σ >= 0, Σ the covariance of one example's gradient; C = Σ/b.
    gradient_norm2 : float
        ‖h‖² > 0, h the full gradient, with coupled shrinkage.
    batch_size : float
        Batch size b > 0, drawn with replacement.
    beta1 : float
        Decay of m a step, in [0, 1).

    Returns
    -------
    float
        Deviation as a fraction of ‖h‖. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `slow-manifold`. Provenance: derived, for white noise and h at rest; more is a gradient that
    moves within the memory of m, 1/(1−β₁) steps.
    """
    noise = number("noise_trace", noise_trace, low=0) / number(
        "batch_size", batch_size, low=0, open_low=True
    )
    beta1 = number("beta1", beta1, low=0, high=1)
    h2 = number("gradient_norm2", gradient_norm2, low=0, open_low=True)
    return sqrt((1 - beta1) / (1 + beta1) * noise / h2)


@elementwise
def second_moment_lag(fall: float, *, steps: float, beta2: float) -> float:
    """Ratio v/E g², k steps after it was 1, if E g² fell exponentially (see the module).

    Parameters
    ----------
    fall : float
        Factor F = e^{k/T} > 0 by which E g² is smaller; below 1 if it rose.
    steps : float
        Steps k > 0 in which it fell.
    beta2 : float
        Decay of v a step, in (0, 1).

    Returns
    -------
    float
        v/E g². Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `slow-manifold`. Provenance: derived, for the mean of v; the fluctuations of g² are left
    out, and so is the bias correction of a young v.
    """
    log_fall = log(number("fall", fall, low=0, open_low=True))
    steps = number("steps", steps, low=0, open_low=True)
    beta2 = number("beta2", beta2, low=0, high=1, open_low=True)
    log_r = log(beta2) + log_fall / steps
    if log_r == 0:
        return 1 + (1 - beta2) * steps
    return exp(steps * log_r) + (1 - beta2) * expm1(steps * log_r) / expm1(log_r)
