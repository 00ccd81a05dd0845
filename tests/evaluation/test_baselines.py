"""Baselines: discs of known size and colour."""

import numpy as np
import pytest

from leukoscope.cells.features import features
from leukoscope.evaluation.baselines import BASELINES, scores


def box(height: int, width: int, colour: tuple[int, int, int] | np.ndarray) -> np.ndarray:
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[2 : 2 + height, 3 : 3 + width] = colour
    return picture


def test_what_is_measured_of_a_cell() -> None:
    striped = box(4, 8, (100, 50, 200))
    striped[2:4] //= 2
    row = features(np.stack([striped, box(0, 0, (0, 0, 0))]))
    assert row.loc[0, ["area", "width", "height"]].tolist() == [32 / 400, 8 / 20, 4 / 20]
    # The upper half of the cell lies above its box's start and is half as bright.
    assert row.loc[0, "mean_red"] == pytest.approx(75 / 255)
    assert row.loc[0, "sd_red"] == pytest.approx(25 / 255)
    assert (row.loc[1] == 0).all()


def test_each_baseline_sees_what_it_is_named_for() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(80) % 2 == 0
    sizes = 6 + 6 * truth + random.integers(0, 2, 80)
    colours = random.integers(90, 200, (80, 3))
    cells = np.stack([box(size, size, colour) for size, colour in zip(sizes, colours, strict=True)])
    grain = random.integers(0, 40, cells.shape, dtype=np.uint8)
    measured = features(np.where(cells, cells + grain, 0).astype(np.uint8))
    found = scores(measured[:60], truth[:60], measured[60:])
    right = {name: ((score >= 0.5) == truth[60:]).mean() for name, score in found.items()}
    assert list(right) == list(BASELINES)
    assert right["size only"] == right["size and colour"] == 1
    assert right["majority class"] == 0.5
    assert right["colour only"] < 0.75
