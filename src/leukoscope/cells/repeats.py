"""Repeated cells: pairs of pictures that show one cell, found by looking at the pixels.

Three kinds, the strictest that fits:

- ``exact``: equal decoded pixels.
- ``copy``: the same photograph; moved in its frame, mirrored or turned by quarters, recompressed,
  with some pixels or the edge of the mask changed.
- ``again``: another photograph of the same cell, as neighbouring fields of one smear give it. A
  microscope neither turns nor mirrors its stage, so such a pair must match as it stands.

Every cell is compared with every other in all eight turns, coarsely, by exact matrix products; its
nearest few are aligned by cross-correlation; those that align are judged by their *texture*, the
colour detail of the cell's inside. The outline and the bright rim, in which most round cells agree,
have no say. docs/protocols.md gives the distribution of the similarity on real cells.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft, ndimage

from leukoscope.cells.fingerprints import LUMINANCE, SIDE, Fingerprints, core, mask
from leukoscope.progress import Bar

Pixels = NDArray[np.float32]
Rows = NDArray[np.intp]

TURNS = 8
"""Turn t mirrors left to right if t >= 4, then turns by t % 4 quarters anticlockwise."""

COARSE = 16
"""Side of the picture by which all cells are compared with all."""
SLIP = 2
"""Thumbnail pixels by which cells are moved as well in that comparison, in eight directions."""
NEAREST, COARSE_FLOOR = 24, 0.55
"""How many neighbours of a cell are looked at, and how similar they must be, coarsely."""
TURNED_FLOOR = 0.8
"""The same for a neighbour in another turn, which can only be a copy."""
REACH = 5
"""Thumbnail pixels by which the centroids of one cell's two masks may lie apart."""
PEAK_FLOOR = 0.35
"""Cross-correlation of the grey textures from which a pair is judged by its colours."""
RIM = 4
"""Thumbnail pixels at the edge of a cell that have no say: a bright rim looks alike in all."""
FINE, BROAD = 0.5, 2.5
"""Sigmas in thumbnail pixels between which detail counts: below is noise, above is shading."""
SHARED = 0.8
"""Share of the two masks' union in which they must agree once aligned."""

AGAIN = 0.735
"""Least similarity of two photographs of one cell."""
COPY = 0.9
"""Least similarity of a copy; it also must agree in grey levels, see `COPY_LEVELS`."""
COPY_LEVELS = 1.0
"""Most grey levels, in the mean, by which the thumbnails of two copies differ."""
BLOCK = 1024


def find_repeats(prints: Fingerprints) -> pd.DataFrame:
    """Return the pairs of pictures that show one cell.

    Of pictures with equal pixels the first stands for all: it is paired with each of them, and it
    alone with others. Empty pictures show no cell and are in no pair.

    Returns:
        Columns ``a``, ``b`` (positions in `prints`, a < b), ``kind``, ``similarity`` (of texture, 1
        for equal ones) and ``turn`` (of b onto a), ordered by similarity, the highest first.
    """
    facts = prints.facts
    seen = facts[~facts["empty"]]
    first = seen.index.to_series().groupby(seen["digest"]).transform("first")
    exact = [(a, b, "exact", 1.0, 0) for b, a in first.items() if a != b]
    shown = first.index[first.index == first].to_numpy()
    alike = _judged(prints.thumbnails[shown])
    found = [(shown[a], shown[b], kind, similarity, turn) for a, b, kind, similarity, turn in alike]
    pairs = pd.DataFrame([*exact, *found], columns=["a", "b", "kind", "similarity", "turn"])
    pairs = pairs.astype({"a": int, "b": int, "similarity": float, "turn": int})
    order = ["similarity", "a", "b"]
    return pairs.sort_values(order, ascending=[False, True, True], ignore_index=True)


def turned(pixels: NDArray[Any], turn: int, axes: tuple[int, int] = (0, 1)) -> NDArray[Any]:
    """Return `pixels` in one of the `TURNS`; `axes` are their rows and columns."""
    mirrored = np.flip(pixels, axes[1]) if turn >= 4 else pixels
    return np.rot90(mirrored, turn % 4, axes)


