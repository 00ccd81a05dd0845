"""Commands that tell how good networks are: one run, several side by side, a claim; the report."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from leukoscope.cli.options import (
    CORES,
    Address,
    AllowOutside,
    CheckpointActivations,
    Compile,
    Device,
    Machines,
    MicroBatch,
    Overrides,
    Precision,
    RecipeName,
    Seed,
    Threads,
    assert_joined,
    given,
    machine,
)
from leukoscope.errors import BadInputError

Number = TypeVar("Number", int, float)


def evaluate(
    context: typer.Context,
    run: Annotated[
        Path,
        typer.Argument(help="The run folder; with --cells also that of folds, as one ensemble."),
    ],
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Which cells.")
    ] = "test",
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

    asked = given(context)
    if cells and "split" in asked:
        raise BadInputError("--cells are judged instead of a split: leave --split out")
    if allow_outside and not cells:
        raise BadInputError("--allow-outside belongs to --cells")
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

    assert_joined(engine, address)
    planned = architectures.plan(
        store,
        [name.strip() for name in models.split(",")],
        recipe,
        override,
        seeds=range(seed, seed + seeds),
        folds=folds,
        **machine(context),
    )
    with hired(engine, address) as crew:
        networks = architectures.compare(planned, output, crew)
    print(write_comparison(networks, output))


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


def study(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="leakage, people, batch-size, learning-rate, validation-gap, depth, gradient-flow "
            "or recipe."
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
            help="Shares of the people, batch sizes, or factors of the learning rate, by comma.",
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

    assert_joined(engine, address)
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
        **machine(context),
    )
    with hired(engine, address) as crew:
        finding = chosen.conduct(replace(setup, crew=crew))
    print(write_study(finding, output))


def _numbers(text: str, kind: Callable[[str], Number], option: str) -> list[Number]:
    """Read numbers separated by commas."""
    try:
        return [kind(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise BadInputError(f"{option} {text}: not numbers separated by commas") from error
