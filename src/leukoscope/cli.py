"""The command line: one function a command, each as thin as it can be.

Heavy imports stand inside the commands, so that ``--help`` answers at once.
"""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from leukoscope import __version__
from leukoscope.cores import cores
from leukoscope.errors import BadInputError, LeukoscopeError, listing, needs_extra

if TYPE_CHECKING:
    from leukoscope.training.run import Run

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tell leukemia blasts from normal cells in single-cell microscope images. "
    "Research use only; not a medical device.",
)

Split = Literal["train", "validation", "test"]
Seed = Annotated[int, typer.Option(help="Of everything drawn at random.")]
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
SyncNorm = Annotated[
    bool | None,
    typer.Option(
        "--sync-norm/--no-sync-norm",
        help="Of several processes: batch norm sees the cells of all.",
        show_default="where each has fewer than 16 of a batch",
    ),
]
Trained = Annotated[Path, typer.Argument(help="The run folder, or that of folds, as one ensemble.")]
Pictures = Annotated[
    list[Path],
    typer.Argument(help="Pictures, folders, patterns, manifests; - for a list on stdin."),
]
Sources = Annotated[
    list[str],
    typer.Argument(
        help="Pictures, folders, patterns, manifests, packed pictures; - for a list on stdin."
    ),
]
AllowOutside = Annotated[
    bool,
    typer.Option(
        "--allow-outside", help="A table may name pictures that do not lie below its own folder."
    ),
]
COMPUTES = "What computes; auto: the fastest here, measured the first time"
EngineOption = Annotated[
    Literal["auto", "int8", "fp32", "torch"], typer.Option(help=f"{COMPUTES}.")
]
PredictEngine = Annotated[
    Literal["auto", "int8", "fp32", "torch", "ray"],
    typer.Option(
        help=f"{COMPUTES}; ray: all cores of a cluster, in integers where the bundle has them."
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
MACHINES_FAULTS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
)
"""What a disk or its owner may refuse; whatever was written before is whole."""

Number = TypeVar("Number", int, float)


def main() -> None:
    """Run the command line; an error for the user is one message and an exit status."""
    try:
        app()
    except LeukoscopeError as error:
        if text := str(error):  # of processes that fail alike the first one speaks
            print(f"leukoscope: {text}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in MACHINES_FAULTS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(f"leukoscope: {place}{error.strerror}", file=sys.stderr)
        sys.exit(LeukoscopeError.exit_code)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "leukoscope"):
            raise
        # As where only what prediction needs is installed, see requirements-predict.txt.
        print(
            f"leukoscope: this needs {missing}, which is not installed here: "
            "pip install leukoscope brings all that it can need",
            file=sys.stderr,
        )
        sys.exit(BadInputError.exit_code)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if show:
        print(f"leukoscope {__version__}")
        raise typer.Exit


@app.command()
def phantom(
    folder: Annotated[Path, typer.Argument(help="New folder for the pictures.")],
    subjects: Annotated[int, typer.Option(help="How many.")] = 40,
    cells: Annotated[int, typer.Option(help="How many, over all subjects.")] = 2000,
    seed: Seed = 0,
) -> None:
    """Render phantom cells in the tree of C-NMC 2019, to try everything without real ones."""
    from leukoscope.cells.phantom import write_phantoms

    written = write_phantoms(folder, subjects, cells, seed)
    print(f"{written:,} phantom cells of {subjects} subjects in {folder}")


@app.command()
def fetch(
    dataset: Annotated[Literal["cnmc"], typer.Argument(help="cnmc: C-NMC 2019.")],
    folder: Annotated[Path, typer.Argument(help="Where it is to lie.")],
    source: Annotated[
        Literal["kaggle", "huggingface"], typer.Option(help="Who serves it.")
    ] = "kaggle",
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Do not ask; for scripts.")
    ] = False,
) -> None:
    """Download a data set, check that it is whole, and list its cells in cells.csv.

    What lies in the folder already is not fetched again.
    """
    from leukoscope.cells import fetch as fetching

    print(fetching.TERMS)
    if not accept_licence and not typer.confirm("\nFetch it under these terms?"):
        raise BadInputError("nothing is fetched")
    print("\n".join(fetching.fetch(folder, source)))
    print(f"\nmanifest: {folder / 'cells.csv'}")


