"""The audit: what is wrong with a set of cells before anything learns from it.

Who stands on two sides of a split, which cells are repeated and under whose names, which pictures
are doubtful, and whom the classes rest on.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from leukoscope.cells import people, splits
from leukoscope.cells.fingerprints import read_fingerprints
from leukoscope.cells.manifest import CLASSES
from leukoscope.cells.repeats import find_repeats
from leukoscope.files import write_text
from leukoscope.spreadsheet import write_csv

LARGE = 0.2
"""A person with this share of a class is named: a figure then rests on few people."""
DOUBTS = {
    "empty": "no cell in the picture",
    "clipped": "the cell touches the frame's border",
    "several": "two or more cells in one picture",
}


@dataclass(frozen=True)
class Sides:
    """How one division of the cells leaks.

    Attributes:
        name: ``split`` (the manifest's), ``official`` (the split made of the folds) or ``fold``.
        persons: index: each person on two sides or more; a column of cell counts for each side.
        subjects: the names that stand on two sides themselves.
        repeated: cells (not pictures) that stand on two sides or more.
        judged: whether a leak here fails the audit. Folds alone are no split.
    """

    name: str
    persons: pd.DataFrame
    subjects: list[str]
    repeated: int
    judged: bool

    @property
    def leaks(self) -> bool:
        """Whether a person or a cell stands on two sides."""
        return bool(len(self.persons) or self.repeated)


@dataclass(frozen=True)
class Audit:
    """What was found in `cells`, a manifest with the column ``person``.

    `pairs` are those of `find_repeats` with the column ``contradiction``; `facts` those of
    `Fingerprints`; `joins` those of `people.shared_cells`.
    """

    cells: pd.DataFrame
    pairs: pd.DataFrame
    facts: pd.DataFrame
    joins: pd.DataFrame

    @cached_property
    def divisions(self) -> list[Sides]:
        """The manifest's split, the official split and the folds, where there are any."""
        folds = self.cells["fold"]
        asked = [
            ("split", self.cells["split"], True),
            ("official", folds.map(splits.OFFICIAL), True),
            ("fold", folds, False),
        ]
        return [self._division(*one) for one in asked if one[1].nunique() > 1]

    def _division(self, name: str, sides: pd.Series, judged: bool) -> Sides:
        placed = self.cells.assign(side=sides.astype("string"), one=1)
        table = placed.pivot_table(
            index="person", columns="side", values="one", aggfunc="sum", fill_value=0
        )
        stands = placed.groupby(self.repeated)["side"].nunique()
        return Sides(
            name=name,
            persons=table[(table > 0).sum(axis=1) > 1],
            subjects=splits.shared_people(self.cells.assign(split=sides), by="subject"),
            repeated=int((stands > 1).sum()),
            judged=judged,
        )

    @cached_property
    def repeated(self) -> pd.Series:
        """Each row's cell, numbered: pictures of one cell have one number."""
        number = people.groups(len(self.cells), self.pairs["a"], self.pairs["b"])
        return number.set_axis(self.cells.index)

    @property
    def leaks(self) -> bool:
        """Whether the split, or the official one, leaks."""
        return any(each.leaks and each.judged for each in self.divisions)

    @cached_property
    def merged(self) -> pd.DataFrame:
        """The people with several names: columns ``person``, ``subjects``, ``cells``, ``folds``."""
        known = self.cells.dropna(subset=["person"])
        merged = known[known["person"] != known["subject"]]
        rows = [
            (
                person,
                sorted(group["subject"].unique()),
                len(group),
                sorted(group["fold"].dropna().unique()),
            )
            for person, group in merged.groupby("person")
        ]
        return pd.DataFrame(rows, columns=["person", "subjects", "cells", "folds"])

    @cached_property
    def large(self) -> pd.DataFrame:
        """Persons with at least `LARGE` of a class: ``class``, ``person``, ``cells``, ``share``."""
        known = self.cells.dropna(subset=["label"])
        counts = known.groupby(["label", "person"]).size().rename("cells").reset_index()
        counts["share"] = counts["cells"] / counts["label"].map(known["label"].value_counts())
        counts.insert(0, "class", counts["label"].map(CLASSES))
        counts = counts[counts["share"] >= LARGE].sort_values("share", ascending=False)
        return counts.drop(columns="label").reset_index(drop=True)

    def doubtful(self, doubt: str) -> list[str]:
        """The ids of the pictures with a `doubt`, one of `DOUBTS`."""
        return [str(name) for name in self.cells.loc[self.facts[doubt].to_numpy(bool), "id"]]

    def named_pairs(self) -> pd.DataFrame:
        """`pairs` with ids in place of positions: ``a``, ``b``, ``kind``, ``similarity``."""
        ids = self.cells["id"].to_numpy()
        named = self.pairs.assign(a=ids[self.pairs["a"]], b=ids[self.pairs["b"]])
        return named[["a", "b", "kind", "similarity"]]

    def findings(self) -> dict[str, Any]:
        """Everything found, in types that JSON knows."""
        named = self.named_pairs()
        return {
            "cells": len(self.cells),
            "leaks": self.leaks,
            "divisions": {
                each.name: {
                    "leaks": each.leaks,
                    "persons_on_two_sides": each.persons.to_dict("index"),
                    "subjects_on_two_sides": each.subjects,
                    "cells_on_two_sides": each.repeated,
                }
                for each in self.divisions
            },
            "pairs": named["kind"].value_counts().to_dict(),
            "people": self.merged.to_dict("records"),
            "joined_by": self.joins.to_dict("records"),
            "two_labels": named.loc[self.pairs["contradiction"], ["a", "b"]].to_dict("records"),
            **{doubt: self.doubtful(doubt) for doubt in DOUBTS},
            "classes": self.cells["label"].map(CLASSES).value_counts().to_dict(),
            "large": self.large.to_dict("records"),
        }

    def write(self, folder: Path) -> None:
        """Write ``pairs.csv``, ``people.csv`` and ``findings.json`` into `folder`."""
        persons = self.cells[["person", "subject"]].dropna().drop_duplicates()
        tables = {
            "pairs.csv": self.named_pairs().round({"similarity": 4}),
            "people.csv": persons.sort_values(["person", "subject"]),
        }
        for name, table in tables.items():
            write_csv(table, folder / name)
        write_text(folder / "findings.json", json.dumps(self.findings(), indent=2) + "\n")


def audit(cells: pd.DataFrame) -> Audit:
    """Read the pictures of `cells`, a manifest, once, and find what is wrong with them.

    Raises:
        BadInputError: a picture is missing or cannot be decoded.
    """
    cells = cells.reset_index(drop=True)
    prints = read_fingerprints(list(cells["path"]))
    pairs = find_repeats(prints)
    return Audit(
        cells=cells.assign(person=people.people_of(cells, pairs)),
        pairs=pairs.assign(contradiction=people.contradictions(cells, pairs)),
        facts=prints.facts,
        joins=people.shared_cells(cells, pairs),
    )
