"""The outline of what a picture shows: whether it is one segmented cell on black, and how large."""

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from leukoscope.cells.mask import mask

FRAME = 75
"""Pixels to which a picture's longer side is reduced at the least: outlines need no more."""

TOUCHING = np.ones((3, 3))
"""Pixels that share a corner belong together."""


class Outline(NamedTuple):
    """What is brighter than the black around a cell.

    Attributes:
        area: of the largest connected part, in source pixels.
        others: the second largest part, as a share of the largest.
        border: share of the picture's border that is lit.
    """

    area: float
    others: float
    border: float


def outline(picture: Image.Image) -> Outline:
    """Return the outline of an RGB `picture`; all 0 of a black one."""
    factor = max(1, max(picture.size) // FRAME)
    lit = mask(np.asarray(picture.reduce(factor)))
    border = np.concatenate([lit[0], lit[-1], lit[1:-1, 0], lit[1:-1, -1]]).mean()
    parts, _ = ndimage.label(lit, TOUCHING)
    largest, second, *_ = [*sorted(np.bincount(parts.ravel())[1:], reverse=True), 0, 0]
    others = second / largest if largest else 0.0
    return Outline(float(largest * factor**2), float(others), float(border))
