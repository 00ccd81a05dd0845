"""Claim: 15,000 cells are audited within 2 minutes on 2 cores, at a cost that grows with the cells.

The peer is Pillow alone on as many threads: decode each file. Phantom cells take long to render on
few cores, so the counts can be given: ``bench_audit.py 200 400``.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from common import phantom_cells, seconds, tell
from leukoscope.cells.audit import audit
from leukoscope.cells.sources import read_sources

CELLS = (2_000, 5_000, 15_000)


def decode(path: str) -> None:
    """Decode one picture."""
    with Image.open(path) as picture:
        picture.load()


def main(counts: list[int]) -> None:
    """Audit the first so many of one set of phantom cells, for each of `counts`."""
    with phantom_cells(max(counts)) as folder:
        # Spread over all subjects, whatever the count: look-alikes are what costs.
        cells = read_sources([folder / "cells"]).cells.sample(frac=1, random_state=0)
        for count in counts:
            some = cells.head(count)

            def decoding(paths: tuple[str, ...] = tuple(some["path"])) -> None:
                with ThreadPoolExecutor(os.cpu_count()) as pool:
                    list(pool.map(decode, paths))

            # A minute and more varies little from run to run.
            taken = seconds(lambda some=some: audit(some), 3 if count < 10_000 else 1)
            tell(
                f"audit-{count}",
                f"audit of {count:,} cells, BMPs of 450 × 450",
                "s",
                taken,
                milliseconds_a_cell=1_000 * min(taken) / count,
                share_of_the_time_that_decoding_takes=min(seconds(decoding, 3)) / min(taken),
            )


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or list(CELLS))
