"""Plans: the lab's published number of rows, and turns that are the eight of a square."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from leukoscope.cells.plans import TURNS, VALIDATION_COPY, lab_plan, turn_codes, turned


def lab_cells() -> pd.DataFrame:
    """The lab's division: 2,542 + 5,453 training, 508 + 1,091 validation cells."""
    labels = np.repeat([0, 1, 0, 1], [2_542, 5_453, 508, 1_091])
    sides = np.repeat(["train", "validation"], [7_995, 1_599])
    return pd.DataFrame({"label": labels, "split": pd.array(sides, dtype="string")})


def test_the_labs_plan_has_21_074_rows() -> None:
    cells = lab_cells()
    plan = lab_plan(cells)
    trained = plan[plan["split"] == "train"]
    assert len(trained) == 21_074 == 2 * (7_995 + 2_542)
    times = trained["row"].value_counts()
    assert set(times[cells.index[(cells["label"] == 0) & (cells["split"] == "train")]]) == {4}
    assert set(times[cells.index[(cells["label"] == 1) & (cells["split"] == "train")]]) == {2}
    assert (trained["row"] < 7_995).all()


def test_no_picture_is_planned_twice_and_each_stands_once_as_it_is() -> None:
    plan = lab_plan(lab_cells())
    trained = plan[plan["split"] == "train"]
    assert not trained.duplicated(["row", "flip", "rotation"]).any()
    assert (turn_codes(trained) == 0).sum() == 7_995
    assert set(trained["rotation"]) == {0, 90, 180, 270}


def test_validation_copies_are_trained_on_only_if_asked_for() -> None:
    plan = lab_plan(lab_cells())
    copies = plan[plan["split"] == VALIDATION_COPY]
    assert sorted(copies["row"]) == list(range(7_995, 9_594))
    assert (turn_codes(copies) != 0).all()
    leaking = lab_plan(lab_cells(), validation_copies=True)
    assert (leaking["split"] == "train").sum() == 21_074 + 1_599


def test_the_seed_decides() -> None:
    assert lab_plan(lab_cells(), 1).equals(lab_plan(lab_cells(), 1))
    assert not lab_plan(lab_cells(), 1).equals(lab_plan(lab_cells(), 2))


@pytest.mark.parametrize("code", range(TURNS))
def test_turns_are_pillows_rotation_then_mirror(code: int) -> None:
    pixels = np.random.default_rng(code).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    expected = Image.fromarray(pixels).rotate(90 * (code % 4))
    if code >= 4:
        expected = expected.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    batch = torch.from_numpy(np.stack([pixels, pixels]))
    result = turned(batch, torch.tensor([code, 0]))
    assert np.array_equal(result[0], np.asarray(expected))
    assert np.array_equal(result[1], pixels)


def test_the_eight_turns_differ() -> None:
    pixels = torch.arange(27, dtype=torch.uint8).reshape(1, 3, 3, 3).repeat(TURNS, 1, 1, 1)
    assert len(torch.unique(turned(pixels, torch.arange(TURNS)), dim=0)) == TURNS
