"""The outside of a cell, its size and colour: what a shortcut sees, and a stranger shows first."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukoscope.cells.mask import mask

CHANNELS = ("red", "green", "blue")

SIZE = ["area", "width", "height"]
COLOUR = [f"{moment}_{channel}" for moment in ("mean", "sd") for channel in CHANNELS]
OUTSIDE = SIZE + COLOUR
"""What `outside` measures."""


def outside(picture: NDArray[np.uint8], lit: NDArray[np.bool_] | None = None) -> list[float]:
    """Return what `OUTSIDE` names; all 0 of a black picture.

    Area as a share of the picture, width and height of the cell's box as shares of the side, mean
    and standard deviation of red, green and blue in it, in [0, 1].

    Args:
        picture: (H, W, 3) uint8.
        lit: (H, W), where the cell is, if that is known already.
    """
    lit = mask(picture) if lit is None else lit
    if not lit.any():
        return [0.0] * len(OUTSIDE)
    # How often each value comes holds all that is asked for, and costs an eighth of the values.
    counts = Image.fromarray(picture).histogram(Image.fromarray(lit))
    often, values = np.array(counts).reshape(len(CHANNELS), -1), np.arange(256)
    mean, square = (often @ values**power / np.count_nonzero(lit) for power in (1, 2))
    spread = np.sqrt(np.maximum(square - mean**2, 0))  # rounding may leave it below 0
    height, width = (np.ptp(np.flatnonzero(lit.any(axis=axis))) + 1 for axis in (1, 0))
    size = [lit.mean(), width / picture.shape[1], height / picture.shape[0]]
    return [float(value) for value in (*size, *(mean / 255), *(spread / 255))]
