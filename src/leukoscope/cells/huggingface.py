"""Parquet shards of C-NMC 2019, as Hugging Face serves them, unpacked into the original tree.

A shard has a row a cell with the columns ``image`` (a struct whose ``bytes`` are a picture file),
``fold`` and ``original_image_name``; others are not needed.
"""

import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image, UnidentifiedImageError
from pyarrow import parquet

from leukoscope.cells import cnmc
from leukoscope.errors import BadInputError
from leukoscope.files import atomic
from leukoscope.progress import Bar

COLUMNS = ["image", "fold", "original_image_name"]
ROWS = 64
"""Held at once: a shard may be larger than the memory."""


def unpack(shards: Sequence[Path], folder: Path) -> int:
    """Write the pictures of `shards` as ``fold_<k>/<all|hem>/<name>`` below `folder`.

    A picture that is there already with the same number of bytes is kept, so that an interrupted
    unpacking goes on.

    Returns:
        How many pictures there are.

    Raises:
        BadInputError: a shard cannot be read, lacks a column, or a row is no cell of C-NMC.
    """
    opened = [_opened(shard) for shard in shards]
    total: int = sum(shard.metadata.num_rows for shard in opened)
    with Bar("unpacking", total, "cells") as bar:
        for path, shard in zip(shards, opened, strict=True):
            for number, row in enumerate(_rows(path, shard), start=1):
                try:
                    place, content = _cell(row)
                except ValueError as error:
                    raise BadInputError(f"{path}, row {number}: {error}") from error
                target = folder / place
                if not target.exists() or target.stat().st_size != len(content):
                    with atomic(target) as scratch:
                        scratch.write_bytes(content)
                bar.advance()
    return total


def _opened(shard: Path) -> parquet.ParquetFile:
    try:
        opened = parquet.ParquetFile(shard)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInputError(f"{shard}: no whole Parquet file ({error})") from error
    missing = [name for name in COLUMNS if name not in opened.schema_arrow.names]
    if missing:
        raise BadInputError(
            f"{shard}: no column {', '.join(missing)}; it has "
            f"{', '.join(opened.schema_arrow.names)}"
        )
    return opened


def _rows(path: Path, shard: parquet.ParquetFile) -> Iterator[dict[str, Any]]:
    try:
        for batch in shard.iter_batches(ROWS, columns=COLUMNS):
            yield from batch.to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInputError(f"{path}: damaged ({error}); fetch it again") from error


def _cell(row: dict[str, Any]) -> tuple[Path, bytes]:
    """Return where a cell belongs below the folder, and its file.

    Raises:
        ValueError: what is wrong with the row.
    """
    # A name is a name, not a way out of the folder.
    name = Path(str(row["original_image_name"]).replace("\\", "/")).name
    identity = cnmc.identify(name)
    if identity is None:
        raise ValueError(f"original_image_name {name!r} is no name of C-NMC (UID_…)")
    fold = re.fullmatch(r"(?:fold_?)?([012])", str(row["fold"]).strip(), re.IGNORECASE)
    if fold is None:
        raise ValueError(f"fold {row['fold']!r} is none of fold_0, fold_1, fold_2")
    image = row["image"]
    content = image.get("bytes") if isinstance(image, dict) else None
    if not content:
        raise ValueError("image holds no bytes")
    try:
        with Image.open(BytesIO(content)) as picture:
            suffix = f".{picture.format.lower()}" if picture.format else ""
    except UnidentifiedImageError as error:
        raise ValueError(f"image is no picture ({error})") from error
    kind = "all" if identity.label else "hem"
    return Path(f"fold_{fold[1]}", kind, Path(name).stem + suffix), content
