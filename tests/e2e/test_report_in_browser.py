"""The report in a real browser: it is drawn, nothing overflows, nothing is fetched."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukoscope.cells.store import Store
from leukoscope.reporting.report import write_report
from leukoscope.studies import architectures
from leukoscope.training.run import RunConfig
from trainings import NARROW


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    config = RunConfig.plan(
        store.folder,
        "resnet18",
        "lab",
        ["batch_size=8", "epochs=2"],
        model_options=NARROW,
        watch_test=True,
        threads=1,
        device="cpu",
    )
    architectures.compare({Path("resnet18"): config}, folder)
    return write_report(folder, folder / "report.html")


def browse(chromium: str, page: Path, *options: str) -> str:
    """Open `page` in a fresh profile that is cut off from any network; return the output."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync", "--hide-scrollbars"),
            f"--user-data-dir={profile}",
            *options,
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.parametrize("width", [1280, 600])
def test_figures_and_text_are_drawn_within_the_window(
    chromium: str, page: Path, tmp_path: Path, width: int
) -> None:
    shot = tmp_path / "shot.png"
    browse(chromium, page, f"--screenshot={shot}", f"--window-size={width},5000")
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape[1] == width
    dark = pixels < 128
    assert dark.any(axis=1).mean() > 0.2
    # The margin at the right stays white: nothing runs out of the page.
    assert not dark[:, -8:].any()


def test_the_browser_reads_every_section(chromium: str, page: Path) -> None:
    seen = browse(chromium, page, "--dump-dom")
    for heading in ("Results", "Confusion matrices", "Recipe", "Environment", "Example cells"):
        assert f">{heading}<" in seen
    assert "<script" not in seen
