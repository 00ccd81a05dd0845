"""Claim: independent runs on two nodes are done at least 1.7 times as fast as on one.

Four folds of ResNet-18, 64 px, one thread each, by `compare --engine ray`, on a cluster of two
nodes of a core each; the peer is the same on a single such node, in alternation. Nodes are those of
one machine, which needs two free cores. Counted is what a person waits for once the cluster stands:
tasks, training, evaluation, from the first to the last.

``bench_runs.py small`` takes two folds of an epoch, to see that it works.
"""

import sys
import tempfile
from pathlib import Path

from common import nodes, once, phantom_cells, tell
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.studies import architectures
from leukoscope.studies.crew import hired
from leukoscope.training.footprint import footprint

SIZE, CELLS, FOLDS, EPOCHS, RUNS = 64, 1200, 4, 4, 2


def main() -> None:
    """Alternate one node and two."""
    small = sys.argv[1:] == ["small"]
    folds, epochs, times = (2, 1, 1) if small else (FOLDS, EPOCHS, RUNS)
    cells = 120 if small else CELLS
    with phantom_cells(cells) as folder, tempfile.TemporaryDirectory() as place:
        listed = read_sources([folder / "cells"]).cells
        store = prepare(listed, folder / "store", size=SIZE, folds=max(3, folds))
        planned = architectures.plan(
            store.folder,
            ["resnet18"],
            "demo",
            [f"epochs={epochs}"],
            seeds=[0],
            folds=max(3, folds),
            threads=1,
            device="cpu",
            precision="32-true",
        )
        configs = dict(list(planned.items())[:folds])
        footprint(next(iter(configs.values())))  # measured now, not within what is timed

        def took(count: int, time: int) -> float:
            runs = Path(place, f"{count}-{time}")
            with nodes(count) as address, hired("ray", address) as crew:
                return once(lambda: architectures.compare(configs, runs, crew))

        pairs = [(took(1, time), took(2, time)) for time in range(times)]
    if small:
        print(f"it works: {pairs[0][0]:.0f} s on one node, {pairs[0][1]:.0f} s on two")
        return
    tell(
        "runs",
        f"{folds} runs of ResNet-18 on two nodes of a core, against one: how many times as fast",
        "times",
        [one / two for one, two in pairs],
        seconds_on_one=min(one for one, _ in pairs),
        seconds_on_two=min(two for _, two in pairs),
    )


if __name__ == "__main__":
    main()
