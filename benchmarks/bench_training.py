"""Claim: ResNet-18 trains on the CPU at 75 % of the rate of the machine's own matrix product.

An epoch of the trainer, 224 px, batch 16, float32, everything in it but the validation; forward and
backward count as three forward passes. Products of two matrices alternate with the epochs: once by
the library of linear algebra, once as a convolution of 1 × 1, and the faster of the two counts, for
on some processors the former is far from the limit.
"""

import statistics
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F

from common import CORES, Epochs, phantom_cells, seconds, tell
from leukoscope import models
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.training.run import Run, RunConfig

SIZE, CELLS, RUNS = 224, 400, 5
SIDE, PRODUCTS = 2048, 20


def product_rate() -> float:
    """Return the GFLOP/s of float32 matrix products."""
    one, two = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    row, kernels = one.T.reshape(1, SIDE, 1, SIDE), two.reshape(SIDE, SIDE, 1, 1)
    row = row.contiguous(memory_format=torch.channels_last)
    ways = (lambda: one @ two, lambda: F.conv2d(row, kernels))
    took = min(statistics.median(seconds(way, PRODUCTS)) for way in ways)
    return 2 * SIDE**3 / took / 1e9


def main() -> None:
    """Alternate epochs and products."""
    with phantom_cells(CELLS) as folder, tempfile.TemporaryDirectory() as runs:
        store = prepare(read_sources([folder / "cells"]).cells, folder / "store", size=SIZE)
        config = RunConfig.plan(store.folder, "resnet18", "lab", threads=CORES, device="cpu")
        epochs = Epochs(Run.create(Path(runs) / "run", config), None)
        cells = epochs.loader.cells
        pairs = [(cells / epochs.seconds(), product_rate()) for _ in range(RUNS + 1)][1:]
    flops = 3 * 2 * models.gmacs("resnet18", SIZE)
    tell(
        "training",
        f"ResNet-18, {SIZE} px, batch 16: share of the matrix product's rate in training",
        "%",
        [100 * rate * flops / product for rate, product in pairs],
        images_per_second=max(rate for rate, _ in pairs),
        GFLOPs_of_products=max(product for _, product in pairs),
    )


if __name__ == "__main__":
    main()
