"""Light that passes a cell, on any device: luminance, where the cell is, optical density.

As `leukoscope.cells.mask` has it, but of pictures (B, 3, H, W) in [0, 1].
"""

import torch
from torch import Tensor

from leukoscope.cells.preprocess import BACKGROUND, LUMINANCE
from leukoscope.cells.transfer import moved


def luminance(pictures: Tensor) -> Tensor:
    """Return (B, 1, H, W) in [0, 1]."""
    weights = moved(torch.tensor(LUMINANCE, dtype=pictures.dtype), pictures.device)
    return torch.einsum("bchw,c->bhw", pictures, weights)[:, None]


def inside(pictures: Tensor) -> Tensor:
    """Return (B, 1, H, W): 1 where the cell is, 0 in the black around it."""
    return (luminance(pictures) > BACKGROUND / 255).to(pictures.dtype)


def density(pictures: Tensor) -> Tensor:
    """Return (B, 3, H, W): optical density, the negative natural logarithm, from 0 to ln 255.

    By the Beer-Lambert law it is where stains add up.
    """
    return -torch.log(pictures.clamp_min(1 / 255))
