"""C-NMC 2019 from where it is served: downloaded, unpacked, and counted.

Kaggle serves the tree of the original, Hugging Face Parquet shards. Both libraries go on where an
interrupted download stopped.
"""

import shutil
from pathlib import Path
from typing import Literal

import pandas as pd

from leukoscope.cells import cnmc, manifest
from leukoscope.cells.huggingface import unpack
from leukoscope.cells.sources import read_sources
from leukoscope.errors import BadInputError, LeukoscopeError, needs_extra

Source = Literal["kaggle", "huggingface"]

DATA = {"kaggle": "andrewmvd/leukemia-classification", "huggingface": "dwb2023/cnmc-leukemia-2019"}

UNFINISHED = ".unfinished"
"""Lies in the folder while a download is copied there: what is there by name may not be whole."""

TERMS = """C-NMC 2019: 15,114 segmented cells of 118 subjects (IIIT Delhi; AIIMS, New Delhi).
Licence: CC BY 3.0 as The Cancer Imaging Archive cites it; a mirror may say otherwise.
Cite: Gupta, A., & Gupta, R. (2019). ALL Challenge dataset of ISBI 2019 (C-NMC 2019). The Cancer
Imaging Archive. https://doi.org/10.7937/tcia.2019.dc64i46r
For research; not for diagnosis."""

BY_HAND = """get it by hand:
  Kaggle: {kaggle}, as one zip; unpack it into {folder}
  The Cancer Imaging Archive: doi.org/10.7937/tcia.2019.dc64i46r, the same tree
  Hugging Face: {huggingface}; put its Parquet files into {folder}/shards
and then run this command again: what lies there is not fetched again."""


class Unreachable(LeukoscopeError):  # noqa: N818
    """The data could not be downloaded."""


def fetch(folder: Path, source: Source) -> list[str]:
    """Bring C-NMC 2019 into `folder`, with its manifest ``cells.csv``; say what is there.

    What lies in `folder` already, from an earlier download or by hand, is not fetched again where
    it is whole.

    Returns:
        Lines on each part: whole, in part or absent.

    Raises:
        Unreachable: it cannot be downloaded; says how to get it by hand.
        BadInputError: what is there is not the data set.
    """
    shards = folder / "shards"
    if not _named(folder):
        _unpack(shards, folder)
    if (folder / UNFINISHED).exists() or not _named(folder):
        _download(source, folder, shards)
        _unpack(shards, folder)
    reading = read_sources([folder])
    reading.settle()
    manifest.write(reading.cells, folder / "cells.csv")
    lines = cnmc.completeness(reading.cells)
    if not whole(reading.cells):
        raise BadInputError(
            f"{folder} does not hold the whole training set:\n  "
            + "\n  ".join(lines or ["no cell of C-NMC 2019"])
            + f"\nits manifest is {folder / 'cells.csv'}"
        )
    return lines


def whole(cells: pd.DataFrame) -> bool:
    """Tell whether `cells`, a manifest, hold as many of each fold and class as were published."""
    counts = cells.groupby(["fold", "label"]).size()
    return all(
        counts.get((part.fold, label), 0) == published
        for part in cnmc.FOLDS
        for label, published in ((1, part.blast), (0, part.normal))
    )


def _named(folder: Path) -> bool:
    """Tell whether `folder` holds as many names of each fold and class as were published."""
    names = [path for path in folder.rglob("UID_*") if path.parent.name in ("all", "hem")]
    rows = [(path.parent.parent.name, int(path.parent.name == "all")) for path in names]
    return whole(pd.DataFrame(rows, columns=["fold", "label"]))


def _unpack(shards: Path, folder: Path) -> None:
    if found := sorted(shards.rglob("*.parquet")):
        unpack(found, folder / "C-NMC_training_data")


def _download(source: Source, folder: Path, shards: Path) -> None:
    with needs_extra("fetch"):
        import huggingface_hub
        import kagglehub
    try:
        if source == "kaggle":
            # By way of its cache: into a folder of ours it would begin anew each time.
            cached = kagglehub.dataset_download(DATA[source])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / UNFINISHED).touch()
            shutil.copytree(cached, folder, dirs_exist_ok=True)
            (folder / UNFINISHED).unlink()
        else:
            huggingface_hub.snapshot_download(  # nosec B615
                DATA[source], repo_type="dataset", local_dir=shards, allow_patterns="*.parquet"
            )
    except Exception as error:  # whatever the libraries and the network raise
        raise Unreachable(
            f"{source} cannot be reached ({type(error).__name__}: {error})\n"
            + BY_HAND.format(folder=folder, **DATA)
        ) from error
