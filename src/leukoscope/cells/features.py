"""What can be measured of a cell without any network: size, colour, and what `handmade` says.

Size and colour are shortcuts; the inside is what a person looks at.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leukoscope.cells.handmade import CHANNELS, INSIDE, handmade
from leukoscope.cells.mask import mask
from leukoscope.cells.store import Store
from leukoscope.progress import tracked

SIZE = ["area", "width", "height"]
COLOUR = [f"{moment}_{channel}" for moment in ("mean", "sd") for channel in CHANNELS]
OUTSIDE = SIZE + COLOUR
BLOCK = 64
"""Pictures measured together: enough for long loops in C, few enough for the processor's cache."""


def features(pixels: NDArray[np.uint8]) -> pd.DataFrame:
    """Measure the mask of each picture, what is brighter than the black around a cell.

    Columns: area (share of the picture), width and height of its box (share of the side), mean and
    standard deviation of red, green and blue in it, in [0, 1], and those of
    `leukoscope.cells.handmade`; all 0 in a black picture.

    Args:
        pixels: (N, H, W, 3) uint8.
    """
    blocks = [pixels[start : start + BLOCK] for start in range(0, len(pixels), BLOCK)]
    rows = [_measured(block) for block in tracked(blocks, "measuring", len(blocks), "blocks")]
    return pd.DataFrame(np.concatenate(rows), columns=OUTSIDE + INSIDE)


def features_of(store: Store) -> pd.DataFrame:
    """Return the features of all cells of a store; those of the last one are kept.

    Many runs of one store are trained and judged one after another.
    """
    return _kept(store.folder, store.digest)


@lru_cache(maxsize=1)
def _kept(folder: Path, digest: str) -> pd.DataFrame:
    """Measure the store in `folder`; its `digest` tells it from a later one in its place."""
    return features(Store.open(folder).pixels)


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
