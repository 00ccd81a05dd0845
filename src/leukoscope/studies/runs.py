"""Runs that a study needs: what is finished stays, what is not goes on."""

from pathlib import Path

from leukoscope.errors import BadInputError
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import AfterEpoch, train


def open_or_create(config: RunConfig, folder: Path) -> Run:
    """Return the run in `folder`, begun there unless it already holds one of `config`.

    The machine may change between two sittings: what is not finished goes on with the machine's
    settings of `config`, and in the parts that a lack of memory had asked for.

    Raises:
        BadInputError: `folder` holds a run of another configuration.
    """
    if not Run.exists(folder):
        return Run.create(folder, config)
    run = Run.open(folder)
    if not run.config.same_work(config):
        raise BadInputError(
            f"{folder} holds a run of another configuration; choose another folder or delete it"
        )
    if run.finished:
        return run
    micro_batch = config.micro_batch or run.config.micro_batch
    wanted = config.model_copy(update={"micro_batch": micro_batch})
    # What is as it should be is not written: it may be in use, by who is to be waited for.
    return run if wanted == run.config else run.configured(wanted)


def complete(run: Run, after_epoch: AfterEpoch | None = None) -> None:
    """Train `run` to its last epoch, from its last checkpoint if there is one.

    An epoch that was not closed is measured again: `after_epoch` may see the same one twice.
    """
    if not run.finished:
        train(run, run.newest_checkpoint(), after_epoch)
