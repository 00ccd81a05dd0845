"""Tensors on their way to a device that must not be waited for."""

import torch
from torch import Tensor


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor`, which lies on the CPU, on `device`."""
    if device.type != "cuda":
        return tensor.to(device)
    # CUDA copies from pageable memory only after all that it was asked for before; torch keeps
    # what is pinned until it is copied.
    return tensor.pin_memory().to(device, non_blocking=True)
