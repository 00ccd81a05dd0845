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
from leukoscope.errors import BadInputError

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
        rank: which of the processes this is that train together; it has its share of each batch:
            of a store in shards, cells of every `size`-th shard, in the order that they have among
            all, divided evenly over the batches.
        size: how many they are.

    Raises:
        BadInputError: there are more processes than shards.
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
        self.apart = size > 1 and store.info.shards > 1
        if self.apart and store.info.shards < size:
            raise BadInputError(
                f"{store.folder} has {store.info.shards} shards for {size} processes: start fewer, "
                "or prepare it in more"
            )

    def __len__(self) -> int:
        return len(self.starts)

    def sizes(self, epoch: int = 0) -> list[int]:
        """Return the number of cells of each batch, over all processes."""
        sizes: list[int] = self.shares(epoch).sum(axis=1).tolist()
        return sizes

    def shares(self, epoch: int = 0) -> NDArray[np.int64]:
        """Return (batches, processes), how many cells of each batch each process has.

        They depend on the epoch only where cells are drawn, from shards.
        """
        if not self.apart:
            totals = np.diff([*self.starts, self.cells])
            return _dealt(totals[:, None], np.arange(self.size), self.size)
        whose = self._whose(self._order(epoch)[0])
        counts = np.bincount(whose, minlength=self.size)
        return _dealt(counts, np.arange(len(self))[:, None], len(self))

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield this process's shares of the batches of `epoch` from batch `first` on."""
        order, turns = self._order(epoch)
        if self.apart:
            mine = order[self._whose(order) == self.rank]
            shares = iter(np.array_split(mine, len(self))[first:])
        else:
            batches = np.split(order, self.starts[1:])[first:]
            shares = (np.array_split(places, self.size)[self.rank] for places in batches)
        return ahead(self.gather(self.rows[places], turns[places]) for places in shares)

    def _order(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places in the plan of an epoch's cells, in order, and each place's turn."""
        random = np.random.default_rng([self.seed, epoch])
        if self.share is None:
            order = random.permutation(self.cells)
        else:
            order = random.choice(self.cells, self.cells, p=self.share)
        turns = self.turns
        if turns is None:
            turns = random.integers(0, TURNS, self.cells)
        return order, turns

    def _whose(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which process has the shard of each of `places` in the plan."""
        shard = self.store.cells["shard"].to_numpy(np.int64)
        return np.asarray(shard[self.rows[places]] % self.size)


def _dealt(cells: NDArray[np.int64], place: NDArray[np.int64], among: int) -> NDArray[np.int64]:
    """Return how many of `cells` come to a place, as `numpy.array_split` deals them."""
    return cells // among + (place < cells % among)


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
