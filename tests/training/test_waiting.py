"""Inside an epoch nothing waits for the device: its work is queued, its results are read later."""

import threading
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from leukoscope.cells.store import Store
from leukoscope.progress import Bar
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import Trainer

READERS = {
    torch.ops.aten._local_scalar_dense.default,  # item(), float(), bool()
    torch.ops.aten.nonzero.default,  # its size is not known before
    torch.ops.aten.equal.default,
}


class Reads(TorchDispatchMode):
    """Counts what brings a value of a tensor into Python, which waits for the tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in READERS
        return func(*args, **(kwargs or {}))


class OneEpoch(Trainer):
    """Trains an epoch, without looking at validation."""

    def reads(self) -> tuple[int, int]:
        """Return how often a tensor was read, and how many steps there were."""
        self.judge.splits = {}
        with Reads() as reads:
            self._epoch(Bar("epoch", self.loader.cells, "images"), threading.Event())
        return reads.count, len(self.loader)

    def _close_epoch(self, row: dict[str, float]) -> None:
        pass


@pytest.fixture(params=["lab", "modern"])
def epochs(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> list[OneEpoch]:
    """The same recipe in few steps and in many."""
    made = []
    for batch in (12, 3):
        settings = [f"batch_size={batch}"]
        options = {"model_options": {"width": 8}, "threads": 1, "device": "cpu"}
        config = RunConfig.plan(store.folder, "resnet18", request.param, settings, **options)
        made.append(OneEpoch(Run.create(tmp_path / str(batch), config), None))
    return made


def test_no_step_reads_what_is_computed(epochs: list[OneEpoch]) -> None:
    (few_reads, few), (many_reads, many) = (epoch.reads() for epoch in epochs)
    assert many >= 3 * few
    assert few_reads == many_reads > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA alone tells who waits for it")
def test_no_step_waits_for_cuda(store: Store, tmp_path: Path) -> None:
    options = {"model_options": {"width": 8}, "threads": 1, "device": "cuda"}
    config = RunConfig.plan(store.folder, "resnet18", "modern", ["batch_size=12"], **options)
    trainer = Trainer(Run.create(tmp_path / "run", config), None)
    batches = list(trainer.loader.epoch(0))
    for batch in batches[:1]:  # the first step reads what later ones know
        trainer._gradients(batch, Bar("", 1, "images"))
        trainer.optimizer.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches[1:]:
            trainer._gradients(batch, Bar("", 1, "images"))
            trainer.optimizer.step()
            trainer._follow()
    finally:
        torch.cuda.set_sync_debug_mode("default")
