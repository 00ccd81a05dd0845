"""The command line: the commands of each room in a module, and how they begin and end.

Heavy imports stand inside the commands, so that ``--help`` answers at once.
"""

import errno
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from leukoscope import __version__
from leukoscope.cli import cells, inference, studies, training
from leukoscope.errors import BadInputError, LeukoscopeError

COMMANDS: list[Callable[..., None]] = [
    cells.phantom,
    cells.fetch,
    cells.manifest,
    cells.audit,
    cells.prepare,
    training.train,
    training.reproduce,
    studies.evaluate,
    studies.compare,
    studies.report,
    studies.study,
    inference.export,
    inference.pack,
    inference.predict,
    inference.serve,
    inference.explain,
    inference.card,
]
"""In the order of ``--help``."""

MACHINES_FAULTS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
)
"""What a disk or its owner may refuse; whatever was written before is whole."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tell leukemia blasts from normal cells in single-cell microscope images. "
    "Research use only; not a medical device.",
)


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


for command in COMMANDS:
    app.command()(command)
