"""What occlusion marks is what the call rests on, more than pixels of the cell drawn at random.

    python benchmarks/check_saliency.py FOLDER

FOLDER is a run, or holds those of several folds. Deletion and insertion (Petsiuk et al. 2018,
arXiv:1806.07421) on cells of the test people: from the pixel that speaks most for a blast on, those
of a cell are painted over, or come back, and its log-odds are to fall, or rise, sooner than in an
order at random. Printed is by how much, mean over nine steps, with the standard error over cells,
and the share of the cells where it is so; of Grad-CAM as well, which does not promise it.
"""

import sys

import numpy as np
import torch
from numpy.typing import NDArray

from common import asked_runs
from leukoscope.cells.mask import mask
from leukoscope.inference.saliency import grad_cam, occlusion, painted
from leukoscope.training.log_odds import LogOdds

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


def gains(
    log_odds: LogOdds, pixels: NDArray[np.uint8], random: np.random.Generator
) -> NDArray[np.float64]:
    """Return by how much the log-odds of a cell fall, or rise, sooner than by chance.

    Returns:
        (maps, ways), in log-odds: occlusion and Grad-CAM, by deletion and insertion.
    """
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
    return np.reshape(found, (2, 2))


def main() -> int:
    """Print a row for each map; 1 if occlusion gains nothing."""
    random, found = np.random.default_rng(0), []
    for run in asked_runs(__doc__):
        store, log_odds = run.open_store(), LogOdds.of([run])
        rows = random.permutation(store.rows("test"))[:CELLS]
        found += [gains(log_odds, np.array(store.pixels[row]), random) for row in rows]
    print("| map | deletion | insertion | cells |")
    print("| --- | --- | --- | --- |")
    values = np.stack(found)
    means, ahead = values.mean(0), (values > 0).mean(0)
    errors = values.std(0, ddof=1) / np.sqrt(len(values))
    for row, name in enumerate(("occlusion", "Grad-CAM")):
        ways = zip(means[row], errors[row], ahead[row], strict=True)
        told = [f"{mean:.2f} ± {error:.2f}, {share:.0%}" for mean, error, share in ways]
        print(f"| {name} | {' | '.join(told)} | {len(values)} |")
    return int((means[0] <= 0).any())


if __name__ == "__main__":
    sys.exit(main())
