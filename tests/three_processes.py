"""What one of three processes does in `training/test_team.py`: torchrun starts it, in a folder of
runs that were made and not begun.
"""

import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukoscope.cells.loader import TrainingLoader
from leukoscope.errors import LeukoscopeError
from leukoscope.training import trainer
from leukoscope.training.run import Run
from leukoscope.training.stopping import Interrupted
from leukoscope.training.team import Team, joined
from leukoscope.training.trainer import train

STOP_AFTER = 7
"""Batches."""


class Seen(TrainingLoader):
    """Notes the rows that this process is given."""

    rows_seen: list[NDArray[np.int64]]

    def epoch(self, epoch, first=0):
        """Yield batches, as always."""
        for batch in super().epoch(epoch, first):
            self.rows_seen.append(batch.rows.numpy())
            yield batch


def interrupted(run: Run, team: Team) -> None:
    """Train `run` until the last process is asked to stop, and go on."""
    advance, seen = trainer.Bar.advance, 0

    def counting(bar: trainer.Bar, by: int = 1) -> None:
        nonlocal seen
        advance(bar, by)
        seen += 1
        if seen == STOP_AFTER and team.rank == team.size - 1:
            for _ in range(2):  # by the scheduler, and by torchrun
                os.kill(os.getpid(), signal.SIGTERM)

    trainer.Bar.advance = counting
    with suppress(Interrupted):
        train(run, None, None, team)
    trainer.Bar.advance = advance
    (run.folder / f"stopped-{team.rank}").write_text(str(seen))
    if run.folder.name == "stopped":
        train(run, team.told(run.newest_checkpoint), None, team)


def noted(run: Run, team: Team) -> None:
    """Train `run`; note which rows this process was given."""
    Seen.rows_seen = []
    trainer.TrainingLoader = Seen
    train(run, None, None, team)
    trainer.TrainingLoader = TrainingLoader
    np.save(run.folder / f"rows-{team.rank}.npy", np.concatenate(Seen.rows_seen))


def main(folder: Path) -> None:
    """Train what lies in `folder`."""
    with joined() as team:
        noted(Run.open(folder / "plain"), team)
        shards = Run.open(folder / "shards")
        # As on a machine of its own, where the others' shards are not.
        here = str(folder / f"store-{team.rank}")
        noted(replace(shards, config=shards.config.model_copy(update={"store": here})), team)
        train(Run.open(folder / "whole"), None, None, team)
        interrupted(Run.open(folder / "stopped"), team)
        interrupted(Run.open(folder / "left"), team)
        if Run.exists(folder / "killed"):
            train(Run.open(folder / "killed"), None, None, team)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except LeukoscopeError as error:
        sys.exit(f"leukoscope: {error}")
