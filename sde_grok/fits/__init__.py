"""Fits of measured times and radii: exponents, and laws that compete for them.

`sample(load_table(Path("runs.csv")))` is what all of them take.
"""

from sde_grok.fits.competition import LawFit, compete, seed_floor
from sde_grok.fits.exponents import (
    Bootstrap,
    ExponentFit,
    bootstrap_exponents,
    fit_exponents,
    held_out,
    mape,
)
from sde_grok.fits.sample import Sample, sample, unfitted, varying
from sde_grok.fits.table import load_table

__all__ = [
    "Bootstrap",
    "ExponentFit",
    "LawFit",
    "Sample",
    "bootstrap_exponents",
    "compete",
    "fit_exponents",
    "held_out",
    "load_table",
    "mape",
    "sample",
    "seed_floor",
    "unfitted",
    "varying",
]
