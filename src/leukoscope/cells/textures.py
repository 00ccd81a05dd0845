"""Texture: the detail inside a cell, and how similar it is in two pictures.

The outline and the bright rim, in which most round cells agree, have no say; nor has a single
bright spot, nor the light. What is left is as individual as a fingerprint.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from leukoscope.cells.fingerprints import SIDE
from leukoscope.cells.mask import GREY, smoothed
from leukoscope.cells.neighbours import Pixels, Rows, turned, unit
from leukoscope.cores import cores

FINE, BROAD = 0.5, 2.5
"""Sigmas in thumbnail pixels between which detail counts: below is noise, above is shading."""
SPOT = 2.0
"""Standard deviations at which detail is cut off, so that one bright spot does not decide."""
REACH = 5
"""Thumbnail pixels by which the middles of one cell's two pictures may lie apart."""
LEAST_SHARED = 0.5
"""Share of the union of the two insides in which they must lie on each other to be compared."""


class Texture(NamedTuple):
    """`detail` (SIDE, SIDE, C), 0 outside, and where the `inside` of the cell is."""

    detail: Pixels
    inside: NDArray[np.bool_]

    def turned(self, turn: int) -> "Texture":
        """Return it in one of the eight turns."""
        return Texture(turned(self.detail, turn), turned(self.inside, turn))

    def moved(self, shift: Rows) -> "Texture":
        """Return it moved by `shift` (down, right); what leaves at one side enters at the other."""
        return Texture(np.roll(self.detail, shift, (0, 1)), np.roll(self.inside, shift, (0, 1)))


def colour_texture(thumbnail: NDArray[np.uint8], within: NDArray[np.bool_]) -> Texture:
    """Return the texture of a `thumbnail`, by colour, `within` the cell."""
    return _texture(thumbnail.astype(np.float32), within)


def _texture(pixels: Pixels, within: NDArray[np.bool_]) -> Texture:
    """Return the difference of two Gaussian means of (SIDE, SIDE, C) `pixels` `within` the cell."""
    fine, broad = (smoothed(pixels, within, sigma) for sigma in (FINE, BROAD))
    detail = (fine - broad) * within[..., None]
    if within.any():
        most = SPOT * detail[within].std(axis=0)
        detail = np.clip(detail, -most, most)
    return Texture(detail, within)


def grey_textures(thumbnails: NDArray[np.uint8], insides: NDArray[np.bool_]) -> Pixels:
    """Return (N, SIDE, SIDE): the grey textures, about 0 and of length 1."""
    greys = np.zeros((len(thumbnails), SIDE, SIDE), np.float32)

    def one(row: int) -> None:
        detail, within = _texture((thumbnails[row] @ GREY)[..., None], insides[row])
        if within.any():
            greys[row] = (detail[..., 0] - detail[within].mean()) * within

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(one, range(len(thumbnails))))
    return unit(greys)


def align(greys: Pixels, a: Rows, b: Rows, turns: Rows) -> tuple[Pixels, Rows]:
    """Return the highest cross-correlation of each pair within `REACH`, and b's (down, right)."""
    workers = cores()
    others = np.stack([turned(greys[row], turn) for row, turn in zip(b, turns, strict=True)])
    spectrum = fft.rfft2(greys[a], workers=workers)
    spectrum *= np.conj(fft.rfft2(others, workers=workers))
    correlation = fft.irfft2(spectrum, (SIDE, SIDE), workers=workers)
    span = 2 * REACH + 1
    near = np.roll(correlation, (REACH, REACH), (1, 2))[:, :span, :span].reshape(len(a), -1)
    place = near.argmax(axis=1)
    shifts = np.stack(np.divmod(place, span), axis=1) - REACH
    return near[np.arange(len(a)), place], shifts


def similarity(one: Texture, other: Texture, shift: Rows) -> float:
    """Return how similar two textures are, 1 when equal, with `other` moved by `shift`.

    The normalised correlation where both have an inside, times the root of the share of their
    union that this is: cells must agree, and cover each other. The best of the shifts within a
    pixel counts; -1 when they hardly overlap.
    """
    best = -1.0
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            moved = other.moved(shift + np.array((down, right)))
            both = one.inside & moved.inside
            shared = both.sum() / max((one.inside | moved.inside).sum(), 1)
            if shared < LEAST_SHARED:
                continue
            x, y = one.detail[both], moved.detail[both]
            x, y = x - x.mean(axis=0), y - y.mean(axis=0)
            spread = np.sqrt((x * x).sum() * (y * y).sum())
            if spread > 0:
                best = max(best, float((x * y).sum() / spread * np.sqrt(shared)))
    return best