@app.command()
def manifest(
    sources: Annotated[list[Path], typer.Argument(help="Folders of pictures, or CSV lists.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV or Parquet.")],
    root: Annotated[Path | None, typer.Option(help="Where the paths of a list begin.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Write bad rows to rejected.csv and go on.")
    ] = False,
    allow_outside: AllowOutside = False,
) -> None:
    """List cells: one row each, checked, in one table."""
    from leukoscope.cells import manifest as table
    from leukoscope.cells.sources import read_sources

    reading = read_sources(sources, root, allow_outside)
    rejected = output.with_name("rejected.csv") if skip_bad else None
    reading.settle(rejected)
    table.write(reading.cells, output)
    print(reading.summary())
    if rejected and len(reading.rejected):
        print(f"{len(reading.rejected):,} rejected, with the reasons, in {rejected}")
    print(f"\nwritten to {output}")
    folder = output.parent.resolve()
    if any(table.outside(path, folder) for path in reading.cells["path"]):
        print(f"it names pictures outside of {folder}: what reads it needs --allow-outside")


@app.command()
def audit(
    cells: Annotated[Path, typer.Argument(help="The manifest.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for tables and a page.")
    ] = None,
    allow_outside: AllowOutside = False,
) -> None:
    """Find repeated cells, names that are one person, leaks, doubtful pictures.

    Exits with status 1 when a person or a cell stands on two sides of the split or official split.
    """
    from leukoscope.cells import manifest as table
    from leukoscope.cells.audit import audit as examine
    from leukoscope.reporting.audit_page import write_page
    from leukoscope.reporting.audit_text import tell

    found = examine(table.read(cells, allow_outside))
    tell(found)
    if output:
        found.write(output)
        print(f"\nin {output}: pairs.csv, people.csv, findings.json")
        print(f"page: {write_page(found, output, cells).resolve()}")
    raise typer.Exit(int(found.leaks))


@app.command()
def prepare(
    cells: Annotated[Path, typer.Argument(help="The manifest.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the store.")],
    split: Annotated[
        Literal["subject", "lab", "official", "shifted"],
        typer.Option(
            help="By subject; by image, as the lab; by official folds; fold 0 against the rest."
        ),
    ] = "subject",
    folds: Annotated[
        int, typer.Option(min=3, help="Parts of the people, by subject: one tests, one validates.")
    ] = 5,
    crop: Annotated[
        Literal["cell", "resize"],
        typer.Option(help="A window of fixed scale around the cell; or the lab's whole picture."),
    ] = "cell",
    size: Annotated[int, typer.Option(help="Side in pixels, a multiple of 32.")] = 224,
    plan: Annotated[
        Literal["online", "lab"],
        typer.Option(help="Turn each cell anew each epoch; or the lab's balanced, doubled set."),
    ] = "online",
    train_on_validation_copies: Annotated[
        bool, typer.Option("--train-on-validation-copies", help="As the lab did; it leaks.")
    ] = False,
    export_images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the planned pictures as PNG.")
    ] = None,
    allow_outside: AllowOutside = False,
    shards: Annotated[
        int,
        typer.Option(
            min=1,
            max=512,  # files that are open at once
            help="Files of pixels: of several machines, each needs only its own.",
        ),
    ] = 1,
    seed: Seed = 0,
) -> None:
    """Make a store: every cell cropped, resized and assigned to a split, once."""
    from leukoscope.cells import manifest as table
    from leukoscope.cells import store
    from leukoscope.cells.division import Division
    from leukoscope.cells.export import export_images as export

    if train_on_validation_copies:
        print(
            "warning: copies of validation cells are trained on, so validation figures leak",
            file=sys.stderr,
        )
    division = Division(split=split, plan=plan, validation_copies=train_on_validation_copies)
    listed = table.read(cells, allow_outside)
    made = store.prepare(
        listed,
        output,
        division=division,
        folds=folds,
        crop=crop,
        size=size,
        shards=shards,
        seed=seed,
    )
    print(store.describe(made))
    if export_images:
        print(f"{export(made, export_images):,} pictures in {export_images}")


