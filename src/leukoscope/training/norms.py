"""Batch norm over the shares that several processes have of a batch: whether, and how.

`torch.nn.SyncBatchNorm` computes on accelerators alone; here is the same for a CPU, by the kernels
of `torch.nn.BatchNorm2d`.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from leukoscope.cells.loader import TrainingLoader
from leukoscope.errors import BadInputError
from leukoscope.training.memory import SMALLEST_PART

SMALL_SHARE = 16
"""Cells: of fewer in a process, batch norm sees those of all, unless it is asked not to."""


def seen_together(model: nn.Module, loader: TrainingLoader, asked: bool | None) -> bool:
    """Tell whether the batch norms of `model` are to see the shares of all processes.

    Args:
        model: the network.
        loader: of its batches.
        asked: what the user wants; None: what is best.

    Raises:
        BadInputError: it is not to be, and a process has too few cells of some batch.
    """
    norms = any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    if loader.size == 1 or not norms:
        return False
    smallest = int(loader.shares().min())
    if asked is None:
        return loader.batch_size // loader.size < SMALL_SHARE or smallest < SMALLEST_PART
    if not asked and smallest < SMALLEST_PART:
        raise BadInputError(
            f"of some batch a process has {smallest} cells, and batch norm has no variance of "
            "one: choose --sync-norm, or other batches"
        )
    return asked


def synchronised(model: nn.Module, device: torch.device) -> nn.Module:
    """Return `model` with batch norms that see the shares of all processes.

    Names and values of its weights and running statistics stay.
    """
    if device.type != "cpu":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-any-return, no-untyped-call]
    for module in list(model.modules()):
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm  # as torch does where it parametrises modules
    return model


class SharedBatchNorm(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` of the cells of all processes; a process may have none of them.

    In evaluation it is that norm itself, and so are its running statistics.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W), normalised."""
        if not self.training:
            return super().forward(x)
        normed, mean, variance, count = _Norm.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return normed  # type: ignore[no-any-return]


class _Norm(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return `x` normalised, mean and biased variance by channel, and values a channel."""
        # In float64: a small variance would drown in the square of a large mean.
        sums = torch.zeros(3, len(weight), dtype=torch.float64)
        if x.numel():
            none, one = torch.zeros_like(weight), torch.ones_like(weight)
            mean, variance = (
                told.double() for told in torch.batch_norm_update_stats(x, none, one, 0.0)
            )
            each = torch.stack([torch.ones_like(mean), mean, variance + mean.square()])
            sums = each * (x.numel() // x.shape[1])
        sums = _total(sums)
        count, mean, square = sums[0, 0], sums[1] / sums[0], sums[2] / sums[0]
        variance = (square - mean.square()).clamp_min(0)
        mean, variance, count = mean.to(weight), variance.to(weight), count.to(weight)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, count)
        if not x.numel():  # its kernel divides by the number of cells
            return torch.empty_like(x), mean, variance, count
        # With mean and variance given, this is the norm as it is in evaluation.
        normed = torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, eps)[0]
        return normed, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients: those of the weights are this share's, and averaged later."""
        x, weight, mean, variance, count = ctx.saved_tensors
        into, slope, shift = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(weight)
        if x.numel():
            given = (mean, variance, None, None, False, ctx.eps, [True, True, True])
            into, slope, shift = torch.ops.aten.native_batch_norm_backward(grad, x, weight, *given)
        # What every value of the batch does to this one, through mean and variance.
        both = _total(torch.stack([slope, shift]))
        inverse = torch.rsqrt(variance + ctx.eps)
        by_value = -both[0] * weight * inverse.square() / count
        constant = -both[1] * weight * inverse / count - by_value * mean
        wide = (slice(None), None, None)
        into.addcmul_(x, by_value[wide].to(x)).add_(constant[wide].to(x))
        return into, slope, shift, None


def _total(tensor: Tensor) -> Tensor:
    """Return the sum of `tensor` over the processes, the same in each.

    Two numbers a channel are soon sent, and it is the waiting that takes time: all processes are
    heard at once, in a third of the time that gloo's all-reduce takes for its rounds.
    """
    told = tensor.new_empty(dist.get_world_size() * len(tensor), *tensor.shape[1:])
    dist.all_gather_into_tensor(told, tensor)
    return told.view(-1, *tensor.shape).sum(0)
