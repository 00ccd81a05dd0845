"""Claim: two nodes of one core call an archive at least 1.8 × as fast as one node of one core.

The same packed phantom cells, 450 × 450 BMPs called at 224 px by ResNet-18 in integers, with
`leukoscope predict --engine ray` on a Ray cluster of one and of two nodes on this machine,
alternating; starting what calls counts, starting the cluster does not. The count of cells can be
given: ``bench_nodes.py 200``.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from common import nodes, once, phantom_cells, tell, trained_bundle
from leukoscope.inference.archive import predict
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.pack import pack
from leukoscope.inference.storage import Place

RENDERED, CELLS, ROUNDS, PARTS = 500, 6_000, 3, 60


def rate(bundle: Bundle, packed: Path, target: Path, cells: int, count: int) -> float:
    """Return the cells a second that `count` nodes call."""
    shutil.rmtree(target, ignore_errors=True)
    with nodes(count) as address:
        work = once(lambda: predict(bundle, [str(packed)], Place.of(str(target)), None, address))
    return cells / work


def main(cells: int) -> None:
    """Let one node call, then two, and again."""
    with (
        phantom_cells(min(cells, RENDERED)) as folder,
        tempfile.TemporaryDirectory(dir=folder) as name,
    ):
        place, packed = Path(name), Path(name) / "packed"
        bundle = trained_bundle(folder / "cells", "resnet18", 224, place)
        sources = sorted((folder / "cells").rglob("*.bmp"))
        (place / "cells").mkdir()
        for number in range(cells):
            os.link(sources[number % len(sources)], place / "cells" / f"{number}.bmp")
        size = sum(path.stat().st_size for path in sources) * cells // len(sources)
        # BMPs of black around a cell take a tenth of their size when they are packed.
        pack([str(place / "cells")], Place.of(str(packed)), size // 10 // PARTS)
        one, two = [], []
        for _ in range(ROUNDS):
            one.append(rate(bundle, packed, place / "calls", cells, 1))
            two.append(rate(bundle, packed, place / "calls", cells, 2))
    tell(
        "nodes",
        f"predict --engine ray, ResNet-18 at 224 px, {cells:,} cells, two nodes of one core",
        "cells/s",
        two,
        one_node=sorted(one)[ROUNDS // 2],
        times_one_node=sorted(two)[ROUNDS // 2] / sorted(one)[ROUNDS // 2],
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CELLS)
