"""The store as an ordinary `torch.utils.data.Dataset`."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leukoscope.cells.gather import Gather
from leukoscope.cells.manifest import SPLITS
from leukoscope.cells.plans import TURNS
from leukoscope.cells.standard import Standard
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError


class LeukemiaDataset(Dataset[tuple[Tensor, int]]):
    """One split of a store, for any `torch.utils.data.DataLoader`.

    In mode ``train`` the cells follow the store's plan: the lab's fixed turns, or with the online
    plan a turn drawn from torch's random state at each access.

    Args:
        root: a store's folder.
        mode: ``train``, ``validation`` or ``test``.

    Raises:
        BadInputError: no store there, or no such mode.
    """

    def __init__(self, root: Path | str, mode: str) -> None:
        self.store = Store.open(Path(root))
        self.gather = Gather(self.store)
        self.mode = mode
        self.rows, self.turns = self._plan(mode)
        self.standard = Standard.of(self.store)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return ((3, H, W) float32 in [0, 1] then normalised, label: 0, 1 or -1 unknown)."""
        place = range(len(self))[index]  # raises IndexError past the end, as iteration expects
        turns = None if self.turns is None else self.turns[place : place + 1]
        if turns is None and self.mode == "train":
            turns = torch.randint(TURNS, (1,)).numpy()
        batch = self.gather(self.rows[place : place + 1], turns)
        return self.standard(batch)[0], int(batch.labels)

    def get_data(self, mode: str) -> tuple[list[str], list[int]]:
        """Return the picture paths and the labels (-1 unknown) of `mode`, one entry an item."""
        rows, _ = self._plan(mode)
        return self.store.cells["path"].iloc[rows].tolist(), self.store.labels[rows].tolist()

    def _plan(self, mode: str) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        if mode not in SPLITS:
            raise BadInputError(f"mode {mode!r} is none of {', '.join(SPLITS)}")
        return self.store.training_plan() if mode == "train" else (self.store.rows(mode), None)
