"""Claim: a ResNet-18 epoch on the CPU spends at most 3 % outside forward, backward and step.

The peer is the same network stepping on one batch held in memory: no loader, no bookkeeping.
Epochs of both alternate, so that a drifting clock touches both alike.
"""

import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from common import Epochs, phantom_cells, tell
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.cores import cores
from leukoscope.training.run import Run, RunConfig

SIZE, RUNS = 224, 5


class Bare(Epochs):
    """It can also step without a loader and without bookkeeping."""

    def bare_seconds(self) -> float:
        """Step as often, on batches of the same sizes that are in memory already."""
        batches = [(self.lesson.standard(batch), batch.labels) for batch in self.loader.epoch(0)]
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
        threads = cores()
        config = RunConfig.plan(store.folder, "resnet18", "lab", threads=threads, device="cpu")
        epochs = Bare(Run.create(Path(runs) / "run", config), None)
        pairs = [(epochs.seconds(), epochs.bare_seconds()) for _ in range(RUNS + 1)][1:]
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
