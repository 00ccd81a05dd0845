"""A row a subject: counts of its calls, and the share of blasts corrected for wrong ones."""

import numpy as np
import pandas as pd
import pytest

from leukoscope.evaluation.point import OperatingPoint
from leukoscope.inference.subjects import by_subject

POINT = OperatingPoint(
    name="0.5",
    threshold=0.5,
    sensitivity=0.9,
    specificity=0.8,
    sensitivity_error=0,
    specificity_error=0,
)
"""Right in 9 of 10 blasts and 8 of 10 normal cells, known exactly."""


def test_counts_and_the_corrected_share() -> None:
    rows = [
        ("b", 0.9, "blast"),
        ("a", 0.6, "review"),
        ("a", 0.9, "blast"),
        ("a", 0.1, "normal"),
        ("a", 0.2, "review"),
        ("a", np.nan, None),
        (None, 0.9, "blast"),
        ("gone", np.nan, None),
    ]
    calls = pd.DataFrame(rows, columns=["subject", "probability", "call"])
    calls = calls.astype({"subject": "string", "call": "string"})
    table = by_subject(calls, POINT)
    assert table["subject"].tolist() == ["b", "a", "gone"]
    counts = ["cells", "unread", "review", "likelier_blast"]
    assert table[counts].to_numpy().tolist() == [[1, 0, 0, 1], [4, 1, 2, 2], [0, 1, 0, 0]]
    # (2 / 4 + 0.8 - 1) / (0.9 + 0.8 - 1), Rogan and Gladen's
    assert table["blast_share"].tolist()[:2] == pytest.approx([1, 0.3 / 0.7])
    assert table.loc[1, "blast_share_low"] < 0.3 / 0.7 < table.loc[1, "blast_share_high"]
    assert table.filter(like="blast_share").iloc[2].isna().all()


def test_no_subject_is_no_row() -> None:
    calls = pd.DataFrame({"subject": [None], "probability": [0.5], "call": ["blast"]})
    table = by_subject(calls.astype({"subject": "string", "call": "string"}), POINT)
    assert len(table) == 0
    assert list(table)[-1] == "blast_share_high"
