"""Counts by split and subject."""

import pandas as pd

from leukoscope.cells import manifest
from leukoscope.reporting.makeup import makeup


def cells_of(*rows: tuple[int | None, str | None, str | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["label", "subject", "split"], dtype=object)
    table["id"] = table["path"] = [f"{i}.bmp" for i in range(len(table))]
    return manifest.typed(table.reindex(columns=manifest.COLUMNS)).assign(person=table["subject"])


def test_cells_classes_and_subjects_are_counted_by_split() -> None:
    counted = makeup(
        cells_of(
            (1, "all:1", "train"),
            (1, "all:1", "train"),
            (0, "hem:1", "train"),
            (0, "hem:1", "test"),
            (1, None, "test"),
            (None, "all:2", None),
        )
    )
    assert counted.by_split.to_dict("index") == {
        "train": {"cells": 3, "normal": 1, "blast": 2, "unknown": 0, "subjects": 2},
        "test": {"cells": 2, "normal": 1, "blast": 1, "unknown": 0, "subjects": 1},
        "aside": {"cells": 1, "normal": 0, "blast": 0, "unknown": 1, "subjects": 1},
        "total": {"cells": 6, "normal": 2, "blast": 3, "unknown": 1, "subjects": 3},
    }
    assert counted.by_subject.to_dict("index") == {
        "all:1": {"normal": 0, "blast": 2, "train": 2, "test": 0, "aside": 0, "total": 2},
        "hem:1": {"normal": 2, "blast": 0, "train": 1, "test": 1, "aside": 0, "total": 2},
        "all:2": {"normal": 0, "blast": 0, "train": 0, "test": 0, "aside": 1, "total": 1},
    }
    assert counted.shared == ["hem:1"]
    assert counted.nameless == 1


def test_data_without_any_subject_can_be_counted() -> None:
    counted = makeup(cells_of((1, None, "train"), (0, None, "train")))
    assert counted.by_subject.empty
    assert (counted.shared, counted.nameless) == ([], 2)
