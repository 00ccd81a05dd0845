"""The audit's page and its terminal text, with findings and without."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukoscope.cells import manifest
from leukoscope.cells.audit import Audit, audit
from leukoscope.cells.phantom_render import SubjectStyle, render_cell
from leukoscope.reporting.audit_page import kinds_of_trouble, write_page
from leukoscope.reporting.audit_text import lines

SUBJECTS = ["all:1", "all:1", "all:2", "hem:1", "hem:1", "all:1"]


def found_in(folder: Path, cells: list[int]) -> Audit:
    """Audit six pictures; equal numbers are one cell."""
    style = SubjectStyle.draw(np.random.default_rng(2))
    rows = []
    for row, (cell, subject) in enumerate(zip(cells, SUBJECTS, strict=True)):
        path = folder / f"<{row}>.png"
        Image.fromarray(render_cell(1, style, np.random.default_rng([4, cell]))).save(path)
        rows.append({"id": path.name, "path": str(path), "subject": subject})
    table = pd.DataFrame(rows, columns=manifest.COLUMNS, dtype=object)
    table["label"] = [int(subject.startswith("all")) for subject in SUBJECTS]
    table["split"] = ["train", "train", "test", "train", "train", "test"]
    return audit(manifest.typed(table))


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return found_in(tmp_path_factory.mktemp("troubled"), [0, 1, 0, 1, 2, 0])


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return found_in(tmp_path_factory.mktemp("clean"), [0, 1, 2, 3, 4, 5])


def test_pairs_are_divided_by_what_they_harm(troubled: Audit) -> None:
    kinds = kinds_of_trouble(troubled)
    told = {kind: pairs[["a", "b"]].values.tolist() for kind, pairs in kinds.items()}
    assert told == {"labels": [[1, 3]], "names": [[0, 2]], "sides": [[0, 5]], "none": []}


def test_the_page_shows_every_pair_and_fetches_nothing(troubled: Audit, tmp_path: Path) -> None:
    page = write_page(troubled, tmp_path, Path("cells.csv")).read_text(encoding="utf-8")
    assert page.count('class="kind"') == len(troubled.pairs) == 3
    assert page.count('src="data:image/png;base64,') >= 6
    assert "default-src 'none'; img-src data:" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert "A split leaks" in page
    assert "all:1=all:2" in page
    assert "&lt;2&gt;.png" in page
    assert "<2>" not in page


def test_a_clean_set_has_a_page_too(clean: Audit, tmp_path: Path) -> None:
    page = write_page(clean, tmp_path, Path("cells.csv")).read_text(encoding="utf-8")
    assert 'class="kind"' not in page
    assert "No cell stands under two names" in page


def test_the_terminal_says_what_leaks(troubled: Audit, clean: Audit) -> None:
    told = "\n".join(line for _, line in lines(troubled))
    assert "the manifest's split leaks" in told
    assert "all:1=all:2: test 2, train 2" in told
    assert "all:1 and all:2 share 1 cells" in told
    assert "<1>.png and <3>.png" in told
    told = "\n".join(line for _, line in lines(clean))
    assert "repeated cells: 0 pairs" in told
