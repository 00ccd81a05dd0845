"""Handmade features: what can be measured inside a cell without any network.

Both kinds are of optical density, the negative logarithm of the light that passes, by colour:

- rings: its mean in rings between the cell's border and its middle, the nucleus and its place,
- grain: how strong its detail is, fine to coarse, in the outer and the inner half of the depth: the
  chromatin, apart from the cytoplasm and the nucleus' border. Detail is the difference of two
  Gaussian means, taken inside the cell only.
"""

from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukoscope.cells.mask import Floats, depth, smoothed
from leukoscope.cells.outside import CHANNELS

LEAST = 64
"""Larger pictures are reduced, not below this side: the detail measured is no finer."""
RINGS = 5
"""Of equal depth; the first is the border."""
SIGMAS = (1 / 60, 1 / 30, 1 / 15)
"""Shares of the picture's side: detail lies between one and the one before, or the picture."""
RIM = 1 / 40
"""Share of the side by which detail keeps away from the border."""
ROUNDING = 1e-3
"""Optical density that rounding makes, about; grain is the logarithm of 1 + how many of it."""

INSIDE = [f"ring{ring}_{channel}" for ring in range(1, RINGS + 1) for channel in CHANNELS] + [
    f"grain{band}_{half}_{channel}"
    for band in range(1, len(SIGMAS) + 1)
    for half in ("outer", "inner")
    for channel in CHANNELS
]
"""What `handmade` measures."""


def handmade(pixels: NDArray[np.uint8], masks: NDArray[np.bool_]) -> Floats:
    """Return (N, len(INSIDE)): the inside of each cell; what cannot be measured is 0.

    Args:
        pixels: (N, H, W, 3) uint8.
        masks: (N, H, W), where the cell is.
    """
    factor = _factor(pixels.shape[1])
    masks = _reduced(masks, factor) > 0.5
    density = -np.log((_reduced(pixels, factor) + 1) / 256)
    depths = np.stack([depth(lit) for lit in masks]).astype(np.float32)
    share = depths / np.maximum(depths.max(axis=(1, 2), keepdims=True), 1)
    rings = [
        _means(density, (share > ring / RINGS) & (share <= (ring + 1) / RINGS))
        for ring in range(RINGS)
    ]
    side = masks.shape[1]
    inside = depths > RIM * side
    halves = inside & (share <= 0.5), inside & (share > 0.5)
    smooth = [density, *(smoothed(density, masks, sigma * side) for sigma in SIGMAS)]
    squares = [(fine - broad) ** 2 for fine, broad in pairwise(smooth)]
    grain = [np.sqrt(_means(square, half)) for square, half in product(squares, halves)]
    return np.concatenate([*rings, *(np.log1p(one / ROUNDING) for one in grain)], axis=1)


def _factor(side: int) -> int:
    fitting = (factor for factor in range(2, side // LEAST + 1) if side % factor == 0)
    return max(fitting, default=1)


def _reduced(values: NDArray[Any], factor: int) -> Floats:
    """Return the means of squares of `factor` × `factor` in (N, H, W, …) `values`."""
    cells, height, width, *channels = values.shape
    squares = (cells, height // factor, factor, width // factor, factor, *channels)
    return np.asarray(values.reshape(squares).mean(axis=(2, 4), dtype=np.float32))


def _means(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Return (N, C): the means of (N, H, W, C) `values` `where` true, 0 where nothing is."""
    cells, *_, channels = values.shape
    weights = where.reshape(cells, 1, -1).astype(np.float32)
    summed = weights @ values.reshape(cells, -1, channels)
    return np.asarray(summed[:, 0] / np.maximum(weights.sum(axis=2), 1))
