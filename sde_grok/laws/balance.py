"""Balance of loss and shrinkage: the norm at which the loss of a homogeneous network stops it.

With logits z homogeneous of degree h in θ, Euler's identity θ·∇z = hz gives for the cross-entropy
ℓ = −ln p_y of an example with the probabilities p_k of n classes

    −θ·∇ℓ = h Σ_k p_k (z_y − z_k) = h [f(ℓ) − (1 − p_y) KL],   f(ℓ) = (1 − e^{−ℓ}) ln[(n−1)/(e^ℓ − 1)],

where KL >= 0 is the divergence of the wrong classes' probabilities from equal ones. f is concave
where ℓ <= ln n, so that the mean over examples is f(L) at most. Where ∇L + λθ = 0, as at rest of
the mean flow of gradient descent or Adam with coupled shrinkage, λρ² = −θ·∇L, hence

    ρ² <= h f(L)/λ,

with equality if all examples have one loss and their wrong classes are alike. For small L that is the
balance of L = c e^{−aρ^h}: λρ² = h L ln(c/L), c = n − 1. There is neither η nor b in it.
"""

from __future__ import annotations

from sde_grok.checks import number
from sde_grok.dual import expm1, log
from sde_grok.laws.elementwise import elementwise

__all__ = ["balanced_radius"]


@elementwise
def balanced_radius(loss: float, *, lam: float, degree: float, classes: float) -> float:
    """Largest squared norm ρ² = h f(L)/λ at which a loss L balances shrinkage (see the module).

    Parameters
    ----------
    loss : float
        Mean cross-entropy L >= 0 of the training set, in nats; up to ln n.
    lam : float
        Coupled shrinkage λ > 0.
    degree : float
        Degree of homogeneity h > 0 of the logits: the number of layers, without biases.
    classes : float
        Number n > 1 of classes.

    Returns
    -------
    float
        Squared norm of all parameters; 0 for L = 0 and L = ln n. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `core-radius`. Provenance: derived, from homogeneity and stationarity; the noise about the
    rest point is left out.
    """
    wrong = number("classes", classes, low=1, open_low=True) - 1
    loss = number("loss", loss, low=0, high=log(wrong + 1), open_high=False)
    scale = number("degree", degree, low=0, open_low=True) / number(
        "lam", lam, low=0, open_low=True
    )
    if loss == 0:
        return 0.0
    return -scale * expm1(-loss) * log(wrong / expm1(loss))
