"""Which cells are shown as right, wrong and unsure."""

import numpy as np
import pandas as pd

from leukoscope.reporting.examples import failures, kinds


def predictions_of(*cells: tuple[str, int | None, float]) -> pd.DataFrame:
    table = pd.DataFrame(cells, columns=["id", "label", "probability"])
    table["label"] = table["label"].astype("Int64")
    table["calibrated"] = table["probability"]
    table["call"] = (table["calibrated"] >= 0.5).astype("Int64")
    return table.assign(subject=pd.NA)


def ids(found: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    return {title: cells["id"].tolist() for title, cells in found.items()}


def test_the_surest_come_first_and_among_the_unsure_the_nearest_to_the_threshold() -> None:
    predictions = predictions_of(
        ("a", 0, 0.10),
        ("b", 0, 0.02),
        ("c", 0, 0.53),
        ("d", 0, 0.90),
        ("e", 1, 0.99),
        ("f", 1, 0.60),
        ("g", 1, 0.45),
        ("h", 1, 0.01),
    )
    assert ids(kinds(predictions)) == {
        "Right: normal, called normal": ["b", "a"],
        "Right: blast, called blast": ["e", "f"],
        "Wrong: normal, called blast": ["d", "c"],
        "Wrong: blast, called normal": ["h", "g"],
        "Unsure: probability of blast from 0.3 to 0.7": ["c", "g", "f"],
    }


def test_equally_sure_cells_stand_by_id_whatever_their_order() -> None:
    cells = [("c", 1, 0.75), ("a", 1, 0.75), ("b", 1, 0.75)]
    for order in (cells, cells[::-1]):
        right = ids(kinds(predictions_of(*order)))["Right: blast, called blast"]
        assert right == ["a", "b", "c"]


def test_cells_without_a_label_are_neither_right_nor_wrong() -> None:
    found = kinds(predictions_of(("a", None, 0.5), ("b", 1, 0.9)))
    assert [len(cells) for cells in found.values()] == [0, 1, 0, 0, 0]


def test_failures_stand_by_subject_the_one_with_most_first_and_the_surest_of_each_first() -> None:
    predictions = predictions_of(
        ("a", 0, 0.60), ("b", 0, 0.90), ("c", 0, 0.10), ("d", 1, 0.10), ("e", 1, 0.9), ("f", 1, 0.2)
    )
    predictions["subject"] = pd.array(["hem:1"] * 3 + ["all:1", "all:2", pd.NA], dtype="string")
    seen: list[str] = []

    def pixels(cell: pd.Series) -> np.ndarray:
        seen.append(cell.id)
        return np.zeros((2, 2, 3), np.uint8)

    found = failures(predictions, pixels)
    assert [(group.title, group.cells) for group in found] == [
        ("hem:1: 2 of 3 called wrongly", 2),
        ("all:1: 1 of 1 called wrongly", 1),
        ("unknown subject: 1 of 1 called wrongly", 1),
    ]
    assert [[cell.id for cell in group.examples] for group in found] == [["b", "a"], ["d"], ["f"]]
    assert seen == ["b", "a", "d", "f"]
    assert found[2].examples[0].subject is None
    assert len(failures(predictions, pixels, subjects=1)) == 1
    assert [len(group.examples) for group in failures(predictions, pixels, most=1)] == [1, 1, 1]
