"""Augmentation as a plan: a table of (row, flip, rotation), never copies of pixels.

A square picture has eight exact turns, the dihedral group: rotate by a quarter `rotation` times,
then mirror left-right if `flip`. None interpolates, so a planned picture is as sharp as its source.
"""

from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

PlanName = Literal["online", "lab"]

TURNS = 8
VALIDATION_COPY = "validation-copy"
"""The `split` of a planned copy of a validation cell: in no split unless the user asks for it."""


def turn_codes(plan: pd.DataFrame) -> NDArray[np.int64]:
    """Return 0 … 7 for each row of `plan`; 0 leaves the picture as it is."""
    codes = plan["rotation"] // 90 + 4 * plan["flip"]
    return codes.to_numpy(dtype=np.int64)


def turned(pictures: Tensor, codes: Tensor) -> Tensor:
    """Return each picture of a batch turned by its own code.

    Args:
        pictures: (N, H, H, C), any dtype.
        codes: (N,) int64, from `turn_codes`; on the CPU, whatever the device of `pictures`.
    """
    result = torch.empty_like(pictures)
    # One picture at a time: on the CPU a strided copy is three times as fast as indexing by code.
    for picture, target, code in zip(pictures, result, codes.tolist(), strict=True):
        target.copy_(turned_alike(picture, code))
    return result


def turned_alike(pictures: Tensor, code: int) -> Tensor:
    """Return `pictures`, (…, H, H, C), all turned by one code of `turn_codes`."""
    quarter = torch.rot90(pictures, code % 4, (-3, -2))
    return quarter.flip(-2) if code >= 4 else quarter


def lab_plan(cells: pd.DataFrame, seed: int = 0, validation_copies: bool = False) -> pd.DataFrame:
    """Return the original lab's enlarged training set.

    The normal training cells are turned once more to balance the classes, then everything is
    turned once more: 2 × (7,995 + 2,542) = 21,074 rows from the lab's own split. The copies of a
    cell are distinct turns, so that no picture is planned twice. Each validation cell gets one
    turned copy; it is trained on only with `validation_copies`, which leaks, and stands aside
    otherwise (``split`` is ``validation-copy``).

    Args:
        cells: a manifest with its splits; the plan's `row` counts its rows from 0.
        seed: of the turns drawn.
        validation_copies: train on the copies of validation cells, as the lab did.
    """
    random = np.random.default_rng(seed)
    split = cells["split"].fillna("")
    train = np.flatnonzero(split == "train")
    normal = cells["label"].to_numpy()[train] == 0
    # A random order of the seven real turns for each cell; the first ones are its copies.
    orders = random.permuted(np.tile(np.arange(1, TURNS), (len(train), 1)), axis=1)
    planned = _table(
        np.concatenate([train, train[normal], train, train[normal]]),
        np.concatenate(
            [
                np.zeros(len(train), dtype=np.int64),
                orders[normal, 0],
                orders[:, 1],
                orders[normal, 2],
            ]
        ),
        "train",
    )
    validation = np.flatnonzero(split == "validation")
    copies = _table(
        validation,
        random.integers(1, TURNS, len(validation)),
        "train" if validation_copies else VALIDATION_COPY,
    )
    return pd.concat([planned, copies], ignore_index=True)


def _table(rows: NDArray[np.int64], codes: NDArray[np.int64], split: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": rows.astype(np.int64),
            "flip": codes >= 4,
            "rotation": 90 * (codes % 4),
            "split": pd.array([split] * len(rows), dtype="string"),
        }
    )
