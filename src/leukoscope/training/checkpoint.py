"""A checkpoint: all that a training needs to go on as if it had never stopped.

The file is a line with the version and the SHA-256 of what follows, then what torch writes: torch
itself reads a file with a flipped byte without a word.
"""

import hashlib
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leukoscope.errors import BadInputError
from leukoscope.files import atomic

HEAD = b"leukoscope checkpoint 1 "
NO_DIGEST = b"0" * 64


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

    @property
    def digest(self) -> str:
        """SHA-256 of the weights by name, those of the average among them."""
        found = hashlib.sha256()
        for weights in (self.model, self.average or {}):
            for name, weight in sorted(weights.items()):
                found.update(name.encode() + weight.cpu().numpy().tobytes())
        return found.hexdigest()

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        with atomic(path) as scratch, scratch.open("wb+") as file:
            file.write(HEAD + NO_DIGEST + b"\n")
            start = file.tell()
            _write({**vars(self), "progress": vars(self.progress)}, file)
            file.seek(start)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(len(HEAD))
            file.write(digest.encode())

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read `path` onto the CPU; nothing in it is run as code.

        Raises:
            BadInputError: missing, damaged, of another version, or no checkpoint.
        """
        try:
            with path.open("rb") as file:
                _pass_head(path, file)
                state = torch.load(file, map_location="cpu", weights_only=True)
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


def _write(state: dict[str, Any], file: BufferedRandom) -> None:
    try:
        torch.save(state, file)
    except RuntimeError as error:
        # What a full disk says is lost where torch then finds the file too short.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _pass_head(path: Path, file: BufferedReader) -> None:
    """Leave `file` where torch's part begins, once its digest is seen to be right."""
    head = file.read(len(HEAD))
    if head != HEAD:
        raise BadInputError(f"{path}: no checkpoint, or of a version that this one cannot read")
    told, start = file.readline().strip(), len(HEAD) + len(NO_DIGEST) + 1
    if hashlib.file_digest(file, "sha256").hexdigest().encode() != told:
        raise BadInputError(f"{path} is damaged: it is not what was written")
    file.seek(start)


def newest(paths: Sequence[Path]) -> Path | None:
    """Return the first of `paths` that is whole, None where none exists; name those that are not.

    Raises:
        BadInputError: there are some, and none is whole.
    """
    damaged = ""
    for path in filter(Path.exists, paths):
        try:
            with path.open("rb") as file:
                _pass_head(path, file)
        except (BadInputError, OSError) as error:
            damaged += f"\n  {error}"
        else:
            if damaged:
                print(f"leukoscope: going on from {path}:{damaged}", file=sys.stderr)
            return path
    if damaged:
        raise BadInputError(f"no checkpoint is whole, the training has to begin anew:{damaged}")
    return None


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
