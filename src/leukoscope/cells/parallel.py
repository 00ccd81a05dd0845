"""Work on many pictures: on all cores, in order, with memory flat and failures listed."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from leukoscope.errors import BadInputError, listing
from leukoscope.progress import Bar

T = TypeVar("T")

AHEAD = 512
"""Pictures in work at once: enough for every core, few enough to keep memory flat."""


def each(function: Callable[[Path], T], paths: Sequence[Path], what: str) -> Iterator[T]:
    """Yield `function` of each of `paths`, in order.

    Raises:
        BadInputError: at the end, when any picture failed with one; it lists them by their row.
    """

    def attempt(path: Path) -> T | BadInputError:
        try:
            return function(path)
        except BadInputError as error:
            return error

    failed = []
    # Pillow decodes and resizes outside the interpreter lock, so threads use every core.
    with ThreadPoolExecutor(os.cpu_count()) as pool, Bar(what, len(paths), "images") as bar:
        for start in range(0, len(paths), AHEAD):
            some = paths[start : start + AHEAD]
            for row, result in enumerate(pool.map(attempt, some), start=start):
                bar.advance()
                if isinstance(result, BadInputError):
                    failed.append(f"row {row + 1}: {result}")
                elif not failed:
                    yield result
    if failed:
        raise BadInputError(f"{len(failed):,} pictures cannot be read:{listing(failed)}")
