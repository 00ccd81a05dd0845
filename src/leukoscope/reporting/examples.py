"""Example cells: which ones a report shows of a network's calls, and their pictures."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from leukoscope.cells.manifest import CLASSES
from leukoscope.cells.preprocess import Preprocessing, prepared_file
from leukoscope.cells.store import Store

Pixels = Callable[[pd.Series], NDArray[np.uint8]]
"""A row of predictions → the (H, W, 3) pixels that the network saw of its cell."""

THRESHOLD = 0.5
"""Probability of blast from which a cell is called one."""
UNSURE = 0.2
"""How far from the threshold a probability may lie to count as unsure."""


@dataclass(frozen=True)
class Example:
    """One cell, ready to show.

    Attributes:
        id, subject: the manifest's; the subject may be unknown.
        truth, call: class names.
        probability: of blast, calibrated, in [0, 1].
        picture: PNG as a data URI, the very pixels the network saw.
    """

    id: str
    subject: str | None
    truth: str
    call: str
    probability: float
    picture: str


@dataclass(frozen=True)
class Group:
    """Cells of one kind: how many there are, and the first few."""

    title: str
    cells: int
    examples: list[Example]


def groups(predictions: pd.DataFrame, store: Store, most: int = 6) -> list[Group]:
    """Return right, wrong and unsure calls, at most `most` examples of each kind.

    Args:
        predictions: as `leukoscope.evaluation.evaluate.evaluate` writes them.
        store: holds their pixels.
        most: examples in a group; fewer, or none, where there are no more.
    """
    pixels = of_store(store)
    return [
        _group(title, len(cells), cells.head(most), pixels)
        for title, cells in kinds(predictions).items()
    ]


def failures(
    predictions: pd.DataFrame, pixels: Pixels, subjects: int = 6, most: int = 6
) -> list[Group]:
    """Return wrong calls subject by subject, the subject with the most of them first.

    Args:
        predictions: as for `kinds`.
        pixels: where the pictures come from: `of_store` or `of_files`.
        subjects: shown at most.
        most: examples of a subject, the surest first.
    """
    cells = _labelled(predictions)
    names = cells["subject"].fillna("unknown subject")
    wrong = cells[cells["label"] != cells["call"]]
    wrong = wrong.sort_values(["distance", "id"], ascending=[False, True])
    total = names.value_counts()
    counts = names[wrong.index].value_counts().rename("wrong").rename_axis("subject").reset_index()
    counts = counts.sort_values(["wrong", "subject"], ascending=[False, True]).head(subjects)
    return [
        _group(
            f"{subject}: {count:,} of {total[subject]:,} called wrongly",
            count,
            wrong[names[wrong.index] == subject].head(most),
            pixels,
        )
        for subject, count in counts.itertuples(index=False)
    ]


def of_store(store: Store) -> Pixels:
    """Return what finds the pixels of a cell in `store`."""
    row_of = pd.Series(range(len(store.cells)), index=store.cells["id"])
    return lambda cell: store.pixels[row_of[cell.id]]


def of_files(settings: Preprocessing) -> Pixels:
    """Return what prepares the picture of a cell anew from its file; for cells of no store.

    It raises BadInputError where the picture cannot be read any more.
    """
    return lambda cell: prepared_file(Path(cell.path), settings)


def kinds(predictions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Divide labelled `predictions` into right, wrong and unsure ones, the most telling first.

    Right and wrong calls begin with the surest, unsure ones with the nearest to the threshold;
    equal ones stand in the order of their ids, so the choice never varies. An unsure call is right
    or wrong as well.
    """
    cells = _labelled(predictions)
    surest = cells.sort_values(["distance", "id"], ascending=[False, True])
    nearest = cells.sort_values(["distance", "id"])
    found = {}
    for truth, call in ((0, 0), (1, 1), (0, 1), (1, 0)):
        word = "Right" if truth == call else "Wrong"
        chosen = (surest["label"] == truth) & (surest["call"] == call)
        found[f"{word}: {CLASSES[truth]}, called {CLASSES[call]}"] = surest[chosen]
    low, high = THRESHOLD - UNSURE, THRESHOLD + UNSURE
    title = f"Unsure: probability of blast from {low:.1f} to {high:.1f}"
    found[title] = nearest[nearest["distance"] <= UNSURE]
    return found


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return (H, W, 3) `pixels` as a PNG file."""
    with BytesIO() as file:
        Image.fromarray(pixels).save(file, format="PNG", optimize=True)
        return file.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """Return `content` as a ``data:`` address of the media type `kind`."""
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"


def _labelled(predictions: pd.DataFrame) -> pd.DataFrame:
    cells = predictions.dropna(subset=["label"]).astype({"label": int, "call": int})
    return cells.assign(distance=(cells["calibrated"] - THRESHOLD).abs())


def _group(title: str, count: int, cells: pd.DataFrame, pixels: Pixels) -> Group:
    return Group(
        title,
        count,
        [
            Example(
                id=cell.id,
                subject=None if pd.isna(cell.subject) else cell.subject,
                truth=CLASSES[cell.label],
                call=CLASSES[cell.call],
                probability=cell.calibrated,
                picture=data_uri(png(pixels(cell)), "image/png"),
            )
            for cell in _rows(cells)
        ],
    )


def _rows(cells: pd.DataFrame) -> Iterable[pd.Series]:
    return (cell for _, cell in cells.iterrows())
