"""The report: whole in one file, complete, honest about its data, and safe to open."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.result import predictions_file
from leukoscope.reporting.report import Settings, write_report
from leukoscope.studies import architectures
from leukoscope.studies.finding import Finding
from leukoscope.training.run import Run
from webpage import Page


def runs_of(folder: Path) -> list[Run]:
    return [run for network in architectures.networks_of(folder) for run in network.runs]


def page_of(folder: Path) -> Page:
    return Page(write_report(folder, folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of a comparison as it was made, to look at."""
    target = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report(trained, target) == target
    return Page(target.read_text(encoding="utf-8"))


def change_store(folder: Path, cells: pd.DataFrame | None = None, **info: Any) -> None:
    """Give the runs in `folder` a store of their own, like theirs but for `cells` and `info`."""
    runs = runs_of(folder)
    place = shutil.copytree(runs[0].config.store, folder.parent / "store")
    if cells is not None:
        cells.to_parquet(place / "cells.parquet", index=False)
    description = json.loads((place / "store.json").read_text(encoding="utf-8"))
    (place / "store.json").write_text(json.dumps({**description, **info}), encoding="utf-8")
    digest = Store.open(place).digest
    for run in runs:
        config = run.config.model_dump(mode="json")
        config |= {"store": str(place), "store_digest": digest}
        (run.folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def test_every_section_is_there_and_linked(page: Page, trained: Path) -> None:
    sections = [heading["id"] for heading in page.all("h2")]
    assert sections == [
        "results",
        "evaluation",
        "accuracy",
        "loss",
        "confusion",
        "data",
        "preprocessing",
        "recipe",
        "environment",
        "examples",
        "checklist",
    ]
    links = [link["href"] for link in page.all("a")]
    assert links == [f"#{section}" for section in sections]
    for told in (
        "Research use only",
        "not a medical device",
        "702,354",
        "batch size 8",
        "lightning-fabric",
        "None of the 12 people stands on two sides",
        f"leukoscope report {trained}",
    ):
        assert told in page.text
    assert "phantom" not in page.text.lower()


def test_nothing_is_asked_from_outside_and_nothing_runs(page: Page) -> None:
    assert not page.all("script")
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("#", "data:")), address
    assert not re.search(r"@import|url\(", page.source)


def test_every_picture_is_whole_and_described(page: Page) -> None:
    pictures = page.all("img")
    kinds = {str(picture["src"]).partition(";")[0] for picture in pictures}
    assert kinds == {"data:image/svg+xml", "data:image/png"}
    assert all(len(str(picture["alt"])) > 20 for picture in pictures)


def test_names_are_shown_as_text(page: Page) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    assert f"drawn:0{hostile}" in page.text
    assert not any(picture.get("src") == "x" for picture in page.all("img"))
    assert hostile not in page.source


def test_phantom_cells_are_called_so(single: Path) -> None:
    change_store(single, phantom=True)
    assert "accuracy below means nothing clinically" in page_of(single).text


def test_studies_are_shown_where_they_are_asked_for(trained: Path, tmp_path: Path) -> None:
    curves = pd.DataFrame(
        [
            (protocol, split, "accuracy", 0.8, 0.7, 0.9, 0.6)
            for protocol in ("people", "pictures", "lab")
            for split in ("validation", "test")
        ],
        columns=["protocol", "split", "metric", "value", "low", "high", "alike"],
    )
    told = ("How much is lost?", "Nothing <b>is</b>.", "contradicted", "Measured: 0.119.")
    Finding("leakage", *told, [], curves, curves).write(tmp_path / "study")
    page = Page(
        write_report(trained, tmp_path / "report.html", [tmp_path / "study"]).read_text("utf-8")
    )
    assert "How much is lost? contradicted Nothing <b>is</b>. Measured: 0.119." in page.text
    assert {"href": "#studies"} in page.all("a")
    assert f"--study {tmp_path / 'study'}" in page.text
    with pytest.raises(BadInputError, match="holds no whole finding"):
        write_report(trained, tmp_path / "report.html", [tmp_path])


def test_subjects_on_two_sides_are_warned_of(single: Path) -> None:
    store = runs_of(single)[0].open_store()
    cells = store.cells.copy()
    moved = store.rows("train")[0]
    cells.loc[moved, "split"] = "validation"
    change_store(single, cells, division={"split": "lab"})
    text = page_of(single).text
    assert "1 of 12 people stand on more than one side" in text
    assert "Read these accuracies as optimistic" in text
    assert "stands on two sides" not in text


def test_kinds_without_cells_are_told_as_none(single: Path) -> None:
    (run,) = runs_of(single)
    predictions = pd.read_parquet(predictions_file(run, "test"))
    predictions["call"] = predictions["label"]
    predictions["calibrated"] = predictions["label"].astype(float)
    predictions.to_parquet(run.folder / "predictions-test.parquet", index=False)
    text = page_of(single).text
    assert "Wrong: normal, called blast 0 cells none" in text
    assert "Wrong: blast, called normal 0 cells none" in text
    assert "from 0.3 to 0.7 0 cells none" in text


def test_different_recipes_are_told_apart(comparison: Path) -> None:
    path = comparison / "twin" / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["recipe"]["momentum"] = 0.9
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    text = page_of(comparison).text
    assert "not trained under one recipe" in text
    assert "momentum 0.0 0.9" in text


def test_settings_alike_share_a_column() -> None:
    settings = Settings.of({"a": {"x": 1, "y": None}, "b": {"x": 2}, "c": {"x": 1, "y": None}})
    assert settings.headings == ["a, c", "b"]
    assert settings.rows == {"x": ["1", "2"], "y": ["none", "–"]}


def test_runs_of_different_stores_are_refused(comparison: Path) -> None:
    path = comparison / "twin" / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**config, "store_digest": "another"}), encoding="utf-8")
    with pytest.raises(BadInputError, match="different stores"):
        write_report(comparison, comparison / "report.html")
    assert not (comparison / "report.html").exists()
