"""Files as they lie, on any file system, one after the other: an archive's list fits no memory."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from leukoscope.cells.folders import hidden, shows_cell
from leukoscope.cells.pictures import Upload
from leukoscope.errors import BadInputError
from leukoscope.inference import inputs
from leukoscope.inference.shard import Reader
from leukoscope.inference.storage import Place


@dataclass(frozen=True)
class File:
    """A file that a source names.

    Attributes:
        place: where it lies.
        name: as calls name it.
        subject: whose cell it shows, where that is known.
        size: in bytes; 0 of one that is missing.
        picture: whether it is one, by its suffix; one that a source names itself always is.
        named: whether a source names it itself, and not a folder above it.
        hidden: whether it, or a folder in which it was found, is.
    """

    place: Place
    name: str
    subject: str | None
    size: int
    picture: bool
    named: bool = True
    hidden: bool = False


def files(sources: Iterable[str], allow_outside: bool = False) -> Iterator[File]:
    """Yield the files that `sources` name, as `leukoscope.inference.inputs.find` orders them.

    They are `leukoscope.inference.inputs.expanded`; manifests are of this machine, and their tables
    are held. Subjects come from a manifest or UID file names. Of packed pictures a shard is a file.

    Raises:
        BadInputError: a source is missing, a table is no manifest.
        LeukoscopeError: a file system does not answer.
    """
    for source in sources:
        if inputs.remote(source):
            yield from _below(Place.of(source))
        else:
            yield from _named(Path(source), allow_outside)


def _named(path: Path, allow_outside: bool) -> Iterator[File]:
    place = Place.of(str(path))
    table = path.is_file() and path.suffix.lower() in inputs.TABLES
    packed = table and path.suffix.lower() == ".parquet" and Reader(1).holds_pictures(place)
    if table and not packed:
        for picture, subject in inputs.listed(path, allow_outside):
            yield _file(place.at(str(picture)), inputs.as_text(picture), subject)
    elif path.is_dir() or packed:
        yield from _below(place)
    else:
        place.size()  # it must be there
        yield _file(place, inputs.as_text(path), inputs.subject_of(path))


def _file(place: Place, name: str, subject: str | None) -> File:
    """Return a picture of this machine that is named itself, readable or not."""
    try:
        size = Path(place.path).stat().st_size
    except (OSError, ValueError):  # it holds a NUL: no file has such a name
        size = 0
    return File(place, name, subject, size, picture=True)


def _below(place: Place) -> Iterator[File]:
    """Yield a file, or all files below a folder."""
    size = place.size()
    if size is not None and place.path.lower().endswith(".csv"):
        raise BadInputError(f"{place.name}: manifests are read from this machine")
    if size is not None:
        yield File(place, place.name, inputs.subject_of(place.path), size, _is_picture(place))
        return
    found = False
    for below, bytes_ in place.files_below():
        found = True
        inside = PurePosixPath(below.path[len(place.path) :].lstrip("/"))
        subject = inputs.subject_of(below.path)
        picture, unseen = shows_cell(inside), hidden(inside)
        yield File(below, below.name, subject, bytes_, picture, named=False, hidden=unseen)
    if not found:
        raise BadInputError(f"{place.name}: no file in this folder or below it")


def _is_picture(place: Place) -> bool:
    return not place.path.lower().endswith(".parquet")


def fetched(place: Place, name: str) -> Upload:
    """Read a picture's file; one that cannot be read says why.

    Raises:
        LeukoscopeError: it is not the file's fault: its file system does not answer.
    """
    if place.local and not place.local.is_file():  # of others, some would never end
        return Upload(name, b"", "not a file" if place.local.exists() else "no such file")
    reason = ""
    for _ in range(2):
        try:
            return Upload(name, place.read())
        except FileNotFoundError:
            return Upload(name, b"", "no such file")
        except OSError as error:
            place.exists()  # where nothing answers, no picture is to blame
            reason = os.strerror(error.errno) if error.errno else str(error)
    return Upload(name, b"", reason)
