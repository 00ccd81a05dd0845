"""What makes a training fit into memory: batches passed in parts, activations computed twice."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from leukoscope.models.resnet import ResidualBlock

NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""How allocators without an error of their own say it."""

SMALLEST_PART = 2
"""Cells: batch norm has no variance of one."""


def parts(cells: int, micro_batch: int | None) -> int:
    """Return into how many parts a batch of `cells` is split, so that none is larger.

    No part is a single cell, of which batch norm has no variance: one may be larger by a cell.
    """
    if micro_batch is None:
        return 1
    return max(1, min(-(-cells // micro_batch), cells // 2))


def out_of_memory(error: RuntimeError) -> bool:
    """Tell whether a device, or the machine, had no memory for a tensor."""
    told = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(words in told for words in NO_MEMORY)


def checkpoint_activations(model: nn.Module) -> None:
    """Let `model` forget what its residual blocks compute, and compute it again going backward.

    Chen et al. 2016, arXiv:1604.06174. A third more arithmetic; weights, gradients and the norms'
    running statistics stay what they would have been.
    """
    for block in model.modules():
        if isinstance(block, ResidualBlock):
            block.forward = partial(  # type: ignore[method-assign]
                checkpoint,
                block.forward,
                use_reentrant=False,
                context_fn=partial(_contexts, block),
            )


def _contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return what surrounds the forward pass of `block`, and its repetition."""
    return nullcontext(), _statistics_kept(block)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Keep the norms' running statistics from following the same batch twice."""
    norms = [norm for norm in block.modules() if isinstance(norm, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked -= 1