@app.command()
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
    sync_norm: SyncNorm = None,
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

    given = context.params
    if not given["store"] or not given["output"]:
        raise BadInputError("a store and --output are needed (or --resume RUN)")
    config = RunConfig.plan(
        given["store"],
        given["model"],
        given["recipe"],
        given["override"],
        seed=given["seed"],
        watch_test=given["watch_test"],
        **_machine(context),
    )
    return Run.create(given["output"], config), None


def _resumed(context: typer.Context) -> "tuple[Run, Path | None]":
    """Return the run that `train` was asked to go on with, and the checkpoint to go on from."""
    from leukoscope.training.run import MACHINE, Run

    resume: Path = context.params["resume"]
    checkpoint = resume if resume.is_file() else None
    run = Run.open(resume.parent.parent if checkpoint else resume)
    told = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, by in told.items() if by and by.name == "COMMANDLINE"}
    if others := sorted(given - MACHINE - {"resume", "tensorboard"}):
        raise BadInputError(
            "--resume takes everything from the run but settings of the machine: no "
            + ", ".join(others)
        )
    settings = {name: context.params[name] for name in given & MACHINE}
    run = run.configured(run.config.model_copy(update=settings))
    return run, checkpoint or run.newest_checkpoint()


@app.command()
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


@app.command()
def evaluate(
    run: Annotated[
        Path,
        typer.Argument(help="The run folder; with --cells also that of folds, as one ensemble."),
    ],
    split: Annotated[Split, typer.Option(help="Which cells.")] = "test",
    cells: Annotated[
        Path | None, typer.Option(metavar="MANIFEST", help="Other cells, instead of a split.")
    ] = None,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Whose weights.")] = "best",
    submission: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Also write the Kaggle form ID,label.")
    ] = None,
    allow_outside: AllowOutside = False,
) -> None:
    """Judge a run by subject: metrics with intervals, operating points, baselines, predictions.

    Temperature and operating points come from the run's own validation cells, those of an ensemble
    from its folds' test cells.
    """
    from leukoscope.cells import manifest as table
    from leukoscope.evaluation import evaluate as judge
    from leukoscope.evaluation.describe import describe
    from leukoscope.evaluation.ensemble import Ensemble, opened
    from leukoscope.training.run import Run

    judged: Run | Ensemble
    if cells:
        judged = opened(run)
        others = table.read(cells, allow_outside)
        found = judge.evaluate_others(judged, others, cells.stem, checkpoint)
    else:
        judged = Run.open(run)
        found = judge.evaluate(judged, split, checkpoint)
    print(describe(judged, found))
    if submission:
        judge.write_submission(judged, found.name, checkpoint, submission)
        print(f"submission: {submission}")


