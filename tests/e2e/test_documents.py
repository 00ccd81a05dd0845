"""The documents, followed: every command and every Python block in them does what it should.

They are followed in one folder where phantom cells stand for the names that they use, the README
first, on whose files the others build. What two of them say alike is done once.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from documents import ROOT, Step, documents, links, steps
from leukoscope.cells import manifest
from leukoscope.cells.phantom import write_phantoms
from leukoscope.cells.sources import read_sources
from small_leukoscope import install

README, *PAGES = documents()

CANDIDATES = """\
folds: [0, 1]
candidates:
  lab: {recipe: lab, set: {epochs: 12}}
  modern: {recipe: modern}
"""


class Reader:
    """Who follows documents in `folder`, by the programs in `programs`."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        self.done: set[str] = set()

    def follow(self, document: Path) -> None:
        """Do what `document` says, what was not yet done; stop where that fails."""
        for step in steps(document):
            if step.meaning not in self.done:
                self._do(step)
                self.done.add(step.meaning)

    def _do(self, step: Step) -> None:
        command = step.text
        if step.python:
            (self.folder / "block.py").write_text(step.text, encoding="utf-8")
            command = "python block.py"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            input="y\n",  # to what asks
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode or "Traceback" in done.stdout:
            pytest.fail(
                f"{step.place}: exit status {done.returncode}\n{step.text}\n\n{done.stdout}",
                pytrace=False,
            )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    lay_out(folder)
    programs = tmp_path_factory.mktemp("programs")
    with tempfile.TemporaryDirectory() as short:  # addresses have no more than 107 bytes
        address = Path(short, "address")
        install(programs / "bin", address)
        command = [sys.executable, ROOT / "tests" / "small_leukoscope.py"]
        server = subprocess.Popen(
            [*command, address, folder / "C-NMC_Leukemia"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # with what it leaves running it ends as one group
        )
        try:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            yield Reader(folder, programs / "bin")
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def lay_out(folder: Path) -> None:
    """Put into `folder` what the documents speak of and do not make."""
    write_phantoms(folder / "C-NMC_Leukemia", subjects=24, cells=120)
    write_phantoms(folder / "other-hospital", subjects=8, cells=24, seed=1)
    others = read_sources([folder / "other-hospital"]).cells
    manifest.write(others, folder / "other-hospital.csv")
    new = [Path(path) for path in others["path"][::4]]
    for name in ("new-cells", "archive/2026", "others"):
        (folder / name).mkdir(parents=True)
        for picture in new:
            shutil.copy(picture, folder / name)
    for name, path in zip(("one", "two", "some"), new, strict=False):
        with Image.open(path) as picture:
            for suffix in (".bmp", ".png"):
                picture.save(folder / f"{name}{suffix}")
    manifest.write(others[:4], folder / "more.csv")
    for path, subject, label in (
        read_sources([folder / "C-NMC_Leukemia"])
        .cells[["path", "subject", "label"]]
        .itertuples(index=False)
    ):
        place = folder / "our-cells" / subject.replace(":", "") / manifest.CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    (folder / "candidates.yaml").write_text(CANDIDATES, encoding="utf-8")


def test_the_readme_can_be_followed(reader: Reader) -> None:
    reader.follow(README)
    assert (reader.folder / "runs" / "compare" / "report.html").exists()
    calls = pd.read_csv(reader.folder / "calls.csv")
    assert calls["probability"].between(0, 1).all()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_can_be_followed_after_the_readme(reader: Reader, page: Path) -> None:
    reader.follow(README)
    reader.follow(page)


def test_a_wrong_command_is_told_with_its_line(reader: Reader, tmp_path: Path) -> None:
    document = tmp_path / "wrong.md"
    document.write_text(
        "Right:\n\n    leukoscope --version\n\nWrong:\n\n```sh\nleukoscope --no\n```"
    )
    with pytest.raises(pytest.fail.Exception, match=r"wrong\.md:8.*\n.*\n[^$]*No such option"):
        reader.follow(document)


@pytest.mark.parametrize("document", documents(), ids=lambda page: page.name)
def test_links_lead_to_files(document: Path) -> None:
    assert [written for written, path in links(document) if not path.exists()] == []
