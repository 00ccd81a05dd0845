"""Files that are either whole or absent: written beside their target, then renamed."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """Yield a scratch path beside `target`; on success flush it to disk and rename it over.

    On an error the scratch file is removed and `target` stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: writers such as numpy and pandas choose the format by it.
    scratch = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        yield scratch
        with scratch.open("rb+") as written:
            os.fsync(written.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, atomically."""
    with atomic(target) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
