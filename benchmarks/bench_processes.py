"""Claim: two processes of one thread train ResNet-18 at 0.9 of the rate of one process of two.

An epoch of the trainer, 224 px, batch 32, float32, everything in it but the validation; torchrun
starts the two. Beside it stands batch 16, of which each process has 8 cells, so that batch norm
waits for those of both, twice a norm. Epochs of both kinds alternate: each process starts anew, and
its first epoch is not counted.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import Epochs, phantom_cells, tell
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.team import joined

SIZE, CELLS, EPOCHS, PAIRS = 224, 400, 1, 3
BATCH, SMALL_BATCH = 32, 16


def rate(run: Run, processes: int) -> float:
    """Return the images a second of so many processes, the median of their epochs."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [sys.executable, *launcher, __file__, str(run.folder)]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return float(told.split()[-1])


def measure(folder: Path) -> None:
    """Train, as one of the processes, epochs of the run in `folder`; print images a second."""
    with joined() as team:
        epochs = Epochs(Run.open(folder), None, None, team)
        seconds = [epochs.seconds() for _ in range(EPOCHS + 1)][1:]
        if team.first:
            print(epochs.loader.cells / statistics.median(seconds))


def main() -> None:
    """Alternate one process and two."""
    with phantom_cells(CELLS) as folder, tempfile.TemporaryDirectory() as place:
        store = prepare(read_sources([folder / "cells"]).cells, folder / "store", size=SIZE)
        pairs = {}
        for batch in (BATCH, SMALL_BATCH):
            runs = {}
            for processes in (1, 2):
                config = RunConfig.plan(
                    store.folder,
                    "resnet18",
                    "lab",
                    [f"batch_size={batch}"],
                    threads=2 // processes,
                    device="cpu",
                )
                runs[processes] = Run.create(Path(place) / f"{batch}-{processes}", config)
            pairs[batch] = [(rate(runs[2], 2), rate(runs[1], 1)) for _ in range(PAIRS)]
    tell(
        "processes",
        f"ResNet-18, {SIZE} px, batch {BATCH}: rate of two processes of one thread over one of two",
        "of one process's rate",
        [two / one for two, one in pairs[BATCH]],
        images_per_second=max(two for two, _ in pairs[BATCH]),
        of_one_process=max(one for _, one in pairs[BATCH]),
        by_norms_of_both_with_batch_16=statistics.median(
            two / one for two, one in pairs[SMALL_BATCH]
        ),
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(Path(sys.argv[1]))
    else:
        main()
