"""Predictions of the grokking delay of settings that were not run yet, from the runs of others.

A law is calibrated on the runs of some cells (η, λ, b), and predicts the delay of a new one from what is
known when it has memorized:

    from sde_grok.predictions import LAWS, calibrate, predict

    calibration = calibrate(LAWS["collapse_law", "predicted"], runs_of_one_cell)
    predict(calibration, eta=3e-3, lam=1e-4, batch_size=400, rho2_mem=8100.0)

`prediction_table` lets all laws compete on the same cells.
"""

from sde_grok.predictions.calibration import Calibration, Law, calibrate, predict
from sde_grok.predictions.cells import KNOWN, at_memorization, delayed, packaged
from sde_grok.predictions.entrants import LAWS, forecasts
from sde_grok.predictions.protocols import Fold
from sde_grok.predictions.table import Row, forecast, prediction_table, protocols, scored

__all__ = [
    "KNOWN",
    "LAWS",
    "Calibration",
    "Fold",
    "Law",
    "Row",
    "at_memorization",
    "calibrate",
    "delayed",
    "forecast",
    "forecasts",
    "packaged",
    "predict",
    "prediction_table",
    "protocols",
    "scored",
]
