"""A part of the training cells: how much of whom."""

import pandas as pd
import pytest

from leukoscope.cells.subset import Subset


@pytest.fixture
def cells() -> pd.DataFrame:
    """Cells 1 … 10 of ten people of each class, whose tenth has but one cell, and a test person."""
    rows = [
        ("train", label, f"{label}:{number}")
        for label in (0, 1)
        for number in range(10)
        for _ in range(1 if number == 9 else number + 1)
    ]
    rows += [("test", 0, "new")] * 3 + [(pd.NA, pd.NA, "nobody")]
    table = pd.DataFrame(rows, columns=["split", "label", "person"])
    return table.astype({"split": "string", "label": "Int64"}).sample(frac=1, random_state=0)


def left(cells: pd.DataFrame, **subset: object) -> pd.DataFrame:
    divided = cells.assign(split=Subset.model_validate(subset).thinned(cells))
    stayed = cells["split"].ne("train").fillna(True)
    assert divided.loc[stayed, "split"].equals(cells.loc[stayed, "split"])
    return divided[divided["split"].eq("train").fillna(False)]


def counts(cells: pd.DataFrame) -> pd.Series:
    return cells.groupby("person").size()


@pytest.mark.parametrize(("share", "people"), [(0.05, 1), (0.25, 3), (0.5, 5), (0.91, 10)])
def test_a_share_of_the_people_of_each_class_with_all_their_cells(
    cells: pd.DataFrame, share: float, people: int
) -> None:
    some = left(cells, of="people", share=share)
    assert some.groupby("label")["person"].nunique().tolist() == [people, people]
    assert counts(some).equals(counts(cells)[counts(some).index])


def test_a_share_of_each_persons_cells(cells: pd.DataFrame) -> None:
    some = left(cells, of="cells", share=0.5)
    assert counts(some).to_dict() == {
        f"{label}:{number}": 1 if number == 9 else (number + 2) // 2
        for label in (0, 1)
        for number in range(10)
    }


@pytest.mark.parametrize("of", ["people", "cells"])
def test_a_seed_is_a_draw_whose_smaller_parts_lie_in_larger_ones(
    cells: pd.DataFrame, of: str
) -> None:
    quarter, half, other = (
        set(left(cells, of=of, share=share, seed=seed).index)
        for share, seed in ((0.25, 0), (0.5, 0), (0.5, 1))
    )
    assert quarter < half
    assert half != other
    assert half == set(left(cells, of=of, share=0.5, seed=0).index)
