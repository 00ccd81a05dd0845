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

import two_processes
from leukoscope.cells.gather import Gather
from leukoscope.cells.pixels import names
from leukoscope.cells.store import Store, prepare
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.reproduce import difference
from leukoscope.training.run import Run, RunConfig, Which
from leukoscope.training.trainer import train

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


def command(processes: int, *words: str | Path) -> list[str]:
    """Return how torchrun starts something so often."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *launcher, *map(str, words)]


@pytest.fixture(scope="module")
def shards(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same store in four shards."""
    return prepare(cells, tmp_path_factory.mktemp("shards") / "store", size=32, shards=4)


@pytest.fixture(scope="module")
def runs(store: Store, shards: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two processes; see `two_processes`."""
    folder = tmp_path_factory.mktemp("team")
    for rank in range(2):
        shutil.copytree(shards.folder, folder / f"store-{rank}")
        for other in names(4)[1 - rank :: 2]:
            (folder / f"store-{rank}" / other).unlink()
    new_run(shards, folder / "shards", [*PLAIN, "epochs=1", "colour=density", "teacher=0.3"])
    new_run(store, folder / "plain", PLAIN, precision="64-true", watch_test=True)
    for name in ("whole", "stopped", "left"):
        # A share of five cells would have norms of its own only if asked for.
        new_run(store, folder / name, EVERYTHING, sync_norm=False)
    subprocess.run(command(2, two_processes.__file__, folder), check=True)
    return folder


def test_two_processes_train_as_one(runs: Path, store: Store, tmp_path: Path) -> None:
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
    seen = [np.load(runs / "plain" / f"rows-{rank}.npy") for rank in range(2)]
    once = np.sort(store.rows("train"))
    assert len(seen[0]) == len(seen[1]) == len(once)
    for epoch in range(2):
        half = slice(epoch * len(once) // 2, (epoch + 1) * len(once) // 2)
        assert np.array_equal(np.sort(np.concatenate([rows[half] for rows in seen])), once)


def test_a_process_trains_and_judges_the_cells_of_its_shards(runs: Path, shards: Store) -> None:
    seen = [np.load(runs / "shards" / f"rows-{rank}.npy") for rank in range(2)]
    for rank, rows in enumerate(seen):
        assert set(shards.cells["shard"].iloc[rows] % 2) == {rank}
        assert set(shards.labels[rows]) == {0, 1}
    assert np.array_equal(np.sort(np.concatenate(seen)), np.sort(shards.rows("train")))
    assert_judged(Run.open(runs / "shards"), "last")


def test_all_stop_after_the_same_batch_when_one_is_asked(runs: Path) -> None:
    for rank in range(2):
        told = (runs / "stopped" / f"stopped-{rank}").read_text()
        assert told == str(two_processes.STOP_AFTER)


def test_resumed_by_as_many_equals_uninterrupted(runs: Path) -> None:
    assert difference(Run.open(runs / "whole"), Run.open(runs / "stopped")) == []


def test_another_number_of_processes_goes_on(runs: Path) -> None:
    left = Run.open(runs / "left")
    before = left.history
    assert len(before) == 1
    train(left, left.newest_checkpoint())
    assert left.finished
    pd.testing.assert_frame_equal(left.history[: len(before)], before)


@pytest.fixture(scope="module")
def killed(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A run of three processes, of which the second is killed, and what was said."""
    rows = len(store.rows("train"))
    size = next(size for size in range(4, rows) if rows % size == 2)
    run = new_run(
        store,
        tmp_path_factory.mktemp("killed") / "run",
        [f"batch_size={size}", "epochs=1000", "augmentation.rotation=true"],
    )
    words = command(3, "-m", "leukoscope", "train", "--resume", run.folder)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while run.history.empty and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(second_below(process.pid), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    return run, said


def second_below(launcher: int) -> int:
    """Return the process of rank 1 among those that a launcher started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return next(
        int(child)
        for child in children
        if "\0RANK=1\0" in Path(f"/proc/{child}/environ").read_text()
    )


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes as Linux tells them")
def test_a_process_that_dies_is_named(killed: tuple[Run, str]) -> None:
    _, said = killed
    lines = [line for line in said.splitlines() if line.startswith("leukoscope: ")]
    assert lines
    assert all(line.startswith("leukoscope: process 1 of 3 (pid ") for line in lines), said
    assert all("is gone" in line for line in lines)
    assert "Traceback" not in said.partition("torch/distributed/elastic")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes as Linux tells them")
def test_every_validation_cell_is_judged_once(killed: tuple[Run, str]) -> None:
    # Three processes share a number of cells that does not divide, and a last batch of two.
    assert_judged(killed[0], "best")
