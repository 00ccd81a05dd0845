"""The part of a report about one evaluation: whole, escaped, honest about what is missing."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from jinja2 import Environment, PackageLoader, StrictUndefined

from leukoscope.evaluation import reads
from leukoscope.evaluation.evaluate import evaluate_others
from leukoscope.evaluation.result import Evaluation, predictions_file
from leukoscope.reporting.evaluation_section import Section, lead, section
from leukoscope.reporting.record import looks_in_words
from leukoscope.training.run import Run
from webpage import Page


def page_of(part: Section) -> Page:
    environment = Environment(
        loader=PackageLoader("leukoscope", "reporting"), autoescape=True, undefined=StrictUndefined
    )
    template = environment.from_string(
        '{% from "evaluation.html.j2" import evaluation_section %}{{ evaluation_section(part) }}'
    )
    return Page(template.render(part=part))


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("section") / "run"
    return Run.open(shutil.copytree(trained / "resnet18", folder))


@pytest.fixture(scope="module")
def tested(run: Run) -> Evaluation:
    return Evaluation.read(run, "test")


@pytest.fixture(scope="module")
def page(run: Run, tested: Evaluation) -> Page:
    return page_of(section(run, tested, "a network", "r1"))


def cells_of(run: Run) -> pd.DataFrame:
    """The test cells of the run's store, as a manifest of their own."""
    store = run.open_store()
    columns = ["id", "path", "label", "subject"]
    return store.cells.iloc[store.rows("test")][columns].reset_index(drop=True)


def test_subjects_come_before_cells_and_everything_is_there(page: Page) -> None:
    text = page.text
    order = ["Subject by subject", "Over all cells", "Against baselines", "Failures"]
    places = [text.index(heading) for heading in order]
    assert places == sorted(places)
    for told in (
        "a network on test",
        "95 % over cells, optimistic",
        "Rogan and Gladen 1978",
        "each subject’s true share is 0 or 1",
        "size alone",
        "Its loss and accuracy were noted after every epoch",
        "judged with one set of weights",
    ):
        assert told in text


def test_the_numbers_are_the_evaluations(page: Page, tested: Evaluation) -> None:
    auroc = tested.scores["auroc"]
    # One subject a class: its interval over subjects is a dash.
    assert (auroc.low, auroc.high) == (None, None)
    told = f"AUROC {auroc.value:.3f} – {auroc.cell_low:.3f} to {auroc.cell_high:.3f}"
    assert told in page.text
    for calls in tested.calls:
        (tn, fp), (fn, tp) = calls.confusion
        assert f"{calls.point.name} {calls.point.threshold:.3f}" in page.text
        assert f"{tp} : {fn} {tn} : {fp}" in page.text


def test_it_can_be_read_without_seeing_it_and_holds_no_foreign_markup(page: Page) -> None:
    pictures = page.all("img")
    assert len(pictures) >= 5
    assert all(len(str(picture["alt"])) > 20 for picture in pictures)
    assert not any(picture["src"] == "x" for picture in pictures)
    assert "<img src=x" not in page.source
    assert len(page.all("caption")) == len(page.all("table")) == 5
    assert all("scope" in heading for heading in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {str(attributes.get("aria-labelledby")) for _, attributes in page.elements} - {"None"}
    assert labels <= set(map(str, ids))


def test_cells_without_labels_are_said_to_be_unjudged(run: Run) -> None:
    cells = cells_of(run)
    unlabelled = cells.assign(label=pd.array([pd.NA] * len(cells), dtype="Int64"))
    page = page_of(section(run, evaluate_others(run, unlabelled, "unlabelled"), "n", "r1"))
    assert "These cells have no labels" in page.text
    assert not page.all("table")
    assert not page.all("img")


def test_one_class_alone_is_said(run: Run) -> None:
    blasts = cells_of(run).query("label == 1").reset_index(drop=True)
    page = page_of(section(run, evaluate_others(run, blasts, "blasts"), "n", "r1"))
    assert "There is no normal cell here" in page.text
    assert "AUROC needs cells of both classes" in page.text
    assert "Decision curve" not in page.text
    assert "Reliability" in page.text


def test_a_single_subject_is_said_to_say_nothing_about_others(run: Run) -> None:
    cells = cells_of(run)
    one = cells[cells["subject"] == cells["subject"].iloc[0]].reset_index(drop=True)
    found = section(run, evaluate_others(run, one, "one"), "n", "r1")
    assert any("are of one person" in warning for warning in found.warnings)
    page = page_of(found)
    assert "The subject as a table" in page.text


def test_whose_cells_were_judged_is_told_by_people_for_some_stand_under_several_names(
    tested: Evaluation,
) -> None:
    told = lead(tested.model_copy(update={"normal_subjects": 1, "blast_subjects": 2}))
    assert "of 1 person with normal cells and 2 people with blasts" in told


def test_an_interval_without_width_is_no_certainty(run: Run, tested: Evaluation) -> None:
    half = tested.calls[0]
    sure = half.metrics["sensitivity"].model_copy(update={"value": 1.0, "low": 1.0, "high": 1.0})
    calls = half.model_copy(update={"metrics": half.metrics | {"sensitivity": sure}})
    # Clopper and Pearson's one-sided limit of 0 failures in n: 1 - 0.05 ** (1 / n).
    changed = tested.model_copy(
        update={"calls": [calls, *tested.calls[1:]], "normal_subjects": 10, "blast_subjects": 10}
    )
    warnings = section(run, changed, "n", "r1").warnings
    assert any("after 10 alike, as many as 26% of all" in said for said in warnings)


def test_pictures_that_are_gone_are_said_to_be(run: Run) -> None:
    evaluation = evaluate_others(run, cells_of(run), "gone")
    path = predictions_file(run, evaluation.name)
    predictions = pd.read_parquet(path)
    predictions["path"] = "/nowhere/" + predictions["id"].str[-7:]
    predictions["call"] = 1 - predictions["label"]
    predictions.to_parquet(path, index=False)
    page = page_of(section(run, evaluation, "n", "r1"))
    assert "The pictures of these cells cannot be read any more" in page.text


def test_unlike_cells_are_warned_of(run: Run, tested: Evaluation) -> None:
    evaluation = evaluate_others(run, cells_of(run), "like")
    unlike = evaluation.shifts[0].model_copy(update={"outside": 0.9})
    changed = evaluation.model_copy(update={"shifts": [unlike, *evaluation.shifts[1:]]})
    known, shifted, *_ = section(run, changed, "n", "r1").warnings
    assert "bear names that stand in the run’s own store" in known
    assert shifted.startswith("90% of these cells lie outside")


def test_looks_at_the_test_split_are_counted(single: Path) -> None:
    run = Run.open(single / "resnet18")
    epoch = int(reads.read(run)["epoch"].iloc[0])
    assert "one set of weights" in looks_in_words(run)
    reads.record(run, "last", epoch + 1)
    assert "judged with 2 different weights" in looks_in_words(run)
    (run.folder / "test-reads.csv").unlink()
    assert "No judgement on the test split is recorded" in looks_in_words(run)
