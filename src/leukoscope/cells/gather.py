"""Cells from a store onto the device that computes, without waiting for what it is doing.

A store that fits beside the network is brought to the device once, and batches are gathered there;
of a larger one each batch is copied out of the memory map and sent.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leukoscope.cells.store import Store
from leukoscope.cells.transfer import moved

CPU = torch.device("cpu")

SHARE = 0.5
"""Of a device's free memory that pixels may take: the rest is for the network."""

PIECE = 1024
"""Cells brought to a device at once."""


@dataclass(frozen=True)
class Batch:
    """Cells as they lie in the store, and what is to be done to them.

    Attributes:
        pictures: (B, H, W, 3) uint8.
        turns: (B,) int64 codes of `plans.turned`, on the CPU; None in evaluation.
        labels: (B,) int64, on the device of `pictures`; -1 unknown.
        rows: (B,) int64 of the store, on the CPU; None outside one.
    """

    pictures: Tensor
    turns: Tensor | None
    labels: Tensor
    rows: Tensor | None = None


class Gather:
    """Gathers batches of `store` on `device`.

    Args:
        store: whose cells.
        device: where batches are to lie.
        often: whether cells are gathered again and again, so that a store that fits is brought to
            the device whole.
    """

    def __init__(self, store: Store, device: torch.device = CPU, often: bool = False) -> None:
        self.store, self.device = store, device
        self.resident = _brought(store, device) if often and fits(store, device) else None

    def __call__(self, rows: NDArray[np.int64], turns: NDArray[np.int64] | None = None) -> Batch:
        """Return the cells of `rows`, with the codes by which they are to be turned."""
        places = torch.from_numpy(rows)
        if self.resident is None:
            pictures = moved(torch.from_numpy(self.store.pixels[rows]), self.device)
        else:
            pictures = self.resident[moved(places, self.device)]
        return Batch(
            pictures,
            None if turns is None else torch.from_numpy(turns),
            moved(torch.from_numpy(self.store.labels[rows]), self.device),
            places,
        )


def fits(store: Store, device: torch.device) -> bool:
    """Tell whether the pixels of `store` belong into the memory of `device` whole."""
    if device.type != "cuda":
        return False  # the others compute in the machine's own memory
    free, _ = torch.cuda.mem_get_info(device)
    return store.pixels.nbytes <= SHARE * free


def _brought(store: Store, device: torch.device) -> Tensor:
    """Return all pixels of `store`, (N, H, W, 3) uint8, on `device`."""
    pixels = torch.empty(store.pixels.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pixels), PIECE):  # the machine need not hold them all as well
        pixels[start : start + PIECE] = torch.from_numpy(
            np.array(store.pixels[start : start + PIECE])
        )
    return pixels
