"""A checkpoint: all that a training needs to go on as if it had never stopped."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leukoscope.errors import BadInputError
from leukoscope.files import atomic


@dataclass
class Progress:
    """Where a training stands, and what it has seen so far.

    Attributes:
        epoch: epochs finished.
        batch: batches finished of the next one.
        losses: (batches,) mean loss of each finished batch of that epoch.
        correct: (batches,) cells called right in each.
        seconds: spent in that epoch so far.
        history: one row a finished epoch.
        best: the row of `history` that validated best, None before the first.
    """

    epoch: int
    batch: int
    losses: Tensor
    correct: Tensor
    seconds: float
    history: list[dict[str, float]]
    best: dict[str, float] | None


@dataclass
class Checkpoint:
    """`Progress` with the weights, the optimizer and the random state that belong to it.

    `average` is the moving average of the weights, where the recipe asks for one.
    """

    progress: Progress
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    random: dict[str, Tensor]
    average: dict[str, Tensor] | None = None

    @property
    def judged(self) -> dict[str, Tensor]:
        """The weights that were judged: the average where there is one."""
        if self.average is None:
            return self.model
        inside = "module."
        return {
            name.removeprefix(inside): weight
            for name, weight in self.average.items()
            if name.startswith(inside)
        }

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        with atomic(path) as scratch:
            torch.save({**vars(self), "progress": vars(self.progress)}, scratch)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read `path` onto the CPU; nothing in it is run as code.

        Raises:
            BadInputError: missing, damaged, or no checkpoint.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            return cls(**{**state, "progress": Progress(**state["progress"])})
        except FileNotFoundError as error:
            raise BadInputError(f"{path}: no such checkpoint") from error
        except (
            OSError,
            RuntimeError,
            pickle.UnpicklingError,
            EOFError,
            KeyError,
            TypeError,
        ) as error:
            raise BadInputError(f"{path}: not a whole checkpoint ({error})") from error


def random_state() -> dict[str, Tensor]:
    """Return the state of torch's generators, by device."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, Tensor]) -> None:
    """Put torch's generators back to `state`; a device that is not here is passed over."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
