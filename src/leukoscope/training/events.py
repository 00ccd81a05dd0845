"""Event files: what the history of a run holds, as curves for TensorBoard."""

from types import TracebackType
from typing import Any

import torch

from leukoscope.cells.manifest import SPLITS
from leukoscope.errors import needs_extra
from leukoscope.training.run import Run

FOLDER = "tensorboard"
"""Of the event files, in the run folder."""


class Events:
    """Adds each epoch of a run to its event files: a callback of `trainer.train`, and a context.

    Each sitting begins a file of its own, with the epochs that the history has already, and says
    that what the files before tell is void: TensorBoard shows every epoch once, wherever the run
    was interrupted, from whichever checkpoint it goes on, and also where its first epochs were
    trained without events.

    Args:
        run: whose ``tensorboard/`` they are.

    Raises:
        BadInputError: tensorboard is not installed.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.last = run, 0
        # Earlier files stay: a TensorBoard that is looking on would not get over their end.
        self.writer = summary_writer()(run.folder / FOLDER, purge_step=0)

    @staticmethod
    def exist(run: Run) -> bool:
        """Tell whether a sitting of `run` wrote any."""
        return (run.folder / FOLDER).exists()

    def __enter__(self) -> "Events":
        return self

    def __call__(self, row: dict[str, float], _: torch.nn.Module) -> None:
        """Add an epoch, a row of the history that is not in its table yet."""
        self._catch_up(before=row["epoch"])
        self._add(row)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file; it holds the history also where no epoch was trained."""
        self._catch_up()
        self.writer.close()

    def _catch_up(self, before: float = float("inf")) -> None:
        """Add the epochs of the history that are missing."""
        for row in self.run.history.to_dict("records"):
            if self.last < row["epoch"] < before:
                self._add(row)

    def _add(self, row: dict[Any, float]) -> None:
        for column, value in row.items():
            if column != "epoch":
                self.writer.add_scalar(_tag(column), value, row["epoch"])
        self.writer.flush()
        self.last = int(row["epoch"])


def summary_writer() -> Any:
    """Return torch's class that writes event files.

    Raises:
        BadInputError: tensorboard is not installed.
    """
    with needs_extra("track"):
        # Not above: it takes a while, and training without it must not need it.
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter


def _tag(column: str) -> str:
    """Name a column of the history so that TensorBoard shows all splits of a figure together.

    >>> _tag("validation_loss")
    'loss/validation'
    """
    first, _, rest = column.partition("_")
    return f"{rest}/{first}" if first in SPLITS else column
