"""Claim: a ResNet-18 epoch on the CPU spends at most 3 % outside forward, backward and step.

The peer is the same network stepping on one batch held in memory: no loader, no bookkeeping.
Epochs of both alternate, so that a drifting clock touches both alike.
"""

import os
import tempfile
import threading
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from common import phantom_cells, tell
from leukoscope.cells.sources import read_sources
from leukoscope.cells.store import prepare
from leukoscope.progress import Bar
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import Trainer

SIZE, RUNS = 224, 5


class Epochs(Trainer):
    """A trainer that can be asked for the training half of one epoch."""

    def training_seconds(self) -> float:
        """Train one epoch as always; return the seconds up to its end, without validation."""
        self.judged = {}
        started = time.perf_counter()
        self._epoch(Bar("bench", self.loader.cells, "images"), threading.Event())
        return time.perf_counter() - started

    def _close_epoch(self, row: dict[str, float]) -> None:
        self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0

    def bare_seconds(self) -> float:
        """Step as often, on batches of the same sizes that are in memory already."""
        batches = [(self.standard(batch), batch.labels) for batch in self.loader.epoch(0)]
        self.model.train()
        started = time.perf_counter()
        for pictures, labels in batches:
            F.cross_entropy(self.model(pictures), labels).backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - started


def main() -> None:
    """Alternate epochs of the trainer with bare ones."""
    with phantom_cells(400) as folder, tempfile.TemporaryDirectory() as runs:
        store = prepare(read_sources([folder / "cells"]).cells, folder / "store", size=SIZE)
        threads = os.cpu_count() or 1
        config = RunConfig.plan(store.folder, "resnet18", "lab", threads=threads, device="cpu")
        epochs = Epochs(Run.create(Path(runs) / "run", config), None)
        pairs = [(epochs.training_seconds(), epochs.bare_seconds()) for _ in range(RUNS + 1)][1:]
    tell(
        "epoch",
        f"ResNet-18, {SIZE} px, batch 16: share of an epoch outside forward, backward and step",
        "%",
        [100 * (1 - bare / whole) for whole, bare in pairs],
        images_per_second=epochs.loader.cells / min(whole for whole, _ in pairs),
        torch_threads=torch.get_num_threads(),
    )


if __name__ == "__main__":
    main()
