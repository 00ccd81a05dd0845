"""The manifest: a table with one row a cell, kept as CSV or Parquet.

| column  | holds                                                                             |
|---------|-----------------------------------------------------------------------------------|
| id      | the name its source gave the cell, unique                                         |
| path    | the picture: absolute in memory; on disk relative to the manifest's folder where  |
|         | it lies below it, so that a folder can be moved together with its manifest        |
| label   | 0 normal cell, 1 leukemia blast, empty when unknown                               |
| subject | namespaced, ``all:11`` is not ``hem:11``; empty when unknown                      |
| image   | number of the subject's image, or empty                                           |
| cell    | number of the cell in that image, or empty                                        |
| fold    | part of C-NMC 2019: fold_0, fold_1, fold_2, prelim, final, or empty               |
| split   | train, validation, test, or empty until prepared                                  |
"""

import csv
import os
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Literal

import pandas as pd

from leukoscope.cells import cnmc
from leukoscope.errors import BadInputError, listing
from leukoscope.files import atomic
from leukoscope.spreadsheet import as_given, write_csv

DTYPES: dict[str, Literal["string", "Int64"]] = {
    "id": "string",
    "path": "string",
    "label": "Int64",
    "subject": "string",
    "image": "Int64",
    "cell": "Int64",
    "fold": "string",
    "split": "string",
}
COLUMNS = list(DTYPES)
CLASSES = {0: "normal", 1: "blast"}
FOLDS = [part.fold for part in cnmc.PARTS]
SPLITS = ("train", "validation", "test")


def write(cells: pd.DataFrame, target: Path) -> None:
    """Write `cells` to `target`, a ``.csv`` or ``.parquet``, atomically.

    Raises BadInputError for another suffix and for rows that `read` would refuse.
    """
    _suffix(target)
    cells = _checked(cells, first_row=1, name="the manifest to write")
    folder = target.parent.resolve()
    paths = [Path(path) for path in cells["path"]]
    cells["path"] = pd.array(
        [
            path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
            for path in paths
        ],
        dtype="string",
    )
    if target.suffix.lower() == ".csv":
        write_csv(cells, target)
    else:
        with atomic(target) as scratch:
            cells.to_parquet(scratch, index=False)


def read(source: Path, allow_outside: bool = False) -> pd.DataFrame:
    """Read the manifest that `write` wrote, its paths made absolute; pictures are not opened.

    Raises BadInputError when the file cannot be read, lacks a column, or has bad rows, among them,
    unless `allow_outside`, pictures that do not lie below its folder: it lists them by the number
    that a spreadsheet shows (a CSV's header is row 1).
    """
    suffix = _suffix(source)
    try:
        if suffix == ".csv":
            with source.open(encoding="utf-8-sig", newline="") as file:
                header = next((row for row in csv.reader(file) if row), [])
            if header:  # pandas would take minutes for a million of other columns
                _assert_columns(header, source)
            # As text: a label "x" must be reported with its row, not stop the reader.
            cells = pd.read_csv(
                source,
                dtype=dict.fromkeys(COLUMNS, "string"),
                keep_default_na=False,
                na_values=[""],
            )
            for column in cells.columns.intersection(["id", "path", "subject"]):
                cells[column] = cells[column].map(as_given, na_action="ignore").astype("string")
        else:
            cells = pd.read_parquet(source)
    except (OSError, ValueError, csv.Error) as error:  # parse errors elsewhere are ValueErrors
        raise BadInputError(f"{source}: cannot be read as a manifest: {error}") from error
    _assert_columns(cells.columns, source)
    first_row = 2 if suffix == ".csv" else 1
    cells = _checked(cells, first_row, name=str(source))
    folder = source.parent.resolve()
    cells["path"] = pd.array([str(folder / path) for path in cells["path"]], dtype="string")
    if not allow_outside:
        left = [
            f"row {row}: {path}"
            for row, path in enumerate(cells["path"], first_row)
            if outside(path, folder)
        ]
        if left:
            raise BadInputError(
                f"{source}: {len(left):,} pictures lie outside of the folder of the manifest; if "
                f"you trust whoever wrote it, read them with --allow-outside{listing(left)}"
            )
    return cells


def _assert_columns(found: Iterable[Hashable], source: Path) -> None:
    known = set(found)
    missing = [column for column in COLUMNS if column not in known]
    if missing:
        raise BadInputError(
            f"{source}: no manifest, the columns {', '.join(missing)} are missing; "
            f"make one with: leukoscope manifest {source} -o cells.csv"
        )


