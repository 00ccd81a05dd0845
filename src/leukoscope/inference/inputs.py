"""What is to be called: pictures, folders of them, manifests, packed ones, in the order named."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from leukoscope.cells import cnmc, folders, manifest
from leukoscope.cells.pictures import Deferred
from leukoscope.cores import cores
from leukoscope.errors import BadInputError

if TYPE_CHECKING:  # they need pyarrow, which pictures do without
    from leukoscope.inference.shard import Reader
    from leukoscope.inference.storage import Place

TABLES = frozenset({".csv", ".parquet"})

PACKED = "pack.json"
"""What lies beside the shards of `leukoscope pack` once they are whole."""

LIST = "-"
"""Standard input: a source a line."""


@dataclass(frozen=True)
class Cell:
    """A picture to be called, packed or not, and whose cell it is, where that is known."""

    path: Path | Deferred
    subject: str | None


@dataclass(frozen=True)
class Cells:
    """What is to be called, the files in folders that are no pictures, and the tables read."""

    cells: list[Cell]
    passed_over: list[Path]
    tables: list[Path]


def find(sources: Sequence[Path], allow_outside: bool = False) -> Cells:
    """Return the cells that `sources` name: pictures, folders with all below them, manifests.

    What `leukoscope pack` wrote, a shard or the folder of all, stands for the pictures in it.

    ``-`` stands for the sources that standard input lists, one a line; a name with ``*``, ``?`` or
    ``[`` that is no file for all that it matches, sorted. A picture that is named itself is taken
    whatever its suffix, and need not be readable: its row will say so. Subjects come from a
    manifest, which may name pictures outside of its folder if `allow_outside`, or from UID file
    names.

    Raises:
        BadInputError: a source is missing, a pattern matches nothing, a folder holds no picture or
            not all of its shards, a table is no manifest, a list names what is not on this machine.
    """
    found: list[Cell] = []
    others: list[Path] = []
    tables: list[Path] = []
    reader = cache(_reader)
    for source in map(here, expanded(map(str, sources))):
        if source.is_dir() and (source / PACKED).exists():
            for shard in _shards(source):
                found += starmap(Cell, reader().pictures(_place(shard)))
                tables.append(shard)
        elif source.is_dir():
            rows, passed_over = folders.rows_of(source, named_folder=False)
            found += [Cell(Path(row.path), row.subject) for row in rows if row.path]
            others += passed_over
        elif not source.exists():
            raise BadInputError(f"{source}: no such file or folder")
        elif source.suffix.lower() in TABLES:
            table = source.suffix.lower() == ".parquet"
            if table and reader().holds_pictures(_place(source)):
                found += starmap(Cell, reader().pictures(_place(source)))
            else:
                found += starmap(Cell, listed(source, allow_outside))
            tables.append(source)
        else:
            found.append(Cell(source, subject_of(source)))
    return Cells(found, others, tables)


def expanded(sources: Iterable[str]) -> Iterator[str]:
    """Yield `sources` with what a list and patterns stand for in their place.

    A pattern is one of this machine's paths; a list may name other file systems' folders, too.

    Raises:
        BadInputError: a pattern matches nothing.
    """
    for source in sources:
        if source == LIST:
            lines = (os.fsdecode(line).rstrip("\r\n") for line in sys.stdin.buffer)
            yield from expanded(line for line in lines if line.strip())
        elif glob.has_magic(source) and not remote(source) and not Path(source).exists():
            matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - of absolute ones, too
            if not matches:
                raise BadInputError(f"{source} matches no file or folder")
            yield from matches
        else:
            yield source


def listed(table: Path, allow_outside: bool) -> Iterator[tuple[Path, str | None]]:
    """Yield the pictures of a manifest, and whose cells they are.

    Raises:
        BadInputError: it is no manifest, or names pictures outside of its folder.
    """
    cells = manifest.read(table, allow_outside)
    for path, subject in zip(cells["path"], cells["subject"], strict=True):
        yield Path(path), subject if isinstance(subject, str) else None


def _reader() -> "Reader":
    from leukoscope.inference.shard import Reader

    return Reader(cores())


def _shards(folder: Path) -> list[Path]:
    from leukoscope.inference.pack import assert_whole

    shards = sorted(folder.glob("shard-*.parquet"))
    assert_whole(_place(folder), len(shards))
    return shards


def _place(path: Path) -> "Place":
    from leukoscope.inference.storage import Place

    return Place.of(str(path))


def remote(address: str) -> bool:
    """Tell whether `address` names another file system than this machine's."""
    return "://" in address


def bare(address: str) -> str:
    """Return `address` without its options and credentials, which are nobody else's business."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def here(address: str) -> Path:
    """Return the path of this machine that `address` is.

    Raises:
        BadInputError: it is of another file system.
    """
    if remote(address):
        raise BadInputError(
            f"{bare(address)}: pictures are called there, and calls written, by --engine ray"
        )
    return Path(address)


def as_text(path: Path | str) -> str:
    """Return a path as text, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def subject_of(path: Path | str) -> str | None:
    """Return whose cell a picture shows, by C-NMC's UID names; None of other names."""
    try:
        identity = cnmc.identify(Path(path).name)
    except ValueError:  # it begins like a UID name and is none
        return None
    return identity.subject if identity else None
