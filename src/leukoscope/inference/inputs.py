"""What is to be called: pictures, folders of them, manifests, lists, in the order named."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leukoscope.cells import cnmc, folders, manifest
from leukoscope.errors import BadInputError

TABLES = frozenset({".csv", ".parquet"})

LIST = Path("-")
"""Standard input: a source a line."""


@dataclass(frozen=True)
class Cell:
    """A picture to be called, and whose cell it is, where that is known."""

    path: Path
    subject: str | None


@dataclass(frozen=True)
class Cells:
    """What is to be called, the files in folders that are no pictures, and the manifests read."""

    cells: list[Cell]
    passed_over: list[Path]
    tables: list[Path]


def find(sources: Sequence[Path], allow_outside: bool = False) -> Cells:
    """Return the cells that `sources` name: pictures, folders with all below them, manifests.

    ``-`` stands for the sources that standard input lists, one a line; a name with ``*``, ``?`` or
    ``[`` that is no file for all that it matches, sorted. A picture that is named itself is taken
    whatever its suffix, and need not be readable: its row will say so. Subjects come from a
    manifest, which may name pictures outside of its folder if `allow_outside`, or from UID file
    names.

    Raises:
        BadInputError: a source is missing, a pattern matches nothing, a folder holds no picture, a
            table is no manifest.
    """
    found: list[Cell] = []
    others: list[Path] = []
    tables: list[Path] = []
    for source in _expanded(sources):
        if source.is_dir():
            rows, passed_over = folders.rows_of(source, named_folder=False)
            found += [Cell(Path(row.path), row.subject) for row in rows if row.path]
            others += passed_over
        elif not source.exists():
            raise BadInputError(f"{source}: no such file or folder")
        elif source.suffix.lower() in TABLES:
            found += _listed(source, allow_outside)
            tables.append(source)
        else:
            found.append(Cell(source, subject_of(source)))
    return Cells(found, others, tables)


def _expanded(sources: Sequence[Path]) -> Iterator[Path]:
    """Yield `sources` with what a list and patterns stand for in their place."""
    for source in sources:
        if source == LIST:
            lines = (os.fsdecode(line).rstrip("\r\n") for line in sys.stdin.buffer)
            yield from _expanded([Path(line) for line in lines if line.strip()])
        elif glob.has_magic(str(source)) and not source.exists():
            matches = sorted(glob.glob(str(source), recursive=True))  # noqa: PTH207 - of absolute ones, too
            if not matches:
                raise BadInputError(f"{source} matches no file or folder")
            yield from map(Path, matches)
        else:
            yield source


def _listed(table: Path, allow_outside: bool) -> Iterator[Cell]:
    cells = manifest.read(table, allow_outside)
    for path, subject in zip(cells["path"], cells["subject"], strict=True):
        yield Cell(Path(path), subject if isinstance(subject, str) else None)


def subject_of(path: Path | str) -> str | None:
    """Return whose cell a picture shows, by C-NMC's UID names; None of other names."""
    try:
        identity = cnmc.identify(Path(path).name)
    except ValueError:  # it begins like a UID name and is none
        return None
    return identity.subject if identity else None
