"""Any table: each of its rows ends up as a cell or as a rejected one, or the table is refused."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from leukoscope.cells import manifest
from leukoscope.cells.sources import read_sources
from leukoscope.errors import BadInputError

VALUE = st.one_of(
    st.sampled_from(
        ["cell.png", "./cell.png", "../cell.png", "gone.png", "0", "1", "hem", "", "é"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
COLUMN = st.sampled_from(["Path", "label", "id", "subject", "fold", "split", "image", "=x", ""])


def table(content: bytes, folder: str) -> Path:
    Image.new("RGB", (4, 4)).save(Path(folder) / "cell.png")
    path = Path(folder) / "table.csv"
    path.write_bytes(content)
    return path


@given(st.lists(COLUMN, min_size=1, max_size=6), st.lists(st.lists(VALUE, max_size=6), max_size=5))
def test_every_row_is_accounted_for(columns: list[str], rows: list[list[str]]) -> None:
    lines = [",".join(f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row) for row in rows]
    content = "\n".join([",".join(columns), *lines]).encode()
    with TemporaryDirectory() as folder:
        try:
            reading = read_sources([table(content, folder)])
        except BadInputError:
            return
        assert reading.found == len(reading.cells) + len(reading.rejected)
        assert set(reading.cells["path"]) <= {str(Path(folder).resolve() / "cell.png")}


@given(st.binary(max_size=200))
@example(b"Path,label\n\0,1")
@example(b"\xff\xfeP\0a\0t\0h\0")
@example(b"Path,label\n" + b'"' * 50)
@example(b"," * 1_000_000)
def test_any_bytes_are_refused_or_a_table_without_cells(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = table(content, folder)
        said = ""
        try:
            assert read_sources([path]).cells.empty
        except BadInputError as error:
            said = str(error)
        assert len(said) < 1_000
        with pytest.raises(BadInputError):
            manifest.read(path)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, unique=True))
def test_any_names_read_back_from_a_manifest(names: list[str]) -> None:
    with TemporaryDirectory() as folder:
        paths = [str(Path(folder).resolve() / f"{number}.png") for number in range(len(names))]
        cells = pd.DataFrame({"id": names, "path": paths, "subject": names})
        cells = manifest.typed(cells.reindex(columns=manifest.COLUMNS))
        manifest.write(cells, Path(folder) / "cells.csv")
        pd.testing.assert_frame_equal(manifest.read(Path(folder) / "cells.csv"), cells)
