"""Work on many pictures: on all cores, in order, with memory flat and failures listed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from leukoscope.cores import cores
from leukoscope.errors import BadInputError, listing
from leukoscope.progress import Bar

S = TypeVar("S")
T = TypeVar("T")

AHEAD = 16
"""Calls in work or done for each worker: enough to keep it busy, few enough for flat memory."""


def in_order(
    function: Callable[[S], T], items: Iterable[S], workers: int, ahead: int = AHEAD
) -> Iterator[T]:
    """Yield `function` of each of `items`, in order, computed by threads.

    Args:
        function: what leaves the interpreter lock, as Pillow and ONNX Runtime do.
        items: read only as far as the work is.
        workers: threads.
        ahead: calls for each of them that may be in work, or done and not yet taken.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for item in items:
                if len(waiting) == workers * ahead:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
    with Bar(what, len(paths), "images") as bar:
        results = in_order(attempt, paths, cores())
        for row, result in enumerate(results, start=1):
            bar.advance()
            if isinstance(result, BadInputError):
                failed.append(f"row {row}: {result}")
            elif not failed:
                yield result
    if failed:
        raise BadInputError(f"{len(failed):,} pictures cannot be read:{listing(failed)}")
