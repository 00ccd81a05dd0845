"""Commands from pictures to a store: cells made, fetched, listed, examined and prepared."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from leukoscope.cli.options import AllowOutside, Seed
from leukoscope.errors import BadInputError


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
    reading.settle(rejected, " (correct them, or go on without them: --skip-bad)")
    table.write(reading.cells, output)
    print(reading.summary())
    if rejected and len(reading.rejected):
        print(f"{len(reading.rejected):,} rejected, with the reasons, in {rejected}")
    print(f"\nwritten to {output}")
    folder = output.parent.resolve()
    if any(table.outside(path, folder) for path in reading.cells["path"]):
        print(f"it names pictures outside of {folder}: what reads it needs --allow-outside")


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
    from leukoscope.cells import prepare as making
    from leukoscope.cells.division import Division
    from leukoscope.cells.export import export_images as export
    from leukoscope.cells.store import describe

    if train_on_validation_copies:
        print(
            "warning: copies of validation cells are trained on, so validation figures leak",
            file=sys.stderr,
        )
    division = Division(split=split, plan=plan, validation_copies=train_on_validation_copies)
    listed = table.read(cells, allow_outside)
    made = making.prepare(
        listed,
        output,
        division=division,
        folds=folds,
        crop=crop,
        size=size,
        shards=shards,
        seed=seed,
    )
    print(describe(made))
    if export_images:
        print(f"{export(made, export_images):,} pictures in {export_images}")
