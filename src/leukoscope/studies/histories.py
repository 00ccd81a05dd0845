"""What several studies read from the histories of their runs."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from leukoscope.training.judge import merit
from leukoscope.training.run import Run

FACTOR = 2.0
"""The least ratio of two fluctuations that counts, see `fluctuation_margin`."""


def second_half(history: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the second half of a training, the middle one left out."""
    return history.iloc[(len(history) + 1) // 2 :]


def fluctuation(history: pd.DataFrame) -> float:
    """Return how much validation accuracy jumps from one epoch to the next.

    The standard deviation of its changes into each epoch of the second half; their mean, which is
    the trend, does not count. NaN with fewer than two changes.
    """
    changes = history["validation_accuracy"].diff()
    return float(second_half(changes.to_frame())["validation_accuracy"].std(ddof=1))


def fluctuation_margin(changes: int) -> float:
    """Return the logarithm of the ratio of two fluctuations that chance alone can make.

    The variances of two equal trainings have a ratio that follows Fisher's F; its 97.5 % quantile
    counts. By less than `FACTOR` another seed might undo a ratio in any case: the changes of one
    training depend on each other.

    Args:
        changes: how many each fluctuation is measured over; NaN for fewer than two.
    """
    ratio = stats.f.ppf(0.975, changes - 1, changes - 1)
    return float(np.log(np.maximum(np.sqrt(ratio), FACTOR)))


def kept_epoch(run: Run) -> pd.Series:
    """Return the row of the history whose weights are the ``best`` checkpoint of `run`."""
    rows = run.history.to_dict("records")
    return pd.Series(rows[-1] if run.config.recipe.keep == "last" else max(rows, key=merit))


def labelled(history: pd.DataFrame, **labels: Any) -> pd.DataFrame:
    """Return `history` with `labels` as its first columns, without the machine's speed."""
    told = history.drop(columns=["images_per_second", "seconds"], errors="ignore")
    for place, (name, value) in enumerate(labels.items()):
        told.insert(place, name, value)
    return told


def log_ratio(more: float, less: float, floor: float = 1e-12) -> float:
    """Return the natural logarithm of `more` over `less`, either taken as `floor` at least."""
    return float(np.log(np.maximum(more, floor) / np.maximum(less, floor)))


def accuracy_margin(accuracies: pd.Series, cells: int) -> float:
    """Return two standard errors of the difference of two such accuracies on so many cells.

    As if cells were independent, so it is the least that chance can do.
    """
    mean = accuracies.mean()
    return float(2 * np.sqrt(2 * mean * (1 - mean) / cells))
