"""What a network sees of stored pixels: turned, changed if asked, and brought to a standard.

Four standards, for the stain of a smear tells whose it is:

- ``training``: each channel by the mean and spread of all training cells' pixels, the usual one,
- ``density``: optical density, in which stains add up, by its three principal components inside
  the training cells, each brought to the same spread: light and dark, by far the largest of them,
  then no longer drowns the faint differences of hue between nucleus, cytoplasm and chromatin,
- ``cell``: each channel by the mean and spread inside the cell itself, so that the amount of stain
  and light is gone and its pattern stays,
- ``grey``: the same of the luminance alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leukoscope.cells.colour import Colour
from leukoscope.cells.gather import Batch
from leukoscope.cells.light import density, inside, luminance
from leukoscope.cells.plans import turned
from leukoscope.cells.store import Store

Change = Callable[[Tensor], Tensor]
"""(B, 3, H, W) float32 in [0, 1] → the same, as `Augmentation` gives it."""

OUTSIDE = 3.0
"""Standard deviations. What lies around a cell is black in the picture; it becomes darker than all
in the cell where that is its own standard, and lighter, as the glass is, in optical density."""

SAMPLE = 500
"""Training cells from which principal components are found."""


@dataclass(frozen=True)
class Standard:
    """A standard: ``mixing @ (value - mean)`` of each pixel, unless the cell is its own.

    Attributes:
        colour: which.
        mean: (3,) float32 of the training cells' pixels, in [0, 1], or of their density.
        mixing: (3, 3) float32, a row a channel of the result.
    """

    colour: Colour
    mean: Tensor
    mixing: Tensor

    @classmethod
    def of(
        cls, store: Store, colour: Colour = "training", device: torch.device | str = "cpu"
    ) -> "Standard":
        """Return the standard of a store, on `device`."""
        if colour == "density":
            mean, mixing = _components(store)
        else:
            mean = torch.tensor(store.info.mean)
            mixing = torch.diag(1 / torch.tensor(store.info.std))
        return cls(colour, mean.to(device), mixing.to(device))

    def __call__(self, batch: Batch, change: Change | None = None) -> Tensor:
        """Return (B, 3, H, W) float32, channels last, on the batch's device.

        Args:
            batch: B cells of H × W pixels.
            change: what is done to the turned pictures before.
        """
        pictures = batch.pictures if batch.turns is None else turned(batch.pictures, batch.turns)
        if change is None and self.colour == "training":
            return self._by_rows(pictures)
        # (B, H, W, 3) seen as (B, 3, H, W) is torch's channels-last layout: nothing is copied.
        floats = pictures.permute(0, 3, 1, 2).float().div_(255)
        if change:
            floats = change(floats)
        if self.colour == "training":
            floats = self._mixed(floats)
        elif self.colour == "density":
            floats = self._by_density(floats)
        else:
            floats = self._by_cell(floats)
        return floats.contiguous(memory_format=torch.channels_last)

    def _by_rows(self, pictures: Tensor) -> Tensor:
        cells, height, width, _ = pictures.shape
        # By whole rows of pixels: a last dimension of 3 would leave vector instructions idle.
        rows = pictures.view(cells, height, 3 * width).to(torch.float32)
        rows.sub_((255 * self.mean).repeat(width)).div_((255 / self.mixing.diag()).repeat(width))
        return rows.view(cells, height, width, 3).permute(0, 3, 1, 2)

    def _mixed(self, values: Tensor) -> Tensor:
        return torch.einsum("bchw,kc->bkhw", values - self.mean[:, None, None], self.mixing)

    def _by_density(self, pictures: Tensor) -> Tensor:
        lit = inside(pictures)
        seen = self._mixed(density(pictures)) * lit
        seen[:, :1] += OUTSIDE * (1 - lit)
        return seen

    def _by_cell(self, pictures: Tensor) -> Tensor:
        lit = inside(pictures)
        count = lit.sum((2, 3), keepdim=True).clamp_min(1)
        seen = luminance(pictures).expand_as(pictures) if self.colour == "grey" else pictures
        mean = (seen * lit).sum((2, 3), keepdim=True) / count
        centred = (seen - mean) * lit
        spread = (centred.square().sum((2, 3), keepdim=True) / count).sqrt().clamp_min(1 / 255)
        return centred / spread - OUTSIDE * (1 - lit)


def sample(store: Store) -> NDArray[np.int64]:
    """Return the rows from which principal components are found."""
    rows = store.rows("train")
    return rows[:: -(-len(rows) // SAMPLE)]


def _components(store: Store) -> tuple[Tensor, Tensor]:
    """Return mean (3,) and mixing (3, 3) of optical density inside the training cells.

    The first component grows with light, the others with the channel that weighs most in them.
    """
    values = torch.cat([_density_of(store, row) for row in sample(store)], dim=1)
    mean = values.mean(1)
    variances, axes = torch.linalg.eigh(torch.cov(values))
    axes = axes.flip(1).T
    heaviest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    heaviest[0] *= -1
    mixing = axes * heaviest.sign() / variances.flip(0).clamp_min(1e-6).sqrt()[:, None]
    return mean.float(), mixing.float()


def _density_of(store: Store, row: int) -> Tensor:
    """Return (3, P) float64 of the P pixels inside a cell."""
    picture = torch.from_numpy(np.array(store.pixels[row])).permute(2, 0, 1)[None].double() / 255
    return density(picture)[0, :, inside(picture)[0, 0] > 0]
