"""Probabilities that mean what they say: a prior, and a temperature fitted on validation cells."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from leukoscope.evaluation.metrics import ECE_BINS

Floats = NDArray[np.float64]

TEMPERATURES = (0.05, 20.0)
"""Bounds of the fit: beyond them a network tells the classes apart perfectly, or not at all."""


def probability(logit: Floats, temperature: float = 1.0, prior: float = 0.0) -> Floats:
    """Return the probability of blast from a network's log-odds `logit`, (N,).

    Args:
        logit: what the network says.
        temperature: softens it; alone it does not move 0.5, so it changes no call there.
        prior: log-odds that the network lacks, see `leukoscope.evaluation.prevalence`.
    """
    return np.asarray(expit(logit / temperature + prior))


def log_odds_at(probability: float, temperature: float, prior: float) -> float:
    """Return the log-odds of which `probability` is the one that `probability` returns."""
    return float((logit(probability) - prior) * temperature)


def fit_temperature(logit: Floats, truth: NDArray[np.bool_], prior: float = 0.0) -> float:
    """Return the temperature that minimises the cross-entropy of validation cells.

    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, 2017, arXiv:1706.04599.

    Args:
        logit: (N,) log-odds of blast.
        truth: (N,) True for a blast.
        prior: log-odds that are added to what is softened.
    """
    sign = np.where(truth, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        softened = logit / np.exp(log_temperature) + prior
        return float(np.logaddexp(0, -sign * softened).mean())

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
