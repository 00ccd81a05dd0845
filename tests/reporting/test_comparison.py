"""What a comparison leaves in its folder."""

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from leukoscope.reporting.comparison import draw, write_comparison
from leukoscope.studies import architectures

FILES = [
    "accuracy.svg",
    "confusion-resnet18.svg",
    "confusion-twin.svg",
    "loss-resnet18.svg",
    "loss-twin.svg",
    "summary.csv",
]


def test_figures_and_summary_are_written_and_named(comparison: Path) -> None:
    runs = architectures.runs_of(comparison)
    told = write_comparison(runs, comparison)
    assert sorted(file.name for file in comparison.iterdir() if file.is_file()) == FILES
    assert all(file in told for file in FILES)
    for name, content in draw(runs).items():  # drawn again, it is the same
        assert (comparison / name).read_bytes() == content
        ElementTree.fromstring(content)

    summary = pd.read_csv(comparison / "summary.csv")
    pd.testing.assert_frame_equal(summary, architectures.summary(runs))
    header, first, *_ = told.splitlines()
    assert header.split()[:3] == ["model", "parameters", "GMACs"]
    assert first.split()[:2] == ["resnet18", "11,177,538"]
    assert f"{runs[0].history['test_accuracy'].max():.4f}" == first.split()[-1]
    assert len(header) == len(first)
