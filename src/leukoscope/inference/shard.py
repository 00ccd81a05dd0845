"""A shard: a Parquet file with the pictures' own files in it, a row a picture.

Columns: path, as calls name it; subject, where it is known; content, the file's bytes as they were;
reason, why there are none. Row groups are small, so that who reads a shard holds little of it. Its
metadata say how many rows it has, how many without content, and what tells its pictures from any
others.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import pyarrow as pa
from pyarrow import parquet
from pydantic import BaseModel, ValidationError

from leukoscope.cells.pictures import Deferred, Upload
from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.inference.storage import Place

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("subject", pa.string()),
        ("content", pa.binary()),
        ("reason", pa.string()),
    ]
)

GROUP = 16 * 2**20
"""Bytes of pictures in a row group, about."""

METADATA = "leukoscope"


class Row(NamedTuple):
    """A picture's file.

    Attributes:
        path: as calls name it.
        subject: whose cell it shows.
        content: None: it cannot be read.
        reason: why not.
        size: in bytes, as it was listed.
    """

    path: str
    subject: str | None
    content: bytes | None
    reason: str | None
    size: int


class About(BaseModel):
    """What a shard says of itself.

    Attributes:
        rows: pictures.
        unread: those that could not be read.
        digest: SHA-256 of the pictures' paths, sizes and subjects, see `Listed`.
    """

    rows: int
    unread: int
    digest: str


class Listed:
    """What tells pictures from any others: their paths, sizes and subjects, in order."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def add(self, path: str, size: int, subject: str | None) -> None:
        """Take the next picture in."""
        self.sha256.update(f"{path}\0{size}\0{subject or ''}\n".encode())

    @property
    def digest(self) -> str:
        """Of all so far."""
        return self.sha256.hexdigest()


def write(rows: Iterator[Row], scratch: Path, most: int) -> About:
    """Write a shard of the next of `rows`: as many as make `most` bytes on disk.

    Returns:
        What it holds; no rows if there was none left.
    """
    listed, total, unread, group, held = Listed(), 0, 0, list[Row](), 0
    with (
        pa.OSFile(os.fsencode(scratch), "wb") as sink,
        parquet.ParquetWriter(
            sink,
            SCHEMA,
            compression="zstd",
            use_dictionary=["subject"],
            write_statistics=["path", "subject"],
            write_page_checksum=True,
        ) as writer,
    ):
        for row in rows:
            listed.add(row.path, row.size, row.subject)
            total, unread = total + 1, unread + (row.content is None)
            group.append(row)
            held += len(row.content or b"")
            if held >= min(GROUP, most):
                _write_group(writer, group)
                group, held = [], 0
                if sink.tell() >= most:
                    break
        if group:
            _write_group(writer, group)
        holds = About(rows=total, unread=unread, digest=listed.digest)
        writer.add_key_value_metadata({METADATA: holds.model_dump_json()})
    return holds


def _write_group(writer: parquet.ParquetWriter, rows: Sequence[Row]) -> None:
    columns = list(zip(*(row[: len(SCHEMA)] for row in rows), strict=True))
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)]
    writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), row_group_size=len(rows))


def about(place: Place) -> About:
    """Return what a shard says of itself; of its rows none is read.

    Raises:
        BadInputError: it is no shard.
    """
    metadata = _opened(place).metadata.metadata or {}
    try:
        return About.model_validate_json(metadata.get(METADATA.encode(), b""))
    except ValidationError as error:
        raise BadInputError(f"{place.name}: not written by `leukoscope pack`") from error


class Reader:
    """Reads shards; where each row is, is read once, and each row group that is in use.

    Args:
        threads: that fetch pictures: as many row groups are kept as they can come to at a time.
    """

    def __init__(self, threads: int) -> None:
        self.opened = lru_cache(maxsize=1 + threads)(_opened)
        self.group = lru_cache(maxsize=2 + 2 * threads)(partial(_group, self.opened))
        self.reading = Lock()

    def holds_pictures(self, place: Place) -> bool:
        """Tell whether a Parquet file is a shard, by its columns, and not some other table.

        Raises:
            BadInputError: it cannot be read.
        """
        return set(SCHEMA.names) <= set(self.opened(place).schema_arrow.names)

    def pictures(self, place: Place) -> Iterator[tuple[Deferred, str | None]]:
        """Yield a shard's pictures, to be read when their turn comes, and whose cells they are.

        Raises:
            BadInputError: it is no shard.
            LeukoscopeError: it cannot be read; this, too, when a picture's turn comes.
        """
        if not self.holds_pictures(place):
            raise BadInputError(
                f"{place.name}: no packed pictures; of others `leukoscope pack` makes them"
            )
        file = self.opened(place)
        columns = ["path", "subject"]
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        rows = sum(max(0, told) for told in groups)  # what is damaged may tell less than none
        names = _read(
            place, lambda: _whole(file.read(columns, use_threads=False), rows)
        ).to_pylist()
        places = ((number, row) for number, told in enumerate(groups) for row in range(told))
        for named, (number, row) in zip(names, places, strict=True):
            fetch = partial(self._fetch, place, number, row, named["path"])
            yield Deferred(named["path"], fetch), named["subject"]

    def _fetch(self, place: Place, number: int, row: int, path: str) -> Upload:
        with self.reading:  # threads that come to a row group together are to read it once
            group = self.group(place, number)
        content, reason = group["content"][row].as_py(), group["reason"][row].as_py()
        return Upload(path, content or b"", reason or "")


def _group(opened: Callable[[Place], parquet.ParquetFile], place: Place, number: int) -> pa.Table:
    def read() -> pa.Table:
        file, columns = opened(place), ["content", "reason"]
        rows = file.metadata.row_group(number).num_rows
        return _whole(file.read_row_group(number, columns, use_threads=False), rows)

    return _read(place, read)


def _whole(table: pa.Table, rows: int) -> pa.Table:
    """Return `table` if it has so many rows, in all of its columns."""
    table.validate()
    if len(table) != rows:
        raise pa.ArrowInvalid(f"{len(table):,} rows instead of {rows:,}")
    return table


def _read(place: Place, what: Callable[[], pa.Table]) -> pa.Table:
    try:
        return what()
    except (OSError, pa.ArrowException, BadInputError) as error:
        # No BadInputError: that is of one picture, and of no shard or network.
        raise LeukoscopeError(f"{place.name}: cannot be read, or is damaged ({error})") from error


def _opened(place: Place) -> parquet.ParquetFile:
    try:
        return parquet.ParquetFile(place.opened(), pre_buffer=True, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise BadInputError(f"{place.name}: no whole Parquet file ({error})") from error
