"""Repeated cells: pairs of pictures that show one cell, found by looking at the pixels.

Three kinds, the strictest that fits:

- ``exact``: equal decoded pixels.
- ``copy``: the same photograph; moved in its frame, mirrored or turned by quarters, recompressed,
  with some pixels or the edge of the mask changed.
- ``again``: another photograph of the same cell, as neighbouring fields of one smear give it. A
  microscope neither turns nor mirrors its stage, so such a pair must match as it stands.

Each cell's `neighbours` are aligned by cross-correlation; those that align are judged by their
texture. docs/protocols.md shows how the least similarity was chosen on real cells.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leukoscope.cells.fingerprints import Fingerprints, insides_of
from leukoscope.cells.neighbours import neighbours
from leukoscope.cells.photographs import difference
from leukoscope.cells.textures import Texture, align, colour_texture, grey_textures, similarity
from leukoscope.cores import cores
from leukoscope.progress import Bar, tracked

Alike = tuple[int, int, float, int]
"""a, b, similarity, turn."""

ALIGNED = 0.45
"""Cross-correlation of the grey textures from which a pair is judged by its colours."""
AGAIN = 0.66
"""Least similarity of two pictures of one cell that match as they stand."""
TURNED = 0.85
"""Least similarity of a copy that is turned: what is no copy cannot match so."""
COPY_LEVELS = 1.1
"""Most grey levels by which two copies differ inside; photographs differ by more."""
BLOCK = 1024


def find_repeats(prints: Fingerprints) -> pd.DataFrame:
    """Return the pairs of pictures that show one cell.

    Of pictures with equal pixels the first stands for all: it is paired with each of them, and it
    alone with others. Empty pictures show no cell and are in no pair.

    Returns:
        Columns ``a``, ``b`` (positions in `prints`, a < b), ``kind``, ``similarity`` (of texture, 1
        for equal ones) and ``turn`` (of b onto a), ordered by similarity, the highest first.

    Raises:
        BadInputError: a picture has gone since its fingerprint was taken.
    """
    facts = prints.facts
    seen = facts[~facts["empty"]]
    first = seen.index.to_series().groupby(seen["digest"]).transform("first")
    exact = [(a, b, "exact", 1.0, 0) for b, a in first.items() if a != b]
    shown = first.index[first.index == first].to_numpy()
    alike = [
        (int(shown[a]), int(shown[b]), similar, turn)
        for (a, b), (similar, turn) in _alike(prints.thumbnails[shown]).items()
    ]
    found = [(a, b, kind, similar, turn) for (a, b, similar, turn), kind in _kinds(prints, alike)]
    pairs = pd.DataFrame([*exact, *found], columns=["a", "b", "kind", "similarity", "turn"])
    pairs = pairs.astype({"a": int, "b": int, "similarity": float, "turn": int})
    order = ["similarity", "a", "b"]
    return pairs.sort_values(order, ascending=[False, True, True], ignore_index=True)


def _alike(thumbnails: NDArray[np.uint8]) -> dict[tuple[int, int], tuple[float, int]]:
    """Return similarity and turn of each pair (a, b) of `thumbnails` that show one cell."""
    found: dict[tuple[int, int], tuple[float, int]] = {}
    if len(thumbnails) < 2:
        return found

    @lru_cache(maxsize=2 * BLOCK)
    def texture(row: int) -> Texture:
        return colour_texture(thumbnails[row], insides[row])

    insides = insides_of(thumbnails)
    a, b, turns = neighbours(thumbnails, insides)
    greys = grey_textures(thumbnails, insides)
    with Bar("aligning neighbours", len(a), "pairs") as bar:
        for start in range(0, len(a), BLOCK):
            block = slice(start, start + BLOCK)
            peaks, shifts = align(greys, a[block], b[block], turns[block])
            for near in np.flatnonzero(peaks >= ALIGNED):
                one, other, turn = (int(each[start + near]) for each in (a, b, turns))
                similar = similarity(texture(one), texture(other).turned(turn), shifts[near])
                known, _ = found.get((one, other), (-1.0, 0))
                if similar >= (TURNED if turn else AGAIN) and similar > known:
                    found[one, other] = similar, turn
            bar.advance(len(peaks))
    return found


def _kinds(prints: Fingerprints, alike: Sequence[Alike]) -> Iterator[tuple[Alike, str]]:
    """Yield each of the `alike` pairs with its kind; its two pictures are read once more."""

    def kind(pair: Alike) -> str:
        a, b, _, turn = pair
        if turn or difference(prints.paths[a], prints.paths[b]) <= COPY_LEVELS:
            return "copy"
        return "again"

    with ThreadPoolExecutor(cores()) as pool:
        kinds = tracked(pool.map(kind, alike), "comparing photographs", len(alike), "pairs")
        yield from zip(alike, kinds, strict=True)
