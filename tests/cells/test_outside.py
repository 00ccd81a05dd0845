"""The outside of a cell: size and colour as numpy reckons them from its pixels."""

import numpy as np
import pytest

from leukoscope.cells.outside import OUTSIDE, outside


def test_size_and_colour_are_those_of_the_pixels_inside() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[4:12, 6:21] = np.random.default_rng(0).integers(11, 256, (8, 15, 3))
    inside = picture[4:12, 6:21].reshape(-1, 3) / 255
    expected = [8 * 15 / 600, 15 / 30, 8 / 20, *inside.mean(axis=0), *inside.std(axis=0)]
    assert outside(picture) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("grey", [0, 113])
def test_a_picture_of_one_colour_has_no_spread(grey: int) -> None:
    found = dict(zip(OUTSIDE, outside(np.full((7, 7, 3), grey, np.uint8)), strict=True))
    assert found["mean_red"] == pytest.approx(grey / 255)
    assert [found[f"sd_{colour}"] for colour in ("red", "green", "blue")] == [0, 0, 0]
    assert found["area"] == (grey > 0)
