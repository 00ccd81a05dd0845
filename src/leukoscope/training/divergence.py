"""A training that diverged: what it computes are no numbers any more."""

import torch

from leukoscope.errors import LeukoscopeError
from leukoscope.training.checkpoint import Progress
from leukoscope.training.team import Team

CALMER = "the last checkpoint is from before. Try a smaller learning rate."
"""What to do after a training that diverged."""


class Diverged(LeukoscopeError):  # noqa: N818
    """The loss is no number any more."""


def assert_finite(progress: Progress, team: Team) -> None:
    """Wait for the losses of the epoch's batches so far, and look at them.

    Raises:
        Diverged: one is no number; its batch is named.
    """
    wrong = ~torch.isfinite(progress.losses[: progress.batch])
    if wrong.any():
        batch = int(wrong.nonzero()[0])
        raise Diverged(
            team.once(
                f"the loss of batch {batch + 1} of epoch {progress.epoch + 1} is "
                f"{progress.losses[batch].item()}; {CALMER}"
            )
        )
