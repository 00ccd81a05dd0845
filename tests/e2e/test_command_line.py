"""The command line as a person uses it: whole ways through, exit statuses, what is printed."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from leukoscope import cli
from leukoscope.cells import manifest
from leukoscope.cells.splits import Policy
from leukoscope.cells.store import Store
from leukoscope.cli.cells import prepare
from leukoscope.training.checkpoint import Checkpoint

Leukoscope = Callable[..., subprocess.CompletedProcess[str]]

ENGINE = ["--engine", "fp32"]
OUTSIDE = "--allow-outside"
FAST = ["--set", "batch_size=8", "--threads", "1"]


@pytest.fixture
def leukoscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leukoscope:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*words: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "leukoscope", *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_from_phantom_cells_to_a_report(leukoscope: Leukoscope, tmp_path: Path) -> None:
    leukoscope("phantom", "cells", "--subjects", 12, "--cells", 60)
    printed = leukoscope("manifest", "cells", "-o", "cells.csv").stdout
    assert "60 cells in = 60 out + 0 rejected" in printed
    printed = leukoscope("prepare", "cells.csv", "-o", "store", "--size", 32).stdout
    assert "people stands on two sides" in printed
    words = ["compare", "store", "-o", "runs", "--models", "resnet18,resnet34", *FAST]
    printed = leukoscope(*words, "--set", "epochs=2").stdout
    assert "resnet34" in printed
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.ckpt")}
    leukoscope(*words, "--set", "epochs=2")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.ckpt")}
    assert "another configuration" in leukoscope(*words, "--set", "epochs=3", status=2).stderr
    leukoscope("report", "runs")
    page = (tmp_path / "runs" / "report.html").read_text(encoding="utf-8")
    assert "phantom" in page.lower()


def test_train_interrupt_resume_evaluate_submit(
    leukoscope: Leukoscope, tmp_path: Path, cells: pd.DataFrame
) -> None:
    manifest.write(cells, tmp_path / "cells.csv")
    leukoscope("prepare", "cells.csv", "-o", "store", "--size", "32", "--split", "lab", OUTSIDE)
    words = ["train", "store", *FAST, "--set", "epochs=4", "-o"]
    leukoscope(*words, "whole")

    training = subprocess.Popen(
        [sys.executable, "-m", "leukoscope", *words, "stopped", "--tensorboard"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "stopped" / "history.csv").exists():
        assert training.poll() is None
        time.sleep(0.01)
    training.send_signal(signal.SIGINT)
    _, said = training.communicate(timeout=60)
    assert training.returncode == 130, said
    assert "go on with: leukoscope train --resume stopped" in said
    said = leukoscope("train", "--resume", "stopped", "--model", "resnet50", status=2).stderr
    assert "settings of the machine: no model" in said
    leukoscope("train", "--resume", "stopped", "--checkpoint-activations")
    events = EventAccumulator(str(tmp_path / "stopped" / "tensorboard")).Reload()
    losses = pd.read_csv(tmp_path / "stopped" / "history.csv")["validation_loss"]
    told = {event.step: event.value for event in events.Scalars("loss/validation")}
    assert told == dict(enumerate(losses.astype("float32"), start=1))
    assert len(events.Scalars("loss/validation")) == len(losses) == 4
    assert not (tmp_path / "whole" / "tensorboard").exists()
    ours, theirs = (
        Checkpoint.load(tmp_path / name / "checkpoints" / "last.ckpt").model
        for name in ("stopped", "whole")
    )
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)

    printed = leukoscope("evaluate", "whole", "--submission", "out.csv").stdout
    predictions = pd.read_parquet(tmp_path / "whole" / "predictions-test.parquet")
    accuracy = (predictions["call"] == predictions["label"]).mean()
    assert re.search(rf"^accuracy +{accuracy:.3f} ", printed, re.MULTILINE)
    submission = pd.read_csv(tmp_path / "out.csv")
    assert submission["ID"].tolist() == predictions["id"].tolist()
    assert submission["label"].tolist() == predictions["call"].tolist()

    printed = leukoscope("export", "whole", "-o", "bundle").stdout
    assert "1 × resnet18, 32 × 32 pixels" in printed
    assert (tmp_path / "bundle" / "MODEL_CARD.md").exists()
    words = ["predict", "bundle", "cells.csv", OUTSIDE, "-o"]
    printed = leukoscope(*words, "calls.csv", *ENGINE).stdout
    assert f"{len(cells):,} pictures" in printed
    calls = pd.read_csv(tmp_path / "calls.csv")
    assert calls["path"].tolist() == cells["path"].tolist()
    tested = calls.set_index("path").loc[predictions["path"]]
    assert tested["probability"].tolist() == pytest.approx(predictions["calibrated"], abs=1e-4)
    assert "by the engine" in leukoscope(*words, "new/calls.parquet").stdout
    assert "written as .csv" in leukoscope(*words, "calls.xlsx", *ENGINE, status=2).stderr
    assert "already holds" in leukoscope("export", "whole", "-o", "bundle", status=2).stderr


def test_the_labs_lists_from_manifest_to_submission(
    leukoscope: Leukoscope, tmp_path: Path, cells: pd.DataFrame
) -> None:
    """`Path,label` lists with a root, a test list without labels, and its order kept."""
    shuffled = cells.sample(frac=1, random_state=0).reset_index(drop=True)
    lists = {"train": shuffled[:40], "valid": shuffled[40:56], "test": shuffled[56:]}
    for name, part in lists.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        paths = [f"./data/{name}/{number}.bmp" for number in range(len(part))]
        for path, source in zip(paths, part["path"], strict=True):
            (tmp_path / path).write_bytes(Path(source).read_bytes())
        table = pd.DataFrame({"Path": paths, "label": part["label"].to_numpy()})
        table = table.sample(frac=1, random_state=1)
        if name == "test":
            table = table[["Path"]]
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    leukoscope("manifest", "train.csv", "valid.csv", "test.csv", "--root", ".", "-o", "cells.csv")
    words = ["prepare", "cells.csv", "-o", "store", "--split", "lab", "--plan", "lab"]
    leukoscope(*words, "--crop", "resize", "--size", 32, "--export-images", "png")
    assert len(list((tmp_path / "png" / "test").rglob("*.png"))) == 16
    memory = ["--micro-batch", 4, "--checkpoint-activations"]
    leukoscope("train", "store", "-o", "run", *FAST, "--set", "epochs=1", *memory)
    assert "micro_batch: 4" in (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    leukoscope("evaluate", "run", "--submission", "out.csv")
    wanted = pd.read_csv(tmp_path / "test.csv")["Path"].tolist()
    assert pd.read_csv(tmp_path / "out.csv")["ID"].tolist() == wanted


def test_bad_rows_stop_or_are_set_aside(
    leukoscope: Leukoscope, tmp_path: Path, cells: pd.DataFrame
) -> None:
    rows = [*cells["path"][:5], "gone.bmp", cells["path"][0]]
    pd.DataFrame({"Path": rows, "label": [0, 1, 0, 1, 7, 0, 0]}).to_csv(
        tmp_path / "train.csv", index=False
    )
    said = leukoscope("manifest", "train.csv", OUTSIDE, "-o", "cells.csv", status=2).stderr
    assert not (tmp_path / "cells.csv").exists()
    for row in (6, 7, 8):
        assert f"row {row}" in said
    leukoscope("manifest", "train.csv", OUTSIDE, "-o", "cells.csv", "--skip-bad")
    kept, rejected = pd.read_csv(tmp_path / "cells.csv"), pd.read_csv(tmp_path / "rejected.csv")
    assert len(kept) + len(rejected) == 7
    assert {6, 7, 8} <= set(rejected["row"])


def refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run a command that must end with status 2; return what it says."""
    monkeypatch.setattr(sys, "argv", ["leukoscope", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("leukoscope: ")
    return said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepare", "gone.csv", "-o", "store"], "gone.csv"),
        (["train", "gone", "-o", "run"], "gone is no store"),
        (["train"], "a store and --output are needed"),
        (["train", "--resume", "gone"], "gone is no run"),
        (["evaluate", "gone"], "gone is no run"),
        (["report", "gone"], "gone holds no runs"),
        (["study", "width", "store", "-o", "out"], "no study 'width'; the studies are leakage"),
        (["study", "depth", "gone", "-o", "out"], "gone is no store"),
        (["study", "depth", "gone", "-o", "out", "--seeds", "0,x"], "--seeds 0,x: not numbers"),
        (["manifest", "gone", "-o", "cells.csv"], "gone: no such file or folder"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(words, monkeypatch, capsys)


def test_curves_without_their_extra_are_refused_before_any_work(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    words = ["train", str(store.folder), "-o", str(tmp_path / "run"), "--tensorboard"]
    said = refused(words, monkeypatch, capsys)
    assert said.endswith("pip install 'leukoscope[track]'\n")
    assert not (tmp_path / "run").exists()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, leukoscope.cli; "
        "heavy = {'torch', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_knows_every_split() -> None:
    """It names them itself, so that help needs no heavy import."""
    asked = get_type_hints(prepare)["split"]
    assert get_args(asked) == get_args(Policy)


def test_version(leukoscope: Leukoscope) -> None:
    assert leukoscope("--version").stdout == "leukoscope 0.1.0\n"


def test_real_cells_from_tree_to_calls(leukoscope: Leukoscope, tmp_path: Path, cnmc: Path) -> None:
    printed = leukoscope("manifest", cnmc, "-o", "cells.csv").stdout
    assert "0 rejected" in printed
    assert "what reads it needs --allow-outside" in printed
    printed = leukoscope("prepare", "cells.csv", OUTSIDE, "-o", "store", "--size", 64).stdout
    assert "people stands on two sides" in printed
    leukoscope("train", "store", "-o", "run", "--set", "epochs=1", "--threads", 2)
    printed = leukoscope("evaluate", "run").stdout
    assert "true blast" in printed
    predictions = pd.read_parquet(tmp_path / "run" / "predictions-test.parquet")
    assert predictions["probability"].between(0, 1).all()
    assert set(predictions["subject"].str.split(":").str[0]) == {"all", "hem"}
