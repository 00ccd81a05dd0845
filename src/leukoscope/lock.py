"""One process at a time works in a folder; a second one is told who does."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from leukoscope.errors import BadInputError


class InUse(BadInputError):  # noqa: N818 - it may be free in a moment
    """Another process works in the folder."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder`, made where it is missing, for this process alone.

    The system lets go of it when the process ends, however it ends. What holds it already may hold
    it again.

    Raises:
        InUse: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    lock = FileLock(path, blocking=False, is_singleton=True)
    try:
        lock.acquire()
    except Timeout as error:
        raise InUse(f"{folder} is in use by {_holder(path)}") from error
    try:
        path.write_text(
            f"process {os.getpid()} of {platform.node()} since {time.strftime('%Y-%m-%d %H:%M')}",
            encoding="utf-8",
        )
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except OSError:  # Windows lets nobody read it
        return "another process"
