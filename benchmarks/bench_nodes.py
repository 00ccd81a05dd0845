"""Claim: two nodes of one core call an archive at least 1.8 × as fast as one node of one core.

The same packed phantom cells, 450 × 450 BMPs called at 224 px by ResNet-18 in integers, with
`leukoscope predict --engine ray` on a Ray cluster of one and of two nodes on this machine,
alternating; starting what calls counts, starting the cluster does not. Beside that stands what
docs/archive.md predicts of both, from one core calling packed cells without Ray and from what a few
cells take with it. The count of parts can be given: ``bench_nodes.py 2``.
"""

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from common import nodes, on_core, once, phantom_cells, tell, trained_bundle
from leukoscope.inference import inputs
from leukoscope.inference.archive import predict
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.model import Model
from leukoscope.inference.pack import pack
from leukoscope.inference.storage import Place

PARTS, ROUNDS = 20, 2

PART = 500
"""Cells of a part. Between two of them a node waits some 0.2 s for Ray; those of 256 MB hold many
times as many."""


def took(bundle: Bundle, packed: list[Path], target: Path, count: int) -> float:
    """Return the seconds in which `count` nodes call what is packed."""
    shutil.rmtree(target, ignore_errors=True)
    sources = list(map(str, packed))
    with nodes(count) as address:
        return once(lambda: predict(bundle, sources, Place.of(str(target)), None, address))


def alone(bundle: Bundle, packed: Path) -> float:
    """Return the seconds in which one core calls what is packed, without Ray."""
    pictures = [cell.path for cell in inputs.find([packed]).cells]
    with on_core(0):
        model = Model(bundle, "int8", threads=1)
        return once(lambda: model.predict(pictures))


def main(parts: int) -> None:
    """Let one node call, then two, and again."""
    with (
        phantom_cells(PART) as folder,
        tempfile.TemporaryDirectory(dir=folder) as name,
    ):
        place, packed = Path(name), list[Path]()
        bundle = trained_bundle(folder / "cells", "resnet18", 224, place)
        sources = sorted((folder / "cells").rglob("*.bmp"))
        for part in range(parts):
            cells = place / "cells" / str(part)
            cells.mkdir(parents=True)
            for source in sources:
                os.link(source, cells / source.name)
            packed.append(place / "packed" / str(part))
            pack([str(cells)], Place.of(str(packed[-1])), 2**30)
        each = statistics.median(alone(bundle, packed[0]) for _ in range(3))
        start = took(bundle, packed[:1], place / "calls", 1) - each
        seconds = {count: list[float]() for count in (1, 2)}
        for _ in range(ROUNDS):
            for count, times in seconds.items():
                times.append(took(bundle, packed, place / "calls", count))
    one, two = (statistics.median(times) for times in seconds.values())
    cells = parts * PART
    tell(
        "nodes",
        f"predict --engine ray, ResNet-18 at 224 px, {cells:,} cells, two nodes of one core",
        "cells/s",
        [cells / time for time in seconds[2]],
        one_node=cells / one,
        times_one_node=one / two,
        start_seconds=start,
        core_seconds_a_cell=each / PART,
        one_node_over_predicted=(start + parts * each) / one,
        two_nodes_over_predicted=(start + parts * each / 2) / two,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PARTS)
