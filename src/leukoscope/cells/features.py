"""What can be measured of a cell without any network: size, colour, and what `handmade` says.

Size and colour are shortcuts; the inside is what a person looks at.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leukoscope.cells.handmade import INSIDE, handmade
from leukoscope.cells.mask import mask
from leukoscope.cells.outside import OUTSIDE, SIZE, outside
from leukoscope.cells.pixels import Pixels
from leukoscope.cells.store import Store
from leukoscope.progress import tracked

HANDMADE = SIZE + INSIDE
"""By which a cell can be called without a network. Its colour as a whole tells whose it is."""

BLOCK = 64
"""Pictures measured together: enough for long loops in C, few enough for the processor's cache."""


def features(pixels: Pixels, rows: NDArray[np.int64] | None = None) -> pd.DataFrame:
    """Measure the mask of each picture, what is brighter than the black around a cell.

    Columns: those of `leukoscope.cells.outside` and of `leukoscope.cells.handmade`; all 0 in a
    black picture.

    Args:
        pixels: (N, H, W, 3) uint8.
        rows: of those that are measured; None: all.
    """
    asked = np.arange(len(pixels)) if rows is None else rows
    blocks = [asked[start : start + BLOCK] for start in range(0, len(asked), BLOCK)]
    found = [_measured(pixels[one]) for one in tracked(blocks, "measuring", len(blocks), "blocks")]
    return pd.DataFrame(np.concatenate(found), columns=OUTSIDE + INSIDE)


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
    shells = [outside(*one) for one in zip(pixels, masks, strict=True)]
    return np.concatenate([shells, handmade(pixels, masks)], axis=1)
