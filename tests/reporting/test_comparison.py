"""What a comparison leaves in its folder."""

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from leukoscope.reporting.comparison import draw, write_comparison
from leukoscope.studies import architectures, ranking

FILES = [
    "accuracy.svg",
    "confusion-resnet18.svg",
    "confusion-twin.svg",
    "differences.csv",
    "loss-resnet18.svg",
    "loss-twin.svg",
    "runs.csv",
    "summary.csv",
]


def test_figures_and_summary_are_written_and_named(comparison: Path) -> None:
    networks = architectures.networks_of(comparison)
    told = write_comparison(networks, comparison)
    assert sorted(file.name for file in comparison.iterdir() if file.is_file()) == FILES
    assert all(file in told for file in FILES)
    for name, content in draw(networks).items():  # drawn again, it is the same
        assert (comparison / name).read_bytes() == content
        ElementTree.fromstring(content)

    for file, table in (
        ("summary.csv", ranking.summary(networks)),
        ("runs.csv", ranking.runs_table(networks)),
    ):
        pd.testing.assert_frame_equal(pd.read_csv(comparison / file), table)
    header, first, *_ = told.splitlines()
    assert header.split()[:3] == ["network", "runs", "GMACs"]
    assert first.split()[:2] == ["resnet18", "1"]
    highest = networks[0].histories[0]["test_accuracy"].max()
    assert f"{highest:.3f}" in first
    assert len(header) == len(first)
    # A network and its copy cannot be told apart, however many people there were.
    assert "twin against resnet18, auroc: +0.000 (" in told
