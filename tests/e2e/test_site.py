"""The documentation site: built without a warning, and asking no other host for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT, documents
from webpage import Page

OUTSIDE = re.compile(r"""url\(\s*["']?(https?:)?//|@import""")
"""In a style sheet: what a browser would fetch elsewhere."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"]
    done = subprocess.run(
        [*command, "--site-dir", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    _, *pages = documents()
    for page in pages:
        built = site / page.relative_to(ROOT / "docs").with_suffix(".html")
        assert Page(built.read_text(encoding="utf-8")).all("h1")


def test_a_browser_asks_no_other_host(site: Path) -> None:
    asked = [
        (path.name, name, attributes.get("src") or attributes.get("href"))
        for path in site.rglob("*.html")
        for name, attributes in Page(path.read_text(encoding="utf-8")).elements
        if name in ("script", "link", "img", "iframe", "source")
    ]
    assert {name for _, name, _ in asked} >= {"script", "link", "img"}
    assert [one for one in asked if re.match(r"(https?:)?//", one[2] or "")] == []
    sheets = list(site.rglob("*.css"))
    assert sheets
    assert [path for path in sheets if OUTSIDE.search(path.read_text(encoding="utf-8"))] == []


def test_the_reference_is_written_from_the_docstrings(site: Path) -> None:
    page = Page((site / "api.html").read_text(encoding="utf-8"))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {"leukoscope.load", "leukoscope.inference.model.Model.predict"} <= ids
    assert "made by leukoscope export" in page.text
