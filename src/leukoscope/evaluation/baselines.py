"""Shortcuts: how far a model comes without any morphology, by size and colour of the cell alone.

A network that is not better than these has learned nothing about blasts.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leukoscope.cells.preprocess import BACKGROUND, LUMINANCE
from leukoscope.progress import tracked

SIZE = ["area", "width", "height"]
CHANNELS = ("red", "green", "blue")
COLOUR = [f"{moment}_{channel}" for moment in ("mean", "sd") for channel in CHANNELS]

BASELINES: dict[str, list[str]] = {
    "majority class": [],
    "size only": SIZE,
    "colour only": COLOUR,
    "size and colour": SIZE + COLOUR,
}
"""What each shortcut looks at."""


def shortcuts(pixels: NDArray[np.uint8]) -> pd.DataFrame:
    """Measure the mask of each picture: what is brighter than the black around a cell.

    Columns: area (share of the picture), width and height of its box (share of the side), mean and
    standard deviation of red, green and blue in it, in [0, 1]; all 0 in a black picture.

    Args:
        pixels: (N, H, W, 3) uint8.
    """
    rows = [_measured(picture) for picture in tracked(pixels, "measuring", len(pixels), "cells")]
    return pd.DataFrame(rows, columns=SIZE + COLOUR)


def scores(
    training: pd.DataFrame, truth: NDArray[np.bool_], cells: pd.DataFrame
) -> dict[str, NDArray[np.float64]]:
    """Return, by name, the probability of blast, (N,), that each shortcut gives to `cells`.

    Logistic regression on standardised features; the majority class knows only its share.

    Args:
        training: features of M training cells, from `shortcuts`.
        truth: (M,) True for a blast.
        cells: features of N cells.
    """
    found = {}
    for name, columns in BASELINES.items():
        model = DummyClassifier()
        if columns:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(training[columns], truth)
        found[name] = np.asarray(model.predict_proba(cells[columns])[:, 1])
    return found


def _measured(picture: NDArray[np.uint8]) -> list[float]:
    mask = picture @ np.array(LUMINANCE) > BACKGROUND  # that of the cell box
    if not mask.any():
        return [0.0] * len(SIZE + COLOUR)
    inside = picture[mask] / 255
    height, width = (np.ptp(np.flatnonzero(mask.any(axis=axis))) + 1 for axis in (1, 0))
    size = [mask.mean(), width / picture.shape[1], height / picture.shape[0]]
    return [float(value) for value in (*size, *inside.mean(axis=0), *inside.std(axis=0))]
