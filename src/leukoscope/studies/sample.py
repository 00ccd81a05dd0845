"""Some cells of a store as a network takes them, and what the network loses on them."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from leukoscope.cells.gather import Gather
from leukoscope.cells.loader import ahead
from leukoscope.training.machine import device_of
from leukoscope.training.run import Run

BATCH = 64
"""At most, in every measurement, whatever the network was trained with."""

Batches = Iterable[tuple[Tensor, Tensor]]
"""Pictures (B, 3, H, W) and labels (B,), the same whenever they are gone through."""


class Sample:
    """Cells of a split in a fixed order that mixes classes and subjects; not turned."""

    def __init__(self, run: Run, split: str, most: int | None = None) -> None:
        self.store = run.open_store()
        self.rows = np.random.default_rng(0).permutation(self.store.rows(split))[:most]
        self.device = device_of(run.config.device)
        self.gather = Gather(self.store, self.device)
        self.standard = run.standard(self.device)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # Batches of one size, give or take a cell: in batch norm's statistics all weigh the same.
        places = np.array_split(self.rows, math.ceil(len(self) / BATCH))
        for batch in ahead(map(self.gather, places)):
            yield self.standard(batch), batch.labels

    @property
    def subjects(self) -> NDArray[np.str_]:
        """(N,) whose each cell is; a cell without a subject stands for itself."""
        cells = self.store.cells.iloc[self.rows]
        return cells["subject"].fillna(cells["id"]).to_numpy(dtype=str)


def loss_and_gradient(model: nn.Module, batches: Batches) -> float:
    """Return the mean loss over `batches`, its gradient left in each parameter's ``grad``.

    Batch norm normalises by each batch, as it does in training: this is the function that training
    descends, and it needs no running statistics, which belong to other weights.
    """
    model.train()
    model.zero_grad()
    total, cells = 0.0, 0
    for pictures, labels in batches:
        loss = F.cross_entropy(model(pictures), labels, reduction="sum")
        loss.backward()  # type: ignore[no-untyped-call]
        total, cells = total + loss.item(), cells + len(labels)
    for weight in model.parameters():
        if weight.grad is not None:
            weight.grad /= cells
    return total / cells


@torch.no_grad()
def cell_losses(model: nn.Module, batches: Batches) -> NDArray[np.float64]:
    """Return the loss of each cell, (N,), by the running statistics of batch norm."""
    model.eval()
    losses = [
        F.cross_entropy(model(pictures), labels, reduction="none") for pictures, labels in batches
    ]
    return torch.cat(losses).cpu().double().numpy()
