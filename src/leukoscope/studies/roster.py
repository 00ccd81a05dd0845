"""The roster: what each run of a crew is doing, as a table that stays on a terminal.

Where there is no terminal it is a line for everything that happens.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from leukoscope.errors import BadInputError
from leukoscope.training.run import Run

COLUMNS = ("run", "epoch", "validation AUROC", "images/s", "state")

Row = tuple[str, ...]


class Roster:
    """Shows `runs`, whose progress it reads in their folders; use as a context manager."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        common = Path(os.path.commonpath([run.folder.parent for run in runs]))
        self.names = [run.folder.relative_to(common).as_posix() for run in runs]
        self.shown: dict[int, Row] = {}
        console = Console(file=sys.stderr)
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> "Roster":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def show(self, states: Sequence[str]) -> None:
        """Show the runs as their folders are now, and what is said of each."""
        rows: dict[int, Row] = {
            number: (self.names[number], *self._progress(number, run), state)
            for number, (run, state) in enumerate(zip(self.runs, states, strict=True))
        }
        if self.live:
            table = Table(*COLUMNS)
            for row in rows.values():
                table.add_row(*row)
            self.live.update(table, refresh=True)
        else:
            for number, row in rows.items():
                if self.shown.get(number) != row:
                    print(_line(row), file=sys.stderr, flush=True)
        self.shown = rows

    def _progress(self, number: int, run: Run) -> Row:
        """Return what is known of a run now, or was when it was last looked at."""
        try:
            return _progress(run)
        except BadInputError:  # of a file that is being replaced a file server may not tell
            return self.shown[number][1:-1] if number in self.shown else ("?", "", "")


def _progress(run: Run) -> Row:
    """Return the epochs closed, the last one's AUROC and its speed."""
    history, epochs = run.history, run.config.recipe.epochs
    if history.empty:
        return f"0/{epochs}", "", ""
    last = history.iloc[-1]
    auroc, speed = last["validation_auroc"], last["images_per_second"]
    return f"{len(history)}/{epochs}", f"{auroc:.3f}", f"{speed:.0f}"


def _line(row: Row) -> str:
    """Say a row in words, without what is not known yet.

    >>> _line(("resnet18/fold0", "3/40", "0.912", "136", "running on node7"))
    'resnet18/fold0  running on node7  epoch 3/40  validation AUROC 0.912  136 images/s'
    """
    name, epoch, auroc, speed, state = row
    known = [f"validation AUROC {auroc}", f"{speed} images/s"] if auroc else []
    return "  ".join([name, state, f"epoch {epoch}", *known])
