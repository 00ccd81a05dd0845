"""The roster: a line for each change, or a table that a terminal keeps."""

from pathlib import Path

import pytest

from leukoscope.cells.store import Store
from leukoscope.studies.roster import Roster
from leukoscope.training.run import Run, RunConfig

EPOCH = {"validation_auroc": 0.9124, "images_per_second": 135.7}


@pytest.fixture
def runs(store: Store, tmp_path: Path) -> list[Run]:
    config = RunConfig.plan(store.folder, "resnet18", "lab", ["epochs=3"], threads=1, device="cpu")
    return [Run.create(tmp_path / place, config) for place in ("resnet18/fold0", "resnet34")]


def test_a_line_is_written_for_each_change(
    runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    with Roster(runs) as roster:
        roster.show(["waiting", "waiting"])
        runs[0].write_history([{"epoch": 1, **EPOCH}])
        roster.show(["running on node7", "waiting"])
        roster.show(["running on node7", "waiting"])
    assert capsys.readouterr().err.splitlines() == [
        "resnet18/fold0  waiting  epoch 0/3",
        "resnet34  waiting  epoch 0/3",
        "resnet18/fold0  running on node7  epoch 1/3  validation AUROC 0.912  136 images/s",
    ]


def test_a_terminal_keeps_a_table(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich that is a terminal
    monkeypatch.setenv("COLUMNS", "120")
    runs[0].write_history([{"epoch": epoch, **EPOCH} for epoch in (1, 2)])
    with Roster(runs) as roster:
        roster.show(["running on node7, retried 1", "waiting"])
    (row,) = {line for line in capsys.readouterr().err.splitlines() if "fold0" in line}
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells == ["resnet18/fold0", "2/3", "0.912", "136", "running on node7, retried 1"]


def test_a_history_that_cannot_be_read_now_is_shown_as_it_was(
    runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    unread = runs[1].folder / "history.csv"
    unread.mkdir()
    with Roster(runs) as roster:
        runs[0].write_history([{"epoch": 1, **EPOCH}])
        roster.show(["running on node7", "waiting"])
        (runs[0].folder / "history.csv").write_bytes(b"")
        roster.show(["done", "waiting"])
    known = "epoch 1/3  validation AUROC 0.912  136 images/s"
    assert capsys.readouterr().err.splitlines() == [
        f"resnet18/fold0  running on node7  {known}",
        "resnet34  waiting  epoch ?",
        f"resnet18/fold0  done  {known}",
    ]
