"""Flags: raised by pictures that are no single cell, and not by cells of new people."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukoscope.cells.pictures import read_picture
from leukoscope.cells.store import Store
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.flags import EMPTY, NOT_BLACK, SEVERAL, SIZE, STAIN, UNLIKE
from leukoscope.inference.model import Model


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> Model:
    return Model(bundle, "fp32", 1)


@pytest.fixture
def cell(store: Store) -> Image.Image:
    """A cell of ordinary size of a person that the network did not train on."""
    rows = store.rows("validation")
    areas = pd.Series([np.any(store.pixels[row] > 10, axis=2).mean() for row in rows])
    middle = rows[areas.sort_values().index[len(areas) // 2]]
    return read_picture(Path(store.cells["path"].iloc[middle]))


def zoomed(picture: Image.Image, factor: float) -> Image.Image:
    side = int(picture.width * factor)
    larger = picture.resize((side, side))
    frame = Image.new("RGB", (2 * picture.width, 2 * picture.height))
    frame.paste(larger, (frame.width // 2 - side // 2, frame.height // 2 - side // 2))
    return frame


def beside(picture: Image.Image) -> Image.Image:
    frame = Image.new("RGB", (2 * picture.width, picture.height))
    frame.paste(picture, (0, 0))
    frame.paste(picture, (picture.width, 0))
    return frame


def restained(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture)
    return Image.fromarray(values[..., ::-1].copy())


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        (lambda cell: Image.new("RGB", cell.size), EMPTY),
        (lambda cell: Image.new("RGB", cell.size, "white"), NOT_BLACK),
        (lambda cell: cell.resize((40, 40)).crop((15, 15, 25, 25)), NOT_BLACK),
        (lambda cell: zoomed(cell, 0.5), SIZE),
        (lambda cell: zoomed(cell, 2), SIZE),
        (beside, SEVERAL),
        (restained, STAIN),
    ],
)
def test_what_is_no_such_cell_is_flagged(
    model: Model, cell: Image.Image, change: Callable[[Image.Image], Image.Image], flag: str
) -> None:
    calls = model.predict([change(cell), cell])
    assert flag in calls["flags"][0]
    assert pd.isna(calls["flags"][1])
    assert calls["call"].notna().all()  # it is called all the same


def test_a_disc_of_noise_is_unlike_any_cell(model: Model, cell: Image.Image) -> None:
    """It has the outline of the cell, and is told by what the network sees alone."""
    random = np.random.default_rng(0)
    noise = random.integers(20, 256, (*cell.size[::-1], 3), dtype=np.uint8)
    inside = np.asarray(cell).max(axis=2, keepdims=True) > 10
    assert UNLIKE in model.predict([Image.fromarray(noise * inside)])["flags"][0]


def test_flags_of_a_picture_that_cannot_be_read_are_empty(model: Model) -> None:
    assert model.predict(["gone.png"])["flags"].isna().all()
