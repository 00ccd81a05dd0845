"""A part of an archive: what is called at a time, wherever, and ends in files of its own.

A part is a shard, or some pictures as they lie. Its name comes from what is in it, and all its
files have that name: calling it twice, as when a machine dies over it, leaves what calling it once
does. Below the folder of calls there are

- ``subject_prefix=<xx>/<part>.parquet``: calls, see `leukoscope.inference.calls`; xx are the first
  two digits of the subject's SHA-256, so that a subject's cells are found in one of 256 folders of
  about one size, whatever subjects are called; ``none`` of cells whose subject is not known;
- ``_finished/<part>.json``: how many there are, written last: the part is whole.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import PurePosixPath

import pyarrow as pa

from leukoscope.cells.pictures import Deferred
from leukoscope.inference import shard
from leukoscope.inference.calls import counted
from leukoscope.inference.inputs import PACKED
from leukoscope.inference.inventory import File, fetched
from leukoscope.inference.model import Model
from leukoscope.inference.pack import SHARD, assert_whole
from leukoscope.inference.storage import Place
from leukoscope.progress import silent

FINISHED = "_finished"
PREFIX = "subject_prefix="

PICTURES = 1024
"""In a part, of pictures that are not packed."""

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("subject", pa.string()),
        ("probability", pa.float64()),
        ("call", pa.string()),
        ("certainty", pa.float64()),
        ("flags", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Part:
    """What is called at a time.

    Attributes:
        name: that no other part has, in no other archive.
        address: of the file system.
        paths: in it, of one shard or of pictures.
        names, subjects: of those pictures, as calls show them.
    """

    name: str
    address: str
    paths: list[str]
    names: list[str] = field(default_factory=list)
    subjects: list[str | None] = field(default_factory=list)

    @classmethod
    def of(cls, files: Sequence[File]) -> "Part":
        """Make a part of one shard, or of pictures of one file system."""
        first = files[0]
        listed = shard.Listed()
        for file in files:
            listed.add(file.name, file.size, file.subject)
        stem = "pictures"
        if not first.picture:
            stem = re.sub(r"[^\w.-]", "_", PurePosixPath(first.place.path).stem)
        return cls(
            f"{stem}-{listed.digest[:16]}",
            first.place.address,
            [file.place.path for file in files],
            [file.name for file in files if file.picture],
            [file.subject for file in files if file.picture],
        )

    @classmethod
    def told(cls, text: str) -> "Part":
        """Return the part of which `str` made `text`."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return json.dumps(asdict(self))  # in ASCII, whatever bytes a path has

    @property
    def first(self) -> str:
        """The shard, or the first picture, as people are shown it."""
        return Place.of(self.address).at(self.paths[0]).name

    def pictures(self) -> Iterator[tuple[Deferred, str | None]]:
        """Yield the pictures, each to be read when its turn comes, and whose cells they are.

        Raises:
            BadInputError: it is no shard.
            LeukoscopeError: it cannot be read.
        """
        place = Place.of(self.address)
        if not self.names:
            yield from shard.Reader(1).pictures(place.at(self.paths[0]))
        for path, name, subject in zip(self.paths, self.names, self.subjects, strict=False):
            yield Deferred(name, partial(fetched, place.at(path), name)), subject

    def finished(self, target: Place) -> Place:
        """Return what says that the part is called."""
        return target.below(f"{FINISHED}/{self.name}.json")

    def call(self, model: Model, coverage: float | None, target: Place) -> dict[str, int]:
        """Call the part, write its files below `target`, and return how many of each are counted.

        Raises:
            BadInputError: it is no shard.
            LeukoscopeError: it cannot be read, or a file system does not answer.
        """
        finished = self.finished(target)
        if finished.exists():  # by a machine that died before it could say so
            return dict(json.loads(finished.read()))
        pairs = list(self.pictures())
        with silent():
            calls = model.predict(
                [picture for picture, _ in pairs], [subject for _, subject in pairs], coverage
            )
        for prefix, rows in calls.groupby(calls["subject"].map(prefix_of)):
            place = target.below(f"{PREFIX}{prefix}/{self.name}.parquet")
            with place.writing() as scratch:
                rows.to_parquet(scratch, index=False, schema=SCHEMA)
        counts = counted(calls)
        finished.write(json.dumps(counts).encode())
        return counts


def prefix_of(subject: str | None) -> str:
    """Return which part of the subjects one belongs to: two hexadecimal digits, or ``none``."""
    if not isinstance(subject, str):
        return "none"
    return hashlib.sha256(subject.encode()).hexdigest()[:2]


def plan(files: Iterable[File]) -> tuple[list[Part], int]:
    """Return the parts that files make, in order, and how many are neither pictures nor tables.

    Raises:
        BadInputError: of a folder of packed pictures, not all shards are there.
    """
    parts, passed_over = list[Part](), 0
    packed = Counter[Place]()

    def wanted() -> Iterator[File]:
        nonlocal passed_over
        for file in files:
            path = PurePosixPath(file.place.path)
            note = path.name == PACKED
            if not (file.named or file.hidden) and (note or SHARD.fullmatch(path.name)):
                packed[file.place.at(str(path.parent))] += not note
            if file.picture or (path.suffix.lower() == ".parquet" and not file.hidden):
                yield file
            elif not note:
                passed_over += 1

    def kind(file: File) -> tuple[bool, str]:
        return file.picture, file.place.address

    for (pictures, _), alike in groupby(wanted(), kind):
        while some := list(islice(alike, PICTURES if pictures else 1)):
            parts.append(Part.of(some))
    for folder, shards in packed.items():
        assert_whole(folder, shards)
    return parts, passed_over
