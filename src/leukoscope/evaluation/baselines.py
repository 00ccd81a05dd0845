"""Baselines: how far a model comes without a network.

Shortcuts see size and colour of the cell alone: a network that is not better has learned nothing
about blasts. Handmade features see the inside as well: a network that is not better need not be.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leukoscope.cells.mask import mask
from leukoscope.evaluation.handmade import CHANNELS, INSIDE, handmade
from leukoscope.progress import tracked

SIZE = ["area", "width", "height"]
COLOUR = [f"{moment}_{channel}" for moment in ("mean", "sd") for channel in CHANNELS]
OUTSIDE = SIZE + COLOUR
BLOCK = 64
"""Pictures measured together: enough for long loops in C, few enough for the processor's cache."""

BASELINES: dict[str, list[str]] = {
    "majority class": [],
    "size only": SIZE,
    "colour only": COLOUR,
    "size and colour": OUTSIDE,
    "handmade features": OUTSIDE + INSIDE,
}
"""What each looks at."""


def features(pixels: NDArray[np.uint8]) -> pd.DataFrame:
    """Measure the mask of each picture, what is brighter than the black around a cell.

    Columns: area (share of the picture), width and height of its box (share of the side), mean and
    standard deviation of red, green and blue in it, in [0, 1], and those of
    `leukoscope.evaluation.handmade`; all 0 in a black picture.

    Args:
        pixels: (N, H, W, 3) uint8.
    """
    blocks = [pixels[start : start + BLOCK] for start in range(0, len(pixels), BLOCK)]
    rows = [_measured(block) for block in tracked(blocks, "measuring", len(blocks), "blocks")]
    return pd.DataFrame(np.concatenate(rows), columns=OUTSIDE + INSIDE)


def scores(
    training: pd.DataFrame, truth: NDArray[np.bool_], cells: pd.DataFrame
) -> dict[str, NDArray[np.float64]]:
    """Return, by name, the probability of blast, (N,), that each baseline gives to `cells`.

    Logistic regression on standardised features; the majority class knows only its share.

    Args:
        training: M training cells, from `features`.
        truth: (M,) True for a blast.
        cells: N cells, likewise.
    """
    found = {}
    for name, columns in BASELINES.items():
        model = DummyClassifier()
        if columns:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(training[columns], truth)
        found[name] = np.asarray(model.predict_proba(cells[columns])[:, 1])
    return found


def _measured(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    masks = mask(pixels)
    outside = [_outside(*one) for one in zip(pixels, masks, strict=True)]
    return np.concatenate([outside, handmade(pixels, masks)], axis=1)


def _outside(picture: NDArray[np.uint8], lit: NDArray[np.bool_]) -> list[float]:
    if not lit.any():
        return [0.0] * len(OUTSIDE)
    inside = picture[lit] / 255
    height, width = (np.ptp(np.flatnonzero(lit.any(axis=axis))) + 1 for axis in (1, 0))
    size = [lit.mean(), width / picture.shape[1], height / picture.shape[0]]
    return [float(value) for value in (*size, *inside.mean(axis=0), *inside.std(axis=0))]
