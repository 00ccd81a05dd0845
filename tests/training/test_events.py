"""TensorBoard's event files: what the history holds, each epoch once, wherever it was stopped."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.training.events import FOLDER, Events
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import AfterEpoch, train

NewRun = Callable[..., Run]


class Stopped(Exception):  # noqa: N818 - what a crash leaves, in the midst of an epoch's end
    """The machine went down."""


@pytest.fixture
def new_run(store: Store, tmp_path: Path) -> NewRun:
    def create(watch_test: bool = True) -> Run:
        config = RunConfig.plan(
            store.folder,
            "resnet18",
            "lab",
            ["batch_size=8", "epochs=3"],
            model_options={"width": 8},
            watch_test=watch_test,
            threads=1,
            device="cpu",
        )
        return Run.create(tmp_path / "run", config)

    return create


def shown(run: Run) -> pd.DataFrame:
    """Read the event files as TensorBoard does: a row an epoch, doubled ones kept."""
    read = EventAccumulator(str(run.folder / FOLDER), size_guidance={"scalars": 0}).Reload()
    curves = {}
    for tag in read.Tags()["scalars"]:
        events = read.Scalars(tag)
        curves[tag] = pd.Series([event.value for event in events], [event.step for event in events])
    return pd.DataFrame(curves)


def assert_as_in_the_history(run: Run) -> None:
    history = run.history.set_index("epoch")
    names = {column: column for column in history}
    for split in ("train", "validation", "test"):
        names |= {f"{split}_{figure}": f"{figure}/{split}" for figure in ("loss", "accuracy")}
    names |= {f"{split}_auroc": f"auroc/{split}" for split in ("validation", "test")}
    found = shown(run)
    assert set(found) == {names[column] for column in history}
    assert found.index.tolist() == history.index.tolist()
    for column in history:  # events are of single precision
        np.testing.assert_array_equal(found[names[column]], history[column].astype(np.float32))


def train_with_events(run: Run, start: Path) -> None:
    """Go on with `run` in a sitting of its own."""
    time.sleep(1)  # files are read in the order of the seconds in which they begin
    with Events(run) as after_epoch:
        train(run, start, after_epoch)


def stopping_at(epoch: int, closing: AfterEpoch | None = None) -> AfterEpoch:
    """Return a callback that goes down at the end of `epoch`, before its checkpoint."""

    def look(row: dict[str, float], model: torch.nn.Module) -> None:
        if closing:
            closing(row, model)
        if row["epoch"] == epoch:
            raise Stopped

    return look


def test_events_are_the_history(new_run: NewRun) -> None:
    run = new_run()
    seen = []

    def look(row: dict[str, float], model: torch.nn.Module) -> None:
        events(row, model)
        seen.append(shown(run).index.tolist())

    with Events(run) as events:
        train(run, None, look)
    assert seen == [[1], [1, 2], [1, 2, 3]]  # epoch by epoch
    assert len(run.history) == 3
    assert_as_in_the_history(run)


def test_an_epoch_that_was_told_and_not_kept_is_not_doubled(new_run: NewRun) -> None:
    run = new_run(watch_test=False)
    with pytest.raises(Stopped), Events(run) as events:
        train(run, None, stopping_at(2, events))
    assert shown(run).index.tolist() == [1, 2]
    assert run.history["epoch"].tolist() == [1]
    train_with_events(run, run.checkpoint("last"))
    assert len(run.history) == 3
    assert_as_in_the_history(run)


def test_epochs_trained_without_events_are_not_missing(new_run: NewRun) -> None:
    run = new_run(watch_test=False)
    with pytest.raises(Stopped):
        train(run, None, stopping_at(3))
    train_with_events(run, run.checkpoint("last"))
    assert len(run.history) == 3
    assert_as_in_the_history(run)


def test_events_follow_a_run_that_goes_back_to_an_earlier_checkpoint(new_run: NewRun) -> None:
    run = new_run(watch_test=False)
    early = run.folder / "early.ckpt"

    def look(row: dict[str, float], model: torch.nn.Module) -> None:
        events(row, model)
        if row["epoch"] == 2:  # that of the first epoch
            early.write_bytes(run.checkpoint("last").read_bytes())

    with Events(run) as events:
        train(run, None, look)
    train_with_events(run, early)
    assert_as_in_the_history(run)


def test_a_tensorboard_that_looks_on_forgets_what_is_written_anew(new_run: NewRun) -> None:
    run, network = new_run(), torch.nn.Identity()
    rows = [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in (1, 2, 3)]
    watching = EventAccumulator(str(run.folder / FOLDER))

    with Events(run) as events:
        for row in rows[:2]:
            events(row, network)
    assert [event.step for event in watching.Reload().Scalars("loss/train")] == [1, 2]

    run.write_history(rows[:1])  # the second epoch was not kept
    time.sleep(1)  # as above
    with Events(run) as events:
        for row in rows[1:]:
            events(row, network)
            run.write_history(rows[: row["epoch"]])
    assert [event.step for event in watching.Reload().Scalars("loss/train")] == [1, 2, 3]


def test_a_finished_run_has_events_once_they_are_asked_for(new_run: NewRun) -> None:
    run = new_run(watch_test=False)
    train(run)
    train_with_events(run, run.checkpoint("last"))
    assert len(run.history) == 3
    assert_as_in_the_history(run)


def test_without_the_extra_they_are_refused(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(BadInputError, match=r"pip install 'leukoscope\[track\]'"):
        Events(new_run())


def test_training_without_events_imports_no_tensorboard(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys; from leukoscope.cli import app; app(standalone_mode=False); "
        "sys.exit('tensorboard' in sys.modules)"
    )
    words = ["train", store.folder, "-o", tmp_path / "run", "--set", "epochs=1", "--threads", "1"]
    subprocess.run([sys.executable, "-c", code, *words], check=True)
    assert (tmp_path / "run" / "history.csv").exists()
    assert not (tmp_path / "run" / FOLDER).exists()
