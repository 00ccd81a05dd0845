"""What several studies read from the histories of their runs."""

from typing import Any

import numpy as np
import pandas as pd


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


def best(history: pd.DataFrame) -> pd.Series:
    """Return the row whose weights the trainer keeps: by accuracy, then by the smaller loss."""
    order = history.sort_values(
        ["validation_accuracy", "validation_loss"], ascending=[False, True], kind="stable"
    )
    return order.iloc[0]


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
