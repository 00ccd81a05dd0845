"""Phantom cells: the tree, its determinism, and what tells classes and subjects apart."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leukoscope.cells import phantom
from leukoscope.cells.phantom import is_phantom, plan_subjects, write_phantoms
from leukoscope.cells.phantom_render import SubjectStyle, render_cell
from leukoscope.errors import BadInputError

PATH = re.compile(
    r"C-NMC_Leukemia/training_data/fold_(?P<fold>[012])/(?P<folder>all|hem)/"
    r"UID_(?P<subject>(?P<h>H?)\d+)_(?P<image>\d+)_(?P<cell>\d+)_(?P<kind>all|hem)\.bmp"
)
SUBJECTS, CELLS = 5, 40


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each picture under `folder`, by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.bmp")
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    assert write_phantoms(folder, SUBJECTS, CELLS, seed=3) == CELLS
    return folder


def test_the_tree_is_that_of_cnmc(tree: Path) -> None:
    names = [PATH.fullmatch(path) for path in digests(tree)]
    assert len(names) == CELLS
    folds: dict[str, set[str]] = {}
    for name in names:
        assert name is not None
        assert name["kind"] == name["folder"]
        assert (name["kind"] == "hem") == (name["h"] == "H")
        folds.setdefault(name["subject"], set()).add(name["fold"])
    assert len(folds) == SUBJECTS
    assert all(len(seen) == 1 for seen in folds.values()), "a subject stands in two folds"


def test_phantoms_are_marked_as_such(tree: Path) -> None:
    pictures = next(tree.rglob("*.bmp")).parent
    assert is_phantom(pictures)
    assert "not photographed" in (tree / "PHANTOM.txt").read_text(encoding="utf-8")
    assert not is_phantom(tree.parent)


def test_pictures_are_24_bit_bmp_of_one_cell_on_black(tree: Path) -> None:
    for path in list(tree.rglob("*.bmp"))[:8]:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("BMP", "RGB", (450, 450))
            pixels = np.asarray(image)
        lit = pixels.any(axis=2)
        assert (pixels[lit] > 0).all(), "a cell's pixel lost a channel"
        assert lit[225, 225]
        assert 0.03 < lit.mean() < 0.6
        assert not lit[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phantom, "CHUNK", 20)
    monkeypatch.setattr(phantom, "cores", lambda: 2)
    write_phantoms(tmp_path, SUBJECTS, CELLS, seed=3)
    assert digests(tmp_path) == digests(tree)


def test_no_two_pictures_are_alike_and_seeds_differ(tree: Path) -> None:
    assert len(set(digests(tree).values())) == CELLS
    style = SubjectStyle.draw(np.random.default_rng(0))
    assert style != SubjectStyle.draw(np.random.default_rng(1))
    one, other = (render_cell(1, style, np.random.default_rng(seed)) for seed in (0, 1))
    assert (one != other).any()


@pytest.mark.parametrize(("subjects", "cells"), [(2, 2), (2, 9), (3, 3), (40, 40), (40, 2000)])
def test_the_plan_gives_every_subject_a_cell_and_adds_up(subjects: int, cells: int) -> None:
    plan = plan_subjects(subjects, cells, seed=0)
    assert len({who.name for who in plan}) == len({who.number for who in plan}) == subjects
    assert sum(who.cells for who in plan) == cells
    assert min(who.cells for who in plan) >= 1
    assert {who.label for who in plan} == {0, 1}


def test_the_plan_has_cnmc_s_proportions() -> None:
    plan = plan_subjects(40, 2000, seed=0)
    assert sum(who.label for who in plan) == 24
    assert sum(who.cells for who in plan if who.label) == 1333
    counts = [who.cells for who in plan]
    assert max(counts) > 4 * min(counts), "subjects carry uneven numbers of cells"
    folds = Counter[int]()
    for who in plan:
        folds[who.fold] += who.cells
    assert all(abs(count - 2000 / 3) < 100 for count in folds.values())
    assert plan != plan_subjects(40, 2000, seed=1)


@pytest.fixture(scope="module")
def crowd() -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.float64], NDArray[np.float64]]:
    """Return label, subject, area and mean colour of 100 cells of each class, 10 a subject."""
    rows = []
    for subject in range(20):
        style = SubjectStyle.draw(np.random.default_rng([5, subject]))
        for cell in range(10):
            pixels = render_cell(subject % 2, style, np.random.default_rng([6, subject, cell]))
            lit = pixels[pixels.any(axis=2)]
            rows.append((subject % 2, subject, len(lit), lit.mean(axis=0)))
    labels, subjects, areas, colours = zip(*rows, strict=True)
    return np.array(labels), np.array(subjects), np.array(areas, float), np.array(colours)


def test_blasts_are_larger_but_sizes_overlap(crowd) -> None:  # type: ignore[no-untyped-def]
    labels, _, areas, _ = crowd
    normal, blast = areas[labels == 0], areas[labels == 1]
    auroc = np.mean(blast[:, None] > normal[None, :])
    assert 0.65 < auroc < 0.9


def test_stain_tells_the_subject(crowd) -> None:  # type: ignore[no-untyped-def]
    _, subjects, _, colours = crowd
    groups = [colours[subjects == subject] for subject in np.unique(subjects)]
    between = np.var([group.mean(axis=0) for group in groups], axis=0)
    within = np.mean([group.var(axis=0) for group in groups], axis=0)
    assert between.sum() > 2 * within.sum()


@pytest.mark.parametrize(
    ("subjects", "cells", "seed", "said"),
    [(1, 9, 0, "1 subjects"), (5, 4, 0, "4 cells for 5 subjects"), (2, 2, -1, "seed -1")],
)
def test_impossible_numbers_are_refused_before_anything_is_written(
    tmp_path: Path, subjects: int, cells: int, seed: int, said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        write_phantoms(tmp_path / "new", subjects, cells, seed)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_pictures_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "deep" / "mine.BMP"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    with pytest.raises(BadInputError, match=r"already holds pictures .*mine\.BMP"):
        write_phantoms(tmp_path, 2, 2)
    assert sorted(tmp_path.rglob("*")) == [mine.parent, mine]
    with pytest.raises(BadInputError, match="is a file"):
        write_phantoms(mine, 2, 2)
