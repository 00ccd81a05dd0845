"""Files that are either whole or absent: written beside their target, then renamed."""

import glob
import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRATCH = f".leukoscope-{platform.node()}-"
"""How the names of files begin that this machine is writing; the process and the name follow."""


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """Yield a scratch path beside `target`; on success flush it to disk and rename it over.

    On an error the scratch file is removed and `target` stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    # The suffix stays: writers such as numpy and pandas choose the format by it.
    scratch = target.with_name(f"{SCRATCH}{os.getpid()}-{target.name}")
    try:
        yield scratch
        with scratch.open("rb+") as written:
            os.fsync(written.fileno())
        scratch.replace(target)
    except OSError as error:  # not all who write name the file
        error.filename = error.filename or str(target)
        raise
    finally:
        scratch.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what processes of this machine were writing in `folder` when they were killed."""
    for scratch in folder.glob(f"{glob.escape(SCRATCH)}*"):
        process, _, _ = scratch.name.removeprefix(SCRATCH).partition("-")
        if process.isdecimal() and _ended(int(process)):
            scratch.unlink(missing_ok=True)


def _ended(process: int) -> bool:
    if sys.platform == "win32":  # there the question itself would end it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is another user's
        return False
    return False


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, atomically."""
    with atomic(target) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
