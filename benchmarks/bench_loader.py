"""Claim: the loader feeds augmented 224 × 224 float batches at 2,500 images/s or more per core."""

import time

import numpy as np
import torch

from common import phantom_cells, tell
from leukoscope.cells.loader import TrainingLoader
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.cells.standard import Standard
from leukoscope.cores import cores

BATCH = 16


def main() -> None:
    """Run 5 epochs with one thread of torch; the gathering thread is counted by its CPU time."""
    torch.set_num_threads(1)
    with phantom_cells(1_000) as folder:
        store = prepare(read_sources([folder / "cells"]).cells, folder / "store", size=224)
        loader = TrainingLoader(store, BATCH, seed=0)
        standard = Standard.of(store)
        rates, per_core = [], []
        for epoch in range(6):
            wall, cpu = time.perf_counter(), time.process_time()
            for batch in loader.epoch(epoch):
                standard(batch)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if epoch:  # the first fills the page cache
                rates.append(loader.cells / wall)
                per_core.append(loader.cells / cpu)
    tell(
        "loader",
        f"loader, 224 px, batch {BATCH}, a turn and float normalisation each: images/s per core",
        "images/s",
        per_core,
        images_per_second_of_wall_time=float(np.median(rates)),
        cores=cores(),
    )


if __name__ == "__main__":
    main()
