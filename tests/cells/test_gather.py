"""Batches are the same from the memory map and from the memory of a device."""

import numpy as np
import pytest
import torch

from leukoscope.cells import gather
from leukoscope.cells.gather import CPU, Gather
from leukoscope.cells.store import Store

ROWS = np.array([5, 0, 5, 71])


@pytest.mark.parametrize("piece", [1024, 7])
def test_a_resident_store_gives_the_same_cells(
    store: Store, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    mapped = Gather(store)
    monkeypatch.setattr(gather, "fits", lambda *_: True)
    monkeypatch.setattr(gather, "PIECE", piece)
    resident = Gather(store, often=True)
    assert mapped.resident is None
    assert resident.resident.shape == store.pixels.shape
    turns = np.array([0, 3, 7, 1])
    for ours, theirs in zip(
        vars(mapped(ROWS, turns)).values(), vars(resident(ROWS, turns)).values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert resident(ROWS).turns is None


def test_pixels_fit_where_half_of_the_memory_is_free(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = store.pixels.nbytes
    cuda = torch.device("cuda")
    for free, fits in ((2 * pixels, True), (2 * pixels - 1, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, 10**12))
        assert gather.fits(store, cuda) is fits
    assert not gather.fits(store, CPU)
