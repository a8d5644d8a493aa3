"""The square-root rule of Adam's stochastic differential equations, as a test of any delay law."""

from __future__ import annotations

import math
from collections.abc import Callable

from sde_grok.checks import choice, number
from sde_grok.dual import sqrt
from sde_grok.laws.elementwise import elementwise
from sde_grok.laws.signature import positive

__all__ = ["square_root_rule"]


@elementwise
def square_root_rule(
    law: Callable[..., float],
    rho2_start: float,
    rho2_core: float,
    *,
    factor: float,
    eta: float,
    lam: float,
    batch_size: float,
    decay: str = "coupled",
    **constants: float,
) -> float:
    """Ratio c·T(√c η, λ', cb)/T(η, λ, b): 1 if and only if the law respects the square-root rule.

    Adam with b → cb, η → √c η, 1−β → c(1−β), ε → ε/√c has the same stochastic differential
    equation in the time kη², so that steps shrink by 1/c. In the noise-dominated regime a step is
    −η√b h/σ, which becomes c times as long at the same h = ∇L + λθ: coupled decay keeps λ' = λ.
    Decoupled decay adds −ηλθ to the step, which becomes c times as long for λ' = √c λ.

    Parameters
    ----------
    law : callable
        A law with the common signature (see `sde_grok.laws.signature`).
    rho2_start, rho2_core : float
        Its squared radii, taken as the same for both.
    factor : float
        Factor c > 0 of the batch size.
    eta, lam, batch_size : float
        The point (η, λ, b).
    decay : {"coupled", "decoupled"}
        Whether λ stays or scales as √c.
    **constants : float
        What else the law takes, the same for both but for `beta1`, `beta2` and `eps`, which
        follow the rule.

    Returns
    -------
    float
        The ratio; nan where the delay is 0 or infinite. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `square-root-rule`. Provenance: the rule is claimed by arXiv 2205.10287, for no decay;
    that of λ is derived. A power law η^p λ^q b^r has the ratio c^(1 + p/2 + r), or c^(1 + (p+q)/2 +
    r) if decoupled.
    """
    c = positive("factor", factor)
    eta, lam = positive("eta", eta), number("lam", lam, low=0)
    batch_size = positive("batch_size", batch_size)
    scaled = lam if choice("decay", decay, ("coupled", "decoupled")) == "coupled" else sqrt(c) * lam
    rule: dict[str, Callable[[float], float]] = {
        "beta1": lambda beta: 1 - c * (1 - beta),
        "beta2": lambda beta: 1 - c * (1 - beta),
        "eps": lambda eps: eps / sqrt(c),
    }
    follow = {name: rule[name](x) if name in rule else x for name, x in constants.items()}
    before = law(rho2_start, rho2_core, eta=eta, lam=lam, batch_size=batch_size, **constants)
    after = law(
        rho2_start,
        rho2_core,
        eta=sqrt(c) * eta,
        lam=scaled,
        batch_size=c * batch_size,
        **follow,
    )
    both = 0 < before < math.inf and 0 < after < math.inf
    return c * after / before if both else math.nan
