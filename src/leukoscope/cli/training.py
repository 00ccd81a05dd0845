"""Commands that train one network: anew, further, or once more to see that it repeats."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukoscope.cli.options import (
    CORES,
    CheckpointActivations,
    Compile,
    Device,
    MicroBatch,
    Overrides,
    Precision,
    RecipeName,
    Seed,
    Threads,
    given,
    machine,
)
from leukoscope.errors import BadInputError, LeukoscopeError, listing

if TYPE_CHECKING:
    from leukoscope.training.run import Run


def train(
    context: typer.Context,
    store: Annotated[Path | None, typer.Argument(help="The store; not with --resume.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="New run folder.")] = None,
    model: Annotated[str, typer.Option(help="resnet18, 34, 50, 101 or 152.")] = "resnet18",
    recipe: RecipeName = "lab",
    override: Overrides = [],  # noqa: B006 - typer copies it
    watch_test: Annotated[
        bool, typer.Option("--watch-test", help="Note test loss and accuracy each epoch.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run folder or a checkpoint.")
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Also write curves, in RUN/tensorboard; --resume goes on with them.",
        ),
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = None,
    compile: Compile = None,
    threads: Threads = CORES,
    micro_batch: MicroBatch = None,
    checkpoint_activations: CheckpointActivations = False,
    sync_norm: Annotated[
        bool | None,
        typer.Option(
            "--sync-norm/--no-sync-norm",
            help="Of several processes: batch norm sees the cells of all.",
            show_default="where each has fewer than 16 of a batch",
        ),
    ] = None,
) -> None:
    """Train a network from scratch, by all processes that torchrun starts of this command."""
    # Read when torch is loaded: it would warn of what `Team.strategy` asks for.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from leukoscope.training.events import Events, summary_writer
    from leukoscope.training.team import joined
    from leukoscope.training.trainer import train as fit

    if tensorboard:
        summary_writer()  # refused before any work
    with joined() as team:
        run, start = team.told(lambda: _resumed(context) if resume else _begun(context))
        shown = team.first and (tensorboard or Events.exist(run))
        with Events(run) if shown else nullcontext() as after_epoch:
            fit(run, start, after_epoch, team)
        if team.first:
            print(f"{run.config.model} is trained: {run.folder}")


def _begun(context: typer.Context) -> "tuple[Run, None]":
    """Return the new run that `train` was asked for."""
    from leukoscope.training.run import Run, RunConfig

    told = context.params
    if not told["store"] or not told["output"]:
        raise BadInputError("a store and --output are needed (or --resume RUN)")
    config = RunConfig.plan(
        told["store"],
        told["model"],
        told["recipe"],
        told["override"],
        seed=told["seed"],
        watch_test=told["watch_test"],
        **machine(context),
    )
    return Run.create(told["output"], config), None


def _resumed(context: typer.Context) -> "tuple[Run, Path | None]":
    """Return the run that `train` was asked to go on with, and the checkpoint to go on from."""
    from leukoscope.training.run import MACHINE, Run, RunConfig

    resume: Path = context.params["resume"]
    checkpoint = resume if resume.is_file() else None
    run = Run.open(resume.parent.parent if checkpoint else resume)
    told = given(context)
    if others := sorted(told - MACHINE - {"resume", "tensorboard"}):
        raise BadInputError(
            "--resume takes everything from the run but settings of the machine: no "
            + ", ".join(others)
        )
    settings = {name: context.params[name] for name in told & MACHINE}
    run = run.configured(RunConfig.model_validate(run.config.model_dump() | settings))
    return run, checkpoint or run.newest_checkpoint()


def reproduce(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the run anew.")],
) -> None:
    """Train a run again from its configuration and store; say whether it comes out the same.

    Exit status 1: it does not. On a CPU it does, bit for bit, with the same versions and threads.
    """
    from leukoscope.training import reproduce as again
    from leukoscope.training.run import Run

    opened = Run.open(run)
    for change in again.changes(opened):
        print(f"environment: {change}")
    if found := again.reproduce(opened, output):
        raise LeukoscopeError(f"{output} differs from {run}:{listing(found)}")
    print(f"{output} is {run} again: weights and history are the same, bit for bit")
