"""Phantom cells: a data set to learn the tool on, rendered here, in the tree of C-NMC 2019.

Like the real one it has subjects who carry few cells or many, keeps each subject in one fold, and
shows each subject's cells in that subject's stain, so that a split by image flatters a model.
"""

import math
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from leukoscope.cells.phantom_render import SubjectStyle, render_cell
from leukoscope.cores import cores
from leukoscope.errors import BadInputError
from leukoscope.files import atomic, write_text
from leukoscope.progress import tracked

TREE = Path("C-NMC_Leukemia", "training_data")
FOLDS = 3
BLAST_SUBJECTS = 0.6
"""Share of subjects with leukemia; 47 of 73 in C-NMC's training data."""
BLAST_CELLS = 2 / 3
"""Share of cells that are blasts; 7,272 of 10,661 in C-NMC's training data."""
UNEVEN = 0.7
"""SD of the logarithm of a subject's share of cells: the largest is tens of times the smallest."""
CELLS_PER_IMAGE = 4
"""Cells that share an image number in the file name, as neighbours in one microscope field."""
CHUNK = 32
"""Cells a worker takes at a time."""
MOST_WORKERS = 61
"""Windows lets one process wait for no more."""
MARK = "PHANTOM.txt"
"""The file that tells a folder of phantom cells, and all that is made from them, from real ones."""
MARK_TEXT = """\
The pictures below this folder are rendered, not photographed. An accuracy on them says that a
program works; it says nothing about patients.
"""
PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Subject:
    """One subject's part of the data set: `number` is unique over both classes and seeds it."""

    number: int
    name: str
    label: int
    fold: int
    cells: int


@dataclass(frozen=True)
class Task:
    """One picture to render: cell `cell` (from 0) of `subject`, under `root`."""

    root: Path
    subject: Subject
    cell: int
    seed: int

    @property
    def path(self) -> Path:
        """Where the picture goes, named as in C-NMC: UID, subject, image, cell, class."""
        kind = "all" if self.subject.label else "hem"
        image, cell = divmod(self.cell, CELLS_PER_IMAGE)
        name = f"UID_{self.subject.name}_{image + 1}_{cell + 1}_{kind}.bmp"
        return self.root / f"fold_{self.subject.fold}" / kind / name


def write_phantoms(folder: Path, subjects: int = 40, cells: int = 2000, seed: int = 0) -> int:
    """Write `cells` phantom cells of `subjects` subjects under `folder`; return how many it wrote.

    The tree is ``C-NMC_Leukemia/training_data/fold_{0,1,2}/{all,hem}``, each picture a 24-bit BMP,
    450 × 450. The same arguments give the same bytes, however many processes render.

    Raises BadInputError, before anything is written, if there are fewer than 2 subjects or fewer
    cells than subjects, if the seed is negative, or if `folder` is a file or holds pictures.
    """
    if subjects < 2:
        raise BadInputError(f"{subjects} subjects: at least 2 are needed, one for each class.")
    if cells < subjects:
        raise BadInputError(f"{cells} cells for {subjects} subjects: each needs at least one cell.")
    if seed < 0:
        raise BadInputError(f"seed {seed}: a seed is 0 or more.")
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file: name a folder to write into.")
    if found := next((p for p in folder.rglob("*") if p.suffix.lower() in PICTURES), None):
        raise BadInputError(f"{folder} already holds pictures ({found}): name an empty folder.")
    people = plan_subjects(subjects, cells, seed)
    tasks = [Task(folder / TREE, who, cell, seed) for who in people for cell in range(who.cells)]
    write_text(folder / MARK, MARK_TEXT)
    for _ in tracked(_render_all(tasks), "phantom", len(tasks), "cells"):
        pass
    return len(tasks)


def is_phantom(folder: Path) -> bool:
    """Tell whether the pictures in `folder` were written by `write_phantoms`."""
    return any((parent / MARK).exists() for parent in (folder, *folder.parents))


def plan_subjects(subjects: int, cells: int, seed: int) -> list[Subject]:
    """Share `cells` out among `subjects`, blasts first, and put each subject in a fold."""
    blast_subjects = min(max(round(subjects * BLAST_SUBJECTS), 1), subjects - 1)
    normal_subjects = subjects - blast_subjects
    blasts = min(max(round(cells * BLAST_CELLS), blast_subjects), cells - normal_subjects)
    rng = np.random.default_rng(seed)
    counts = [
        *_apportion(blasts, rng.lognormal(0, UNEVEN, blast_subjects)),
        *_apportion(cells - blasts, rng.lognormal(0, UNEVEN, normal_subjects)),
    ]
    labels = [1] * blast_subjects + [0] * normal_subjects
    names = [f"{i + 1}" for i in range(blast_subjects)]
    names += [f"H{i + 1}" for i in range(normal_subjects)]
    rows = zip(names, labels, _fold(labels, counts), counts, strict=True)
    return [Subject(number, *row) for number, row in enumerate(rows)]


def _apportion(total: int, weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[int]:
    """Split `total` into whole parts of at least 1 that follow `weights` (largest remainders)."""
    exact = (total - len(weights)) * weights / weights.sum()
    parts = np.floor(exact).astype(int) + 1
    parts[np.argsort(parts - exact)[: total - parts.sum()]] += 1
    return [int(part) for part in parts]


def _fold(labels: Sequence[int], counts: Sequence[int]) -> list[int]:
    """Give each subject, largest first, the fold with the fewest cells of its class so far."""
    folds = [0] * len(labels)
    load = np.zeros((FOLDS, 2), int)
    for who in sorted(range(len(labels)), key=lambda i: -counts[i]):
        label = labels[who]
        folds[who] = min(range(FOLDS), key=lambda f: (load[f, label], load[f].sum()))
        load[folds[who], label] += counts[who]
    return folds


def _render_all(tasks: list[Task]) -> Iterator[None]:
    """Render on all cores; yield once a picture.

    Workers are spawned, on Linux too: a forked copy of a process whose threads hold locks can hang.
    """
    workers = min(cores(), MOST_WORKERS, math.ceil(len(tasks) / CHUNK))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        yield from pool.map(_render, tasks, chunksize=CHUNK)


def _render(task: Task) -> None:
    """Render and write one picture; its seed depends on nothing but the task."""
    who = task.subject
    # A spawn key, not a longer seed: trailing zeros in a seed change nothing.
    style = np.random.SeedSequence(task.seed, spawn_key=(who.number,))
    cell = np.random.SeedSequence(task.seed, spawn_key=(who.number, task.cell))
    subject = SubjectStyle.draw(np.random.default_rng(style))
    pixels = render_cell(who.label, subject, np.random.default_rng(cell))
    with atomic(task.path) as scratch:
        Image.fromarray(pixels).save(scratch, format="BMP")
