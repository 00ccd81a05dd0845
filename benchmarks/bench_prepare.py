"""Claim: what preparing a store does beside the search for repeated cells is bounded by decoding.

A store needs each picture twice: once to measure the cell and to look for others like it, and once
to cut it. The peer is Pillow alone on as many threads: decode each file, then decode it again and
resize a window. The first look, with the search, is measured by itself as well.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from common import phantom_cells, seconds, tell
from leukoscope.cells.fingerprints import read_fingerprints
from leukoscope.cells.prepare import prepare
from leukoscope.cells.repeats import find_repeats
from leukoscope.cells.sources import read_sources
from leukoscope.cores import cores

CELLS = 1_000


def decode(path: str) -> None:
    """Decode one picture."""
    with Image.open(path) as picture:
        picture.load()


def decode_and_resize(path: str) -> None:
    """Decode one picture and resize its middle."""
    with Image.open(path) as picture:
        picture.resize((224, 224), Image.Resampling.BILINEAR, (75, 75, 375, 375))


def main() -> None:
    """Measure both, alternately, in one run."""
    with phantom_cells(CELLS) as folder:
        cells = read_sources([folder / "cells"]).cells
        store = folder / "store"

        def ours() -> None:
            shutil.rmtree(store, ignore_errors=True)
            prepare(cells, store, size=224)

        def pillow_alone() -> None:
            with ThreadPoolExecutor(cores()) as pool:
                for work in (decode, decode_and_resize):
                    list(pool.map(work, cells["path"]))

        def looking() -> None:
            find_repeats(read_fingerprints(list(cells["path"])))

        taken, bare, look = seconds(ours, 3), seconds(pillow_alone, 3), seconds(looking, 3)
    tell(
        "prepare",
        f"prepare --crop cell, 224 px, {CELLS:,} BMPs of 450 × 450: images/s",
        "images/s",
        [CELLS / each for each in taken],
        share_of_the_time_that_Pillow_alone_takes=min(bare) / min(taken),
        share_of_the_search_for_repeated_cells=min(look) / min(taken),
    )


if __name__ == "__main__":
    main()
