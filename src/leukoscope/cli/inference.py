"""Commands for a model in use: made into a bundle, calling cells, explained, and its card."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from leukoscope.cli.options import CORES, Address, AllowOutside, Threads, assert_joined, given
from leukoscope.errors import BadInputError, needs_extra

Trained = Annotated[Path, typer.Argument(help="The run folder, or that of folds, as one ensemble.")]
COMPUTES = "What computes; auto: the fastest here, measured the first time"


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


def predict(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, folders, patterns, manifests, packed pictures; - for a list on stdin."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Table of calls: .csv, .parquet or .jsonl; with --engine ray a folder, "
            "s3://bucket/prefix, …, of Parquet files.",
        ),
    ],
    engine: Annotated[
        Literal["auto", "int8", "fp32", "torch", "ray"],
        typer.Option(
            help=f"{COMPUTES}; ray: all cores of a cluster, in integers where the bundle has them."
        ),
    ] = "auto",
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

    assert_joined(engine, address)
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


def _without(context: typer.Context, *names: str) -> None:
    """Refuse options that mean nothing to a cluster."""
    told = given(context)
    if options := ", ".join(f"--{name.replace('_', '-')}" for name in names if name in told):
        raise BadInputError(f"--engine ray computes with all cores and writes calls: no {options}")


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
    engine: Annotated[
        Literal["auto", "int8", "fp32", "torch"], typer.Option(help=f"{COMPUTES}.")
    ] = "auto",
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


def explain(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    sources: Annotated[
        list[Path],
        typer.Argument(help="Pictures, folders, patterns, manifests; - for a list on stdin."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the overlays.")],
    allow_outside: AllowOutside = False,
) -> None:
    """Show what in each cell speaks for its call, and the training cells most like it.

    A PNG a picture, with occlusion and Grad-CAM, and a table, nearest.csv.
    """
    from leukoscope.inference import inputs
    from leukoscope.inference.bundle import Bundle
    from leukoscope.inference.explain import explain as explained
    from leukoscope.reporting.explanation import write_explanations

    paths = [cell.path for cell in inputs.find(sources, allow_outside).cells]
    write_explanations(explained(Bundle.open(bundle), paths), output)
    print(f"{len(paths):,} cells explained in {output}")


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
