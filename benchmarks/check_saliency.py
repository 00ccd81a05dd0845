"""What a map marks is what the call rests on, more than pixels of the cell drawn at random.

    python benchmarks/check_saliency.py FOLDER

FOLDER is a run, or holds those of several folds. Deletion and insertion (Petsiuk et al. 2018,
arXiv:1806.07421) on cells of the test people: from the pixel that speaks most for a blast on, those
of a cell are painted over, or come back, and its log-odds are to fall, or rise, sooner than in an
order at random. Printed is by how much, mean over nine steps, with the standard error over cells,
and the share of the cells where it is so.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from leukoscope.cells.mask import mask
from leukoscope.inference.saliency import grad_cam, occlusion, painted
from leukoscope.training.log_odds import LogOdds
from leukoscope.training.run import Run, runs_below

CELLS = 25
"""Of the test people, in each run."""

STEPS = np.linspace(0, 1, 9)
"""Shares of a cell's pixels that are painted over, or have come back."""

RANDOM = 2
"""Orders at random beside each map."""


def mean_log_odds(
    log_odds: LogOdds, begin: NDArray[np.uint8], end: NDArray[np.uint8], order: NDArray[np.int64]
) -> float:
    """Return the mean log-odds while pixels of `begin` become those of `end` in that order."""
    pictures = np.repeat(begin.reshape(1, -1, 3), len(STEPS), axis=0)
    for picture, share in zip(pictures, STEPS, strict=True):
        places = order[: round(share * len(order))]
        picture[places] = end.reshape(-1, 3)[places]
    with torch.inference_mode():
        told = log_odds(torch.from_numpy(pictures.reshape(len(STEPS), *begin.shape)))
    return float(told.mean())


def gains(log_odds: LogOdds, pixels: NDArray[np.uint8], random: np.random.Generator) -> list[float]:
    """Return what each map gains over chance by deletion, and by insertion, of a cell's pixels."""
    inside, flat = np.flatnonzero(mask(pixels)), painted(pixels)
    found = []
    for method in (occlusion, grad_cam):
        order = inside[np.argsort(-method(log_odds, pixels).ravel()[inside], kind="stable")]
        for sign, begin, end in ((-1, pixels, flat), (1, flat, pixels)):
            chance = [
                mean_log_odds(log_odds, begin, end, random.permutation(inside))
                for _ in range(RANDOM)
            ]
            ours = mean_log_odds(log_odds, begin, end, order)
            found.append(sign * (ours - sum(chance) / RANDOM))
    return found


def main() -> int:
    """Print a row for each map and way; 1 if one gains nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of a run, or of those of several folds")
    folder = parser.parse_args().folder
    runs = [Run.open(folder)] if Run.exists(folder) else runs_below(folder)
    random, found = np.random.default_rng(0), []
    for run in runs:
        store, log_odds = run.open_store(), LogOdds.of([run])
        rows = random.permutation(store.rows("test"))[:CELLS]
        found += [gains(log_odds, np.array(store.pixels[row]), random) for row in rows]
    print("| map | deletion | insertion | cells |")
    print("| --- | --- | --- | --- |")
    values = np.reshape(found, (len(found), 2, 2))
    means, ahead = values.mean(0), (values > 0).mean(0)
    errors = values.std(0, ddof=1) / np.sqrt(len(values))
    for row, name in enumerate(("occlusion", "Grad-CAM")):
        ways = zip(means[row], errors[row], ahead[row], strict=True)
        told = [f"{mean:.2f} ± {error:.2f}, {share:.0%}" for mean, error, share in ways]
        print(f"| {name} | {' | '.join(told)} | {len(values)} |")
    return int((means <= 0).any())


if __name__ == "__main__":
    sys.exit(main())
