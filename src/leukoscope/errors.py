"""Errors for the person at the keyboard, and their exit codes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `leukoscope --help` must not wait for it
    from pydantic import ValidationError


class LeukoscopeError(Exception):
    """Work that failed for a reason worth telling: the command exits with `exit_code`."""

    exit_code = 1


class BadInputError(LeukoscopeError):
    """What the user gave cannot be used: which file or row, what is wrong, what to do."""

    exit_code = 2


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Within, what is not installed is said to come with the extra `name` of leukoscope.

    Raises:
        BadInputError: a module is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise BadInputError(
            f"{error.name} is not installed: pip install 'leukoscope[{name}]'"
        ) from error


def listing(lines: Sequence[str], most: int = 20) -> str:
    """Indent `lines` under a headline; past `most` of them, count the rest.

    >>> listing(["row 3: no such file"])
    '\\n  row 3: no such file'
    """
    shown = [f"\n  {line}" for line in lines[:most]]
    if len(lines) > most:
        shown.append(f"\n  … and {len(lines) - most:,} more")
    return "".join(shown)


def faults(error: "ValidationError") -> str:
    """List what is wrong with fields that a person gave, each with what it was."""
    return listing(
        [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            + (f" (got {item['input']!r})" if isinstance(item["input"], str | int | float) else "")
            for item in error.errors()
        ]
    )
