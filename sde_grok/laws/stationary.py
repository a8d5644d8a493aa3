"""Rest on a parabola: the variance of one coordinate where noise and contraction balance.

On L = Hθ²/2 the gradient of a minibatch has the variance σ²/b. Where that makes all of √v = s =
σ/√b, and the memories of m and v are short beside the relaxation, Adam's steps are in time t = kη

    dθ = −γθ dt + √η dB,    γ = H/s + λ (decoupled)  or  (H + λ)/s (coupled),

since noise of variance s² a step, divided by s, is η² a step. An Ornstein–Uhlenbeck process rests
with the variance η/(2γ). The corrections are of the order ηγ/(1−β₁), the part of the relaxation
that momentum remembers, and 1−β₂.
"""

from __future__ import annotations

from sde_grok.checks import ParameterError, choice, number
from sde_grok.dual import sqrt
from sde_grok.laws.elementwise import elementwise

__all__ = ["stationary_variance"]


@elementwise
def stationary_variance(
    curvature: float, *, eta: float, lam: float, sigma: float, batch_size: float, decay: str
) -> float:
    """Variance of θ at rest on L = Hθ²/2, with s = σ/√b (see the module).

        decoupled:  (η/2) s/(H + λs),    coupled:  (η/2) s/(H + λ).

    Without curvature it is the noise floor, one coordinate of it: η/(2λ) whatever the noise if
    decoupled, ησ/(2λ√b) if coupled.

    Parameters
    ----------
    curvature : float
        H >= 0, in units of loss per squared parameter unit.
    eta : float
        Learning rate η > 0.
    lam : float
        Shrinkage λ >= 0; λ > 0 if H = 0. As H if coupled, a number if decoupled.
    sigma : float
        Standard deviation σ > 0 of one example's gradient, per coordinate.
    batch_size : float
        Batch size b > 0.
    decay : {"coupled", "decoupled"}
        Whether λθ is added to the gradient or to the step.

    Returns
    -------
    float
        Variance in squared parameter units. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or H = λ = 0, where nothing holds θ.

    Notes
    -----
    Provenance: claimed for AdamW by arXiv 2411.15958, as reported, as (η/2)(H + λΣ^{1/2})⁻¹Σ^{1/2};
    derived here for both forms. Assumes noise-dominated v, Hθ and λθ (coupled) small beside s.
    """
    curvature = number("curvature", curvature, low=0)
    eta = number("eta", eta, low=0, open_low=True)
    lam = number("lam", lam, low=0)
    s = number("sigma", sigma, low=0, open_low=True) / sqrt(
        number("batch_size", batch_size, low=0, open_low=True)
    )
    if curvature == lam == 0:
        raise ParameterError("lam", lam, "> 0 if the curvature is 0")
    coupled = choice("decay", decay, ("coupled", "decoupled")) == "coupled"
    return eta / 2 * s / (curvature + lam) if coupled else eta / 2 / (curvature / s + lam)