def outside(path: str | Path, folder: Path) -> bool:
    """Whether what `path` names, its links followed, lies elsewhere than below `folder`."""
    try:
        return not Path(os.path.realpath(path)).is_relative_to(folder)
    except ValueError:  # it holds a NUL: no file has such a name, wherever
        return False


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise BadInputError(f"{path}: a manifest is a .csv or a .parquet file")
    if suffix == ".parquet":
        import pyarrow  # noqa: F401 - pandas needs it; said here, by its name, where it is missing
    return suffix


def _checked(cells: pd.DataFrame, first_row: int, name: str) -> pd.DataFrame:
    """A copy of `cells` in the manifest's types; BadInputError lists the rows that do not fit."""
    rows = pd.Series([f"row {row}" for row in range(first_row, first_row + len(cells))])
    cells = cells.reset_index(drop=True)
    reasons = faults(cells, rows)
    bad = reasons != ""
    if bad.any():
        lines = [f"{row}: {reason}" for row, reason in zip(rows[bad], reasons[bad], strict=True)]
        raise BadInputError(f"{name}: {bad.sum():,} bad rows{listing(lines)}")
    return typed(cells)


def typed(cells: pd.DataFrame) -> pd.DataFrame:
    """A copy of `cells`, free of `faults`, with the manifest's columns first and in its types."""
    others = [column for column in cells if column not in DTYPES]
    cells = cells[COLUMNS + others].copy()
    for column, dtype in DTYPES.items():
        values = pd.to_numeric(cells[column]) if dtype == "Int64" else cells[column]
        cells[column] = values.astype(dtype)
    return cells


def faults(cells: pd.DataFrame, names: pd.Series) -> pd.Series:
    """Why each row of `cells` cannot stand in a manifest; "" where it can.

    `cells` may still hold text where numbers belong. `names` says how to call each row when a
    later one repeats it; its index is that of `cells`.
    """
    reasons = pd.Series("", index=cells.index, dtype="string")

    def mark(bad: pd.Series, reason: pd.Series) -> None:
        reasons.update(reason[bad & (reasons == "")])

    for column, allowed, expected in (
        ("label", list(CLASSES), "0 (normal) or 1 (blast)"),
        ("fold", FOLDS, ", ".join(FOLDS)),
        ("split", SPLITS, ", ".join(SPLITS)),
        ("image", None, "a whole number"),
        ("cell", None, "a whole number"),
    ):
        given = cells[column]
        value = given
        if DTYPES[column] == "Int64":
            value = pd.to_numeric(given, errors="coerce")
        known = value.isin(allowed) if allowed else value.mod(1).eq(0)
        bad = given.notna() & ~known.fillna(False)
        mark(bad, f"unknown {column} '" + given.astype("string") + f"', expected {expected}")
    for column in ("path", "id"):
        mark(cells[column].isna(), pd.Series(f"the {column} is empty", index=cells.index))
        first = names.groupby(cells[column]).transform("first")
        mark(cells[column].notna() & cells[column].duplicated(), f"same {column} as " + first)
    return reasons


def summary(cells: pd.DataFrame) -> str:
    """Cells and subjects by class, fold and split, and which parts of C-NMC 2019 are here."""
    classes = cells["label"].map(CLASSES).astype("string").fillna("unknown")
    blocks = [_table(cells, classes.rename("class"))]
    for column in ("fold", "split"):
        if cells[column].notna().any():
            blocks.append(_table(cells, cells[column].fillna("none"), pd.get_dummies(classes)))
    nameless = int(cells["subject"].isna().sum())
    if nameless:
        blocks.append(f"subject unknown: {nameless:,} of {len(cells):,} cells")
    blocks.append("\n".join(cnmc.completeness(cells)))
    return "\n\n".join(block for block in blocks if block)


def _table(cells: pd.DataFrame, by: pd.Series, classes: pd.DataFrame | None = None) -> str:
    """Cells and subjects for each value of `by`, and the `classes` (one column each) beside."""
    # A subject may stand under several values: the total counts it once.
    groups = {**dict(list(cells.groupby(by))), "total": cells}
    counts = pd.DataFrame(
        {
            "cells": {value: len(group) for value, group in groups.items()},
            "subjects": {value: group["subject"].nunique() for value, group in groups.items()},
        }
    )
    if classes is not None:
        by_class = {value: classes.loc[group.index].sum() for value, group in groups.items()}
        counts = pd.DataFrame(by_class).T.join(counts)
    return counts.rename_axis(columns=str(by.name)).map("{:,}".format).to_string()
