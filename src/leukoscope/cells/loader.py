"""Batches from a store: whole batches gathered by one thread ahead of the training, no workers.

The order depends on (seed, epoch) alone, so a run that is resumed sees the cells that it would
have seen. Threads behave the same on Windows, macOS and Linux.
"""

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leukoscope.cells.gather import Batch, Gather
from leukoscope.cells.plans import TURNS
from leukoscope.cells.store import Store

T = TypeVar("T")

Balance = Literal["none", "class", "person"]

AHEAD = 2
"""Batches gathered ahead: one to hand over, one in the making."""


class TrainingLoader:
    """The training cells of a store in shuffled batches; the last one may be smaller.

    A last batch of a single cell is joined to the one before it: batch norm has no variance of one.

    Args:
        store: whose training plan is followed.
        batch_size: cells a batch.
        seed: of order and turns.
        balance: ``none``: each cell of the plan once an epoch; otherwise as many are drawn with
            replacement, so that both classes come alike, and with ``person`` in each class all its
            people alike.
        gather: of the same store; as a rule onto the CPU.
        rank: which of the processes this is that train together; it has its share of each batch.
        size: how many they are.
    """

    def __init__(
        self,
        store: Store,
        batch_size: int,
        seed: int,
        balance: Balance = "none",
        gather: Gather | None = None,
        rank: int = 0,
        size: int = 1,
    ) -> None:
        self.store, self.batch_size, self.seed = store, batch_size, seed
        self.rank, self.size = rank, size
        self.gather = gather or Gather(store)
        self.rows, self.turns = store.training_plan()
        self.share = None if balance == "none" else _shares(store, self.rows, balance)
        self.cells = len(self.rows)
        starts = list(range(0, self.cells, batch_size))
        if self.cells % batch_size == 1 and len(starts) > 1:
            starts.pop()
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts)

    def sizes(self) -> list[int]:
        """Return the number of cells of each batch, over all processes."""
        ends = [*self.starts[1:], self.cells]
        return [end - start for start, end in zip(self.starts, ends, strict=True)]

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield this process's shares of the batches of `epoch` from batch `first` on."""
        random = np.random.default_rng([self.seed, epoch])
        if self.share is None:
            order = random.permutation(self.cells)
        else:
            order = random.choice(self.cells, self.cells, p=self.share)
        turns = self.turns
        if turns is None:
            turns = random.integers(0, TURNS, self.cells)
        batches = np.split(order, self.starts[1:])[first:]
        shares = (np.array_split(places, self.size)[self.rank] for places in batches)
        return ahead(self.gather(self.rows[places], turns[places]) for places in shares)


def _shares(store: Store, rows: NDArray[np.int64], balance: Balance) -> NDArray[np.float64]:
    """Return how likely each of `rows` is drawn."""
    cells = store.cells.iloc[rows].reset_index(drop=True)
    share = pd.Series(1.0, cells.index)
    if balance == "person":
        share /= cells.groupby(["label", "person"], dropna=False)["label"].transform("size")
    share /= share.groupby(cells["label"]).transform("sum")
    return np.asarray(share / share.sum(), np.float64)


def ordered_batches(gather: Gather, rows: NDArray[np.int64], batch_size: int) -> Iterator[Batch]:
    """Yield the cells of `rows` in that order, as they are."""
    starts = range(0, len(rows), batch_size)
    return ahead(gather(rows[start : start + batch_size]) for start in starts)


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield `items`, made by a thread up to `AHEAD` of them before they are asked for.

    An error in the making is raised here; leaving the loop early ends the thread.
    """
    waiting: queue.Queue[T | Exception | None] = queue.Queue(AHEAD)
    left = threading.Event()

    def put(item: T | Exception | None) -> None:
        placed = False
        while not placed and not left.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=0.1)
                placed = True

    def make() -> None:
        try:
            for item in items:
                put(item)
                if left.is_set():
                    return
            put(None)
        except Exception as error:
            put(error)

    maker = threading.Thread(target=make, name="leukoscope-loader", daemon=True)
    maker.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        left.set()
        maker.join()
