"""What a trained network says of cells: those of its store, or others.

A table of predictions has one row a cell, in the order of its manifest: id, path, subject, person
(one for all names of one person), label (may be unknown), logit (log-odds of blast), probability
of blast, and call (0 normal, 1 blast: what is likelier). An evaluation adds ``calibrated``, the
probability after the temperature, and what each of `leukoscope.evaluation.baselines` would say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from leukoscope.cells.loader import Batch, ordered_batches
from leukoscope.cells.parallel import each
from leukoscope.cells.people import people
from leukoscope.cells.plans import TURNS
from leukoscope.cells.preprocess import Preprocessing, preprocess, read_picture
from leukoscope.cells.splits import SPLITS
from leukoscope.errors import BadInputError
from leukoscope.evaluation.calibration import probability
from leukoscope.progress import tracked
from leukoscope.training.run import Run, Which

BATCH = 128

THRESHOLD = 0.5
"""Probability of blast from which a cell is called one: the larger of two logits."""


def predict(run: Run, split: str, which: Which = "best") -> pd.DataFrame:
    """Return the predictions for `split` of the store that `run` was trained on.

    Raises:
        BadInputError: no such split, or no cells in it.
    """
    if split not in SPLITS:
        raise BadInputError(f"split {split!r} is none of {', '.join(SPLITS)}")
    store = run.open_store()
    rows = store.rows(split)
    if not len(rows):
        raise BadInputError(f"{store.folder} has no cells in its {split} split")
    batches = ordered_batches(store, rows, BATCH)
    batches = tracked(batches, f"{run.config.model} on {split}", -(-len(rows) // BATCH), "batches")
    return _table(store.cells.iloc[rows], _logits(run, which, batches))


def prepared(cells: pd.DataFrame, settings: Preprocessing) -> NDArray[np.uint8]:
    """Return the pictures of `cells`, a manifest, as networks are shown them: (N, H, W, 3).

    Raises:
        BadInputError: pictures cannot be read; all are listed.
    """
    paths = [Path(path) for path in cells["path"]]
    pictures = each(partial(_pixels, settings=settings), paths, "preparing cells")
    return np.stack(list(pictures))


def predict_others(
    runs: Sequence[Run], cells: pd.DataFrame, pixels: NDArray[np.uint8], which: Which = "best"
) -> pd.DataFrame:
    """Return the predictions for `cells`, a manifest: the mean log-odds of all `runs`.

    Args:
        runs: at least one, of one preprocessing.
        cells: N of them.
        pixels: (N, H, W, 3) uint8, as from `prepared`.
        which: weights of each run.
    """
    logits = []
    for run in runs:
        batches = (
            Batch(torch.from_numpy(pixels[start : start + BATCH]), None, torch.empty(0))
            for start in range(0, len(pixels), BATCH)
        )
        what = f"{run.config.model} on other cells"
        told = tracked(batches, what, -(-len(pixels) // BATCH), "batches")
        logits.append(_logits(run, which, told))
    return _table(cells.assign(person=people(cells)), np.mean(logits, axis=0))


def _pixels(path: Path, settings: Preprocessing) -> NDArray[np.uint8]:
    return preprocess(read_picture(path), settings)


@torch.inference_mode()
def _logits(run: Run, which: Which, batches: Iterable[Batch]) -> NDArray[np.float64]:
    """Return each cell's log-odds of blast: the difference of the two classes' logits."""
    torch.set_num_threads(run.config.threads)
    model, standard = run.load_model(which), run.standard()
    turns = range(TURNS if run.config.recipe.turns_averaged else 1)

    def log_odds(batch: Batch) -> Tensor:
        codes = (torch.full((len(batch.pictures),), turn) for turn in turns)
        looks = [model(standard(replace(batch, turns=each))) for each in codes]
        logits = torch.stack(looks).double().mean(0)
        return logits[:, 1] - logits[:, 0]

    return torch.cat([log_odds(batch) for batch in batches]).numpy()


def _table(cells: pd.DataFrame, logit: NDArray[np.float64]) -> pd.DataFrame:
    table = cells[["id", "path", "subject", "person", "label"]].reset_index(drop=True)
    table["logit"] = logit
    table["probability"] = probability(logit)
    table["call"] = (table["probability"] >= THRESHOLD).astype("Int64")
    return table
