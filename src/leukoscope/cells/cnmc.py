"""C-NMC 2019: what its file and folder names mean, and how many cells each part holds.

Source: Gupta & Gupta 2019, *ALL Challenge dataset of ISBI 2019*, The Cancer Imaging Archive,
doi:10.7937/tcia.2019.dc64i46r.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import pandas as pd

UID = re.compile(r"UID_(H?)(\d+)_(\d+)_(\d+)_(all|hem)", re.IGNORECASE)
"""``UID_<subject>_<image>_<cell>_all``, ``UID_H<subject>_<image>_<cell>_hem``; the case varies."""


@dataclass(frozen=True)
class Identity:
    """What a UID file name tells of its cell; `subject` is ``all:11`` or ``hem:3``."""

    label: int
    subject: str
    image: int
    cell: int


def identify(name: str) -> Identity | None:
    """Read the file name `name`; None when it is no UID name.

    Raises ValueError when it begins like one and is not: an augmented or renamed copy
    (``UID_1_1_1_all (1).bmp``) must not pass for a cell of its own.
    """
    stem = PurePath(name).stem
    if not stem.lower().startswith("uid_"):
        return None
    match = UID.fullmatch(stem)
    if match is None:
        raise ValueError(f"the name {name!r} is not UID_<subject>_<image>_<cell>_all or UID_H…_hem")
    prefix, subject, image, cell, kind = (group.lower() for group in match.groups())
    if (prefix == "h") != (kind == "hem"):
        raise ValueError(f"the name {name!r} contradicts itself: H marks subjects of class hem")
    return Identity(int(kind == "all"), f"{kind}:{int(subject)}", int(image), int(cell))


@dataclass(frozen=True)
class Part:
    """A part of the data set: the folder names that mark it, and its published counts."""

    fold: str
    title: str
    folders: str
    cells: int
    blast: int | None = None
    normal: int | None = None
    subjects: int | None = None


FOLDS = (
    Part("fold_0", "fold_0", r"fold_0", 3_527, 2_397, 1_130),
    Part("fold_1", "fold_1", r"fold_1", 3_581, 2_418, 1_163),
    Part("fold_2", "fold_2", r"fold_2", 3_553, 2_457, 1_096),
)
PRELIMINARY = Part("prelim", "preliminary test", r".*(prelim|phase2).*", 1_867, 1_219, 648, 28)
FINAL = Part("final", "final test", r".*(final_phase|phase3).*|testing_data", 2_586)
PARTS = (*FOLDS, PRELIMINARY, FINAL)
TRAINING = Part("", "C-NMC 2019 training set", "", 10_661, 7_272, 3_389, 73)
"""The three folds together."""


def part_of(folders: Sequence[str]) -> Part | None:
    """The part that the innermost telling name among `folders` (outermost first) stands for."""
    for folder in reversed(folders):
        for part in PARTS:
            if re.fullmatch(part.folders, folder, re.IGNORECASE):
                return part
    return None


def completeness(cells: pd.DataFrame) -> list[str]:
    """Lines that say which parts of C-NMC 2019 a manifest holds whole, in part or not at all.

    Empty when nothing in `cells` is of C-NMC. A part that holds more cells than were published,
    or as many of the wrong subjects, gets a line that begins with ``warning:``.
    """
    folds = [cells[cells["fold"] == part.fold] for part in FOLDS]
    training = pd.concat(folds)
    outside = cells[
        cells["fold"].isna() & cells["subject"].str.fullmatch(r"(all|hem):\d+").eq(True)
    ]
    if cells["fold"].isna().all() and outside.empty:
        return []
    lines = [_line(fold, part) for fold, part in zip(folds, FOLDS, strict=True)]
    if training.empty:  # the folds are unknown, as in a flat folder, or there is no training cell
        lines = [_line(outside, TRAINING)]
    else:
        if all("complete" in line for line in lines):
            lines = [_line(training, TRAINING)]
        if not outside.empty:
            lines.append(f"outside these parts: {len(outside):,} UID-named cells")
    return lines + [_line(cells[cells["fold"] == part.fold], part) for part in (PRELIMINARY, FINAL)]


def _line(cells: pd.DataFrame, part: Part) -> str:
    """Compare `cells` with what was published of `part`."""
    if cells.empty:
        return f"{part.title}: absent"
    counts = [
        (what, have, known)
        for what, have, known in (
            ("cells", len(cells), part.cells),
            ("ALL", int((cells["label"] == 1).sum()), part.blast),
            ("HEM", int((cells["label"] == 0).sum()), part.normal),
            ("subjects", int(cells["subject"].nunique()), part.subjects),
        )
        if known is not None
    ]
    if all(have == known for _, have, known in counts):
        subjects = f", {part.subjects} subjects" if part.subjects else ""
        return f"{part.title} complete: {part.cells:,} cells{subjects}"
    details = ", ".join(f"{what} {have:,} of {known:,}" for what, have, known in counts[1:])
    line = f"{part.title}: {len(cells):,} of {part.cells:,} cells"
    line += f" ({details})" if details else ""
    exceeded = any(have > known for _, have, known in counts)
    # As many labelled cells as published, and yet not the same ones.
    inconsistent = len(cells) == part.cells and bool(cells["label"].notna().all())
    return f"warning: {line}" if exceeded or inconsistent else line
