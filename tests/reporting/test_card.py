"""The model card and the checklist: what a run tells, and nothing that it does not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from typer.testing import CliRunner

from leukoscope import cli
from leukoscope.cells import manifest
from leukoscope.cells.division import Division
from leukoscope.cells.phantom import write_phantoms
from leukoscope.cells.sources import read_sources
from leukoscope.cells.store import Store
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.evaluate import evaluate, evaluate_others
from leukoscope.evaluation.folds import evaluate_folds
from leukoscope.evaluation.result import Evaluation
from leukoscope.reporting.card import HUB_METRICS, write_card
from leukoscope.reporting.checklist import Item, checklist
from leukoscope.reporting.record import Record
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train
from trainings import NARROW


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(trained / "resnet18", tmp_path / "run_1"))


def card_of(run: Run | Ensemble) -> tuple[dict[str, Any], str]:
    """Return the front matter and the rest of the run's card."""
    _, front, text = write_card(run, run.folder / "MODEL_CARD.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def items_of(run: Run) -> dict[int, Item]:
    return {item.number: item for item in checklist(Record.of(run))}


def change_store(run: Run, cells: pd.DataFrame | None = None, **info: Any) -> Run:
    """Return `run` on a store of its own, like its own but for `cells` and `info`."""
    place = shutil.copytree(run.config.store, run.folder.parent / "store")
    if cells is not None:
        cells.to_parquet(place / "cells.parquet", index=False)
    description = json.loads((place / "store.json").read_text(encoding="utf-8"))
    (place / "store.json").write_text(json.dumps({**description, **info}), encoding="utf-8")
    config = run.config.model_dump(mode="json")
    config |= {"store": str(place), "store_digest": Store.open(place).digest}
    (run.folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return Run.open(run.folder)


def test_the_front_matter_is_hugging_faces(run: Run) -> None:
    front, _ = card_of(run)
    assert front["library_name"] == "leukoscope"
    assert front["pipeline_tag"] == "image-classification"
    assert {"resnet18", "research-use-only"} <= set(front["tags"])
    assert "phantom-data" not in front["tags"]
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert result["task"] == {"type": "image-classification"}
    assert result["dataset"]["name"] == "cells of a manifest, division subject"
    test = Evaluation.read(run, "test")
    measured = test.scores | test.calls[0].metrics
    expected = {
        hub: pytest.approx(measured[name].value, abs=1e-4)
        for name, hub in HUB_METRICS.items()
        if measured[name].value is not None
    }
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == expected


def test_the_card_says_what_was_measured_and_what_it_is_not_for(run: Run) -> None:
    _, text = card_of(run)
    sections = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert sections == [
        "Model details",
        "Uses",
        "Bias, risks and limitations",
        "How to get started",
        "Training data",
        "Training procedure",
        "Evaluation",
        "Environmental impact",
        "Citation",
    ]
    test = Evaluation.read(run, "test")
    assert f"| AUROC | {test.scores['auroc'].value:.3f} |" in text
    assert "95 % over cells, optimistic" in text
    assert "Not a medical device" in text
    assert "702,354 parameters" in text
    assert "    leukoscope evaluate run_1 --cells cells.csv\n" in text
    assert "phantom" not in text.lower()
    assert "More information" not in text
    assert str(run.folder.parent) not in text  # nothing of this machine's folders is published


def test_a_card_without_an_evaluation_has_no_figures(run: Run) -> None:
    (run.folder / "metrics-test.json").unlink()
    front, text = card_of(run)
    assert "model-index" not in front
    assert "was not judged on labelled cells yet" in text
    assert "AUROC" not in text


def test_phantoms_are_said_at_the_top(run: Run) -> None:
    front, text = card_of(change_store(run, phantom=True))
    assert "phantom-data" in front["tags"]
    assert front["model-index"][0]["results"][0]["dataset"]["type"] == "phantom"
    assert text.index("These are phantom cells") < text.index("## Model details")


def test_phantoms_from_elsewhere_are_said_to_be(run: Run, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "phantoms", 4, 8, 0)
    manifest.write(read_sources([tmp_path / "phantoms"]).cells, tmp_path / "cells.csv")
    evaluate_others(run, manifest.read(tmp_path / "cells.csv"), "drawn")
    front, text = card_of(run)
    kinds = [result["dataset"]["type"] for result in front["model-index"][0]["results"]]
    assert kinds == ["private", "phantom"]
    start = text.index("### external-drawn")
    assert "These are phantom cells, drawn by a program" in text[start:]
    assert "These are phantom cells" not in text[:start]
    assert "external-drawn: 8 cells" in items_of(run)[33].answer


def test_names_are_no_markup(run: Run) -> None:
    _, text = card_of(run)
    # The subjects of this store are called <img src=x onerror=alert(1)>.
    assert "\\<img src=x" in text
    assert "<img" not in text.replace("\\<", "")


def test_the_command_writes_the_card(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "card.md"
    done = CliRunner().invoke(cli.app, ["card", str(run.folder), "-o", str(target)])
    assert done.exit_code == 0, done.output
    assert target.read_text(encoding="utf-8").startswith("---\nlicense:")
    assert str(target) in done.output.replace("\n", "")


def test_the_checklist_is_claim_2024(run: Run) -> None:
    items = items_of(run)
    assert list(items) == list(range(1, 45))
    # Whatever the run does not tell is the authors'; nothing is left out, nothing made up.
    assert all(item.answer or item.authors == "all of it" for item in items.values())
    for number in (2, 3, 4, 5, 11, 13, 15, 16, 18, 34, 44):
        assert (items[number].answer, items[number].authors) == ("", "all of it")
    assert "does not say where they come from" in items[7].answer
    assert "none of the 12 people stands on two sides" in items[20].answer
    assert "702,354 parameters" in items[22].answer
    assert "torch" in items[23].answer
    assert "2 of 2 epochs" in items[25].answer
    assert "noted after every epoch" in items[26].answer
    assert items[33].answer.startswith("None: no cells from elsewhere")
    test = Evaluation.read(run, "test")
    assert f"AUROC {test.scores['auroc'].value:.3f}" in items[37].answer
    assert "size alone" in items[30].answer


def test_the_checklist_says_what_keeps_a_reader_from_trust(run: Run) -> None:
    store = run.open_store()
    cells = store.cells.copy()
    cells.loc[store.rows("train")[0], "split"] = "test"
    cells.loc[store.rows("train")[1], "split"] = pd.NA
    changed = change_store(run, cells, phantom=True, division={"split": "lab"})
    (changed.folder / "metrics-test.json").unlink()
    items = items_of(changed)
    assert "phantom cells, rendered by leukoscope" in items[7].answer
    assert "Aside, in no split: 1 cell" in items[10].answer
    assert "without regard to subjects" in items[19].answer
    assert "1 of 12 people stand on more than one side" in items[20].answer
    assert "was not evaluated yet" in items[32].answer
    assert items[37].answer == ""
    assert "phantoms" in items[40].answer


def test_real_folds_name_their_source(run: Run) -> None:
    cells = run.open_store().cells.assign(fold="fold_0")
    changed = change_store(run, cells)
    assert "C-NMC 2019 (fold_0;" in items_of(changed)[7].answer
    front, text = card_of(changed)
    assert front["model-index"][0]["results"][0]["dataset"]["type"] == "c-nmc-2019"
    assert "ALL Challenge dataset of ISBI 2019" in text


def test_the_checklists_table_has_all_items_escaped(run: Run) -> None:
    environment = Environment(
        loader=PackageLoader("leukoscope", "reporting"), autoescape=True, undefined=StrictUndefined
    )
    template = environment.from_string(
        '{% from "checklist.html.j2" import checklist_table %}{{ checklist_table(items, "c") }}'
    )
    items = checklist(Record.of(run))
    hostile = Item(45, "", "<b>", "<img src=x>", "")
    page = template.render(items=[*items, hostile])
    assert page.count('<th scope="row">') == 45
    assert page.count("<tbody>") == page.count("</tbody>") == 12
    assert "<img" not in page
    assert page.count("For the authors") == sum(bool(item.authors) for item in items)


def test_the_card_of_folds_together_says_what_each_was_tested_on(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "folds"
    for fold in range(store.parts):
        config = RunConfig.plan(
            store.folder,
            "resnet18",
            "lab",
            ["batch_size=16", "epochs=1"],
            model_options=NARROW,
            division=Division(fold=fold),
            threads=1,
            device="cpu",
        )
        run = Run.create(folder / f"fold{fold}", config)
        train(run)
        evaluate(run)
    front, text = card_of(Ensemble.open(folder))
    assert f"resnet18, {store.parts} networks as one" in text
    assert "each judged by the run that neither trained nor chose on them" in text
    assert f"{store.parts} epochs, on:" in text
    assert "| AUROC |" in text
    assert "model-index" not in front  # nobody was left to test their mean
    expected, _, _ = evaluate_folds(Ensemble.open(folder).runs)
    assert f"| AUROC | {expected.scores['auroc'].value:.3f} |" in text
    others = store.cells.iloc[::9].reset_index(drop=True)
    evaluate_others(Ensemble.open(folder), others, "others")
    front, text = card_of(Ensemble.open(folder))
    assert "judged by the mean of all runs’ log-odds" in text
    (model,) = front["model-index"]
    assert [result["dataset"]["name"] for result in model["results"]] == ["external-others"]
