"""Tables that list cells: the lab's lists, preliminary test labels, manifests already made."""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pandas as pd

from leukoscope.cells import cnmc, manifest
from leukoscope.cells.row import LABELS, Row
from leukoscope.errors import BadInputError
from leukoscope.spreadsheet import as_given

SUFFIXES = (".csv", ".tsv", ".parquet")
PRELIMINARY_COLUMNS = frozenset({"patient_id", "new_names", "labels"})

SHOWN = 20
"""Columns that are named where none is of use."""

SPLITS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}
"""The lab names each of its lists for the split that it holds."""


@dataclass(frozen=True)
class Line:
    """One row: its number, its values by lower-case column name ("" where empty), its fault."""

    number: int
    values: dict[str, str]
    fault: str = ""


def rows_of(source: Path, root: Path | None, allow_outside: bool) -> list[Row]:
    """The rows of the table `source`; relative paths begin at `root`, by default its own folder.

    A picture that does not lie below that is a bad row, unless `allow_outside`.
    Raises BadInputError when `source` is missing, no table, empty, or of unknown columns.
    """
    if not source.exists():
        raise BadInputError(f"{source}: no such file or folder")
    if source.suffix.lower() not in SUFFIXES:
        raise BadInputError(f"{source}: expected a folder or a table ({', '.join(SUFFIXES)})")
    columns, lines = read_table(source)
    place = (root or source.parent).resolve()
    if frozenset(columns) >= PRELIMINARY_COLUMNS:
        rows = preliminary_rows(source, lines, place, {})
    elif "path" in columns:
        rows = _listed_rows(source, columns, lines, place)
    else:
        some = ", ".join([*columns[:SHOWN], *(["…"] if len(columns) > SHOWN else [])])
        raise BadInputError(
            f"{source}: expected the columns Path and label, those of a manifest, or "
            f"Patient_ID, new_names and labels; found {some or 'none'}"
        )
    if not rows:
        raise BadInputError(f"{source}: no rows below the columns")
    for row in rows:
        if row.path and not allow_outside and manifest.outside(row.path, place):
            row.reason = row.reason or f"it lies outside of {place}; --allow-outside reads it"
    return rows


def _listed_rows(source: Path, columns: list[str], lines: list[Line], place: Path) -> list[Row]:
    """Rows of the lab's ``Path,label`` or of a manifest, which tells its columns' empty values."""
    is_manifest = "subject" in columns
    rows = []
    for line in lines:
        values = line.values
        given, label = values.get("path", ""), values.get("label", "")
        row = Row(
            source=str(source),
            row=line.number,
            layout="manifest" if is_manifest else "lab list",
            id=values.get("id") or given or None,
            path=os.path.normpath(place / given) if given else None,
            label=_label(label),
            subject=values.get("subject") or None,
            image=values.get("image") or None,
            cell=values.get("cell") or None,
            fold=values.get("fold") or None,
            split=values.get("split", SPLITS.get(source.stem.lower())) or None,
            reason=line.fault,
        )
        # A manifest may leave a label empty; a lab list that has the column may not.
        if row.label is None and (label or ("label" in values and not is_manifest)):
            row.reason = row.reason or f"unknown label '{label}', expected 0 (normal) or 1 (blast)"
        row.identify(Path(given).name, "the column label")
        rows.append(row)
    return rows


def preliminary_rows(
    source: Path, lines: list[Line], place: Path, pictures: Mapping[str, Path]
) -> list[Row]:
    """Rows of the preliminary test's labels, whose Patient_ID is the original file name.

    `pictures` finds a picture by its new name; one that is not in it is expected in `place`.
    """
    rows = []
    for line in lines:
        values = line.values
        name, original = values.get("new_names", ""), values.get("patient_id", "")
        row = Row(
            source=str(source),
            row=line.number,
            layout=f"C-NMC {cnmc.PRELIMINARY.title}",
            id=name or None,
            path=str(pictures.get(name, place / name)) if name else None,
            label=_label(values.get("labels", "")),
            fold=cnmc.PRELIMINARY.fold,
            reason=line.fault,
        )
        if row.label is None:
            row.reason = (
                row.reason or f"unknown label '{values.get('labels', '')}', expected 0 or 1"
            )
        row.identify(original, "the column labels")
        if row.subject is None:
            row.reason = row.reason or f"Patient_ID '{original}' is no UID file name"
        rows.append(row)
    return rows


def _label(text: str) -> int | None:
    """The class that `text` stands for; tables with empty labels often hold 1.0 for 1."""
    return LABELS.get(text.lower().removesuffix(".0"))


def read_table(path: Path) -> tuple[list[str], list[Line]]:
    """The lower-case column names and the rows of the table at `path`.

    A CSV is UTF-8 with or without a byte order mark, separated by commas, semicolons or tabs; its
    header is row 1, as a spreadsheet shows it. A Parquet file's first row is row 1. Raises
    BadInputError when the file cannot be read.
    """
    try:
        return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except (OSError, ValueError, csv.Error) as error:
        raise BadInputError(f"{path}: cannot be read as a table: {error}") from error


def lists_preliminary(path: Path) -> bool:
    """Whether `path` is a CSV with the columns of the preliminary test's labels."""
    if path.suffix.lower() != ".csv":
        return False
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return frozenset(_header(file)[0]) >= PRELIMINARY_COLUMNS
    except (OSError, ValueError, csv.Error):
        return False


def _header(file: TextIO) -> tuple[list[str], str]:
    """The lower-case column names in the first line of `file`, and what separates them."""
    header = file.readline()
    separator = max(",;\t", key=header.count)
    (names,) = csv.reader([header], delimiter=separator)
    return [name.strip().lower() for name in names], separator


def _csv(path: Path) -> tuple[list[str], list[Line]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        columns, separator = _header(file)
        lines = []
        for number, row in enumerate(csv.reader(file, delimiter=separator, strict=True), start=2):
            if not row:  # a blank line is no cell, but a spreadsheet counts it
                continue
            fault = f"{len(row)} values under {len(columns)} columns"
            given = [as_given(value.strip()) for value in row]
            values = dict(zip(columns, given, strict=False))
            lines.append(Line(number, values, "" if len(row) == len(columns) else fault))
    return columns, lines


def _parquet(path: Path) -> tuple[list[str], list[Line]]:
    table = pd.read_parquet(path)
    columns = [str(name).lower() for name in table]
    text = table.astype("string").fillna("").itertuples(index=False, name=None)
    rows = [dict(zip(columns, row, strict=True)) for row in text]
    return columns, [Line(number, row) for number, row in enumerate(rows, start=1)]
