"""Experiments by name; any parameter may be replaced."""

from sde_grok.networks.experiment import Experiment

__all__ = ["PRESETS"]

TINY = Experiment(
    task="z31",
    embedding=32,
    width=64,
    eta=(1e-2,),
    lam=(1e-3,),
    batch_size=(100,),
    seeds=2,
    max_steps=10_000,
    eval_every=20,
)
SMALL = Experiment(
    task="z59",
    embedding=64,
    width=128,
    eta=(1e-3, 3e-3, 1e-2),
    lam=(3e-4, 1e-3),
    batch_size=(100, 400),
    seeds=3,
    max_steps=40_000,
    eval_every=20,
)
PAPER = Experiment(
    task="z127",
    embedding=256,
    width=512,
    eta=(1e-3,),
    lam=(1e-4,),
    batch_size=(100,),
    seeds=10,
    max_steps=200_000,
    eval_every=200,
)
PRESETS = {"tiny": TINY, "small": SMALL, "paper": PAPER}
