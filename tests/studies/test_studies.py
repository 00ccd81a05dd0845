"""Studies as a whole: trained once, measured, judged, drawn; what is not finished goes on."""

import pickle
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from torch import nn

from leukoscope import cli, models
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.models.resnet import ResNetBasicBlock
from leukoscope.reporting.studies import FIGURES, write_study
from leukoscope.studies import gradient_flow, learning_rate, people, runs
from leukoscope.studies.candidates import Candidate, Candidates
from leukoscope.studies.crew import Task, alone
from leukoscope.studies.finding import Finding
from leukoscope.studies.study import Setup
from leukoscope.studies.table import STUDIES, study
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.divergence import Diverged
from leukoscope.training.run import Run
from leukoscope.training.stopping import Interrupted

SHALLOW, DEEP = "small3", "small7"


class SmallResNet(nn.Sequential):
    """One stage of narrow blocks: trains in a moment."""

    def __init__(self, blocks: int, num_classes: int, residual: bool = True) -> None:
        norm = nn.BatchNorm2d
        super().__init__(
            nn.Conv2d(3, 8, 5, stride=4, bias=False),
            norm(8),
            *(ResNetBasicBlock(8, 8, 1, norm, "1x1", residual) for _ in range(blocks)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, num_classes),
        )


@pytest.fixture(autouse=True)
def small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models.MODELS, SHALLOW, partial(SmallResNet, 1))
    monkeypatch.setitem(models.MODELS, DEEP, partial(SmallResNet, 3))


def setup_of(name: str, store: Store, folder: Path, epochs: int = 4, **settings: object) -> Setup:
    chosen = STUDIES[name]
    small = (SHALLOW,) if chosen.networks == 1 else (SHALLOW, DEEP)
    return chosen.setup(
        store.folder,
        folder,
        **{
            "models": small,
            "overrides": [f"epochs={epochs}"],
            "quick": True,
            "threads": 1,
            "device": "cpu",
            **({"candidates": two_candidates()} if name == "recipe" else {}),
            **settings,
        },
    )


def two_candidates() -> Candidates:
    one, two = (
        Candidate.model_validate({"recipe": "lab", "set": {"momentum": momentum}})
        for momentum in (0.0, 0.9)
    )
    return Candidates(folds=(0, 1), shifted=False, candidates={"one": one, "two": two})


class FarCrew:
    """Does work as another machine would: what it is given has travelled, runs are in folders."""

    def __init__(self) -> None:
        self.called = 0

    def __call__(self, work: Task, runs: Sequence[Run]) -> None:
        self.called += 1
        alone(pickle.loads(pickle.dumps(work)), [Run.open(run.folder) for run in runs])


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_judges_draws_and_trains_only_once(name: str, store: Store, tmp_path: Path) -> None:
    epochs = {"depth": 2, "gradient-flow": 1, "people": 1, "recipe": 1}.get(name, 4)
    crew = FarCrew()
    setup = replace(setup_of(name, store, tmp_path, epochs), crew=crew)
    finding = STUDIES[name].conduct(setup)
    assert crew.called == 1
    printed = write_study(finding, tmp_path)
    assert finding.verdict.upper() in printed
    for said in (finding.question, finding.claim, str(tmp_path)):
        assert said in printed
    assert "seeds 0" not in finding.paragraph
    assert "One seed" in finding.paragraph
    for file in ("finding.json", "finding.md", "table.csv", "curves.csv", "figure.svg"):
        assert (tmp_path / file).exists()
    drawn = ElementTree.parse(tmp_path / "figure.svg").getroot()
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert np.isfinite(finding.curves.select_dtypes("number").to_numpy()).all()

    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ckpt")}
    assert stamps
    again = STUDIES[name].conduct(setup)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ckpt")} == stamps
    assert again.paragraph == finding.paragraph
    # The figure can be drawn from the files alone.
    assert FIGURES[name](Finding.read(tmp_path)).axes


