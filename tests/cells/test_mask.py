"""The mask: depths and means that are known."""

import numpy as np
from PIL import Image
from scipy import ndimage

from leukoscope.cells.mask import depth, mask, smoothed
from leukoscope.cells.preprocess import cell_box


def test_the_mask_fills_the_cells_box() -> None:
    pixels = np.random.default_rng(0).integers(0, 30, (40, 40, 3), dtype=np.uint8)
    pixels[:5], pixels[:, 30:] = 0, 0
    rows, columns = (np.flatnonzero(mask(pixels).any(axis=axis)) for axis in (1, 0))
    expected = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert cell_box(Image.fromarray(pixels)) == expected


def test_depth_counts_from_the_outside_and_from_the_border() -> None:
    lit = np.zeros((9, 9), bool)
    lit[2:7, 0:5] = True
    assert depth(lit)[4].tolist() == [1, 2, 3, 2, 1, 0, 0, 0, 0]
    assert depth(np.ones((5, 5), bool))[2].tolist() == [1, 2, 3, 2, 1]
    assert not depth(np.zeros((5, 5), bool)).any()


def test_means_take_nothing_from_outside() -> None:
    lit = np.zeros((30, 30), bool)
    lit[5:20, 8:26] = True
    even = np.where(lit, 7.0, 1000.0).astype(np.float32)[..., None]
    np.testing.assert_allclose(smoothed(even, lit, 2.0)[lit], 7.0, rtol=1e-5)


def test_means_are_gaussian_and_each_picture_and_colour_has_its_own() -> None:
    noise = np.random.default_rng(0).normal(size=(2, 30, 30, 3)).astype(np.float32)
    found = smoothed(noise, np.ones((2, 30, 30), bool), 1.5)
    middle = slice(8, 22)
    for picture, colour in np.ndindex(2, 3):
        expected = ndimage.gaussian_filter(noise[picture, ..., colour], 1.5, truncate=3)
        np.testing.assert_allclose(
            found[picture, middle, middle, colour], expected[middle, middle], atol=1e-5
        )
