"""The mask of a segmented cell: where it is, how deep inside, and means that stay inside it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from leukoscope.cells.preprocess import BACKGROUND, LUMINANCE

Floats = NDArray[np.float32]

GREY = np.array(LUMINANCE, np.float32)
"""Colours @ this are luminance."""


def mask(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where `pictures`, (…, H, W, 3), are brighter than the background.

    `cell_box` rounds luminance to whole numbers before, which few pixels at the border tell apart.
    """
    return np.asarray(pictures @ GREY > BACKGROUND)


def depth(lit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how many pixels each of the mask `lit`, (H, W), lies from the outside, 0 there.

    Outside is also what lies beyond the border: a cell cut by it is not deep there.
    """
    return np.asarray(ndimage.distance_transform_edt(np.pad(lit, 1))[1:-1, 1:-1])


def smoothed(values: Floats, lit: NDArray[np.bool_], sigma: float) -> Floats:
    """Return Gaussian means that are taken inside the cell only.

    Normalised convolution (Knutsson and Westin 1993).

    Args:
        values: (…, H, W, C).
        lit: (…, H, W), where the cell is.
        sigma: in pixels.
    """
    weight = lit[..., None].astype(np.float32)
    blur = (*(0,) * (values.ndim - 3), sigma, sigma, 0)
    summed = ndimage.gaussian_filter(values * weight, blur, truncate=3)
    weights = ndimage.gaussian_filter(weight, blur, truncate=3)
    return np.asarray(summed / np.maximum(weights, 1e-3), np.float32)
