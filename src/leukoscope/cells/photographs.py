"""Whether two pictures of one cell are one photograph, or two taken one after the other.

A photograph has its own noise: laid pixel on pixel, two copies differ by next to nothing where both
show the inside of the cell, and two photographs by more than a grey level everywhere.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from leukoscope.cells.fingerprints import SIDE, look
from leukoscope.cells.mask import mask
from leukoscope.cells.pictures import read_picture

RIM = 2
"""What lies at the edge of a cell has no say, in thumbnail pixels: there the masks differ."""


def difference(one: str, other: str) -> float:
    """Return the mean difference, in grey levels, of two pictures of one cell laid on each other.

    Over the inside that both show and all three channels, at the whole-pixel shift of the highest
    cross-correlation. 255 where they have no inside in common.

    `one` and `other` are the paths of pictures that show the cell in the same turn.
    """
    a, inside_a = _inside(one)
    b, inside_b = _inside(other)
    if a.shape != b.shape:
        return 255.0
    spectra = [_spectrum(*each) for each in ((a, inside_a), (b, inside_b))]
    correlation = fft.irfft2(spectra[0] * np.conj(spectra[1]), inside_a.shape)
    peak = np.array(np.unravel_index(correlation.argmax(), correlation.shape))
    least = 255.0
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            shift = peak + np.array((down, right))
            both = inside_a & np.roll(inside_b, shift, (0, 1))
            if both.any():
                moved = np.roll(b, shift, (0, 1))
                least = min(least, float(np.abs(a[both] - moved[both]).mean()))
    return least


def _inside(path: str) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Return the window around the cell at full resolution, and where its inside is."""
    cut = look(read_picture(Path(path))).window
    pixels = np.asarray(cut)
    rim = RIM * cut.width // SIDE
    return pixels.astype(np.int16), ndimage.binary_erosion(mask(pixels), iterations=rim)


def _spectrum(pixels: NDArray[np.int16], inside: NDArray[np.bool_]) -> NDArray[np.complex64]:
    green = pixels[..., 1].astype(np.float32)
    mean = green[inside].mean() if inside.any() else 0
    return np.asarray(fft.rfft2((green - mean) * inside))
