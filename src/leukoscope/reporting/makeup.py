"""What the data are made of: cells, classes and subjects, split by split and subject by subject."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from leukoscope.cells import splits
from leukoscope.cells.manifest import CLASSES, SPLITS
from leukoscope.cells.people import joint_names

ASIDE = "aside"
"""Where a cell stands that is in no split."""


@dataclass(frozen=True)
class Makeup:
    """The make-up of a store.

    Attributes:
        by_split: index: the splits that hold cells, then ``total``; columns: cells, normal, blast,
            unknown, subjects.
        by_subject: index: subject, the largest first; columns: normal, blast, then one for each
            split that holds cells (its cells of that subject), then total.
        people: how many there are.
        joint: those who have several names, ``hem:10=hem:3``.
        shared: people on more than one side.
        nameless: cells in a split that have no subject.
    """

    by_split: pd.DataFrame
    by_subject: pd.DataFrame
    people: int
    joint: list[str]
    shared: list[str]
    nameless: int


def makeup(cells: pd.DataFrame) -> Makeup:
    """Count the `cells` of a store, a manifest with its splits."""
    sides = cells["split"].fillna(ASIDE)
    held = [side for side in (*SPLITS, ASIDE) if side in set(sides)]
    parts: Mapping[str, pd.DataFrame] = {
        **{side: cells[sides == side] for side in held},
        "total": cells,
    }
    by_split = pd.DataFrame(
        {
            "cells": {name: len(part) for name, part in parts.items()},
            **{
                title: {name: int((part["label"] == label).sum()) for name, part in parts.items()}
                for label, title in CLASSES.items()
            },
            "unknown": {name: int(part["label"].isna().sum()) for name, part in parts.items()},
            "subjects": {name: part["subject"].nunique() for name, part in parts.items()},
        }
    )
    counted = cells.assign(side=sides, total=1)
    for label, title in CLASSES.items():
        counted[title] = cells["label"].eq(label).fillna(False).astype(int)
    for side in held:
        counted[side] = (sides == side).astype(int)
    by_subject = counted.groupby("subject")[[*CLASSES.values(), *held, "total"]].sum()
    by_subject = by_subject.sort_values("total", ascending=False, kind="stable")
    in_split = cells["split"].notna()
    return Makeup(
        by_split=by_split,
        by_subject=by_subject,
        people=cells["person"].nunique(),
        joint=joint_names(cells),
        shared=splits.shared_people(cells),
        nameless=int(cells.loc[in_split, "subject"].isna().sum()),
    )
