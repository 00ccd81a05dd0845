"""Calls on many pictures: decoded, preprocessed and judged on all cores, in the order they came.

Each core decodes a chunk of pictures and computes it by itself, so that reading and arithmetic
overlap and no core waits for another.

A table of calls has one row a picture: path, subject, probability (of blast, calibrated), call
(blast or normal), and reason (why there is no call: the picture cannot be read), with empty places
where there is nothing to say.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leukoscope.cells.manifest import CLASSES
from leukoscope.cells.parallel import in_order
from leukoscope.cells.preprocess import preprocess, read_picture
from leukoscope.errors import BadInputError
from leukoscope.evaluation.calibration import probability
from leukoscope.files import atomic
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.engines import EngineName, open_engine
from leukoscope.inference.inputs import Cell
from leukoscope.progress import Bar

CHUNK = 32
"""Pictures that a core computes at once, all turns of a cell among them."""

Chunk = tuple[NDArray[np.float64], list[str]]
"""Log-odds of each picture, NaN where there are none, and why."""


def predict(
    bundle: Bundle, cells: Sequence[Cell], engine: EngineName, threads: int
) -> pd.DataFrame:
    """Return the table of calls of `cells`, in their order.

    Args:
        bundle: whose model calls.
        cells: any number of them.
        engine: of the bundle.
        threads: of the CPU.

    Raises:
        BadInputError: the bundle has no such engine, or is damaged.
    """
    size = max(1, CHUNK // bundle.info.turns)
    chunks = [cells[start : start + size] for start in range(0, len(cells), size)]
    # A single chunk has all cores; of several each has one.
    workers = min(threads, len(chunks)) or 1
    compute = open_engine(bundle, engine, threads // workers)

    def called(chunk: Sequence[Cell]) -> Chunk:
        log_odds, reasons = np.full(len(chunk), np.nan), [""] * len(chunk)
        pictures, places = [], []
        for place, cell in enumerate(chunk):
            try:
                pictures.append(preprocess(read_picture(cell.path), bundle.info.preprocessing))
                places.append(place)
            except BadInputError as error:
                reasons[place] = str(error)
        if pictures:
            log_odds[places] = compute(np.stack(pictures))
        return log_odds, reasons

    told: list[Chunk] = []
    with Bar("calling cells", len(cells), "cells") as bar:
        for chunk in in_order(called, chunks, workers, ahead=2):
            told.append(chunk)
            bar.advance(len(chunk[1]))
    return _table(bundle, cells, told)


def write(calls: pd.DataFrame, target: Path) -> None:
    """Write a table of calls to `target`: CSV, Parquet or JSON lines, by its suffix.

    Raises:
        BadInputError: another suffix.
    """
    suffix = writable(target)
    with atomic(target) as scratch:
        if suffix == ".csv":
            calls.to_csv(scratch, index=False, lineterminator="\n")
        elif suffix == ".parquet":
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
    if target.resolve() in [source.resolve() for source in sources]:
        raise BadInputError(f"{target} is read from: the calls would replace it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{target.parent}: no such folder can be made ({error})") from error
    if not os.access(target.parent, os.W_OK):
        raise BadInputError(f"{target.parent}: no files may be written there")
    return suffix


def summary(
    bundle: Bundle, engine: EngineName, calls: pd.DataFrame, passed_over: Sequence[Path]
) -> str:
    """Say in a few lines what `calls` hold, and what was not called."""
    counts = calls["call"].value_counts()
    lines = [
        f"{len(calls):,} pictures: {counts.get('blast', 0):,} called blasts, "
        f"{counts.get('normal', 0):,} normal cells",
        f"by the engine {engine} of bundle {bundle.digest[:12]}",
    ]
    if unread := int(calls["reason"].notna().sum()):
        lines.append(f"{unread:,} cannot be read; the column reason says why")
    if passed_over:
        lines.append(f"{len(passed_over):,} other files in the folders are no pictures")
    if bundle.info.phantom:
        lines.append("trained on phantom cells: these calls say nothing about patients")
    lines.append("Research use only; not a medical device.")
    return "\n".join(lines)


def _shown(path: Path) -> str:
    """Return `path` as text, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _table(bundle: Bundle, cells: Sequence[Cell], told: Sequence[Chunk]) -> pd.DataFrame:
    log_odds = np.concatenate([chunk for chunk, _ in told]) if told else np.empty(0)
    blast = probability(log_odds, bundle.info.temperature, bundle.info.prior)
    named = np.where(blast >= bundle.info.points[0].threshold, CLASSES[1], CLASSES[0])
    calls = pd.Series(named, dtype="string").mask(np.isnan(log_odds))
    return pd.DataFrame(
        {
            "path": pd.array([_shown(cell.path) for cell in cells], dtype="string"),
            "subject": pd.array([cell.subject for cell in cells], dtype="string"),
            "probability": blast,
            "call": calls,
            "reason": pd.array(
                [reason or None for _, reasons in told for reason in reasons], dtype="string"
            ),
        }
    )
