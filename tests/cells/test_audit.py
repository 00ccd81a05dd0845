"""The audit: leaks by person and by cell, contradictions, files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from leukoscope.cells.audit import Audit, audit

Picture = NDArray[np.uint8]
Write = Callable[..., pd.DataFrame]


@pytest.fixture
def doubled(phantoms: list[Picture], write_cells: Write) -> pd.DataFrame:
    """Two cells of all:1 stand under all:2, too, and one under hem:9; all:3 and hem:4 are alone."""
    entries = [("all:1", phantoms[0]), ("all:1", phantoms[1]), ("all:3", phantoms[2])]
    entries += [("all:2", np.flipud(phantoms[0])), ("all:2", phantoms[1]), ("all:2", phantoms[3])]
    entries += [("hem:9", phantoms[0]), ("hem:4", phantoms[4]), ("hem:4", phantoms[5])]
    return write_cells(entries)


def sides(cells: pd.DataFrame, by_subject: dict[str, str], column: str) -> pd.DataFrame:
    return cells.assign(**{column: cells["subject"].map(by_subject).astype("string")})


APART = {"all:1": "train", "all:2": "train", "all:3": "test", "hem:9": "train", "hem:4": "test"}


def test_people_contradictions_and_imbalance(doubled: pd.DataFrame) -> None:
    found = audit(doubled)
    assert found.merged["person"].tolist() == ["all:1=all:2"]
    assert found.joins.values.tolist() == [["all:1", "all:2", 2]]
    assert found.pairs["contradiction"].sum() == 1
    assert found.findings()["two_labels"] == [{"a": "0.bmp", "b": "6.bmp"}]
    assert found.large.to_dict("list") == {
        "class": ["blast", "normal", "normal"],
        "person": ["all:1=all:2", "hem:4", "hem:9"],
        "cells": [5, 2, 1],
        "share": pytest.approx([5 / 6, 2 / 3, 1 / 3]),
    }
    assert found.divisions == []
    assert not found.leaks


def test_a_person_under_two_names_leaks(doubled: pd.DataFrame) -> None:
    found = audit(sides(doubled, APART | {"all:2": "validation", "hem:9": "train"}, "split"))
    (split,) = found.divisions
    assert split.subjects == [], "no name stands on two sides, but a person does"
    assert split.persons.to_dict("index") == {
        "all:1=all:2": {"test": 0, "train": 2, "validation": 3}
    }
    assert split.repeated == 2
    assert found.leaks


def test_a_split_by_person_does_not_leak(doubled: pd.DataFrame) -> None:
    found = audit(sides(doubled, APART, "split"))
    assert [(each.name, each.leaks) for each in found.divisions] == [("split", False)]
    assert not found.leaks


def test_a_repeated_cell_leaks_whosever_it_is(doubled: pd.DataFrame) -> None:
    # hem:9 is no person of all:1 by the labels, yet their cell stands in train and test.
    found = audit(sides(doubled, APART | {"hem:9": "test"}, "split"))
    assert found.divisions[0].persons.empty
    assert found.divisions[0].repeated == 1
    assert found.leaks


def test_a_subject_on_two_sides_is_named(doubled: pd.DataFrame) -> None:
    cells = doubled.assign(split=pd.array(["train"] * 7 + ["train", "test"], dtype="string"))
    (split,) = audit(cells).divisions
    assert split.subjects == split.persons.index.tolist() == ["hem:4"]
    assert split.repeated == 0
    assert split.leaks


@pytest.mark.parametrize(("fold", "leaks"), [("fold_1", False), ("fold_2", True)])
def test_folds_are_judged_as_the_official_split(
    doubled: pd.DataFrame, fold: str, leaks: bool
) -> None:
    of = {"all:1": "fold_0", "all:2": fold, "all:3": "fold_2", "hem:9": "fold_0", "hem:4": "prelim"}
    found = audit(sides(doubled, of, "fold"))
    assert {each.name: each.leaks for each in found.divisions} == {"official": leaks, "fold": True}
    assert found.leaks is leaks


def test_files_are_written(doubled: pd.DataFrame, tmp_path: Path) -> None:
    found: Audit = audit(doubled)
    found.write(tmp_path / "audit")
    pairs = pd.read_csv(tmp_path / "audit" / "pairs.csv")
    assert pairs.columns.tolist() == ["a", "b", "kind", "similarity"]
    assert set(zip(pairs["a"], pairs["b"], pairs["kind"], strict=True)) == {
        ("0.bmp", "3.bmp", "copy"),
        ("0.bmp", "6.bmp", "exact"),
        ("1.bmp", "4.bmp", "exact"),
    }
    people = pd.read_csv(tmp_path / "audit" / "people.csv")
    assert people.values.tolist() == [
        ["all:1=all:2", "all:1"],
        ["all:1=all:2", "all:2"],
        ["all:3", "all:3"],
        ["hem:4", "hem:4"],
        ["hem:9", "hem:9"],
    ]
    findings = json.loads((tmp_path / "audit" / "findings.json").read_text(encoding="utf-8"))
    assert findings == json.loads(json.dumps(found.findings()))
    assert findings["pairs"] == {"exact": 2, "copy": 1}
