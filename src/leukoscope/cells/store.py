"""The store: pixels once, memory-mapped, with the table that describes them.

A folder of

- ``pixels.npy``: (N, size, size, 3) uint8, or shards of it, see `leukoscope.cells.pixels`,
- ``cells.parquet``: the manifest with its splits, and the columns whole (the crop cuts nothing),
  person (one for all names of one person), part (of the people, for folds) and shard; row i
  describes pixel block i,
- ``plan.parquet``: the lab's plan of (row, flip, rotation), where that plan was asked for,
- ``store.json``: how it was made, digests, version. Written last: a folder without it is no store.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from leukoscope import __version__
from leukoscope.cells import pixels as files
from leukoscope.cells import plans, splits
from leukoscope.cells.division import Division
from leukoscope.cells.manifest import SPLITS
from leukoscope.cells.people import joint_names
from leukoscope.cells.preprocess import Preprocessing
from leukoscope.errors import BadInputError
from leukoscope.files import sha256

Three = tuple[float, float, float]
"""Red, green, blue."""


class StoreInfo(BaseModel):
    """What ``store.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    made_by: str = f"leukoscope {__version__}"
    cells: int
    shards: int = 1
    """Into how many files the pixels are divided."""
    preprocessing: Preprocessing
    division: Division
    seed: int
    """Of the division."""
    phantom: bool = False
    """Whether any cell is rendered, so that no figure says anything about patients."""
    mean: Three
    """Of the training cells' pixels by channel, in [0, 1]."""
    std: Three
    digests: dict[str, str]
    """SHA-256 of each other file of the store."""


