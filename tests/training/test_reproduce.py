"""Reproducing: the same again, or what is not."""

import json
from pathlib import Path

import pytest

from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.reproduce import changes, reproduce
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train
from trainings import NARROW


@pytest.fixture(scope="module")
def short(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = ["batch_size=8", "epochs=2", "mixup=0.4", "averaging=0.9"]
    config = RunConfig.plan(
        store.folder,
        "resnet18",
        "lab",
        settings,
        model_options=NARROW,
        threads=1,
        device="cpu",
    )
    run = Run.create(tmp_path_factory.mktemp("short") / "run", config)
    train(run)
    return run


def test_a_run_comes_out_the_same(short: Run, tmp_path: Path) -> None:
    assert reproduce(short, tmp_path / "again") == []
    assert changes(short) == []


def test_what_comes_out_otherwise_is_named(short: Run, tmp_path: Path) -> None:
    other = Run.create(tmp_path / "other", short.config)
    train(other)
    path = other.checkpoint("last")
    checkpoint = Checkpoint.load(path)
    checkpoint.model["fc.bias"][0] += 1e-7
    checkpoint.save(path)
    other.write_history(other.history.assign(train_loss=0.0).to_dict("records"))
    found = reproduce(other, tmp_path / "again")
    assert [line.split(":")[0] for line in found] == ["weights of the last epoch", "history"]


def test_another_environment_is_said(short: Run) -> None:
    path = short.folder / "environment.json"
    kept = path.read_text()
    told = json.loads(kept)
    told["packages"]["torch"] = "1.0"
    del told["instructions"]
    path.write_text(json.dumps(told))
    found = changes(short)
    path.write_text(kept)
    assert len(found) == 2
    assert found[0].startswith("instructions: unknown then, ")
    assert found[1].startswith("torch: 1.0 then, 2.")


def test_what_is_not_finished_is_not_reproduced(store: Store, tmp_path: Path) -> None:
    config = RunConfig.plan(store.folder, "resnet18", "lab", threads=1, device="cpu")
    with pytest.raises(BadInputError, match="not finished"):
        reproduce(Run.create(tmp_path / "run", config), tmp_path / "again")
    assert not (tmp_path / "again").exists()
