"""The outside of a cell, its size and colour: what a shortcut sees, and a stranger shows first."""

import numpy as np
from numpy.typing import NDArray

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
    inside = picture[lit] / 255
    height, width = (np.ptp(np.flatnonzero(lit.any(axis=axis))) + 1 for axis in (1, 0))
    size = [lit.mean(), width / picture.shape[1], height / picture.shape[0]]
    return [float(value) for value in (*size, *inside.mean(axis=0), *inside.std(axis=0))]
