"""The pixels of a store: one file, or several shards, of which a machine needs only some.

``pixels.npy`` is (N, size, size, 3) uint8; ``pixels-00002-of-00008.npy`` holds the cells whose
`shard` is 2, in their order in the table.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leukoscope.errors import BadInputError
from leukoscope.files import atomic

Index = int | np.integer[Any] | slice | NDArray[np.int64]


def names(shards: int) -> list[str]:
    """Return the names of the files that hold so many shards."""
    if shards == 1:
        return ["pixels.npy"]
    return [f"pixels-{shard:05}-of-{shards:05}.npy" for shard in range(shards)]


def dealt(cells: pd.DataFrame, shards: int) -> NDArray[np.int64]:
    """Return the shard of each of `cells`, which have a `split` and a `label`.

    They are dealt like cards, split by split and class by class: of each class in each split, and
    of all cells, two shards have the same number, or one more.
    """
    order = np.lexsort((cells["label"].fillna(-1), cells["split"].fillna("").astype(str)))
    shard = np.empty(len(cells), np.int64)
    shard[order] = np.arange(len(cells)) % shards
    return shard


def write(
    folder: Path, pictures: Iterator[NDArray[np.uint8]], size: int, shard: NDArray[np.int64]
) -> list[str]:
    """Write `pictures`, each into its shard; return the names of the files.

    Args:
        folder: of the store.
        pictures: (size, size, 3) uint8 each.
        size: in pixels.
        shard: of each picture; all 0 for one file.
    """
    counts = np.bincount(shard).tolist()
    written = names(len(counts))
    with ExitStack() as stack:
        files = []
        for name, count in zip(written, counts, strict=True):
            scratch = stack.enter_context(atomic(folder / name))
            # As a stream: the pages of a memory map would fill the memory with the data set.
            file = stack.enter_context(scratch.open("wb"))
            header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            files.append(file)
        for place, picture in zip(shard, pictures, strict=True):
            files[place].write(np.ascontiguousarray(picture).data)
    return written


class Shards:
    """Pixels in shards, as an array of (N, size, size, 3) uint8 that is read by its first index.

    A shard is opened when a cell of it is asked for.

    Args:
        folder: of the store.
        shard: (N,) of each cell.
        size: in pixels.

    Attributes:
        lent: single cells by their row, which need no shard.
    """

    def __init__(self, folder: Path, shard: NDArray[np.int64], size: int) -> None:
        self.lent: dict[int, NDArray[np.uint8]] = {}
        self.shard, self.shape = shard, (len(shard), size, size, 3)
        count = int(shard.max()) + 1
        self.paths = [folder / name for name in names(count)]
        self.opened: list[NDArray[np.uint8] | None] = [None] * count
        self.places = np.empty(len(shard), np.int64)
        for number in range(count):
            inside = shard == number
            self.places[inside] = np.arange(inside.sum())

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all shards together."""
        return int(np.prod(self.shape))

    def __getitem__(self, index: Index) -> NDArray[np.uint8]:
        """Return a cell, or a copy of several.

        Raises:
            BadInputError: a shard that is needed does not lie here, or is damaged.
        """
        if isinstance(index, int | np.integer):
            lent = self.lent.get(int(index))
            return self._open(int(self.shard[index]))[self.places[index]] if lent is None else lent
        shards, places = self.shard[index], self.places[index]
        pictures = np.empty((len(places), *self.shape[1:]), np.uint8)
        for number in np.unique(shards):
            inside = shards == number
            pictures[inside] = self._open(int(number))[places[inside]]
        return pictures

    def _open(self, number: int) -> NDArray[np.uint8]:
        found = self.opened[number]
        if found is None:
            found = opened(self.paths[number], (int((self.shard == number).sum()), *self.shape[1:]))
            self.opened[number] = found
        return found


def opened(path: Path, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Return the pixels in a file of a store, mapped into memory.

    Raises:
        BadInputError: it is missing, damaged or of another shape.
    """
    try:
        pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise BadInputError(f"{path} is missing, and cells in it are asked for") from error
    except Exception as error:  # a damaged file makes numpy raise nearly anything
        raise BadInputError(f"{path}: the store cannot be read ({error})") from error
    if pixels.shape != tuple(shape):
        raise BadInputError(
            f"{path}: the store speaks of pixels of shape {tuple(shape)}, but here they are of "
            f"shape {pixels.shape}; prepare it again"
        )
    return pixels


Pixels = NDArray[np.uint8] | Shards
"""(N, size, size, 3) uint8, read by the first index."""