@app.command()
def compare(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="The store.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the runs.")],
    models: Annotated[str, typer.Option(help="Names, by comma.")] = "resnet18,resnet50,resnet152",
    recipe: RecipeName = "lab",
    override: Overrides = [],  # noqa: B006 - typer copies it
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Runs a network, from --seed on.")] = 1,
    folds: Annotated[
        int | None,
        typer.Option(help="Test every person once: as many runs as the store has parts."),
    ] = None,
    engine: Machines = "local",
    address: Address = None,
    device: Device = "auto",
    precision: Precision = None,
    compile: Compile = None,
    threads: Threads = CORES,
    micro_batch: MicroBatch = None,
    checkpoint_activations: CheckpointActivations = False,
) -> None:
    """Train several networks under one recipe; draw and tabulate how they compare.

    Finished runs are kept, unfinished ones go on: start it again after an interruption.
    """
    from leukoscope.reporting.comparison import write_comparison
    from leukoscope.studies import architectures
    from leukoscope.studies.crew import hired

    _assert_joined(engine, address)
    planned = architectures.plan(
        store,
        [name.strip() for name in models.split(",")],
        recipe,
        override,
        seeds=range(seed, seed + seeds),
        folds=folds,
        **_machine(context),
    )
    with hired(engine, address) as crew:
        networks = architectures.compare(planned, output, crew)
    print(write_comparison(networks, output))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Of a comparison.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML file.", show_default="in FOLDER")
    ] = None,
    study: Annotated[
        list[Path], typer.Option("--study", help="A study's folder to show as well; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Write one self-contained HTML page of a comparison, and of studies."""
    from leukoscope.reporting.report import write_report

    page = write_report(folder, output or folder / "report.html", study)
    print(f"report: {page.resolve()}")


@app.command()
def study(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="leakage, batch-size, learning-rate, validation-gap, depth, gradient-flow or "
            "recipe."
        ),
    ],
    store: Annotated[Path, typer.Argument(help="The store.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the study.")],
    models: Annotated[
        str, typer.Option(help="Names, by comma.", show_default="the study's own")
    ] = "",
    values: Annotated[
        str,
        typer.Option(
            help="Batch sizes, or factors of the learning rate, by comma.",
            show_default="the study's own",
        ),
    ] = "",
    candidates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For recipe: the recipes, as YAML.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Several let their spread decide.")] = "0",
    quick: Annotated[
        bool, typer.Option("--quick", help="A small form, to see in minutes that it works.")
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="lab, modern, demo, or a YAML file.", show_default="lab; demo with --quick"
        ),
    ] = None,
    override: Overrides = [],  # noqa: B006 - typer copies it
    engine: Machines = "local",
    address: Address = None,
    device: Device = "auto",
    precision: Precision = None,
    compile: Compile = None,
    threads: Threads = CORES,
    micro_batch: MicroBatch = None,
    checkpoint_activations: CheckpointActivations = False,
) -> None:
    """Ask one question of the original lab anew; judge its claim by what is measured.

    Finished runs are kept, unfinished ones go on: start it again after an interruption.
    """
    from leukoscope.reporting.studies import write_study
    from leukoscope.studies.candidates import Candidates
    from leukoscope.studies.crew import hired
    from leukoscope.studies.table import study as named

    _assert_joined(engine, address)
    chosen = named(name)
    setup = chosen.setup(
        store,
        output,
        models=[model.strip() for model in models.split(",") if model.strip()],
        values=_numbers(values, float, "--values"),
        seeds=_numbers(seeds, int, "--seeds"),
        quick=quick,
        candidates=Candidates.read(candidates) if candidates else None,
        recipe=recipe,
        overrides=override,
        **_machine(context),
    )
    with hired(engine, address) as crew:
        finding = chosen.conduct(replace(setup, crew=crew))
    print(write_study(finding, output))


def _machine(context: typer.Context) -> dict[str, Any]:
    """Return what the user said of the machine."""
    from leukoscope.training.run import MACHINE

    return {name: context.params[name] for name in MACHINE if name in context.params}


def _numbers(text: str, kind: Callable[[str], Number], option: str) -> list[Number]:
    """Read numbers separated by commas."""
    try:
        return [kind(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise BadInputError(f"{option} {text}: not numbers separated by commas") from error


@app.command()
def export(
    run: Trained,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the bundle.")],
) -> None:
    """Make a bundle: the trained model as files that call cells without PyTorch."""
    from leukoscope.evaluation.ensemble import opened
    from leukoscope.inference.describe import describe
    from leukoscope.inference.export import export as make
    from leukoscope.reporting import card

    source = opened(run)
    print(describe(make(source, output, card.card(source))))


@app.command()
def pack(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, folders, patterns, manifests; folders also as s3://…, gs://….",
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder for the shards, s3://bucket/prefix, ….")
    ],
    shard_size: Annotated[int, typer.Option(min=1, help="Of each on disk, in MB, about.")] = 256,
    allow_outside: AllowOutside = False,
) -> None:
    """Pack an archive of small files into few large ones: Parquet shards, every byte kept.

    Shards that are there are not written again: start it again after an interruption.
    """
    from leukoscope.inference import pack as packing
    from leukoscope.inference.storage import Place

    target = Place.of(output)
    packed = packing.pack(sources, target, shard_size * 10**6, allow_outside)
    print(packing.describe(packed, target))


@app.command()
def predict(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    sources: Sources,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Table of calls: .csv, .parquet or .jsonl; with --engine ray a folder, "
            "s3://bucket/prefix, …, of Parquet files.",
        ),
    ],
    engine: PredictEngine = "auto",
    coverage: Annotated[
        float | None,
        typer.Option(
            help="How surely the classes that a new person's cell may be of hold the true one; a "
            "cell that may be of both is for review.",
            show_default="0.85, or what the bundle can promise",
        ),
    ] = None,
    subject_summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a table with a row a subject.")
    ] = None,
    allow_outside: AllowOutside = False,
    threads: Threads = CORES,
    address: Address = None,
) -> None:
    """Call cells: one row a picture, in the order in which they were named.

    With --engine ray an archive of any size, on one machine or many; what is finished is not called
    again: start it again after an interruption.
    """
    from leukoscope.inference.bundle import Bundle

    _assert_joined(engine, address)
    if engine == "ray":
        _without(context, "threads", "subject_summary")
        from leukoscope.inference import archive
        from leukoscope.inference.storage import Place

        whole, place = Bundle.open(bundle), Place.of(output)
        print(archive.predict(whole, sources, place, coverage, address, allow_outside))
        return
    from leukoscope.inference import calls as tables
    from leukoscope.inference import inputs, subjects
    from leukoscope.inference.model import Model

    named, table = [inputs.here(source) for source in sources], inputs.here(output)
    targets = [table, *([subject_summary] if subject_summary else [])]
    if subject_summary and table.resolve() == subject_summary.resolve():
        raise BadInputError(f"{table}: calls and subjects are two tables, name two files")
    for target in targets:
        tables.writable(target, named)
    opened, found = Bundle.open(bundle), inputs.find(named, allow_outside)
    for target in targets:  # a pattern or a list may have named one
        tables.writable(target, found.tables)
    model = Model(opened, None if engine == "auto" else engine, threads)
    calls = model.predict(
        [cell.path for cell in found.cells], [cell.subject for cell in found.cells], coverage
    )
    tables.write(calls, table)
    counts, passed_over = tables.counted(calls), len(found.passed_over)
    print(tables.summary(opened, model.engine, counts, passed_over, coverage))
    if subject_summary:
        tables.write(subjects.by_subject(calls, opened.info.points[0]), subject_summary)
    print(f"\nwritten to {' and '.join(map(str, targets))}")


