"""Pictures of cells: decoded whole, to red, green and blue, or refused with the reason."""

import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from leukoscope.cores import cores
from leukoscope.errors import BadInputError
from leukoscope.progress import tracked

FORMATS = ("BMP", "PNG", "JPEG", "TIFF")
SUFFIXES = frozenset({".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})
OF_MANY = ("PNG", "TIFF")
"""Formats in which several pictures of one file stand for different cells, or move."""

MOST_PIXELS = 2**24
"""Of one picture, 4096 × 4096: a small file may say that it unpacks to any size."""

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Upload:
    """A picture's file that lies in memory and not on a disk, or `reason`: why it does not."""

    name: str
    content: bytes
    reason: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Deferred:
    """A picture's file that is fetched from elsewhere when its turn comes."""

    name: str
    fetch: Callable[[], Upload]

    def __str__(self) -> str:
        return self.name


class _UnusableError(Exception):
    """A file is no picture of one cell; says why."""


def read_picture(file: Path | Upload | Deferred) -> Image.Image:
    """Decode `file` to RGB; what is transparent is black, as what lies around a segmented cell.

    Raises:
        BadInputError: missing, or not one picture that can be decoded whole.
    """
    try:
        return _decoded(file.fetch() if isinstance(file, Deferred) else file)
    except _UnusableError as error:
        raise BadInputError(f"{file}: cannot be read as a picture ({error})") from error


def inspect(path: Path) -> Size | str:
    """The size of the picture at `path`, or the reason why it cannot be used."""
    if not path.exists():
        return f"no such file: {path}"
    try:
        return _decoded(path).size
    except _UnusableError as error:
        return str(error)


def inspect_all(paths: Sequence[Path]) -> list[Size | str]:
    """`inspect` each of `paths`, in order; Pillow decodes outside the interpreter lock."""
    with ThreadPoolExecutor(cores()) as pool:
        found = pool.map(inspect, paths)
        return list(tracked(found, "reading pictures", len(paths), "pictures"))


def _decoded(file: Path | Upload) -> Image.Image:
    try:
        with Image.open(_source(file), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise _UnusableError(
                    f"{picture.width} × {picture.height} pixels, too many for one cell"
                )
            if picture.format in OF_MANY and getattr(picture, "n_frames", 1) > 1:
                raise _UnusableError(f"the {picture.format} holds several pictures, expected one")
            picture.load()  # only a full decode finds a file that was cut short
            return _rgb(picture)
    except _UnusableError:
        raise
    except UnidentifiedImageError as error:
        # Pillow's own words name an object in memory, or the path once more.
        known = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise _UnusableError(f"not a {known} picture") from error
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        raise _UnusableError(f"unreadable: {error}") from error


def _source(file: Path | Upload) -> Path | BytesIO:
    """Return what Pillow opens: nothing that is empty, or that may never end."""
    source: Path | BytesIO
    if isinstance(file, Upload):
        if file.reason:
            raise _UnusableError(file.reason)
        size, source = len(file.content), BytesIO(file.content)
    else:
        try:
            found = file.stat()
        except FileNotFoundError as error:
            raise _UnusableError("no such file") from error
        if not stat.S_ISREG(found.st_mode):
            raise _UnusableError("not a file")
        size, source = found.st_size, file
    if size == 0:
        raise _UnusableError("the file is empty")
    return source


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I;16"):  # Pillow would cut off what is brighter than 255
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise _UnusableError("pixels of 32 bits, of which nothing says what is white")
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        black = Image.new("RGBA", seen.size, "black")
        return Image.alpha_composite(black, seen).convert("RGB")
    return picture.convert("RGB")