def test_every_study_has_a_figure_and_its_claim() -> None:
    assert FIGURES.keys() == STUDIES.keys()
    for name, chosen in STUDIES.items():
        assert chosen.name == name
        assert chosen.claim.endswith(".")


def test_gradients_are_kept_when_a_training_is_stopped(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped and started again, the study ends with the norms of one that never was."""
    settings = {"epochs": 3, "models": (SHALLOW,)}
    whole = gradient_flow.conduct(setup_of("gradient-flow", store, tmp_path / "whole", **settings))
    assert sorted(whole.table["epoch"].unique()) == [0, 1, 2, 3]

    stopped, real = (
        setup_of("gradient-flow", store, tmp_path / "stopped", **settings),
        runs.complete,
    )

    def stop_after_two(run: Run, after_epoch: object) -> None:
        def look(row: dict[str, float], model: object) -> None:
            after_epoch(row, model)
            if row["epoch"] == 2:  # measured, but the epoch is not closed
                raise Interrupted("stopped")

        real(run, look)

    with monkeypatch.context() as patch:
        patch.setattr(gradient_flow, "complete", stop_after_two)
        with pytest.raises(Interrupted):
            gradient_flow.conduct(stopped)
    pd.testing.assert_frame_equal(gradient_flow.conduct(stopped).table, whole.table)


def test_looking_does_not_change_the_training(store: Store, tmp_path: Path) -> None:
    setup = setup_of("gradient-flow", store, tmp_path, epochs=2, models=(SHALLOW,))
    gradient_flow.conduct(setup)
    watched = (
        tmp_path
        / "runs"
        / f"{SHALLOW}-residual-{setup.sample}cells-seed0"
        / "checkpoints"
        / "last.ckpt"
    )
    plain = setup.run("unwatched", 0)
    runs.complete(plain)
    ours, theirs = (Checkpoint.load(path).model for path in (watched, plain.checkpoint("last")))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_a_rate_that_diverges_is_noted_and_not_tried_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    real = learning_rate.complete

    def complete(run: Run) -> None:
        tried.append(run.config.recipe.learning_rate)
        if run.config.recipe.learning_rate > 0.02:
            raise Diverged("the loss of batch 3 of epoch 1 is nan")
        real(run)

    monkeypatch.setattr(learning_rate, "complete", complete)
    setup = setup_of("learning-rate", store, tmp_path)
    finding = learning_rate.conduct(setup)
    assert tried == [0.0003, 0.003, 0.03]
    assert finding.table["diverged"].tolist() == [False, False, True]
    assert "diverged at 0.03" in finding.paragraph
    learning_rate.conduct(setup)
    assert tried == [0.0003, 0.003, 0.03, 0.0003, 0.003]


def test_where_every_rate_diverges_nothing_is_decided(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(_run: Run) -> None:
        raise Diverged("the loss of batch 3 of epoch 1 is nan")

    monkeypatch.setattr(learning_rate, "complete", diverged)
    finding = learning_rate.conduct(setup_of("learning-rate", store, tmp_path))
    assert finding.verdict == "undecided"
    assert "Every training diverged" in finding.paragraph
    assert finding.table["fluctuation"].isna().all()
    write_study(finding, tmp_path)


def test_what_is_set_takes_the_place_of_the_studys_own(store: Store, tmp_path: Path) -> None:
    usual = setup_of("gradient-flow", store, tmp_path, overrides=["learning_rate=0.1"])
    assert usual.overrides == ("epochs=1", "learning_rate=0.1")
    setup = setup_of("gradient-flow", store, tmp_path, overrides=["epochs = 2"])
    assert setup.overrides == ("epochs = 2",)
    assert setup.config(0).recipe.epochs == 2
    assert "recipe demo with epochs = 2, seed 0" in setup.measured_on()


def test_several_seeds_are_several_runs(store: Store, tmp_path: Path) -> None:
    setup = setup_of("depth", store, tmp_path, epochs=1, seeds=(3, 4))
    finding = STUDIES["depth"].conduct(setup)
    assert len(list((tmp_path / "runs").iterdir())) == 8
    assert finding.table.groupby("seed").size().to_dict() == {3: 4, 4: 4}
    assert "seeds 3, 4" in finding.paragraph
    assert "One seed" not in finding.paragraph


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("depth", {"values": (1, 2)}, "study depth varies no number"),
        ("depth", {"models": ("resnet18",)}, "takes 2 of --models, not 1"),
        ("batch-size", {"values": (16,)}, "two batch sizes or more"),
        ("batch-size", {"values": (16, 16)}, "all different"),
        ("batch-size", {"seeds": (1, 1)}, "--seeds"),
        ("batch-size", {"seeds": ()}, "--seeds"),
        ("batch-size", {"seeds": (-1,)}, "--seeds"),
        ("people", {"values": (1,)}, "two shares of the people or more"),
    ],
)
def test_what_a_study_cannot_take_is_said(
    name: str, settings: dict[str, object], message: str, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=message):
        setup_of(name, store, tmp_path, **settings)


def test_rates_need_the_recipes_own_and_a_smaller_one(store: Store, tmp_path: Path) -> None:
    for values in ((0.1, 10), (1, 10)):
        with pytest.raises(BadInputError, match="needs the factor 1"):
            learning_rate.conduct(setup_of("learning-rate", store, tmp_path, values=values))


@pytest.mark.parametrize("values", [(0.25, 0.5), (0, 1), (0.5, 2)])
def test_shares_go_up_to_all_people(
    values: tuple[float, ...], store: Store, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match="shares of the people above 0, the highest 1"):
        people.conduct(setup_of("people", store, tmp_path, values=values))


def test_fewer_people_and_fewer_cells_make_as_many_steps(store: Store, tmp_path: Path) -> None:
    steps, trained = {}, {}

    def look(work: Task, runs: Sequence[Run]) -> None:
        for run in runs:
            recipe, cells = run.config.recipe, run.open_store().rows("train")
            name = str(run.folder.relative_to(tmp_path / "runs"))
            steps[name], trained[name] = recipe.epochs * len(cells), len(cells)
            assert recipe.warmup / recipe.epochs == pytest.approx(1 / 10, rel=0.05)
        raise Interrupted

    setup = setup_of("people", store, tmp_path, values=(0.4, 1))
    with pytest.raises(Interrupted):
        people.conduct(replace(setup, overrides=("epochs=10", "warmup=1"), crew=look))
    assert len(steps) == 3 * store.parts
    for fold in range(store.parts):
        every, fewer, thinner = (
            f"{name}/fold{fold}-seed0" for name in ("people1", "people0.4", "cells0.4")
        )
        assert trained[fewer] < trained[every] > trained[thinner]
        for one in (fewer, thinner):
            assert steps[one] == pytest.approx(steps[every], rel=0.05)


def test_from_the_command_line(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["study", "batch-size", store.folder, "-o", tmp_path, "--models", SHALLOW, "--quick"]
    words += ["--values", "8, 16", "--seeds", "1,2", "--set", "epochs=3", "--threads", 1]
    monkeypatch.setattr(sys, "argv", ["leukoscope", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    finding = Finding.read(tmp_path)
    assert finding.verdict.upper() in printed
    assert f"Measured with {SHALLOW} under recipe demo with epochs=3," in finding.paragraph
    assert finding.table["batch_size"].tolist() == [8, 16, 8, 16]
    assert finding.table["seed"].tolist() == [1, 1, 2, 2]


def test_an_unknown_study_lists_the_known_ones() -> None:
    with pytest.raises(BadInputError, match="no study 'width'; the studies are leakage, "):
        study("width")