def _judged(thumbnails: NDArray[np.uint8]) -> Iterator[tuple[int, int, str, float, int]]:
    """Yield a, b, kind, similarity and turn of the pairs of `thumbnails` that show one cell."""
    if len(thumbnails) < 2:
        return
    with Bar("comparing cells", len(thumbnails), "cells") as bar:
        a, b, turns = _neighbours(_coarse(thumbnails), bar)

    @lru_cache(maxsize=4 * BLOCK)
    def colours(row: int) -> tuple[Pixels, NDArray[np.bool_]]:
        return texture(thumbnails[row].astype(np.float32), core(mask(thumbnails[row])))

    best: dict[tuple[int, int], tuple[str, float, int]] = {}
    with Bar("aligning neighbours", len(a), "pairs") as bar:
        greys = _greys(thumbnails, np.union1d(a, b))
        for block in range(0, len(a), BLOCK):
            part = slice(block, block + BLOCK)
            peaks, shifts = _peaks(greys, a[part], b[part], turns[part])
            for near in np.flatnonzero(peaks >= PEAK_FLOOR):
                one, other, turn = (int(rows[block + near]) for rows in (a, b, turns))
                similarity, levels = _similarity(
                    (thumbnails[one], *colours(one)),
                    [turned(each, turn) for each in (thumbnails[other], *colours(other))],
                    shifts[near],
                )
                copy = similarity >= COPY and levels <= COPY_LEVELS
                if not copy and (turn or similarity < AGAIN):
                    continue
                if similarity > best.get((one, other), ("", -1.0, 0))[1]:
                    best[one, other] = ("copy" if copy else "again", similarity, turn)
            bar.advance(len(peaks))
    for (one, other), found in best.items():
        yield one, other, *found


def _coarse(thumbnails: NDArray[np.uint8]) -> Pixels:
    """Return (9, N, COARSE, COARSE): grey levels about the cell's mean, 0 outside, of length 1.

    The first of the nine are the cells as they stand, the others moved by `SLIP`: where a segmenter
    cut a cell in two, or took its neighbour along, its middle moves.
    """
    side = SIDE // COARSE
    moves = [(0, 0), *((y, x) for y in (-SLIP, 0, SLIP) for x in (-SLIP, 0, SLIP) if y or x)]
    coarse = np.empty((len(moves), len(thumbnails), COARSE, COARSE), np.float32)

    def one(row: int) -> None:
        grey = thumbnails[row] @ LUMINANCE
        inside = _inside(core(mask(thumbnails[row])))
        grey = (grey - grey[inside].mean() if inside.any() else grey) * inside
        for move, shift in enumerate(moves):
            moved = np.roll(grey, shift, (0, 1))
            coarse[move, row] = moved.reshape(COARSE, side, COARSE, side).mean(axis=(1, 3))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, range(len(thumbnails))))
    return np.stack([_unit(each) for each in coarse])


def _inside(lit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask `lit` without its rim. A cell cut by the thumbnail's edge has one there."""
    depth = ndimage.distance_transform_edt(np.pad(lit, 1))[1:-1, 1:-1]
    return np.asarray(depth > RIM)


def _unit(pixels: Pixels) -> Pixels:
    """Return each of the (N, …) `pixels` at length 1; flat ones stay 0."""
    length = np.sqrt(np.square(pixels).sum(axis=tuple(range(1, pixels.ndim)), keepdims=True))
    return np.asarray(pixels / np.maximum(length, 1e-6), np.float32)


def _neighbours(coarse: Pixels, bar: Bar) -> tuple[Rows, Rows, Rows]:
    """Return a, b, turn: pairs worth aligning, each as it stands and in its most similar turn."""
    cells = coarse.shape[1]
    flat = coarse[0].reshape(cells, -1)
    turns = [
        np.ascontiguousarray(turned(coarse[0], turn, (1, 2))).reshape(cells, -1)
        for turn in range(TURNS)
    ]
    others = [*turns, *(moved.reshape(cells, -1) for moved in coarse[1:])]
    nearest = min(NEAREST, cells - 1)
    found = []
    for start in range(0, cells, BLOCK):
        rows = np.arange(start, min(start + BLOCK, cells))
        best = flat[rows] @ others[0].T
        for other in others[1:]:
            np.maximum(best, flat[rows] @ other.T, out=best)
        best[rows - start, rows] = -1
        columns = np.argpartition(-best, nearest - 1, axis=1)[:, :nearest]
        near = np.take_along_axis(best, columns, axis=1) >= COARSE_FLOOR
        a, b = np.repeat(rows, near.sum(axis=1)), columns[near]
        found.append(np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1))
        bar.advance(len(rows))
    a, b = np.unique(np.concatenate(found), axis=0).T
    by_turn = np.stack([np.einsum("nd,nd->n", flat[a], each[b]) for each in turns])
    turn = by_turn.argmax(axis=0)
    extra = (turn > 0) & (by_turn.max(axis=0) >= TURNED_FLOOR)
    return (
        np.concatenate([a, a[extra]]),
        np.concatenate([b, b[extra]]),
        np.concatenate([np.zeros_like(turn), turn[extra]]),
    )


