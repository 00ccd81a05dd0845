"""Tables of calls: as files, and in a few lines of text.

A table of calls has one row a picture: path, subject, probability (of blast, calibrated), call
(blast, normal, or review: a person is to look), certainty (the coverage from which on it would be
left to a person, see `leukoscope.evaluation.review`), flags (why it may be no cell like those that
the model knows, see `leukoscope.inference.flags`), and reason (why there is no call: the picture
cannot be read), with empty places where there is nothing to say.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from leukoscope.errors import BadInputError
from leukoscope.evaluation.review import USUAL
from leukoscope.files import atomic
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.engines import EngineName
from leukoscope.spreadsheet import write_csv

REVIEW = "review"
"""The call of a cell that a person is to look at."""


def write(calls: pd.DataFrame, target: Path) -> None:
    """Write a table of calls to `target`: CSV, Parquet or JSON lines, by its suffix.

    Raises:
        BadInputError: another suffix.
    """
    suffix = writable(target)
    if suffix == ".csv":
        write_csv(calls, target)
        return
    with atomic(target) as scratch:
        if suffix == ".parquet":
            calls.to_parquet(scratch, index=False)
        else:
            calls.to_json(
                scratch, orient="records", lines=True, force_ascii=False, double_precision=15
            )


def writable(target: Path, sources: Sequence[Path] = ()) -> str:
    """Return the suffix of `target`; refuse it before any work if no table can be written there.

    Raises:
        BadInputError: it is none of .csv, .parquet and .jsonl, is one of `sources`, or its folder
            cannot be written to.
    """
    suffix = target.suffix.lower()
    if suffix not in (".csv", ".parquet", ".jsonl"):
        raise BadInputError(f"{target}: calls are written as .csv, .parquet or .jsonl")
    if suffix == ".parquet":
        import pyarrow  # noqa: F401 - pandas needs it; said here, by its name, where it is missing
    if target.resolve() in [source.resolve() for source in sources]:
        raise BadInputError(f"{target} is read from: the calls would replace it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{target.parent}: no such folder can be made ({error})") from error
    if not os.access(target.parent, os.W_OK):
        raise BadInputError(f"{target.parent}: no files may be written there")
    return suffix


COUNTED = ("cells", "blast", "normal", REVIEW, "flagged", "unread")
"""What is told of a table: pictures, those of each call, flagged ones, those without a call."""


def counted(calls: pd.DataFrame) -> dict[str, int]:
    """Return how many of each of `COUNTED` a table holds."""
    by_call = calls["call"].value_counts()
    counts = [len(calls), *(by_call.get(name, 0) for name in COUNTED[1:4])]
    counts += [calls["flags"].notna().sum(), calls["reason"].notna().sum()]
    return dict(zip(COUNTED, map(int, counts), strict=True))


def summary(
    bundle: Bundle,
    engine: EngineName,
    counts: Mapping[str, int],
    passed_over: int,
    coverage: float | None = None,
) -> str:
    """Say in a few lines what is `counted`, and how many files in the folders are no pictures."""
    lines = [
        f"{counts['cells']:,} pictures: {counts['blast']:,} called blasts, "
        f"{counts['normal']:,} normal cells, {counts[REVIEW]:,} for review",
        f"by the engine {engine} of bundle {bundle.digest[:12]}",
        _promise(coverage, bundle),
    ]
    if counts["flagged"]:
        lines.append(
            f"{counts['flagged']:,} may be no cells like those it knows; the column flags says why"
        )
    if counts["unread"]:
        lines.append(f"{counts['unread']:,} cannot be read; the column reason says why")
    if passed_over:
        lines.append(f"{passed_over:,} other files in the folders are no pictures")
    if bundle.info.phantom:
        lines.append("trained on phantom cells: these calls say nothing about patients")
    lines.append("Research use only; not a medical device.")
    return "\n".join(lines)


def _promise(asked: float | None, bundle: Bundle) -> str:
    coverage = bundle.info.review.coverage(asked)
    if not coverage:
        return "nothing is promised for new people: it was settled on people whom it trained on"
    told = f"for review: cells that may be of either class, at a coverage of {coverage:g}"
    if asked is None and coverage < USUAL:
        few = min(bundle.info.review.people)
        told += f", all that can be promised: one class has {few} people in validation"
    return told
