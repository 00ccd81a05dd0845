"""From a picture to the pixels a network sees: one function for preparation and prediction alike.

Two crop policies:

- ``resize`` is the original lab's: the short side becomes `size`, then the centre square is cut.
- ``cell`` cuts a square window of a fixed number of *source* pixels around the cell and resizes
  that, so that a micrometre is the same number of pixels in every picture: blasts stay larger.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from leukoscope.cells.pictures import read_picture

Crop = Literal["resize", "cell"]
Box = tuple[int, int, int, int]
"""left, upper, right, lower in source pixels; right and lower lie just outside."""

BACKGROUND = 10
"""Luminance (0-255) up to which a pixel is the black around the cell: room for JPEG's ringing."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue, as Pillow computes it (ITU-R 601-2)."""


class Preprocessing(BaseModel):
    """Settings that turn a picture into (size, size, 3) uint8; they travel with store and bundle.

    Attributes:
        crop: the policy, see the module.
        size: side of the result in pixels, a multiple of 32 (the networks halve it five times).
        window: for ``cell``, the side of the window in source pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop: Crop
    size: int = Field(gt=0, multiple_of=32)
    window: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _window_belongs_to_cell(self) -> "Preprocessing":
        if (self.crop == "cell") != (self.window is not None):
            raise ValueError("a window belongs to crop 'cell', and only to it")
        return self


def cell_box(picture: Image.Image) -> Box | None:
    """Return the bounding box of what is brighter than the background, None in a black picture."""
    return picture.convert("L").point(lambda value: 255 * (value > BACKGROUND)).getbbox()


def preprocess(picture: Image.Image, settings: Preprocessing) -> NDArray[np.uint8]:
    """Crop and resize an RGB `picture` to (size, size, 3) uint8.

    Where a window reaches past the border it is filled with black, which is what lies around a
    segmented cell. A picture without a cell is cut at its centre.
    """
    target = (settings.size, settings.size)
    if settings.window is None:
        side = min(picture.size)
        left, upper = (picture.width - side) / 2, (picture.height - side) / 2
        # Resizing the centre square alone is the same picture as resizing the whole, then cropping.
        square = (left, upper, left + side, upper + side)
        return np.asarray(picture.resize(target, Image.Resampling.BILINEAR, square))
    left, upper, right, lower = cell_box(picture) or (0, 0, *picture.size)
    left, upper = (left + right - settings.window) // 2, (upper + lower - settings.window) // 2
    window = picture.crop((left, upper, left + settings.window, upper + settings.window))
    return np.asarray(window.resize(target, Image.Resampling.BILINEAR))


def prepared_file(path: Path, settings: Preprocessing) -> NDArray[np.uint8]:
    """Read the picture at `path`; return it as `preprocess` does.

    Raises:
        BadInputError: it is missing or cannot be decoded.
    """
    return preprocess(read_picture(path), settings)


def fitting_window(sides: NDArray[np.int64], share: float = 0.99) -> int:
    """Return the smallest even window (source pixels) that holds at least `share` of the cells.

    Args:
        sides: (N,) the longer side of each cell's box.
        share: of the cells that must lie in the window whole, in (0, 1].
    """
    side = int(np.quantile(sides, share, method="inverted_cdf"))
    return side + side % 2
