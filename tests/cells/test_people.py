"""People: names joined by repeated cells; what joins and what contradicts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leukoscope.cells.manifest import COLUMNS, typed
from leukoscope.cells.people import contradictions, people, people_of, shared_cells
from leukoscope.cells.sources import read_sources

NONE: list[tuple[int, int]] = []


def table(subjects: list[str | None], labels: list[int | None] | None = None) -> pd.DataFrame:
    cells = pd.DataFrame(index=range(len(subjects)), columns=COLUMNS, dtype=object)
    cells["id"] = cells["path"] = [f"{row}.bmp" for row in range(len(subjects))]
    cells["subject"], cells["label"] = subjects, labels or [0] * len(subjects)
    return typed(cells)


def pairs(found: list[tuple[int, int]]) -> pd.DataFrame:
    return pd.DataFrame(found, columns=["a", "b"], dtype=int)


def test_a_chain_of_shared_cells_is_one_person() -> None:
    cells = table(["hem:3", "hem:10", "hem:10", "hem:2", "hem:4", None])
    person = people_of(cells, pairs([(0, 1), (2, 3)]))
    joint = "hem:10=hem:2=hem:3"
    assert person.fillna("?").tolist() == [joint] * 4 + ["hem:4", "?"]
    assert person.name == "person"


def test_without_repeats_a_person_is_a_subject() -> None:
    cells = table(["a", "b", "a"]).set_index(pd.Index([5, 3, 9]))
    assert people_of(cells, pairs(NONE)).to_dict() == {5: "a", 3: "b", 9: "a"}
    assert people_of(table([None, None]), pairs([(0, 1)])).isna().all()


def test_cells_are_counted_not_pairs() -> None:
    # One cell three times under a and twice under b; another once under each.
    cells = table(["a", "a", "a", "b", "b", "a", "b"])
    shared = shared_cells(cells, pairs([(0, 1), (1, 2), (2, 3), (3, 4), (5, 6)]))
    assert shared.values.tolist() == [["a", "b", 2]]


def test_a_pair_without_a_name_still_joins_those_beside_it() -> None:
    cells = table(["a", None, "b"])
    assert people_of(cells, pairs([(0, 1), (1, 2)])).dropna().unique().tolist() == ["a=b"]


def test_a_blast_and_a_normal_cell_join_nothing() -> None:
    cells = table(["all:1", "hem:1", "x", "y", "all:2", "hem:2"], [1, 0, 1, 0, None, None])
    found = pairs([(0, 1), (2, 3), (4, 5)])
    assert contradictions(cells, found).all()
    assert people_of(cells, found).tolist() == cells["subject"].tolist()
    assert shared_cells(cells, found).empty


def test_people_are_found_by_reading_the_pictures(
    phantoms: list[NDArray[np.uint8]], write_cells: Callable[..., pd.DataFrame]
) -> None:
    entries = [(f"all:{n % 3}", picture) for n, picture in enumerate(phantoms[:9])]
    cells = write_cells([*entries, ("all:7", np.fliplr(phantoms[2])), ("hem:1", phantoms[3])])
    expected = {"all:0": "all:0", "all:1": "all:1", "all:2": "all:2=all:7", "all:7": "all:2=all:7"}
    assert people(cells).tolist() == [expected.get(s, s) for s in cells["subject"]]


def test_real_names_that_are_one_person(cnmc: Path) -> None:
    cells = read_sources([cnmc]).cells
    person = people(cells)
    of = dict(zip(cells["subject"], person, strict=True))
    assert of["hem:10"] == of["hem:3"] != of["hem:2"] == of["hem:6"]
    assert not any("all:" in name and "hem:" in name for name in person)
