"""Recipes held against each other: the table's numbers, the people, and what is refused."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch import nn

from leukoscope import models
from leukoscope.cells.prepare import prepare
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.evaluate import settle
from leukoscope.evaluation.pooled import pool
from leukoscope.studies import leakage, recipes
from leukoscope.studies.candidates import Candidates
from leukoscope.studies.recipes import Tried, judge
from leukoscope.training.run import Run

FILE = """
candidates:
  lab: {recipe: lab, set: {epochs: 1, batch_size: 8}}
  fast:
    recipe: lab
    set: {epochs: 2, batch_size: 8, learning_rate: 0.05, augmentation.scale: 0.1}
"""


def tiny(num_classes: int) -> nn.Module:
    layers = [nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, num_classes))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Candidates:
    monkeypatch.setitem(models.MODELS, "tiny", partial(tiny))
    (tmp_path / "candidates.yaml").write_text(FILE)
    return Candidates.read(tmp_path / "candidates.yaml")


@pytest.fixture
def folded(cells: pd.DataFrame, tmp_path: Path) -> Store:
    """Of each class, subjects 1 to 4 in fold 0 and the others in fold 1."""
    home = cells["subject"].str[-1].isin(list("1234"))
    folds = pd.Series(np.where(home, "fold_0", "fold_1"), cells.index, dtype="string")
    return prepare(cells.assign(fold=folds), tmp_path / "store", size=32)


def test_the_table_is_what_the_runs_say(folded: Store, asked: Candidates, tmp_path: Path) -> None:
    setup = recipes.STUDY.setup(
        folded.folder,
        tmp_path / "study",
        models=["tiny"],
        candidates=asked,
        seeds=[0, 1],
        threads=1,
        device="cpu",
    )
    finding = recipes.conduct(setup)
    table = finding.table.set_index("candidate")
    assert list(table.index[:2]) == ["lab", "fast"]
    assert {"majority class", "size only", "colour only", "handmade features"} <= set(table.index)
    folder = tmp_path / "study" / "runs" / "fast"
    runs = [Run.open(folder / f"fold{fold}-seed{seed}") for seed in (0, 1) for fold in range(5)]
    assert runs[0].config.recipe.augmentation.scale == 0.1
    cells = pd.concat(
        pd.read_parquet(run.folder / "predictions-test.parquet").assign(
            threshold=settle(run).point("prevalence").threshold, run=number
        )
        for number, run in enumerate(runs)
    )
    cells["label"] = cells["label"].astype(int)
    cells["called"] = (cells["calibrated"] >= cells["threshold"]).astype(int)
    row, seeds = table.loc["fast"], [cells[cells["run"] < 5], cells[cells["run"] >= 5]]
    for one in seeds:
        assert sorted(one["id"]) == sorted(folded.cells["id"])
    aurocs = [roc_auc_score(one["label"], one["calibrated"]) for one in seeds]
    assert row["auroc"] == pytest.approx(np.mean(aurocs))
    assert row["auroc_sd"] == pytest.approx(abs(aurocs[0] - aurocs[1]) / np.sqrt(2))
    odds = np.log(cells["calibrated"] / (1 - cells["calibrated"])).groupby(cells["id"]).mean()
    label = cells.groupby("id")["label"].first()
    assert row["ensemble_auroc"] == pytest.approx(roc_auc_score(label, odds[label.index]))
    balanced = [balanced_accuracy_score(one["label"], one["called"]) for one in seeds]
    assert row["balanced_accuracy"] == pytest.approx(np.mean(balanced))
    for column, truth in (("normal_people", 0), ("blast_people", 1)):
        right = [
            one[one["label"] == truth].groupby("person")["called"].mean().mean() for one in seeds
        ]
        assert row[column] == pytest.approx(abs(1 - truth - np.mean(right)))
    by_run = cells.groupby("run")[["label", "calibrated"]]
    lowest = min(roc_auc_score(part["label"], part["calibrated"]) for _, part in by_run)
    assert row["worst_fold_auroc"] == pytest.approx(lowest)
    cells = seeds[0]
    for baseline in ("majority class", "size only", "handmade features"):
        expected = roc_auc_score(cells["label"], cells[baseline])
        assert table.loc[baseline, "auroc"] == pytest.approx(expected)

    # Both networks and their pictures are the same, so the work is a matter of epochs.
    aurocs = {
        name: np.mean(
            [Run.open(place).history["validation_auroc"] for place in sorted(runs.glob("fold*"))],
            axis=0,
        )
        for name in ("lab", "fast")
        for runs in [folder.parent / name]
    }
    there = aurocs["fast"] >= aurocs["lab"][-1]
    expected = there.argmax() + 1 if there.any() else np.nan
    assert table.loc["lab", "work"] == 1
    assert row["work"] == pytest.approx(expected, nan_ok=True)

    shifted = Run.open(folder / "shifted-seed0")
    store = shifted.open_store()
    home = set(store.cells.loc[store.cells["fold"] == "fold_0", "person"])
    people = {
        split: set(store.cells["person"].iloc[store.rows(split)])
        for split in ("train", "validation", "test")
    }
    assert people["train"] | people["validation"] == home
    assert not people["train"] & people["validation"]
    assert people["test"] == set(store.cells["person"]) - home
    pools = pool([shifted, Run.open(folder / "shifted-seed1")])
    expected = [roc_auc_score(one["label"], one["calibrated"]) for one in pools.values()]
    assert row["shifted_auroc"] == pytest.approx(np.mean(expected))

    gains = {
        "gain": row["auroc"] - table.loc["lab", "auroc"],
        "shifted_gain": row["shifted_auroc"] - table.loc["lab", "shifted_auroc"],
        "size_gain": row["auroc"] - table.loc["size only", "auroc"],
        "shifted_size_gain": row["shifted_auroc"] - table.loc["size only", "shifted_auroc"],
    }
    for column, expected in gains.items():
        assert row[column] == pytest.approx(expected)
        low, high = row[f"{column}_low"], row[f"{column}_high"]
        assert low - 1e-9 <= row[column] <= high + 1e-9
    assert np.isnan(table.loc["lab", "gain"])

    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")}
    assert len(stamps) == 36  # best, last and previous
    assert recipes.conduct(setup).paragraph == finding.paragraph
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")} == stamps


def tried(name: str, shift: float) -> Tried:
    """A candidate whose blasts score `shift` above normal cells, and noise of its own."""
    random = np.random.default_rng(0)
    people = [f"{kind}:{number}" for kind in ("all", "hem") for number in range(20)]
    cells = pd.DataFrame({"person": np.repeat(people, 10)})
    cells["label"] = cells["person"].str.startswith("all").astype(int)
    logit = random.normal(size=len(cells)) + shift * cells["label"]
    cells["calibrated"] = 1 / (1 + np.exp(-logit))
    cells["id"] = [str(row) for row in range(len(cells))]
    one = Tried(name, [], [])
    auroc = roc_auc_score(cells["label"], cells["calibrated"])
    vars(one).update(pools={0: cells}, row={"auroc": auroc})
    return one


@pytest.mark.parametrize(
    ("shift", "verdict"), [(2.0, "supported"), (0.2, "contradicted"), (1.0, "undecided")]
)
def test_a_candidate_is_held_against_the_first(shift: float, verdict: str) -> None:
    part = judge(tried("lab", 1.0), tried("new", shift))
    assert part.verdict == verdict
    assert "by new and " in part.measured


def test_other_cells_cannot_be_compared() -> None:
    other = tried("new", 1.0)
    other.pools[0]["id"] += "x"
    with pytest.raises(BadInputError, match="lab and new were tested on different cells"):
        judge(tried("lab", 1.0), other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("candidates: {a: {recipe: lab}}", "at least 2"),
        ("candidates: {a: {recipe: lab}, b: {recipes: lab}}", r"candidates\.b\.recipes: Extra"),
        ("- a", "no list of candidates"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_a_bad_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(BadInputError, match=message):
        Candidates.read(tmp_path / "bad.yaml")


def test_candidates_belong_to_the_study_of_recipes(asked: Candidates, store: Store) -> None:
    with pytest.raises(BadInputError, match="needs --candidates"):
        recipes.STUDY.setup(store.folder, store.folder / "x", threads=1)
    with pytest.raises(BadInputError, match="has no candidates"):
        leakage.STUDY.setup(store.folder, store.folder / "x", candidates=asked, threads=1)
