"""The optimizer: Adam with coupled or decoupled weight shrinkage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sde_grok.checks import choice, integer, number

__all__ = ["Decay", "Optimizer"]

Decay = Literal["coupled", "decoupled"]


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Adam with ℓ₂ shrinkage (coupled) or AdamW (decoupled).

    Parameters
    ----------
    eta : float
        Learning rate η > 0.
    batch_size : int
        Examples b >= 1 in a minibatch.
    lam : float
        Shrinkage λ >= 0: λθ is added to the gradient (coupled), or θ shrinks by ηλθ a step.
    beta1, beta2 : float
        Decay of the moments a step, in [0, 1).
    eps : float
        ε >= 0 beside √v.
    decay : {"coupled", "decoupled"}
        Where λ acts. The theory of arXiv 2606.30388 is for the coupled form.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    eta: float
    batch_size: int
    lam: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decay: Decay = "coupled"

    def __post_init__(self) -> None:
        checked = {
            "eta": number("eta", self.eta, low=0, open_low=True),
            "batch_size": integer("batch_size", self.batch_size, low=1),
            "lam": number("lam", self.lam, low=0),
            "beta1": number("beta1", self.beta1, low=0, high=1),
            "beta2": number("beta2", self.beta2, low=0, high=1),
            "eps": number("eps", self.eps, low=0),
            "decay": choice("decay", self.decay, get_args(Decay)),
        }
        for field, value in checked.items():
            object.__setattr__(self, field, value)

    @property
    def coupled(self) -> float:
        """λ if it acts through the gradient, else 0."""
        return self.lam if self.decay == "coupled" else 0.0

    @property
    def decoupled(self) -> float:
        """λ if it acts on θ directly, else 0."""
        return self.lam if self.decay == "decoupled" else 0.0
