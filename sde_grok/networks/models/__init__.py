"""Models: one module a family."""

from sde_grok.networks.models.mlp import MLP
from sde_grok.networks.models.model import Model, Params, cross_entropies, cross_entropy
from sde_grok.networks.models.transformer import TRANSFORMER, TRANSFORMER_LAYERNORM

__all__ = ["MODELS", "Model", "Params", "cross_entropies", "cross_entropy"]

MODELS = {
    "mlp": MLP,
    "transformer": TRANSFORMER,
    "transformer-layernorm": TRANSFORMER_LAYERNORM,
}
