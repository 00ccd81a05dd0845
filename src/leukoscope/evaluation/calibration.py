"""Probabilities that mean what they say: one temperature, fitted on validation cells."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from leukoscope.evaluation.metrics import ECE_BINS

Floats = NDArray[np.float64]

TEMPERATURES = (0.05, 20.0)
"""Bounds of the fit: beyond them a network tells the classes apart perfectly, or not at all."""


def probability(logit: Floats, temperature: float = 1.0) -> Floats:
    """Return the probability of blast from its log-odds `logit`, (N,), softened by `temperature`.

    A temperature does not move 0.5, so it changes no call at that threshold.
    """
    return np.asarray(expit(logit / temperature))


def fit_temperature(logit: Floats, truth: NDArray[np.bool_]) -> float:
    """Return the temperature that minimises the cross-entropy of validation cells.

    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, 2017, arXiv:1706.04599.

    Args:
        logit: (N,) log-odds of blast.
        truth: (N,) True for a blast.
    """
    signed = np.where(truth, logit, -logit)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signed / np.exp(log_temperature)).mean())

    bounds = (np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1]))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def reliability(probability: Floats, truth: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the reliability diagram's points: a row for each bin that holds cells.

    Columns: bin, cells, probability (their mean), share (of blasts among them), in [0, 1].
    """
    bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    cells = pd.DataFrame({"bin": bins, "probability": probability, "share": truth.astype(float)})
    return (
        cells.groupby("bin")
        .agg(cells=("share", "size"), probability=("probability", "mean"), share=("share", "mean"))
        .reset_index()
    )