def _assert_joined(engine: str, address: str | None) -> None:
    """Refuse the address of a cluster that is not asked for."""
    if address and engine != "ray":
        raise BadInputError("--address names a Ray cluster: it takes --engine ray")


def _without(context: typer.Context, *names: str) -> None:
    """Refuse options that mean nothing to a cluster."""
    told = {name: context.get_parameter_source(name) for name in names}
    if given := [name for name, by in told.items() if by and by.name == "COMMANDLINE"]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise BadInputError(f"--engine ray computes with all cores and writes calls: no {options}")


@app.command()
def serve(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that others reach takes a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen on.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LEUKOSCOPE_TOKEN",
            help="What whoever asks must show; better given as a variable, for others see options.",
        ),
    ] = None,
    engine: EngineOption = "auto",
    threads: Threads = CORES,
    log_names: Annotated[
        bool, typer.Option("--log-names", help="Log the names of the pictures that are sent.")
    ] = False,
) -> None:
    """Open the model to a browser: a page to drop cells on, and an API."""
    from leukoscope.inference.bundle import Bundle

    with needs_extra("serve"):
        from leukoscope.serving.server import serve as run

    chosen = None if engine == "auto" else engine
    run(Bundle.open(bundle), host, port, token, chosen, threads, log_names)


@app.command()
def explain(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    sources: Pictures,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the overlays.")],
    allow_outside: AllowOutside = False,
) -> None:
    """Show what in each cell speaks for its call, and the training cells most like it.

    A PNG a picture, with Grad-CAM and occlusion, and a table, nearest.csv.
    """
    from leukoscope.inference import inputs
    from leukoscope.inference.bundle import Bundle
    from leukoscope.inference.explain import explain as explained
    from leukoscope.reporting.explanation import write_explanations

    paths = [cell.path for cell in inputs.find(sources, allow_outside).cells]
    write_explanations(explained(Bundle.open(bundle), paths), output)
    print(f"{len(paths):,} cells explained in {output}")


@app.command()
def card(
    run: Trained,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Markdown.", show_default="MODEL_CARD.md in RUN"),
    ] = None,
) -> None:
    """Write the model card of a run: what it is, what it is not for, what was measured."""
    from leukoscope.evaluation.ensemble import opened
    from leukoscope.reporting.card import write_card

    print(f"card: {write_card(opened(run), output or run / 'MODEL_CARD.md').resolve()}")
