"""Outlines: how large, how many, and whether there is black around it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from leukoscope.cells.outline import outline

SIDE = 450


def drawn(*discs: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE))
    for x, y, radius in discs:
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(picture).ellipse(box, fill=(150, 80, 160))
    return picture


@pytest.mark.parametrize("side", [60, 224, 450, 1350])
def test_area_is_that_of_the_disc_in_source_pixels(side: int) -> None:
    seen = outline(drawn((225, 225, 90)).resize((side, side)))
    assert seen.area == pytest.approx(np.pi * 90**2 * (side / SIDE) ** 2, rel=0.12)
    assert (seen.others, seen.border) == (0, 0)


def test_a_second_part_is_a_share_of_the_first() -> None:
    seen = outline(drawn((120, 120, 80), (330, 330, 40)))
    assert seen.others == pytest.approx(0.25, abs=0.05)
    assert outline(drawn((120, 120, 80), (330, 330, 40), (60, 400, 20))).others == seen.others


def test_the_border_is_lit_where_there_is_no_black() -> None:
    assert outline(Image.new("RGB", (SIDE, SIDE), "white")).border == 1
    assert outline(drawn((0, 225, 45))).border == pytest.approx(0.05, abs=0.02)


def test_a_black_picture_shows_nothing() -> None:
    assert outline(Image.new("RGB", (SIDE, SIDE))) == (0, 0, 0)
    assert outline(Image.new("RGB", (1, 1))) == (0, 0, 0)
