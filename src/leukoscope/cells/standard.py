"""What a network sees of stored pixels: turned, changed if asked, and brought to a standard.

Three standards, for the stain of a smear tells whose it is:

- ``training``: each channel by the mean and spread of all training cells' pixels, the usual one,
- ``cell``: each channel by the mean and spread inside the cell itself, so that the amount of stain
  and light is gone and its pattern stays,
- ``grey``: the same of the luminance alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from leukoscope.cells.loader import Batch
from leukoscope.cells.plans import turned
from leukoscope.cells.preprocess import BACKGROUND, LUMINANCE
from leukoscope.cells.store import StoreInfo

Colour = Literal["training", "cell", "grey"]
Change = Callable[[Tensor], Tensor]
"""(B, 3, H, W) float32 in [0, 1] → the same, as `Augmentation` gives it."""

OUTSIDE = -3.0
"""What the black around a cell becomes where a cell is its own standard: darker than all in it."""


@dataclass(frozen=True)
class Standard:
    """A standard; `mean` and `std`, (3,) float32 in [0, 1], are those of the training cells."""

    mean: Tensor
    std: Tensor
    colour: Colour = "training"

    @classmethod
    def of(
        cls, info: StoreInfo, colour: Colour = "training", device: torch.device | str = "cpu"
    ) -> "Standard":
        """Return the standard of a store, on `device`."""
        mean, std = (torch.tensor(three, device=device) for three in (info.mean, info.std))
        return cls(mean, std, colour)

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
            floats = (floats - self.mean[:, None, None]) / self.std[:, None, None]
        else:
            floats = self._by_cell(floats)
        return floats.contiguous(memory_format=torch.channels_last)

    def _by_rows(self, pictures: Tensor) -> Tensor:
        cells, height, width, _ = pictures.shape
        # By whole rows of pixels: a last dimension of 3 would leave vector instructions idle.
        rows = pictures.view(cells, height, 3 * width).to(torch.float32)
        rows.sub_((255 * self.mean).repeat(width)).div_((255 * self.std).repeat(width))
        return rows.view(cells, height, width, 3).permute(0, 3, 1, 2)

    def _by_cell(self, pictures: Tensor) -> Tensor:
        weights = pictures.new_tensor(LUMINANCE)
        grey = torch.einsum("bchw,c->bhw", pictures, weights)[:, None]
        lit = (grey > BACKGROUND / 255).to(pictures.dtype)
        count = lit.sum((2, 3), keepdim=True).clamp_min(1)
        seen = grey.expand_as(pictures) if self.colour == "grey" else pictures
        mean = (seen * lit).sum((2, 3), keepdim=True) / count
        centred = (seen - mean) * lit
        spread = (centred.square().sum((2, 3), keepdim=True) / count).sqrt().clamp_min(1 / 255)
        return centred / spread + OUTSIDE * (1 - lit)
