"""The page of an audit: repeated cells side by side, so that a person can judge each pair."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from leukoscope import __version__
from leukoscope.cells.audit import DOUBTS, Audit
from leukoscope.cells.fingerprints import look
from leukoscope.cells.manifest import CLASSES
from leukoscope.cells.neighbours import turned
from leukoscope.cells.pictures import read_picture
from leukoscope.files import write_text
from leukoscope.progress import Bar
from leukoscope.reporting.examples import data_uri
from leukoscope.reporting.pages import template

SHOWN = 112
"""Side in pixels of a picture on the page."""
COLOURS = 64
"""Of a picture on the page: a stained cell has few, and hundreds of pictures must stay light."""
MOST = {"harmless": 60, "doubtful": 60}
"""Pairs within one name, and doubtful pictures of a kind, that are shown; files list them all."""


@dataclass(frozen=True)
class Shown:
    """One picture, ready to show: PNG as a data URI, and the lines below it."""

    id: str
    picture: str
    subject: str
    place: str
    label: str


@dataclass(frozen=True)
class Pair:
    """Two pictures of one cell, the second turned onto the first."""

    a: Shown
    b: Shown
    kind: str
    similarity: float


@dataclass(frozen=True)
class Group:
    """Pairs of one kind of trouble: how many there are, and those shown."""

    title: str
    why: str
    total: int
    pairs: list[Pair]
    folded: bool


def write_page(found: Audit, folder: Path, manifest: Path) -> Path:
    """Write ``audit.html`` of what was `found` into `folder`; return its path.

    `manifest` is named on the page as what was audited.
    """
    target = folder / "audit.html"
    counts = found.cells["label"].map(CLASSES).value_counts()
    page = template("audit.html.j2").render(
        found=found,
        manifest=str(manifest),
        classes=counts,
        groups=_groups(found),
        doubts={
            title: (found.doubtful(doubt), _pictures(found, doubt))
            for doubt, title in DOUBTS.items()
        },
        joins=_joins(found),
        version=__version__,
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        command=shlex.join(["leukoscope", "audit", str(manifest), "--output", str(folder)]),
    )
    write_text(target, page)
    return target


def kinds_of_trouble(found: Audit) -> dict[str, pd.DataFrame]:
    """Divide the pairs by what they harm: ``labels``, ``names``, ``sides`` or ``none``.

    The least similar come first: they are the ones to look at.
    """
    pairs = found.pairs.sort_values(["similarity", "a", "b"], ignore_index=True)
    cells = found.cells.reset_index(drop=True)

    def differs(column: str) -> pd.Series:
        a, b = (cells[column].iloc[pairs[side]].reset_index(drop=True) for side in ("a", "b"))
        return a.ne(b).fillna(False).astype(bool)

    labels = pairs["contradiction"]
    names = differs("subject") & ~labels
    sides = (differs("split") | differs("fold")) & ~labels & ~names
    return {
        "labels": pairs[labels],
        "names": pairs[names],
        "sides": pairs[sides],
        "none": pairs[~labels & ~names & ~sides],
    }


TITLES = {
    "labels": (
        "One cell, two classes",
        "One of the two labels is wrong. These pairs join no names: look at them, and correct the "
        "manifest.",
    ),
    "names": (
        "One cell, two names",
        "The names are one person. Split by person, not by name.",
    ),
    "sides": (
        "One cell on two sides",
        "One name, but two parts of the division: the cell is learned in one and judged in the "
        "other.",
    ),
    "none": (
        "One cell twice under one name",
        "Harmless to a split by person; such a cell counts twice.",
    ),
}


def _groups(found: Audit) -> list[Group]:
    troubles = kinds_of_trouble(found)
    limit = {trouble: len(pairs) for trouble, pairs in troubles.items()}
    limit["none"] = MOST["harmless"]
    chosen = {trouble: pairs.head(limit[trouble]) for trouble, pairs in troubles.items()}
    groups = []
    with Bar("pictures of the page", sum(map(len, chosen.values())), "pairs") as bar:
        for trouble, pairs in chosen.items():
            title, why = TITLES[trouble]
            shown = []
            for pair in pairs.itertuples():
                shown.append(_pair(found, pair))
                bar.advance()
            groups.append(Group(title, why, len(troubles[trouble]), shown, trouble == "none"))
    return groups


def _pair(found: Audit, pair: Any) -> Pair:
    a, b = (found.cells.iloc[position] for position in (pair.a, pair.b))
    return Pair(_shown(a), _shown(b, pair.turn), pair.kind, pair.similarity)


def _pictures(found: Audit, doubt: str) -> list[Shown]:
    rows = found.cells[found.facts[doubt].to_numpy(dtype=bool)].head(MOST["doubtful"])
    return [_shown(row) for _, row in rows.iterrows()]


def _shown(cell: pd.Series, turn: int = 0) -> Shown:
    def told(column: str, unknown: str) -> str:
        return unknown if pd.isna(cell[column]) else str(cell[column])

    return Shown(
        id=cell["id"],
        picture=_picture(cell["path"], turn),
        subject=told("subject", "subject unknown"),
        place=", ".join(part for part in (told("fold", ""), told("split", "")) if part),
        label="unknown" if pd.isna(cell["label"]) else CLASSES[cell["label"]],
    )


@lru_cache(maxsize=1024)
def _picture(path: str, turn: int) -> str:
    cut = look(read_picture(Path(path))).window
    small = cut.resize((SHOWN, SHOWN), Image.Resampling.BOX)
    image = Image.fromarray(np.ascontiguousarray(turned(np.asarray(small), turn)))
    with BytesIO() as file:
        image.quantize(COLOURS).save(file, format="PNG", optimize=True)
        return data_uri(file.getvalue(), "image/png")


def _joins(found: Audit) -> dict[str, list[str]]:
    """Return for each person with several names how many cells join each two of them."""
    person = found.cells.dropna(subset=["subject"]).drop_duplicates("subject")
    person_of = person.set_index("subject")["person"]
    told: dict[str, list[str]] = {}
    rows: Iterable[tuple[str, str, int]] = found.joins.itertuples(index=False, name=None)
    for a, b, cells in rows:
        told.setdefault(person_of[a], []).append(f"{a} and {b}: {cells:,}")
    return told
