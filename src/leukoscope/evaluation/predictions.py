"""What a trained network says of cells: those of its store, or others.

A table of predictions has one row a cell, in the order of its manifest: id, path, subject, person
(one for all names of one person), label (may be unknown), logit (log-odds of blast), and
probability (of blast, as the network says it). An evaluation adds ``calibrated``, the probability
with temperature and prior, ``call`` by it (0 normal, 1 blast: what is likelier), and what each of
`leukoscope.evaluation.baselines` would say.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from leukoscope.cells.gather import Gather
from leukoscope.cells.loader import ordered_batches
from leukoscope.cells.manifest import SPLITS
from leukoscope.cells.parallel import each
from leukoscope.cells.people import people
from leukoscope.cells.preprocess import Preprocessing, prepared_file
from leukoscope.cells.transfer import moved
from leukoscope.errors import BadInputError
from leukoscope.evaluation.calibration import probability
from leukoscope.progress import tracked
from leukoscope.training.log_odds import LogOdds
from leukoscope.training.machine import judging_device
from leukoscope.training.run import Run, Which

BATCH = 128
"""Pictures a network sees at once, all turns of a cell among them."""


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
    device = judging_device(run.config.device)
    log_odds = LogOdds.of([run], which, device)
    size = BATCH // log_odds.turns
    batches = (batch.pictures for batch in ordered_batches(Gather(store, device), rows, size))
    told = tracked(batches, f"{run.config.model} on {split}", -(-len(rows) // size), "batches")
    return _table(store.cells.iloc[rows], _logits(log_odds, told, run.config.threads))


def prepared(cells: pd.DataFrame, settings: Preprocessing) -> NDArray[np.uint8]:
    """Return the pictures of `cells`, a manifest, as networks are shown them: (N, H, W, 3).

    Raises:
        BadInputError: there are none, or pictures cannot be read; all are listed.
    """
    if not len(cells):
        raise BadInputError("the manifest lists no cells")
    paths = [Path(path) for path in cells["path"]]
    pictures = each(partial(prepared_file, settings=settings), paths, "preparing cells")
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
    device = judging_device(runs[0].config.device)
    log_odds = LogOdds.of(runs, which, device)
    size = BATCH // log_odds.turns
    starts = range(0, len(pixels), size)
    batches = (moved(torch.from_numpy(pixels[start : start + size]), device) for start in starts)
    what = f"{runs[0].config.model} on other cells"
    logits = _logits(
        log_odds, tracked(batches, what, len(starts), "batches"), runs[0].config.threads
    )
    return _table(cells.assign(person=people(cells)), logits)


@torch.inference_mode()
def _logits(log_odds: LogOdds, batches: Iterable[Tensor], threads: int) -> NDArray[np.float64]:
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # a bundle computes in whole float32, too
    return torch.cat([log_odds(batch) for batch in batches]).cpu().numpy()


def _table(cells: pd.DataFrame, logit: NDArray[np.float64]) -> pd.DataFrame:
    table = cells[["id", "path", "subject", "person", "label"]].reset_index(drop=True)
    table["logit"] = logit
    table["probability"] = probability(logit)
    return table
