"""Trainings of tests: what they are asked, how they are stopped, whether two are alike."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from leukoscope.training import trainer
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.run import Run

SETTINGS = ["batch_size=8", "epochs=3", "learning_rate=0.01", "momentum=0.9"]
NARROW = {"width": 16}
MACHINE_COLUMNS = ["images_per_second", "seconds"]

Untrained = Callable[..., Run]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return Checkpoint.load(run.checkpoint("last")).model


def assert_same(first: Run, second: Run) -> None:
    ours, theirs = weights(first), weights(second)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    pd.testing.assert_frame_equal(
        first.history.drop(columns=MACHINE_COLUMNS), second.history.drop(columns=MACHINE_COLUMNS)
    )


def stop_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Send this process the signal of Ctrl-C at the end of batch number `batches`."""
    seen = 0
    advance = trainer.Bar.advance

    def counting(bar: trainer.Bar, by: int = 1) -> None:
        nonlocal seen
        advance(bar, by)
        seen += 1
        if seen == batches:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(trainer.Bar, "advance", counting)


def flip(path: Path, place: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
