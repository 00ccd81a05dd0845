"""Parts of a batch: none too large, none a single cell, all of it."""

import pytest
import torch

from leukoscope.training.memory import out_of_memory, parts


@pytest.mark.parametrize("micro_batch", [None, 2, 3, 5, 8, 16, 100])
@pytest.mark.parametrize("cells", [2, 3, 5, 7, 16, 17, 64])
def test_parts_are_small_and_never_a_single_cell(cells: int, micro_batch: int | None) -> None:
    sizes = [len(part) for part in torch.zeros(cells).tensor_split(parts(cells, micro_batch))]
    assert sum(sizes) == cells
    assert min(sizes) >= 2
    # With parts of two, an odd batch has one of three.
    assert max(sizes) <= max(micro_batch or cells, 3)


def test_short_memory_is_told_from_other_errors() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: you tried"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("shapes differ"))
