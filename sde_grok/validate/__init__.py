"""`sde-grok validate`: the ladder against itself, and its predictions against measured runs."""

from sde_grok.validate.run import run_validation

__all__ = ["run_validation"]
