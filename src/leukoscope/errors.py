"""Errors for the person at the keyboard, and their exit codes."""

from collections.abc import Sequence


class LeukoscopeError(Exception):
    """Work that failed for a reason worth telling: the command exits with `exit_code`."""

    exit_code = 1


class BadInputError(LeukoscopeError):
    """What the user gave cannot be used: which file or row, what is wrong, what to do."""

    exit_code = 2


def listing(lines: Sequence[str], most: int = 20) -> str:
    """Indent `lines` under a headline; past `most` of them, count the rest.

    >>> listing(["row 3: no such file"])
    '\\n  row 3: no such file'
    """
    shown = [f"\n  {line}" for line in lines[:most]]
    if len(lines) > most:
        shown.append(f"\n  … and {len(lines) - most:,} more")
    return "".join(shown)
