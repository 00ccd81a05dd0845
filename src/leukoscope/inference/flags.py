"""Flags: why a picture may be none of what the model was trained on. It is called all the same.

The limits are those that few of a model's own cells pass: of size, of stain and, for each engine,
of the distance in features. See docs/prediction.md for what they find and what they miss.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from leukoscope.cells.outline import Outline
from leukoscope.cells.outside import COLOUR, outside
from leukoscope.cells.preprocess import Preprocessing

BORDER = 0.1
"""Share of a picture's border that a segmented cell, cut by it, may light."""
OTHERS = 0.05
"""Size of a second part, as a share of the cell, that may be dust."""

BEYOND = 0.003
"""Share of the training cells beyond each limit of size."""
FAR = 0.999
"""Share of the training and of the validation cells that lie nearer than a limit of distance."""

NOT_BLACK = "no black around a cell"
EMPTY = "no cell"
SEVERAL = "several cells"
SIZE = "another size: is the magnification that of the training cells?"
UNLIKE = "unlike the training cells"
STAIN = "unfamiliar stain"


class Limits(BaseModel):
    """What of a bundle's training cells flags are raised by.

    Attributes:
        least, most: area of a cell, as a share of the square that is cut out around it.
        colour: mean of `leukoscope.cells.outside.COLOUR`.
        mixing: ``mixing @ (colours - colour)`` has variance 1 in all directions.
        stain: the largest norm of that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: float
    most: float
    colour: list[float]
    mixing: list[list[float]]
    stain: float

    @classmethod
    def of(cls, trained: pd.DataFrame, validation: pd.DataFrame) -> "Limits":
        """Return the limits by the features of training and of validation cells.

        Args:
            trained: as from `leukoscope.cells.features.features`.
            validation: likewise.
        """
        least, most = trained["area"].quantile([BEYOND, 1 - BEYOND])
        colours = trained[COLOUR].to_numpy()
        mean, covariance = colours.mean(axis=0), np.cov(colours, rowvar=False)
        variances, axes = np.linalg.eigh(covariance)
        mixing = (axes / np.sqrt(np.maximum(variances, 1e-9))).T
        limits = cls(least=least, most=most, colour=mean.tolist(), mixing=mixing.tolist(), stain=0)
        stain = max(
            float(np.quantile(limits.stains(cells[COLOUR].to_numpy()), FAR))
            for cells in (trained, validation)
        )
        return limits.model_copy(update={"stain": stain})

    def stains(self, colours: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far the colours of cells, (N, 6), lie from those of the training cells."""
        whitened = (colours - self.colour) @ np.array(self.mixing).T
        return np.asarray(np.linalg.norm(whitened, axis=1))

    def flags(
        self,
        seen: Outline,
        square: float,
        pixels: NDArray[np.uint8],
        distance: float,
        farthest: float,
    ) -> list[str]:
        """Return the flags of a picture, the gravest first; none of a cell like the others.

        Args:
            seen: its outline.
            square: area of the square that is cut out of it, in source pixels.
            pixels: (H, W, 3) uint8, what was cut out.
            distance: of its features, see `leukoscope.inference.likeness`.
            farthest: the limit of that.
        """
        if not seen.area:
            return [EMPTY]
        if seen.border > BORDER:
            return [NOT_BLACK]
        share = seen.area / square
        colours = np.array([outside(pixels)[-len(COLOUR) :]])
        found = {
            SEVERAL: seen.others > OTHERS,
            SIZE: not self.least <= share <= self.most,
            UNLIKE: distance > farthest,
            STAIN: self.stains(colours)[0] > self.stain,
        }
        return [flag for flag, raised in found.items() if raised]


def square_of(size: tuple[int, int], settings: Preprocessing) -> float:
    """Return the area of the square that is cut out of a picture of `size`, in its pixels."""
    return float((settings.window or min(size)) ** 2)
