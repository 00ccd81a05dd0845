"""Repeated cells: every way in which a cell stands twice is found, and look-alikes are not."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from leukoscope.cells.fingerprints import fingerprint, read_fingerprints
from leukoscope.cells.neighbours import TURNS, turned
from leukoscope.cells.repeats import find_repeats
from leukoscope.cells.sources import read_sources

Picture = NDArray[np.uint8]


def moved(picture: Picture) -> Picture:
    return np.roll(picture, (7, -11), (0, 1))


def speckled(picture: Picture) -> Picture:
    """A few dozen pixels of the cell changed."""
    changed = picture.copy()
    rows, columns = np.nonzero(picture.any(axis=2))
    chosen = np.random.default_rng(0).choice(len(rows), 40, replace=False)
    changed[rows[chosen], columns[chosen]] = 255
    return changed


def trimmed(picture: Picture) -> Picture:
    """Another mask: two pixels of the rim gone."""
    inside = ndimage.binary_erosion(picture.any(axis=2), iterations=2)
    return picture * inside[..., None]


def with_debris(picture: Picture) -> Picture:
    """Another mask: a grey thing beside the cell taken along."""
    grown = picture.copy()
    row = int(np.flatnonzero(picture.any(axis=(1, 2)))[-1])
    column = int(np.flatnonzero(picture[row].any(axis=1)).mean())
    grown[row - 6 : row + 40, column - 12 : column + 12] = 90
    return grown


def recompressed(picture: Picture) -> Picture:
    with BytesIO() as file:
        Image.fromarray(picture).save(file, format="JPEG", quality=90)
        return np.asarray(Image.open(file))


def photographed_anew(picture: Picture) -> Picture:
    """Another focus, another light, another noise, and the stage a little further."""
    blurred = ndimage.gaussian_filter(np.roll(picture, (3, 2), (0, 1)).astype(float), (2, 2, 0))
    noise = np.random.default_rng(1).normal(0, 1.5, picture.shape)
    inside = ndimage.binary_erosion(np.roll(picture.any(axis=2), (3, 2), (0, 1)), iterations=3)
    return (np.clip(1.08 * blurred + noise, 1, 255) * inside[..., None]).astype(np.uint8)


def same(picture: Picture) -> Picture:
    return picture.copy()


WAYS = [
    (same, "exact"),
    (moved, "copy"),
    (speckled, "copy"),
    (trimmed, "copy"),
    (with_debris, "copy"),
    (recompressed, "copy"),
    (photographed_anew, "again"),
]


@pytest.mark.parametrize(("way", "kind"), WAYS)
def test_a_repeated_cell_is_found_among_cells_of_the_same_stain(
    way: Callable[[Picture], Picture],
    kind: str,
    phantoms: list[Picture],
    write_cells: Callable[..., pd.DataFrame],
) -> None:
    cells = write_cells([("all:1", picture) for picture in [*phantoms, way(phantoms[4])]])
    pairs = find_repeats(read_fingerprints(list(cells["path"])))
    assert pairs[["a", "b", "kind", "turn"]].values.tolist() == [[4, 14, kind, 0]]


def test_copies_in_all_eight_turns_are_found(
    phantoms: list[Picture], write_cells: Callable[..., pd.DataFrame]
) -> None:
    copies = [moved(turned(phantoms[turn], turn)) for turn in range(TURNS)]
    cells = write_cells([("all:1", picture) for picture in [*phantoms, *copies]])
    pairs = find_repeats(read_fingerprints(list(cells["path"]))).sort_values("a")
    assert pairs["kind"].eq("copy").all()
    assert pairs[["a", "b"]].values.tolist() == [[turn, 14 + turn] for turn in range(TURNS)]
    assert pairs["similarity"].min() > 0.9
    for pair in pairs.itertuples():  # the turn brings b back onto a
        back = turned(turned(phantoms[pair.a], int(pair.a)), pair.turn)
        np.testing.assert_array_equal(back, phantoms[pair.a])


def test_equal_pictures_are_paired_with_the_first_of_them(
    phantoms: list[Picture], write_cells: Callable[..., pd.DataFrame]
) -> None:
    cells = write_cells([("all:1", phantoms[n]) for n in (0, 1, 0, 0)] + [("", moved(phantoms[0]))])
    pairs = find_repeats(read_fingerprints(list(cells["path"])))
    assert pairs[["a", "b", "kind"]].values.tolist() == [
        [0, 2, "exact"],
        [0, 3, "exact"],
        [0, 4, "copy"],
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_pictures_without_a_cell_are_no_pair(
    count: int, phantoms: list[Picture], write_cells: Callable[..., pd.DataFrame]
) -> None:
    black = np.zeros_like(phantoms[0])
    cells = write_cells(
        [("all:1", black)] * 3 + [("all:1", picture) for picture in phantoms[:count]]
    )
    prints = read_fingerprints(list(cells["path"]))
    assert prints.facts["empty"].tolist() == [True] * 3 + [False] * count
    assert find_repeats(prints).empty


def disc(y: int, x: int, radius: int, picture: Picture | None = None) -> Picture:
    picture = np.zeros((450, 450, 3), np.uint8) if picture is None else picture
    rows, columns = np.ogrid[:450, :450]
    picture[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = (120, 60, 140)
    return picture


@pytest.mark.parametrize(
    ("picture", "doubts"),
    [
        (disc(225, 225, 90), []),
        (disc(60, 225, 90), ["clipped"]),
        (disc(225, 370, 80), ["clipped"]),
        (disc(120, 120, 60, disc(330, 330, 60)), ["several"]),
        (disc(225, 150, 70, disc(225, 280, 70)), ["several"]),
        (disc(225, 225, 90, disc(225, 330, 20)), []),
        (np.zeros((450, 450, 3), np.uint8), ["empty"]),
    ],
)
def test_doubtful_pictures(picture: Picture, doubts: list[str], tmp_path: Path) -> None:
    Image.fromarray(picture).save(tmp_path / "cell.png")
    _, (_, side, *told) = fingerprint(tmp_path / "cell.png")
    lit = np.argwhere(picture.max(axis=2) > 10)
    assert side == (np.ptp(lit, axis=0).max() + 1 if len(lit) else 450)
    assert [n for n, is_so in zip(("empty", "clipped", "several"), told, strict=True) if is_so] == (
        doubts
    )


def test_known_repeats_of_real_cells(cnmc: Path) -> None:
    cells = read_sources([cnmc]).cells
    names = cells["path"].map(lambda path: Path(path).stem.lower())
    pairs = find_repeats(read_fingerprints(list(cells["path"])))
    found = {frozenset((names[pair.a], names[pair.b])) for pair in pairs.itertuples()}
    assert frozenset(("uid_h10_1_1_hem", "uid_h3_1_1_hem")) in found
    assert frozenset(("uid_h2_1_1_hem", "uid_h6_1_1_hem")) in found
    labels = cells["label"].to_numpy()
    assert (labels[pairs["a"]] == labels[pairs["b"]]).all(), (
        "a pair joins a blast and a normal cell"
    )
    assert pairs["turn"].eq(0).all()
