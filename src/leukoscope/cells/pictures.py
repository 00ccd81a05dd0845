"""Whether the pictures of cells can be read: each is decoded once, whole."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from leukoscope.cores import cores
from leukoscope.progress import tracked

FORMATS = ("BMP", "PNG", "JPEG", "TIFF")
SUFFIXES = frozenset({".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})

Size = tuple[int, int]
"""Width and height in pixels."""


def inspect(path: Path) -> Size | str:
    """The size of the picture at `path`, or the reason why it cannot be used."""
    try:
        if path.stat().st_size == 0:
            return "the file is empty"
        with Image.open(path, formats=FORMATS) as image:
            # Only a full decode finds a file that was cut short.
            image.load()
            if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
                return "the TIFF holds several pictures, expected one cell a file"
            return image.size
    except FileNotFoundError:
        return f"no such file: {path}"
    except UnidentifiedImageError:
        return f"not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture"
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        return f"unreadable: {error}"


def inspect_all(paths: Sequence[Path]) -> list[Size | str]:
    """`inspect` each of `paths`, in order; Pillow decodes outside the interpreter lock."""
    with ThreadPoolExecutor(cores()) as pool:
        found = pool.map(inspect, paths)
        return list(tracked(found, "reading pictures", len(paths), "pictures"))
