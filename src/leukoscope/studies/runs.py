"""Runs that a study needs: what is finished stays, what is not goes on."""

from pathlib import Path

from leukoscope.errors import BadInputError
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train


def open_or_create(config: RunConfig, folder: Path) -> Run:
    """Return the run in `folder`, begun there unless it already holds one of `config`.

    Raises:
        BadInputError: `folder` holds a run of another configuration.
    """
    if not Run.exists(folder):
        return Run.create(folder, config)
    run = Run.open(folder)
    # The machine may change between two sittings; what is trained may not.
    machine = {"device", "precision", "threads"}
    if run.config.model_dump(exclude=machine) != config.model_dump(exclude=machine):
        raise BadInputError(
            f"{folder} holds a run of another configuration; choose another folder or delete it"
        )
    return run


def complete(run: Run) -> None:
    """Train `run` to its last epoch, from its last checkpoint if there is one."""
    if not run.finished:
        last = run.checkpoint("last")
        train(run, resume=last if last.exists() else None)
