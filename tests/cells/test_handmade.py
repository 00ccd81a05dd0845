"""Handmade features: rings and grain of cells whose inside is known."""

import numpy as np
import pytest
from scipy import ndimage

from leukoscope.cells.handmade import INSIDE, handmade

SIDE = 64
DOWN, RIGHT = np.indices((SIDE, SIDE)) - SIDE / 2 + 0.5
DISC = np.hypot(DOWN, RIGHT) < 25
GRAIN = [name for name in INSIDE if name.startswith("grain")]


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


def test_grain_is_the_logarithm_of_how_much_density_varies() -> None:
    noise = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    weak, strong = (measured(cell(130 * np.exp(-sd * noise))) for sd in (0.05, 0.1))
    for name in GRAIN:
        assert np.expm1(strong[name]) == pytest.approx(2 * np.expm1(weak[name]), rel=0.1), name


def test_grain_knows_fine_from_coarse() -> None:
    noise = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    coarse = ndimage.gaussian_filter(noise, 4)
    fine, broad = (measured(cell(130 + 25 * one / one.std())) for one in (noise, coarse))
    for half in ("outer", "inner"):
        assert fine[f"grain1_{half}_red"] > fine[f"grain3_{half}_red"] + np.log(3)
        assert broad[f"grain3_{half}_red"] > broad[f"grain1_{half}_red"] + np.log(3)


def test_grain_knows_the_inner_from_the_outer_half() -> None:
    noise = 130 + 25 * np.random.default_rng(0).normal(size=(SIDE, SIDE))
    radius = np.hypot(DOWN, RIGHT)
    uneven = radius < 10, radius > 16
    inner, outer = (measured(cell(np.where(where, noise, 130))) for where in uneven)
    assert inner["grain1_inner_red"] > inner["grain1_outer_red"] + np.log(3)
    assert outer["grain1_outer_red"] > outer["grain1_inner_red"] + np.log(3)


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
    assert [even[name] for name in GRAIN] == pytest.approx([0] * len(GRAIN), abs=1e-3)
    nothing = handmade(np.zeros((1, SIDE, SIDE, 3), np.uint8), np.zeros((1, SIDE, SIDE), bool))
    assert (nothing == 0).all()
