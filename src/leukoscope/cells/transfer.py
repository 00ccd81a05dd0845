"""Tensors on their way to a device that must not be waited for."""

import torch
from torch import Tensor


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor`, which lies on the CPU, on `device`."""
    # CUDA copies from pageable memory only after all that it was asked for before.
    source = tensor.pin_memory() if device.type == "cuda" else tensor
    return source.to(device, non_blocking=True)