@dataclass(frozen=True)
class Store:
    """An opened store; `pixels` are mapped into memory, so opening costs nothing.

    Of a store in shards those that no cell is asked of may lie elsewhere.
    """

    folder: Path
    info: StoreInfo
    cells: pd.DataFrame
    pixels: files.Pixels
    plan: pd.DataFrame | None

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open the store in `folder`.

        Raises:
            BadInputError: `folder` holds no store, or one whose parts do not fit each other.
        """
        for name in ("store.json", "cells.parquet"):
            if not (folder / name).exists():
                raise BadInputError(
                    f"{folder} is no store: {name} is missing; make one with `leukoscope prepare`"
                )
        try:
            text = (folder / "store.json").read_text(encoding="utf-8")
            info = StoreInfo.model_validate_json(text)
            cells = pd.read_parquet(folder / "cells.parquet")
            plan = None
            if info.division.plan == "lab":
                plan = pd.read_parquet(folder / "plan.parquet")
        except Exception as error:  # damaged files make numpy and pyarrow raise nearly anything
            raise BadInputError(f"{folder}: the store cannot be read ({error})") from error
        size = info.preprocessing.size
        pixels = opened_pixels(folder, cells, info.shards, size)
        if len(cells) != info.cells:
            raise BadInputError(
                f"{folder}: store.json speaks of {info.cells:,} cells, but there are "
                f"{len(cells):,} rows; prepare it again"
            )
        return cls(folder, info, cells, pixels, plan)

    def verify(self, rank: int = 0, size: int = 1) -> None:
        """Read every file whole and hold it against its digest, about a gigabyte a second.

        Args:
            rank: of several processes, which one asks: shards of others are left out, see `own`.
            size: how many they are.

        Raises:
            BadInputError: one is not what was prepared, or missing; it is named.
        """
        others = set(files.names(self.info.shards)) if self.info.shards > 1 else set()
        others.difference_update(files.names(self.info.shards)[rank::size])
        for name, digest in self.info.digests.items():
            if name in others:
                continue
            path = self.folder / name
            try:
                found = sha256(path)
            except OSError as error:
                raise BadInputError(f"{path}: cannot be read ({error.strerror})") from error
            if found != digest:
                raise BadInputError(f"{path} is damaged: prepare the store again")

    def divided(self, division: Division) -> "Store":
        """Return the same cells under another `division`; nothing is written.

        Raises:
            BadInputError: such a division cannot be made.
        """
        info, cells = self.info, self.placed(division)
        if division == info.division:
            return self
        mean, std = moments(self.pixels, cells)
        info = info.model_copy(update={"division": division, "mean": mean, "std": std})
        return replace(self, info=info, cells=cells, plan=division.planned(cells, info.seed))

    def placed(self, division: Division) -> pd.DataFrame:
        """Return the manifest with the splits of `division`; no pixel is read.

        Raises:
            BadInputError: such a division cannot be made.
        """
        info, cells = self.info, self.cells
        if division == info.division:
            return cells
        if (division.split, division.fold) != (info.division.split, info.division.fold):
            # This store's own split must not be taken for lists that the lab handed out.
            cells = cells.assign(split=pd.Series(pd.NA, cells.index, dtype="string"))
        return cells.assign(split=division.divide(cells, info.seed))

    @property
    def parts(self) -> int:
        """Into how many parts the people are divided, for folds; 0: they are not."""
        part = self.cells["part"]
        return int(part.max()) + 1 if part.notna().any() else 0

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) 0 normal, 1 blast, -1 unknown."""
        return self.cells["label"].fillna(-1).to_numpy(dtype=np.int64)

    def own(self, rows: NDArray[np.int64], rank: int, size: int) -> NDArray[np.int64]:
        """Return the places in `rows` of the cells that one of several processes reads.

        Those are an even part of `rows`; of a store in shards, the cells of every `size`-th shard.

        Args:
            rows: of this store.
            rank: of the process, from 0.
            size: how many there are.
        """
        if self.info.shards == 1:
            return np.array_split(np.arange(len(rows)), size)[rank]
        return np.flatnonzero(self.cells["shard"].to_numpy()[rows] % size == rank)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the rows of `split`, in the manifest's order."""
        return np.flatnonzero(self.cells["split"].eq(split).fillna(False))

    def training_plan(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Return the rows trained on, and each one's turn; None: drawn anew each epoch."""
        if self.plan is None:
            return self.rows("train"), None
        plan = self.plan[self.plan["split"] == "train"]
        return plan["row"].to_numpy(), plans.turn_codes(plan)

    @cached_property
    def digest(self) -> str:
        """What tells this store from any other: the SHA-256 of its ``store.json``."""
        return sha256(self.folder / "store.json")


def describe(store: Store) -> str:
    """Say what the store holds, split by split, and who stands on two sides."""
    info, cells = store.info, store.cells
    sides = cells["split"].fillna("aside")
    lines = [
        f"{info.cells:,} cells of {info.preprocessing.size} × {info.preprocessing.size} pixels"
    ]
    for name in (*SPLITS, "aside"):
        part = cells[sides == name]
        if len(part):
            normal, blast = ((part["label"] == label).sum() for label in (0, 1))
            lines.append(
                f"{name:11} {len(part):7,} cells: {normal:6,} normal, {blast:6,} blast, "
                f"{part['subject'].nunique():4} subjects"
            )
    shared, joint = splits.shared_people(cells), joint_names(cells)
    if joint:
        lines.append(f"one person under several names, by their cells: {', '.join(joint)}")
    if shared:
        lines.append(
            f"{len(shared)} people stand on more than one side: figures on this split say little "
            "about new patients"
        )
    elif info.division.split != "lab":
        lines.append(f"none of the {cells['person'].nunique()} people stands on two sides")
    if info.preprocessing.window:
        cut = int((~cells["whole"]).sum())
        lines.append(
            f"window {info.preprocessing.window} source pixels; {cut:,} cells are larger and cut "
            "(column `whole` of cells.parquet)"
        )
    rows, _ = store.training_plan()
    lines.append(f"plan {info.division.plan}: {len(rows):,} pictures an epoch")
    return "\n".join(lines)


def opened_pixels(folder: Path, cells: pd.DataFrame, shards: int, size: int) -> files.Pixels:
    """Map the pixels in `folder`, (N, size, size, 3), into memory."""
    if shards > 1:
        return files.Shards(folder, cells["shard"].to_numpy(np.int64), size)
    return files.opened(folder / "pixels.npy", (len(cells), size, size, 3))


def moments(pixels: files.Pixels, cells: pd.DataFrame) -> tuple[Three, Three]:
    """Return mean and standard deviation of the training cells' pixels, by channel, in [0, 1]."""
    rows = np.flatnonzero(cells["split"].eq("train").fillna(False))
    # Whole numbers are exact in any order; rows of pixels, not single ones, keep numpy fast.
    sums, squares = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    for row in rows:
        lines = pixels[row].reshape(len(pixels[row]), -1)
        squared = np.square(lines, dtype=np.uint16)
        sums += lines.sum(axis=0, dtype=np.int64).reshape(-1, 3).sum(axis=0)
        squares += squared.sum(axis=0, dtype=np.int64).reshape(-1, 3).sum(axis=0)
    count = len(rows) * pixels.shape[1] * pixels.shape[2]
    mean = sums / count / 255
    return _three(mean), _three(np.sqrt(squares / count / 255**2 - mean**2))


def _three(values: NDArray[np.float64]) -> Three:
    red, green, blue = values.tolist()
    return red, green, blue
