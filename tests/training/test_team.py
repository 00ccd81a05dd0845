"""One run by several processes: the same as by one, resumed bit for bit, and a death is named."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

import three_processes
from leukoscope.cells.gather import Gather
from leukoscope.cells.pixels import names
from leukoscope.cells.prepare import prepare
from leukoscope.cells.store import Store
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.reproduce import difference
from leukoscope.training.run import Run, RunConfig, Which
from leukoscope.training.trainer import train

PROCESSES = 3
PLAIN = ["batch_size=12", "epochs=2", "learning_rate=0.01", "momentum=0.9"]
EVERYTHING = [
    "batch_size=10",
    "epochs=2",
    "mixup=0.4",
    "balance=person",
    "averaging=0.9",
    "keep=last",
    "augmentation.rotation=true",
]


def new_run(store: Store, folder: Path, overrides: list[str], **options: object) -> Run:
    config = RunConfig.plan(
        store.folder,
        "resnet18",
        "lab",
        overrides,
        model_options={"width": 16},
        threads=1,
        device="cpu",
        **options,
    )
    return Run.create(folder, config)


def assert_judged(run: Run, which: Which) -> None:
    """Hold what a checkpoint's epoch says of validation against its weights."""
    store = run.open_store()
    rows, kept = store.rows("validation"), Checkpoint.load(run.checkpoint(which))
    with torch.inference_mode():
        batch = Gather(store)(rows)
        logits = run.load_model(which)(run.standard()(batch))
    row = kept.progress.best if which == "best" else kept.progress.history[-1]
    assert row is not None
    assert row["validation_accuracy"] == (logits.argmax(1) == batch.labels).double().mean()
    loss = F.cross_entropy(logits, batch.labels).item()
    assert row["validation_loss"] == pytest.approx(loss, rel=1e-4)
    auroc = roc_auc_score(batch.labels, logits[:, 1] - logits[:, 0])
    assert row["validation_auroc"] == pytest.approx(auroc)


@pytest.fixture(scope="module")
def shards(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same store in four shards."""
    return prepare(cells, tmp_path_factory.mktemp("shards") / "store", size=32, shards=4)


def second_below(launcher: int) -> int:
    """Return the process of rank 1 among those that a launcher started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return next(
        int(child)
        for child in children
        if "\0RANK=1\0" in Path(f"/proc/{child}/environ").read_text()
    )


@pytest.fixture(scope="module")
def launched(
    store: Store, shards: Store, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """Runs of three processes, see `three_processes`, and what was said when the second of them was
    killed over the last run.
    """
    folder = tmp_path_factory.mktemp("team")
    for rank in range(PROCESSES):
        here = shutil.copytree(shards.folder, folder / f"store-{rank}")
        for number, name in enumerate(names(4)):
            if number % PROCESSES != rank:
                (here / name).unlink()
    new_run(shards, folder / "shards", [*PLAIN, "epochs=1", "colour=density", "teacher=0.3"])
    new_run(store, folder / "plain", PLAIN, precision="64-true", watch_test=True)
    for name in ("whole", "stopped", "left"):
        # A share of three cells would have norms of its own only if asked for.
        new_run(store, folder / name, EVERYTHING, sync_norm=False)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES)]
    words = [sys.executable, *launcher, three_processes.__file__, str(folder)]
    if sys.platform != "linux":
        subprocess.run(words, check=True)
        return folder, ""
    # Three processes share a number of cells that does not divide, and a last batch of two.
    rows = len(store.rows("train"))
    size = next(size for size in range(4, rows) if rows % size == 2)
    endless = [f"batch_size={size}", "epochs=1000", "augmentation.rotation=true"]
    killed = new_run(store, folder / "killed", endless)
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(words, stderr=said)
        try:
            deadline = time.monotonic() + 240
            while killed.history.empty and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not killed.history.empty, (folder / "said").read_text()
            os.kill(second_below(process.pid), signal.SIGKILL)
            assert process.wait(60) == 1
        finally:
            process.terminate()  # so that torchrun ends the others
            process.wait(60)
    return folder, (folder / "said").read_text()


@pytest.fixture(scope="module")
def runs(launched: tuple[Path, str]) -> Path:
    return launched[0]


def test_three_processes_train_as_one(runs: Path, store: Store, tmp_path: Path) -> None:
    alone = new_run(store, tmp_path / "alone", PLAIN, precision="64-true", watch_test=True)
    train(alone)
    together = Run.open(runs / "plain")
    times = ["images_per_second", "seconds"]
    pd.testing.assert_frame_equal(
        together.history.drop(columns=times), alone.history.drop(columns=times), rtol=1e-5
    )
    ours, theirs = (Checkpoint.load(run.checkpoint("last")).model for run in (together, alone))
    assert list(ours) == list(theirs)
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-5, atol=1e-5)


def test_each_cell_is_seen_once_an_epoch(runs: Path, store: Store) -> None:
    seen = [np.load(runs / "plain" / f"rows-{rank}.npy") for rank in range(PROCESSES)]
    once = np.sort(store.rows("train"))
    for epoch in zip(*(np.split(rows, 2) for rows in seen), strict=True):
        assert np.array_equal(np.sort(np.concatenate(epoch)), once)


def test_a_process_trains_and_judges_the_cells_of_its_shards(runs: Path, shards: Store) -> None:
    seen = [np.load(runs / "shards" / f"rows-{rank}.npy") for rank in range(PROCESSES)]
    for rank, rows in enumerate(seen):
        assert set(shards.cells["shard"].iloc[rows] % PROCESSES) == {rank}
        assert set(shards.labels[rows]) == {0, 1}
    assert np.array_equal(np.sort(np.concatenate(seen)), np.sort(shards.rows("train")))
    assert_judged(Run.open(runs / "shards"), "last")


def test_all_stop_after_the_same_batch_when_one_is_asked(runs: Path) -> None:
    for rank in range(PROCESSES):
        told = (runs / "stopped" / f"stopped-{rank}").read_text()
        assert told == str(three_processes.STOP_AFTER)


def test_resumed_by_as_many_equals_uninterrupted(runs: Path) -> None:
    assert difference(Run.open(runs / "whole"), Run.open(runs / "stopped")) == []


def test_another_number_of_processes_goes_on(runs: Path) -> None:
    left = Run.open(runs / "left")
    before = left.history
    assert len(before) == 1
    train(left, left.newest_checkpoint())
    assert left.finished
    pd.testing.assert_frame_equal(left.history[: len(before)], before)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes as Linux tells them")
def test_a_process_that_dies_is_named(launched: tuple[Path, str]) -> None:
    _, said = launched
    lines = [line for line in said.splitlines() if line.startswith("leukoscope: ")]
    assert lines
    assert all(line.startswith("leukoscope: process 1 of 3 (pid ") for line in lines), said
    assert all("is gone" in line for line in lines)
    assert "Traceback" not in said.partition("torch/distributed/elastic")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes as Linux tells them")
def test_every_validation_cell_is_judged_once(runs: Path) -> None:
    assert_judged(Run.open(runs / "killed"), "best")
