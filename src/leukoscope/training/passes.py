"""A batch passes the network, forward and backward: whole, or in parts where memory is short."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from leukoscope.errors import LeukoscopeError
from leukoscope.training.checkpoint import random_state, restore_random_state
from leukoscope.training.memory import SMALLEST_PART, out_of_memory, parts
from leukoscope.training.team import Team


class OutOfMemory(LeukoscopeError):  # noqa: N818
    """Not even the smallest parts of a batch fit."""


class Passes:
    """Leaves the gradients of batches in the weights of a network.

    Args:
        fabric: by which `model` is set up.
        model: the network.
        label_smoothing: of the cross-entropy.
        micro_batch: cells that pass at once, None: a whole batch; halved where memory is short.
        team: the processes that pass a batch together, each its own share.
        sync_norm: whether batch norm sees the shares of all.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        label_smoothing: float,
        micro_batch: int | None,
        team: Team,
        sync_norm: bool,
    ) -> None:
        self.fabric, self.model, self.label_smoothing = fabric, model, label_smoothing
        self.micro_batch, self.team, self.sync_norm = micro_batch, team, sync_norm

    def __call__(
        self, pictures: Tensor, targets: Tensor, cells: int, halved: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        """Pass this process's share of a batch; return its logits, (B, 2), and its loss.

        The mean over the processes of their losses, as of their gradients, is that of the batch.

        Args:
            pictures: (B, 3, H, W), as of `Lesson`.
            targets: likewise.
            cells: of the batch, over all processes.
            halved: is told how many cells pass at once from now on, where memory was short.

        Raises:
            OutOfMemory: no smaller parts can be tried.
        """
        # What a pass changes, to take back one that failed on its way.
        norms, random = [buffer.clone() for buffer in self.model.buffers()], random_state()
        while True:
            try:
                return self._accumulated(pictures, targets, cells)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                fewer = min(len(pictures), self.micro_batch or len(pictures)) // 2
                if self.team.size > 1:
                    # The others wait for this share within the pass; none can go back alone.
                    raise OutOfMemory(
                        f"process {self.team.rank} has no memory for its share of a batch, "
                        f"{len(pictures)} cells: go on with --resume and --micro-batch "
                        f"{max(SMALLEST_PART, fewer)}, or --checkpoint-activations"
                    ) from error
                if fewer < SMALLEST_PART:
                    raise OutOfMemory(
                        "no memory even for parts of a few cells; the last checkpoint is from "
                        "before. Try --checkpoint-activations, or a smaller network."
                    ) from error
            # Out here the error, and with it what the failed pass holds, is gone.
            self.model.zero_grad(set_to_none=True)
            for buffer, before in zip(self.model.buffers(), norms, strict=True):
                buffer.copy_(before)
            restore_random_state(random)
            self.micro_batch = fewer
            halved(fewer)

    def _accumulated(self, pictures: Tensor, targets: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        """Add up the gradients of all parts of a share; return its logits and loss."""
        size, share = self.team.size, len(pictures)
        if self.micro_batch and self.sync_norm:  # of all shares together: all have as many parts
            share = self.team.highest(share)
        count = parts(share, self.micro_batch)
        told, losses = [], []
        for part, (some, wanted) in enumerate(
            zip(pictures.tensor_split(count), targets.tensor_split(count), strict=True), start=1
        ):
            # The processes exchange gradients after the last.
            with self.fabric.no_backward_sync(self.model, enabled=part < count):  # type: ignore[arg-type]
                logits = self.model(some)
                if len(some):
                    loss = F.cross_entropy(logits, wanted, label_smoothing=self.label_smoothing)
                    loss = loss * (len(some) * size / cells)
                else:  # more processes than cells
                    loss = logits.sum()
                self.fabric.backward(loss)
            told.append(logits.detach())
            losses.append(loss.detach())
        return torch.cat(told), torch.stack(losses).sum()
