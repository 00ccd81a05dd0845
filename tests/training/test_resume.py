"""A run repeats bit for bit, and resumes from anywhere as if it had not been interrupted."""

import itertools
import os
import signal
import subprocess
import sys

import pytest
import torch

from leukoscope.cells.loader import TrainingLoader
from leukoscope.errors import BadInputError
from leukoscope.files import SCRATCH
from leukoscope.studies.runs import complete
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.run import Run
from leukoscope.training.stopping import Interrupted
from leukoscope.training.trainer import train
from trainings import SETTINGS, Untrained, assert_same, flip, stop_after, weights


def test_a_run_repeats_bit_for_bit(whole: Run, untrained: Untrained) -> None:
    again = untrained(watch_test=True)
    train(again)
    assert_same(whole, again)


def test_another_seed_is_another_run(whole: Run, untrained: Untrained) -> None:
    other = untrained(seed=1, overrides=[*SETTINGS, "epochs=1"])
    train(other)
    assert not torch.equal(weights(whole)["fc.weight"], weights(other)["fc.weight"])


EVERYTHING = [
    *SETTINGS,
    "optimizer=adamw",
    "learning_rate=0.002",
    "weight_decay=0.05",
    "schedule=cosine",
    "warmup=1",
    "label_smoothing=0.1",
    "mixup=0.4",
    "teacher=0.3",
    "balance=person",
    "averaging=0.9",
    "keep=last",
    "augmentation.rotation=true",
    "augmentation.scale=0.1",
    "augmentation.stain=0.1",
]
"""Every part of a recipe that the lab's has not."""


def test_a_run_with_everything_resumes_bit_for_bit(
    untrained: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = untrained("straight", EVERYTHING)
    train(straight)
    broken = untrained("broken", EVERYTHING)
    batches = len(TrainingLoader(broken.open_store(), 8, 0))
    with monkeypatch.context() as patch:
        stop_after(patch, batches + 2)
        with pytest.raises(Interrupted):
            train(broken)
    train(broken, broken.checkpoint("last"))
    assert_same(straight, broken)
    ours, theirs = (Checkpoint.load(run.checkpoint("best")) for run in (straight, broken))
    assert all(torch.equal(ours.judged[name], theirs.judged[name]) for name in ours.judged)
    assert ours.progress.epoch == 3  # the last is kept
    assert straight.history["learning_rate"].iloc[-1] == pytest.approx(0)


@pytest.mark.parametrize("batches", [1, 4, 6, 11])
def test_interrupted_and_resumed_equals_uninterrupted(
    whole: Run, untrained: Untrained, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    run = untrained(watch_test=True)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        stop_after(patch, batches)
        with pytest.raises(Interrupted, match=rf"train --resume .*{run.folder.name}"):
            train(run)
    assert signal.getsignal(signal.SIGINT) is before
    train(Run.open(run.folder), resume=run.checkpoint("last"))
    assert_same(whole, run)


def test_a_clock_set_back_changes_nothing(
    whole: Run, untrained: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = untrained(watch_test=True)
    hours = itertools.count()
    monkeypatch.setattr("time.time", lambda: 2e9 - 3600 * next(hours))
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(Interrupted):
            train(run)
    train(Run.open(run.folder), resume=run.newest_checkpoint())
    assert_same(whole, run)


def test_resumed_from_its_best_epoch_equals_uninterrupted(whole: Run, untrained: Untrained) -> None:
    run = untrained(watch_test=True)
    train(run)
    train(run, resume=run.checkpoint("best"))
    assert_same(whole, run)


def test_resuming_a_finished_run_changes_nothing(whole: Run) -> None:
    before = weights(whole)
    train(whole, resume=whole.checkpoint("last"))
    assert all(torch.equal(before[key], value) for key, value in weights(whole).items())


def test_a_history_that_cannot_be_read_is_written_anew(whole: Run, untrained: Untrained) -> None:
    run = untrained(watch_test=True)
    train(run)
    (run.folder / "history.csv").write_bytes(b"epoch,\xff\n1,2\n")
    with pytest.raises(BadInputError, match=r"cannot be read .* writes it anew"):
        _ = run.history
    train(Run.open(run.folder), resume=run.newest_checkpoint())
    assert_same(whole, run)


def broken_twice(untrained: Untrained, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run that was stopped a batch after it went on: it has two checkpoints."""
    run = untrained("broken", watch_test=True)
    for batches in (2, 1):
        with monkeypatch.context() as patch:
            stop_after(patch, batches)
            with pytest.raises(Interrupted):
                train(run, run.newest_checkpoint())
    return run


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    whole: Run,
    untrained: Untrained,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = broken_twice(untrained, monkeypatch)
    flip(run.checkpoint("last"), -1000)
    complete(run)
    assert "last.ckpt is damaged" in capsys.readouterr().err
    assert_same(whole, run)


def test_between_two_checkpoints_the_one_before_is_the_newest(
    untrained: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_twice(untrained, monkeypatch)
    run.checkpoint("last").unlink()
    start = run.newest_checkpoint()
    assert start is not None
    assert Checkpoint.load(start).progress.batch == 2


def test_where_no_checkpoint_is_whole_it_is_said(
    untrained: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_twice(untrained, monkeypatch)
    for path in (run.folder / "checkpoints").glob("*.ckpt"):
        flip(path, 100)
    with pytest.raises(
        BadInputError, match=r"last\.ckpt is damaged.*\n.*previous\.ckpt is damaged"
    ):
        complete(run)


def test_two_processes_do_not_train_one_run(untrained: Untrained) -> None:
    run = untrained()
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from leukoscope.lock import held\n"
        f"with held(Path({str(run.folder)!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BadInputError, match=f"is in use by process {other.pid} of "):
            train(run)
        with pytest.raises(BadInputError, match="is in use"):
            run.configured(run.config)
        other.kill()
        other.wait()
    train(run)
    assert run.finished


def test_what_a_killed_process_was_writing_is_removed(untrained: Untrained) -> None:
    run = untrained()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    places = [run.folder / "checkpoints" / f"{SCRATCH}{pid}-x" for pid in (ended.pid, os.getppid())]
    places[0].parent.mkdir()
    for scratch in places:
        scratch.write_text("half")
    train(run)
    assert [scratch.exists() for scratch in places] == [False, True]
