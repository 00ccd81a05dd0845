"""What every process needs of cells that lie in shards: each reads its own, and all are told."""

import numpy as np
import torch
from numpy.typing import NDArray

from leukoscope.cells.features import HANDMADE, features, features_of
from leukoscope.cells.loader import TrainingLoader
from leukoscope.cells.pixels import Shards
from leukoscope.cells.store import Store
from leukoscope.training.team import Team


def lend(store: Store, rows: NDArray[np.int64], team: Team) -> None:
    """Let every process of `team` have the few cells of `rows`, whoever has their shards."""
    if team.size == 1 or not isinstance(store.pixels, Shards):
        return
    mine = store.own(rows, team.rank, team.size)
    pictures = torch.zeros(len(rows), *store.pixels.shape[1:], dtype=torch.uint8)
    pictures[mine] = torch.from_numpy(store.pixels[rows[mine]])
    store.pixels.lent.update(zip(rows.tolist(), team.total(pictures).numpy(), strict=True))


def training_features(loader: TrainingLoader, team: Team) -> NDArray[np.float64]:
    """Return the handmade features of the cells of the training plan, in its order."""
    store, rows = loader.store, loader.rows
    if not loader.apart:
        return features_of(store)[HANDMADE].to_numpy()[rows]
    mine = store.own(rows, team.rank, team.size)
    measured = features(store.pixels, rows[mine])[HANDMADE]
    told = torch.zeros(len(rows), measured.shape[1], dtype=torch.float64)
    told[mine] = torch.from_numpy(measured.to_numpy())
    return np.asarray(team.total(told))
