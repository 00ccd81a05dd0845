"""Neighbours: for each cell the few others that might be the same one, in any of the eight turns.

All cells are compared with all, coarsely, by exact matrix products: at 16 × 16 pixels and sixteen
ways to lay one on the other, 15,000 cells cost a quarter of a minute. What is told apart here need
not be looked at closely; what is not, costs little.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukoscope.cells.fingerprints import SIDE
from leukoscope.cells.mask import GREY
from leukoscope.cells.plans import TURNS
from leukoscope.cores import cores
from leukoscope.progress import Bar

Pixels = NDArray[np.float32]
Rows = NDArray[np.intp]

COARSE = 16
"""Side of the pictures that are compared."""
SLIP = 2
"""Thumbnail pixels by which cells are moved as well, in eight directions: where a segmenter cut a
cell, or took its neighbour along, its middle moves."""
NEAREST, FLOOR = 24, 0.55
"""How many neighbours of a cell are kept, and how similar they must be."""
TURNED_FLOOR = 0.8
"""The same for a neighbour in another turn, which can only be a copy."""
BLOCK = 1024


def turned(pixels: NDArray[Any], turn: int, axes: tuple[int, int] = (0, 1)) -> NDArray[Any]:
    """Return `pixels` in one of the turns of `plans`; `axes` are their rows and columns."""
    quarter = np.rot90(pixels, turn % 4, axes)
    return np.flip(quarter, axes[1]) if turn >= 4 else quarter


def unit(pixels: Pixels) -> Pixels:
    """Bring each of the (N, …) `pixels` to length 1, in place; flat ones stay 0. Return them."""
    flat = pixels.reshape(len(pixels), -1)
    flat /= np.maximum(np.sqrt(np.einsum("nd,nd->n", flat, flat)), 1e-6)[:, None]
    return pixels


def neighbours(
    thumbnails: NDArray[np.uint8], insides: NDArray[np.bool_]
) -> tuple[Rows, Rows, Rows]:
    """Return a, b and turn of the pairs worth a closer look, a < b.

    Each pair stands there as it is, and once more in its most similar turn where that is another
    and similar enough.
    """
    cells = len(thumbnails)
    coarse = _coarse(thumbnails, insides)
    flat = coarse[0].reshape(cells, -1)
    turns = [
        np.ascontiguousarray(turned(coarse[0], turn, (1, 2))).reshape(cells, -1)
        for turn in range(TURNS)
    ]
    others = [*turns, *(moved.reshape(cells, -1) for moved in coarse[1:])]
    nearest = min(NEAREST, cells - 1)
    found = []
    with Bar("comparing cells", cells, "cells") as bar:
        for start in range(0, cells, BLOCK):
            rows = np.arange(start, min(start + BLOCK, cells))
            best = flat[rows] @ others[0].T
            for other in others[1:]:
                np.maximum(best, flat[rows] @ other.T, out=best)
            best[rows - start, rows] = -1
            columns = np.argpartition(-best, nearest - 1, axis=1)[:, :nearest]
            near = np.take_along_axis(best, columns, axis=1) >= FLOOR
            a, b = np.repeat(rows, near.sum(axis=1)), columns[near]
            found.append(np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1))
            bar.advance(len(rows))
    a, b = np.unique(np.concatenate(found), axis=0).T
    by_turn = np.stack([np.einsum("nd,nd->n", flat[a], each[b]) for each in turns])
    turn = by_turn.argmax(axis=0)
    again = (turn > 0) & (by_turn.max(axis=0) >= TURNED_FLOOR)
    return (
        np.concatenate([a, a[again]]),
        np.concatenate([b, b[again]]),
        np.concatenate([np.zeros_like(turn), turn[again]]),
    )


def _coarse(thumbnails: NDArray[np.uint8], insides: NDArray[np.bool_]) -> Pixels:
    """Return (9, N, COARSE, COARSE): grey levels about the cell's mean, 0 outside, of length 1.

    The first of the nine are the cells as they stand, the others moved by `SLIP`.
    """
    side = SIDE // COARSE
    moves = [(0, 0), *((y, x) for y in (-SLIP, 0, SLIP) for x in (-SLIP, 0, SLIP) if y or x)]
    coarse = np.empty((len(moves), len(thumbnails), COARSE, COARSE), np.float32)

    def one(row: int) -> None:
        grey = thumbnails[row] @ GREY
        within = insides[row]
        grey = (grey - grey[within].mean() if within.any() else grey) * within
        for move, shift in enumerate(moves):
            moved = np.roll(grey, shift, (0, 1))
            coarse[move, row] = moved.reshape(COARSE, side, COARSE, side).mean(axis=(1, 3))

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(one, range(len(thumbnails))))
    for each in coarse:
        unit(each)
    return coarse