def texture(pixels: Pixels, lit: NDArray[np.bool_]) -> tuple[Pixels, NDArray[np.bool_]]:
    """Return the detail of a cell's inside, and where that is.

    Args:
        pixels: (SIDE, SIDE, C).
        lit: (SIDE, SIDE), the cell's core.

    Returns:
        The difference of two Gaussian means taken inside only (normalised convolution, Knutsson &
        Westin 1993), 0 elsewhere; and the mask without its rim.
    """
    inside = _inside(lit)
    weight = inside[..., None].astype(np.float32)

    def mean(sigma: float) -> Pixels:
        blur = (sigma, sigma, 0)
        summed = ndimage.gaussian_filter(pixels * weight, blur, truncate=3)
        covered = ndimage.gaussian_filter(weight, blur, truncate=3)
        return np.asarray(summed / np.maximum(covered, 1e-3), np.float32)

    detail: Pixels = (mean(FINE) - mean(BROAD)) * weight
    return detail, inside


def _greys(thumbnails: NDArray[np.uint8], rows: Rows) -> Pixels:
    """Return the grey textures of `rows`, of length 1, at their places; the rest is not set."""
    greys = np.empty((len(thumbnails), SIDE, SIDE), np.float32)

    def one(row: int) -> None:
        grey = (thumbnails[row] @ LUMINANCE)[..., None]
        detail, inside = texture(grey, core(mask(thumbnails[row])))
        middle = detail[inside].mean() if inside.any() else np.float32(0)
        centred: Pixels = (detail[..., 0] - middle) * inside
        greys[row] = _unit(centred[None])[0]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, rows))
    return greys


def _peaks(greys: Pixels, a: Rows, b: Rows, turns: Rows) -> tuple[Pixels, Rows]:
    """Return the highest cross-correlation of each pair within `REACH`, and b's (down, right)."""
    workers = os.cpu_count() or 1
    others = np.stack([turned(greys[row], turn) for row, turn in zip(b, turns, strict=True)])
    spectrum = fft.rfft2(greys[a], workers=workers)
    spectrum *= np.conj(fft.rfft2(others, workers=workers))
    correlation = fft.irfft2(spectrum, (SIDE, SIDE), workers=workers)
    span = 2 * REACH + 1
    near = np.roll(correlation, (REACH, REACH), (1, 2))[:, :span, :span].reshape(len(a), -1)
    place = near.argmax(axis=1)
    shifts = np.stack(np.divmod(place, span), axis=1) - REACH
    return near[np.arange(len(a)), place], shifts


def _similarity(one: Any, other: Any, shift: Rows) -> tuple[float, float]:
    """Return the normalised correlation of two textures where both are, and the mean difference.

    `one` and `other` are a thumbnail, its texture and its inside; the best of the shifts within a
    pixel of `shift` counts. The difference is in grey levels. (-1, 255) when the cells do not cover
    each other.
    """
    thumbnail, detail, inside = one
    best = (-1.0, 255.0)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            moved = [np.roll(each, shift + np.array((down, right)), (0, 1)) for each in other]
            both = inside & moved[2]
            if both.sum() < SHARED * (inside | moved[2]).sum() or not both.any():
                continue
            x, y = detail[both], moved[1][both]
            x, y = x - x.mean(axis=0), y - y.mean(axis=0)
            spread = np.sqrt((x * x).sum() * (y * y).sum())
            similarity = float((x * y).sum() / spread) if spread > 0 else 0.0
            if similarity > best[0]:
                levels = np.abs(thumbnail[both].astype(np.int16) - moved[0][both]).mean()
                best = (similarity, float(levels))
    return best
