"""Preprocessing: boxes and crops of pictures whose answer is known by drawing them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError

from leukoscope.cells.pictures import read_picture
from leukoscope.cells.preprocess import Preprocessing, cell_box, fitting_window, preprocess
from leukoscope.errors import BadInputError

CELL = Preprocessing(crop="cell", size=64, window=128)
RESIZE = Preprocessing(crop="resize", size=64)


def picture(box: tuple[int, int, int, int], size: tuple[int, int] = (450, 450)) -> Image.Image:
    """A grey rectangle on black; `box` as `cell_box` gives it."""
    drawn = Image.new("RGB", size)
    ImageDraw.Draw(drawn).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=(120, 120, 120))
    return drawn


def test_box_is_the_cells_and_a_black_picture_has_none() -> None:
    assert cell_box(picture((100, 37, 301, 290))) == (100, 37, 301, 290)
    assert cell_box(Image.new("RGB", (450, 450), (5, 5, 5))) is None


def test_box_survives_jpeg(tmp_path: Path) -> None:
    picture((100, 40, 300, 290)).save(tmp_path / "cell.jpg", quality=85)
    assert cell_box(read_picture(tmp_path / "cell.jpg")) == pytest.approx(
        (100, 40, 300, 290), abs=3
    )


@pytest.mark.parametrize("corner", [(10, 20), (200, 150), (386, 386)])
def test_cell_crop_centres_the_cell_at_a_fixed_scale(corner: tuple[int, int]) -> None:
    left, upper = corner
    pixels = preprocess(picture((left, upper, left + 64, upper + 64)), CELL)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    # 64 of 128 source pixels: the middle 32 of 64, however near the border.
    assert (pixels[17:47, 17:47] == 120).all()
    assert not pixels[:15].any()
    assert not pixels[:, 49:].any()


def test_cell_crop_keeps_relative_size_and_resize_shrinks_the_whole_picture() -> None:
    small, large = picture((200, 200, 232, 232)), picture((200, 200, 264, 264))
    areas = [(preprocess(cell, CELL)[..., 0] > 60).sum() for cell in (small, large)]
    assert areas == [16**2, 32**2]
    assert (preprocess(large, RESIZE)[..., 0] > 60).sum() == pytest.approx(
        (64 * 64 / 450) ** 2, rel=0.2
    )


def test_resize_is_short_side_then_centre_crop() -> None:
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    # The lab's order, with numbers that divide: 300 × 200 → 96 × 64 → the middle 64.
    lab = wide.resize((96, 64), Image.Resampling.BILINEAR).crop((16, 0, 80, 64))
    ours = preprocess(wide, RESIZE).astype(int)
    assert np.abs(ours - np.asarray(lab)).max() <= 1


def test_window_holds_the_asked_share() -> None:
    sides = np.arange(1, 1001)
    window = fitting_window(sides)
    assert window % 2 == 0
    assert (sides <= window).mean() >= 0.99
    assert (sides <= window - 2).mean() < 0.99


@pytest.mark.parametrize(
    "settings",
    [
        {"crop": "cell", "size": 64},
        {"crop": "resize", "size": 64, "window": 100},
        {"crop": "resize", "size": 100},
        {"crop": "resize", "size": 64, "colour": "grey"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preprocessing.model_validate(settings)


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.bmp"
    picture((1, 1, 9, 9), (40, 40)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadInputError, match=r"cut\.bmp"):
        read_picture(path)


def test_real_cells_are_whole_in_the_window(cnmc: Path) -> None:
    pictures = [read_picture(path) for path in sorted(cnmc.rglob("*.bmp"))[:100]]
    boxes = np.array([cell_box(each) for each in pictures])
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert np.median(sides) == pytest.approx(209, abs=40)
    settings = Preprocessing(crop="cell", size=224, window=fitting_window(sides, 1.0))
    for each in pictures:
        pixels = preprocess(each, settings)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert border.mean() < 20
