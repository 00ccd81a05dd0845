"""Options that commands of several rooms share, and what the user said by them."""

from typing import Annotated, Any, Literal

import typer

from leukoscope.cores import cores
from leukoscope.errors import BadInputError

Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything drawn at random.")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="FIELD=VALUE", help="Override a field of the recipe.")
]
RecipeName = Annotated[str, typer.Option("--recipe", help="lab, modern, demo, or a YAML file.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to train.")]
Precision = Annotated[
    Literal["32-true", "bf16-mixed", "64-true"] | None,
    typer.Option(
        help="Of the arithmetic.", show_default="bf16-mixed where it is faster, else 32-true"
    ),
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile", help="The network, before training.", show_default="on CUDA"
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="Of the CPU.", show_default="all cores")]
MicroBatch = Annotated[
    int | None,
    typer.Option(
        min=2,
        help="Cells that pass the network at once, where memory is short; steps stay the recipe's.",
        show_default="the whole batch",
    ),
]
CheckpointActivations = Annotated[
    bool,
    typer.Option(
        "--checkpoint-activations", help="Compute them twice instead of keeping them in memory."
    ),
]
AllowOutside = Annotated[
    bool,
    typer.Option(
        "--allow-outside", help="A table may name pictures that do not lie below its own folder."
    ),
]
Machines = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--engine",
        help="One run after another here; or a task a run on a Ray cluster (extra scale).",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="With --engine ray: of the cluster, or auto; its machines reach what is read and "
        "written by the same names.",
        show_default="this machine's cores, for this command",
    ),
]
CORES = cores()


def given(context: typer.Context) -> set[str]:
    """Return the names of what stands on the command line; others have their default."""
    told = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, by in told.items() if by and by.name == "COMMANDLINE"}


def machine(context: typer.Context) -> dict[str, Any]:
    """Return what the user said of the machine."""
    from leukoscope.training.run import MACHINE

    return {name: context.params[name] for name in MACHINE if name in context.params}


def assert_joined(engine: str, address: str | None) -> None:
    """Refuse the address of a cluster that is not asked for."""
    if address and engine != "ray":
        raise BadInputError("--address names a Ray cluster: it takes --engine ray")
