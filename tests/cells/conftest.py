"""Phantom cells that several tests of the audit copy, turn, move and spoil."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from leukoscope.cells import manifest
from leukoscope.cells.phantom_render import SubjectStyle, render_cell

Picture = NDArray[np.uint8]
Entry = tuple[str, Picture]
"""A subject and a picture of one of its cells."""


@pytest.fixture(scope="session")
def phantoms() -> list[Picture]:
    """Fourteen cells of one subject: one stain, one focus, one class, as alike as cells get."""
    style = SubjectStyle.draw(np.random.default_rng(3))
    return [render_cell(1, style, np.random.default_rng([8, cell])) for cell in range(14)]


@pytest.fixture
def write_cells(tmp_path: Path) -> Callable[[Sequence[Entry]], pd.DataFrame]:
    """Write pictures as BMP; return their manifest, the class taken from the subject's name."""

    def write(entries: Sequence[Entry]) -> pd.DataFrame:
        rows = []
        for number, (subject, picture) in enumerate(entries):
            path = tmp_path / f"{number}.bmp"
            Image.fromarray(picture).save(path)
            rows.append({"id": path.name, "path": str(path), "subject": subject or None})
        cells = pd.DataFrame(rows, columns=manifest.COLUMNS, dtype=object)
        cells["label"] = [int(subject.startswith("all")) for subject, _ in entries]
        return manifest.typed(cells)

    return write
