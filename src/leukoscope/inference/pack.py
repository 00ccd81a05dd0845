"""Packing: many small files become few large ones, the shards, with every byte of theirs.

Shards are written one after the other, each whole or not at all, as ``shard-000000.parquet`` and so
on; ``pack.json``, written last, says that they are all. Started again, packing goes on behind the
shards that are there, once they are seen to hold what the sources list.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from leukoscope import __version__
from leukoscope.cells.parallel import in_order
from leukoscope.errors import BadInputError
from leukoscope.inference import shard
from leukoscope.inference.inputs import PACKED, expanded
from leukoscope.inference.inventory import File, fetched, files
from leukoscope.inference.shard import Row
from leukoscope.inference.storage import Place
from leukoscope.progress import tracked

SHARD = re.compile(r"shard-(\d{6,})\.parquet")

READERS, AHEAD = 32, 2
"""Files read at once, and waiting for each: what an object store takes is time, not work."""

MOST_BYTES = 2**28
"""Of one picture: with 16 bits a colour the largest that is read has half of it."""


class Whole(BaseModel):
    """What ``pack.json`` says: how many `shards` of how many `pictures`, `unread` among them."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    made_by: str = f"leukoscope {__version__}"
    shards: int
    pictures: int
    unread: int


@dataclass(frozen=True)
class Packed:
    """What came of packing.

    Attributes:
        whole: all that is packed.
        before: shards that were there already.
        passed_over: files that are no pictures.
    """

    whole: Whole
    before: int
    passed_over: int


def pack(sources: Sequence[str], target: Place, most: int, allow_outside: bool = False) -> Packed:
    """Pack the pictures that `sources` name into shards below `target`.

    Args:
        sources: see `leukoscope.inference.inventory.files`; patterns, or ``-`` for a list, too.
        target: a folder.
        most: bytes of a shard on disk, about.
        allow_outside: whether manifests may name pictures outside of their folders.

    Raises:
        BadInputError: there is no picture, or the shards that are there hold other ones.
        LeukoscopeError: a file system does not answer.
    """
    listed = _Pictures(sources, allow_outside)
    before = [_seen(place, listed) for place in _there(target)]
    total = Whole(
        shards=len(before),
        pictures=sum(known.rows for known in before),
        unread=sum(known.unread for known in before),
    )
    rows = tracked(in_order(_row, listed, READERS, AHEAD), "packing", None, "pictures")
    for row in rows:
        with target.below(_name(total.shards)).writing() as scratch:
            written = shard.write(chain([row], rows), scratch, most)
        total.shards += 1
        total.pictures += written.rows
        total.unread += written.unread
    if not total.pictures:
        raise BadInputError(f"no picture in {', '.join(sources)}")
    target.below(PACKED).write(total.model_dump_json(indent=2).encode() + b"\n")
    return Packed(total, len(before), listed.passed_over)


def assert_whole(folder: Place, shards: int) -> None:
    """Raise BadInputError unless `shards`, those in `folder`, are what ``pack.json`` says."""
    note = folder.below(PACKED)
    if not note.exists():
        raise BadInputError(f"{folder.name}: packing was not finished; start it again, it goes on")
    try:
        whole = Whole.model_validate_json(note.read())
    except ValidationError as error:
        raise BadInputError(f"{note.name}: not what this version reads") from error
    if shards > whole.shards:
        raise BadInputError(
            f"{folder.name}: packing more into it was not finished; start it again, it goes on"
        )
    if shards < whole.shards:
        raise BadInputError(
            f"{folder.name} holds {shards:,} of {whole.shards:,} shards: copy it whole"
        )


def describe(packed: Packed, target: Place) -> str:
    """Say in a few lines what came of packing."""
    whole = packed.whole
    lines = [f"{whole.pictures:,} pictures in {whole.shards:,} shards in {target.name}"]
    if packed.before:
        lines.append(f"{packed.before:,} of them were there, and are as they were")
    if whole.unread:
        lines.append(f"{whole.unread:,} cannot be read; their rows say why")
    if packed.passed_over:
        lines.append(f"{packed.passed_over:,} other files are no pictures")
    return "\n".join(lines)


class _Pictures:
    """The pictures that sources name, one after the other; counts the other files."""

    def __init__(self, sources: Sequence[str], allow_outside: bool) -> None:
        self.files, self.passed_over = files(expanded(sources), allow_outside), 0

    def __iter__(self) -> Iterator[File]:
        return self

    def __next__(self) -> File:
        for file in self.files:
            if file.picture:
                return file
            self.passed_over += 1
        raise StopIteration


def _there(target: Place) -> list[Place]:
    """Return the shards below `target`, in order."""
    if not target.exists():
        return []
    found = sorted(
        int(match[1])
        for place, _ in target.files_below()
        if (match := SHARD.fullmatch(place.path[len(target.path) + 1 :]))
    )
    if found != list(range(len(found))):
        raise BadInputError(f"{target.name}: {_name(len(found))} or one before it is missing")
    return [target.below(_name(number)) for number in found]


def _name(number: int) -> str:
    return f"shard-{number:06}.parquet"


def _seen(place: Place, listed: Iterator[File]) -> shard.About:
    """Pass by the pictures of a shard that is there; return what it says."""
    known, passed = shard.about(place), shard.Listed()
    for file in islice(listed, known.rows):
        passed.add(file.name, file.size, file.subject)
    if passed.digest != known.digest:
        raise BadInputError(
            f"{place.name} holds other pictures than the sources list: they have changed, so pack "
            "them into a new folder"
        )
    return known


def _row(file: File) -> Row:
    if file.size > MOST_BYTES:
        reason = f"{file.size:,} bytes, too many for one cell"
        return Row(file.name, file.subject, None, reason, file.size)
    upload = fetched(file.place, file.name)
    content = None if upload.reason else upload.content
    return Row(file.name, file.subject, content, upload.reason or None, file.size)
