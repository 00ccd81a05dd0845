"""Handmade features: rings and grain of cells whose inside is known."""

import numpy as np
import pytest
from scipy import ndimage

from leukoscope.cells.handmade import INSIDE, handmade

SIDE = 64
DOWN, RIGHT = np.indices((SIDE, SIDE)) - SIDE / 2 + 0.5
DISC = np.hypot(DOWN, RIGHT) < 25


def measured(picture: np.ndarray) -> dict[str, float]:
    (row,) = handmade(picture[None].astype(np.uint8), DISC[None])
    return dict(zip(INSIDE, row, strict=True))


def cell(grey: np.ndarray) -> np.ndarray:
    return np.where(DISC, grey.clip(20, 250), 0)[..., None].repeat(3, 2)


def test_rings_are_the_density_from_the_border_inwards() -> None:
    nucleus = np.where(np.hypot(DOWN, RIGHT) < 12, 63, 127)
    row = measured(cell(nucleus))
    assert row["ring1_red"] == pytest.approx(np.log(2), rel=1e-5)
    assert row["ring5_blue"] == pytest.approx(np.log(4), rel=1e-5)
    assert np.log(2) < row["ring3_green"] < np.log(4)


def test_grain_knows_fine_from_coarse() -> None:
    noise = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    coarse = ndimage.gaussian_filter(noise, 4)
    fine, broad = (measured(cell(130 + 25 * one / one.std())) for one in (noise, coarse))
    assert fine["grain1_red"] > 3 * fine["grain3_red"]
    assert broad["grain3_red"] > 3 * broad["grain1_red"]


def test_dark_spots_are_skewed() -> None:
    # Density rises where it is dark: few dark points on an even ground lie far above the mean.
    spotted = np.full((SIDE, SIDE), 130)
    spotted[::6, ::6] = 60
    row = measured(cell(spotted))
    assert row["skewness1_red"] > 2
    assert row["kurtosis1_red"] > 2
    normal = measured(cell(np.random.default_rng(0).normal(130, 8, (SIDE, SIDE))))
    assert abs(normal["skewness1_red"]) < 0.3
    assert abs(normal["kurtosis1_red"]) < 0.5


def test_turning_a_cell_changes_nothing() -> None:
    picture = cell(np.random.default_rng(1).normal(130, 30, (SIDE, SIDE)))
    for turned in (np.rot90(picture), picture[:, ::-1]):
        assert list(measured(turned).values()) == pytest.approx(
            list(measured(picture).values()), rel=1e-3, abs=1e-4
        )


def test_a_larger_picture_of_the_same_cell_measures_the_same() -> None:
    picture = cell(np.random.default_rng(1).normal(130, 30, (SIDE, SIDE))).astype(np.uint8)
    larger, mask = (one.repeat(3, 0).repeat(3, 1)[None] for one in (picture, DISC))
    (row,) = handmade(larger, mask)
    assert row.tolist() == pytest.approx(list(measured(picture).values()), rel=1e-4)


def test_what_is_even_or_empty_has_no_grain() -> None:
    even = measured(cell(np.full((SIDE, SIDE), 127)))
    assert even["ring2_red"] == pytest.approx(np.log(2), rel=1e-5)
    grain = [value for name, value in even.items() if not name.startswith("ring")]
    assert grain == pytest.approx([0] * len(grain), abs=1e-3)
    nothing = handmade(np.zeros((1, SIDE, SIDE, 3), np.uint8), np.zeros((1, SIDE, SIDE), bool))
    assert (nothing == 0).all()
