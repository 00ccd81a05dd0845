"""Making a store: people found, cells divided, pictures cropped and written; `store.json` last."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from leukoscope.cells import pixels as files
from leukoscope.cells import splits
from leukoscope.cells.division import Division
from leukoscope.cells.fingerprints import read_fingerprints
from leukoscope.cells.parallel import each
from leukoscope.cells.people import people_of
from leukoscope.cells.phantom import is_phantom
from leukoscope.cells.preprocess import Crop, Preprocessing, fitting_window, prepared_file
from leukoscope.cells.repeats import find_repeats
from leukoscope.cells.store import Store, StoreInfo, moments, opened_pixels
from leukoscope.errors import BadInputError
from leukoscope.files import atomic, sha256, write_text
from leukoscope.lock import held

BY_SUBJECT = Division()
"""How cells are divided unless the user asks for something else."""


def prepare(
    cells: pd.DataFrame,
    folder: Path,
    *,
    division: Division = BY_SUBJECT,
    folds: int = splits.PARTS,
    crop: Crop = "cell",
    size: int = 224,
    shards: int = 1,
    seed: int = 0,
) -> Store:
    """Make a store in `folder` from a manifest; see `leukoscope.cells.store` for what it holds.

    Args:
        cells: a manifest. Its own `split` column is used only by the ``lab`` split, where given.
        folder: new, or without a store.
        division: who trains, chooses and judges.
        folds: into how many parts a subject split divides the people.
        crop: policy of `leukoscope.cells.preprocess`; for ``cell`` the window is the smallest that
            holds 99 % of the cells whole.
        size: side in pixels, a multiple of 32.
        shards: into how many files the pixels are divided.
        seed: of the division.

    Raises:
        BadInputError: no such split can be made, pictures cannot be read (all are listed), or
            `folder` holds a store already, or another process makes one there.
    """
    if size <= 0 or size % 32:
        raise BadInputError(f"size {size} is no multiple of 32")
    with held(folder):
        if (folder / "store.json").exists():
            raise BadInputError(
                f"{folder} already holds a store; delete it or choose another folder"
            )
        return _prepared(cells, folder, division, folds, crop, size, shards, seed)


def _prepared(
    cells: pd.DataFrame,
    folder: Path,
    division: Division,
    folds: int,
    crop: Crop,
    size: int,
    shards: int,
    seed: int,
) -> Store:
    """Make a store in `folder`, which this process holds."""
    cells = cells.reset_index(drop=True)
    prints = read_fingerprints(list(cells["path"]))
    cells["person"] = people_of(cells, find_repeats(prints))
    cells["part"] = pd.array([pd.NA] * len(cells), dtype="Int64")
    if division.split == "subject":
        cells["part"] = splits.parts(cells, folds, seed)
    cells["split"] = division.divide(cells, seed)
    fewest = int(cells.loc[cells["split"].eq("train"), "label"].value_counts().min())
    if shards > fewest:
        raise BadInputError(f"{shards} shards cannot each have one of {fewest} training cells")

    window = None
    cells["whole"] = True
    if crop == "cell":
        sides = prints.facts["side"].to_numpy(dtype=np.int64)
        seen = ~prints.facts["empty"].to_numpy(dtype=bool)
        if not seen.any():
            raise BadInputError("every picture is black: there is no cell to cut out")
        window = fitting_window(sides[seen])
        cells["whole"] = sides <= window
    settings = Preprocessing(crop=crop, size=size, window=window)
    del prints  # its thumbnails are the memory's largest part

    paths = [Path(path) for path in cells["path"]]
    shard = files.dealt(cells, shards)
    if shards > 1:
        cells["shard"] = shard
    pictures = each(partial(prepared_file, settings=settings), paths, "preparing cells")
    written = files.write(folder, pictures, size, shard)
    with atomic(folder / "cells.parquet") as scratch:
        cells.to_parquet(scratch, index=False)
    written.append("cells.parquet")
    plan = division.planned(cells, seed)
    if plan is not None:
        with atomic(folder / "plan.parquet") as scratch:
            plan.to_parquet(scratch, index=False)
        written.append("plan.parquet")

    mean, std = moments(opened_pixels(folder, cells, shards, size), cells)
    info = StoreInfo(
        cells=len(cells),
        shards=shards,
        preprocessing=settings,
        division=division,
        seed=seed,
        phantom=any(is_phantom(picture_folder) for picture_folder in {p.parent for p in paths}),
        mean=mean,
        std=std,
        digests={name: sha256(folder / name) for name in written},
    )
    write_text(folder / "store.json", json.dumps(info.model_dump(mode="json"), indent=2) + "\n")
    return Store.open(folder)
