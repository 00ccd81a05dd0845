"""Augmentation: the same cell elsewhere in the frame, at another size, in another stain and light.

All that is drawn for a picture is one row of uniform numbers, so that the same numbers make the
same picture on any device. Geometry is one resampling, colour one 3 × 3 matrix in optical density
(the Beer-Lambert law: -log of transmitted light, where stains add up).
"""

import math

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from leukoscope.cells.light import density, inside
from leukoscope.cells.transfer import moved

DRAWS = 12
"""Uniform numbers a picture needs: angle, scale, two of shift, six of stain, two of light."""

STAINS = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density of red, green and blue in haematoxylin, eosin and a third stain (Ruifrok and
Johnston 2001, Analytical and Quantitative Cytology and Histology 23)."""

AMOUNTS = torch.linalg.inv(STAINS)
"""Rows of densities → amounts of each stain."""


class Augmentation(BaseModel):
    """How far pictures are changed; nothing by default. Each is drawn anew for each cell and epoch.

    Attributes:
        rotation: by any angle, besides the exact quarter turns of the plan.
        scale: sizes from 1 / (1 + scale) to 1 + scale, uniform in their logarithm.
        shift: up to this share of the side, either way, down and to the right.
        stain: amount of each stain times 1 ± stain, and plus ± stain / 4, in optical density
            (Tellez et al. 2018, IEEE Transactions on Medical Imaging 37(9)).
        light: optical density, the exponent of the light, times 1 / (1 + light) to 1 + light, and
            brightness likewise with half as much.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotation: bool = False
    scale: float = Field(default=0.0, ge=0)
    shift: float = Field(default=0.0, ge=0, lt=0.5)
    stain: float = Field(default=0.0, ge=0, lt=1)
    light: float = Field(default=0.0, ge=0)

    @property
    def active(self) -> bool:
        """Whether anything is changed."""
        return self.moves or self.colours

    @property
    def moves(self) -> bool:
        """Whether pictures are resampled."""
        return self.rotation or self.scale > 0 or self.shift > 0

    @property
    def colours(self) -> bool:
        """Whether colours change."""
        return self.stain > 0 or self.light > 0

    def __call__(self, pictures: Tensor, draws: Tensor) -> Tensor:
        """Return `pictures` changed as `draws` say; what lies outside of one is black.

        Args:
            pictures: (B, 3, H, H) float32 in [0, 1]; B may be 0.
            draws: (B, `DRAWS`) float32, uniform in [0, 1), on the same device.
        """
        if self.moves and len(pictures):  # torch makes no grid for none
            pictures = self._moved(pictures, draws)
        return self._coloured(pictures, draws) if self.colours else pictures

    def _moved(self, pictures: Tensor, draws: Tensor) -> Tensor:
        either = 2 * draws - 1
        angle = either[:, 0] * (math.pi / 4 if self.rotation else 0)
        size = torch.exp(either[:, 1] * math.log1p(self.scale))
        # The grid says where each pixel of the result comes from: for a larger cell, from nearer.
        cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
        right, down = 2 * self.shift * either[:, 2], 2 * self.shift * either[:, 3]
        rows = [torch.stack([cosine, -sine, right], 1), torch.stack([sine, cosine, down], 1)]
        grid = F.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
        return F.grid_sample(pictures, grid, align_corners=False)

    def _coloured(self, pictures: Tensor, draws: Tensor) -> Tensor:
        either, device = 2 * draws - 1, pictures.device
        stains = moved(STAINS, device)
        amounts = 1 + self.stain * either[:, 4:7]
        exponent = torch.exp(either[:, 10] * math.log1p(self.light))
        # Rows are stains: density = amounts @ stains, so amounts = density @ inverse(stains).
        change = moved(AMOUNTS, device) @ (amounts[:, :, None] * stains)
        change = change * exponent[:, None, None]
        added = (self.stain / 4 * either[:, 7:10]) @ stains
        added = added - (either[:, 11] * math.log1p(self.light / 2))[:, None]
        stained = torch.einsum("bchw,bcd->bdhw", density(pictures), change)
        stained = stained + added[:, :, None, None]
        return torch.exp(-stained.clamp_min(0)) * inside(pictures)
