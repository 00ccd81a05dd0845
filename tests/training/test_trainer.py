"""The trainer: repeats bit for bit, resumes from anywhere, says when it fails."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from leukoscope import models
from leukoscope.cells.loader import TrainingLoader
from leukoscope.cells.standard import Standard
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.files import SCRATCH
from leukoscope.models.resnet import ResNet
from leukoscope.studies.runs import complete, open_or_create
from leukoscope.training import trainer
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.divergence import Diverged
from leukoscope.training.optimizer import optimizer_of
from leukoscope.training.passes import OutOfMemory
from leukoscope.training.recipe import recipe
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.stopping import Interrupted
from leukoscope.training.teacher import taught
from leukoscope.training.trainer import train

SETTINGS = ["batch_size=8", "epochs=3", "learning_rate=0.01", "momentum=0.9"]
MACHINE_COLUMNS = ["images_per_second", "seconds"]

NewRun = Callable[..., Run]


@pytest.fixture
def new_run(store: Store, tmp_path: Path) -> NewRun:
    def create(name: str = "run", overrides: list[str] = SETTINGS, **options: Any) -> Run:
        config = RunConfig.plan(
            store.folder, "resnet18", "lab", overrides, threads=1, device="cpu", **options
        )
        return Run.create(tmp_path / name, config)

    return create


@pytest.fixture(scope="module")
def whole(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was never interrupted."""
    config = RunConfig.plan(
        store.folder, "resnet18", "lab", SETTINGS, threads=1, device="cpu", watch_test=True
    )
    run = Run.create(tmp_path_factory.mktemp("whole") / "run", config)
    train(run)
    return run


def weights(run: Run) -> dict[str, torch.Tensor]:
    return Checkpoint.load(run.checkpoint("last")).model


def assert_same(first: Run, second: Run) -> None:
    ours, theirs = weights(first), weights(second)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    pd.testing.assert_frame_equal(
        first.history.drop(columns=MACHINE_COLUMNS), second.history.drop(columns=MACHINE_COLUMNS)
    )


def stop_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Send this process the signal of Ctrl-C at the end of batch number `batches`."""
    seen = 0
    advance = trainer.Bar.advance

    def counting(bar: trainer.Bar, by: int = 1) -> None:
        nonlocal seen
        advance(bar, by)
        seen += 1
        if seen == batches:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(trainer.Bar, "advance", counting)


def test_first_epoch_is_plain_sgd(store: Store, new_run: NewRun) -> None:
    # Double precision and no small last batch: at 32 pixels the last stage's batch norm sees one
    # value a cell, and amplifies the rounding of a few cells to a per cent.
    run = new_run(overrides=[*SETTINGS, "epochs=1", "batch_size=12"], precision="64-true")
    train(run)

    # The same epoch, written out with nothing but torch.
    torch.manual_seed(0)
    model = models.create("resnet18").double()
    velocity = [torch.zeros_like(weight) for weight in model.parameters()]
    losses, correct, cells = [], 0, 0
    for batch in TrainingLoader(store, 12, seed=0).epoch(0):
        logits = model(Standard.of(store)(batch).double())
        loss = F.cross_entropy(logits, batch.labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for weight, speed, gradient in zip(
                model.parameters(), velocity, gradients, strict=True
            ):
                speed.mul_(0.9).add_(gradient)
                weight.sub_(0.01 * speed)
        losses.append(loss.item() * len(batch.labels))
        correct += (logits.argmax(1) == batch.labels).sum().item()
        cells += len(batch.labels)

    row = run.history.iloc[0]
    assert row["train_loss"] == pytest.approx(sum(losses) / cells, rel=1e-5)
    assert row["train_accuracy"] == pytest.approx(correct / cells)
    for key, weight in model.named_parameters():
        torch.testing.assert_close(weights(run)[key], weight.detach(), rtol=1e-4, atol=1e-5)


EVERYTHING = [
    *SETTINGS,
    "optimizer=adamw",
    "learning_rate=0.002",
    "weight_decay=0.05",
    "schedule=cosine",
    "warmup=1",
    "label_smoothing=0.1",
    "mixup=0.4",
    "teacher=0.3",
    "balance=person",
    "averaging=0.9",
    "keep=last",
    "augmentation.rotation=true",
    "augmentation.scale=0.1",
    "augmentation.stain=0.1",
]
"""Every part of a recipe that the lab's has not."""


def test_a_run_with_everything_resumes_bit_for_bit(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = new_run("straight", EVERYTHING)
    train(straight)
    broken = new_run("broken", EVERYTHING)
    batches = len(TrainingLoader(broken.open_store(), 8, 0))
    with monkeypatch.context() as patch:
        stop_after(patch, batches + 2)
        with pytest.raises(Interrupted):
            train(broken)
    train(broken, broken.checkpoint("last"))
    assert_same(straight, broken)
    ours, theirs = (Checkpoint.load(run.checkpoint("best")) for run in (straight, broken))
    assert all(torch.equal(ours.judged[name], theirs.judged[name]) for name in ours.judged)
    assert ours.progress.epoch == 3  # the last is kept
    assert straight.history["learning_rate"].iloc[-1] == pytest.approx(0)


def test_the_average_of_the_weights_is_what_is_judged(new_run: NewRun, store: Store) -> None:
    run = new_run("averaged", [*SETTINGS, "epochs=1", "averaging=0.75", "batch_size=12"])
    seen = []

    def look(_: dict[str, float], model: torch.nn.Module) -> None:
        seen.append(model.state_dict()["fc.weight"].clone())

    train(run, after_epoch=look)
    checkpoint = Checkpoint.load(run.checkpoint("last"))
    assert torch.equal(seen[0], checkpoint.judged["fc.weight"])
    assert not torch.equal(seen[0], checkpoint.model["fc.weight"])
    assert torch.equal(run.load_model("last").state_dict()["fc.weight"], seen[0])

    # The same average, from the weights after each step; the first ones soon have no say.
    plain = new_run("plain", [*SETTINGS, "epochs=1", "batch_size=12"])
    original = trainer.Bar.advance

    watched = trainer.Trainer(plain, None)
    steps = [watched.model.module.fc.weight.detach().clone()]

    def note(bar: trainer.Bar, by: int = 1) -> None:
        original(bar, by)
        steps.append(watched.model.module.fc.weight.detach().clone())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.Bar, "advance", note)
        watched.fit()
    average = steps[0]
    for decay, step in zip((1 / 10, 2 / 11, 3 / 12), steps[1:], strict=True):
        average = decay * average + (1 - decay) * step
    torch.testing.assert_close(seen[0], average, rtol=1e-4, atol=1e-5)


def test_the_recipe_says_how_residual_branches_begin(new_run: NewRun) -> None:
    for name, told in (("usual", "false"), ("identity", "true")):
        run = new_run(name, overrides=[*SETTINGS, f"zero_init_residual={told}"])
        branches = run.config.first_model().conv3_x[1].conv_block2[1].weight
        assert branches.eq(0).all() == (told == "true")
        begun = trainer.Trainer(run, None).model.state_dict()
        expected = run.config.first_model().state_dict()
        assert all(torch.equal(begun[key], value) for key, value in expected.items())


def test_norms_and_biases_do_not_decay() -> None:
    model = models.create("resnet18")
    optimizer = optimizer_of(model, recipe("lab", ["weight_decay=0.1", "learning_rate=1"]))
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for name, weight in model.named_parameters():
        left = 1.0 if weight.ndim == 1 else 0.9
        torch.testing.assert_close(weight.detach(), left * before[name])


def test_mixup_mixes_pictures_and_losses(new_run: NewRun) -> None:
    run = new_run("mixed", [*SETTINGS, "mixup=0.4"])
    made = trainer.Trainer(run, None)
    batch = next(iter(made.loader.epoch(0)))
    seen: list[torch.Tensor] = []
    made.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(7)
    logits, loss = made._gradients(batch, trainer.Bar("mixed", 1, "images"))
    torch.manual_seed(7)
    share = torch.distributions.Beta(0.4, 0.4).sample().item()
    other = torch.randperm(len(batch.labels))
    pictures = made.lesson.standard(batch)
    torch.testing.assert_close(seen[0], share * pictures + (1 - share) * pictures[other])
    targets = F.one_hot(batch.labels, 2).float()
    soft = share * targets + (1 - share) * targets[other]
    torch.testing.assert_close(loss, F.cross_entropy(logits, soft))


def test_a_teacher_gives_its_share_of_the_targets(new_run: NewRun) -> None:
    made = trainer.Trainer(new_run("taught", [*SETTINGS, "teacher=0.3", "balance=person"]), None)
    batch = next(iter(made.loader.epoch(0)))
    logits, loss = made._gradients(batch, trainer.Bar("taught", 1, "images"))
    told = taught(made.loader)[batch.rows]
    targets = 0.7 * F.one_hot(batch.labels, 2) + 0.3 * told
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets))


def gradients(run: Run) -> list[torch.Tensor]:
    """Return the gradients of the first batch, and what the norms keep."""
    made = trainer.Trainer(run, None)
    made.model.train()
    torch.manual_seed(7)
    made._gradients(next(iter(made.loader.epoch(0))), trainer.Bar("", 1, "images"))
    kept = [buffer.clone() for buffer in made.model.buffers()]
    return [weight.grad for weight in made.model.parameters() if weight.grad is not None] + kept


@pytest.mark.parametrize("micro_batch", [2, 3, 100])
def test_parts_of_a_batch_add_up_to_its_gradients(new_run: NewRun, micro_batch: int) -> None:
    settings = [*SETTINGS, "mixup=0.4", "label_smoothing=0.1"]
    # Group norm, for batch norm sees the parts; float64, for the sum goes in another order.
    options = {"model_options": {"norm": "group"}, "precision": "64-true"}
    whole = gradients(new_run("whole", settings, **options))
    split = gradients(new_run("split", settings, micro_batch=micro_batch, **options))
    assert len(whole) == len(split) > 60
    for ours, theirs in zip(split, whole, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_narrow_network_lives_through_several_threads(store: Store, tmp_path: Path) -> None:
    # On two it would end the process, tests and all.
    config = RunConfig.plan(
        store.folder,
        "resnet18",
        "lab",
        [*SETTINGS, "epochs=3"],
        threads=2,
        device="cpu",
        model_options={"width": 4},
    )
    narrow = Run.create(tmp_path / "run", config)
    train(narrow)
    assert len(narrow.history) == 3


def test_activations_computed_twice_change_nothing(new_run: NewRun) -> None:
    kept = gradients(new_run("kept"))
    forgotten = gradients(new_run("forgotten", checkpoint_activations=True))
    for ours, theirs in zip(forgotten, kept, strict=True):
        assert torch.equal(ours, theirs)


def test_activations_computed_twice_go_with_an_average_of_the_weights(new_run: NewRun) -> None:
    settings = [*SETTINGS, "epochs=1", "averaging=0.9"]
    kept, forgotten = new_run("kept", settings), new_run("f", settings, checkpoint_activations=True)
    for run in (kept, forgotten):
        train(run)
    assert_same(kept, forgotten)


def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = new_run("parts", micro_batch=2)
    train(expected)
    run = new_run("short")
    forward = ResNet.forward
    room = {"passes": 0}

    def short(model: ResNet, x: torch.Tensor) -> torch.Tensor:
        # The memory ends late: norms have moved, and of parts of four the first was passed.
        told = forward(model, x)
        room["passes"] += model.training
        if model.training and (len(x) > 4 or (len(x) > 2 and room["passes"] > 2)):
            raise torch.OutOfMemoryError("no room")
        return told

    monkeypatch.setattr(ResNet, "forward", short)
    train(run)
    said = capsys.readouterr().err
    assert "parts of 4 cells" in said
    assert "parts of 2 cells" in said
    assert Run.open(run.folder).config.micro_batch == 2
    assert_same(expected, run)


def test_what_does_not_fit_in_any_part_is_said(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: ResNet, _x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(ResNet, "forward", never)
    with pytest.raises(OutOfMemory, match="--checkpoint-activations"):
        train(new_run())


def test_parts_that_a_lack_of_memory_asked_for_stay_after_an_interruption(
    new_run: NewRun,
) -> None:
    run = new_run()
    run.configured(run.config.model_copy(update={"micro_batch": 4}))
    assert open_or_create(run.config, run.folder).config.micro_batch == 4
    asked = run.config.model_copy(update={"micro_batch": 2})
    assert open_or_create(asked, run.folder).config.micro_batch == 2


def test_weights_that_are_no_numbers_after_the_last_step_stop_with_their_epoch(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer.Trainer(new_run(), None)
    torch.nn.init.constant_(made.model.module.fc.bias, torch.nan)
    with pytest.raises(Diverged, match=r"after epoch 1 .* smaller learning rate"):
        made.judge(made.judging, 1)


def test_history_has_a_row_an_epoch(whole: Run) -> None:
    history = whole.history
    assert history["epoch"].tolist() == [1, 2, 3]
    assert (history["learning_rate"] == 0.01).all()
    for split in ("train", "validation", "test"):
        assert history[f"{split}_accuracy"].between(0, 1).all()
        assert np.isfinite(history[f"{split}_loss"]).all()
    assert whole.finished


def test_validation_figures_are_those_of_the_saved_weights(whole: Run, store: Store) -> None:
    model, rows = whole.load_model("last"), store.rows("validation")
    pixels = (store.pixels[rows] / 255 - store.info.mean) / store.info.std
    with torch.no_grad():
        logits = model(torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32))
    labels = torch.tensor(store.labels[rows])
    last = whole.history.iloc[-1]
    assert last["validation_loss"] == pytest.approx(
        F.cross_entropy(logits, labels).item(), rel=1e-4
    )
    assert last["validation_accuracy"] == (logits.argmax(1) == labels).double().mean().item()
    blast = logits[:, 1] - logits[:, 0]
    pairs = blast[labels == 1][:, None] - blast[labels == 0]
    assert last["validation_auroc"] == pytest.approx((pairs > 0).double().mean().item())


def test_best_is_chosen_on_validation(whole: Run) -> None:
    best = Checkpoint.load(whole.checkpoint("best")).progress
    history = whole.history.sort_values(
        ["validation_accuracy", "validation_loss", "epoch"], ascending=[False, True, True]
    )
    assert best.epoch == history["epoch"].iloc[0]


def test_a_run_repeats_bit_for_bit(whole: Run, new_run: NewRun) -> None:
    again = new_run(watch_test=True)
    train(again)
    assert_same(whole, again)


def test_another_seed_is_another_run(whole: Run, new_run: NewRun) -> None:
    other = new_run(seed=1, overrides=[*SETTINGS, "epochs=1"])
    train(other)
    assert not torch.equal(weights(whole)["fc.weight"], weights(other)["fc.weight"])


@pytest.mark.parametrize("batches", [1, 4, 6, 11])
def test_interrupted_and_resumed_equals_uninterrupted(
    whole: Run, new_run: NewRun, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    run = new_run(watch_test=True)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        stop_after(patch, batches)
        with pytest.raises(Interrupted, match=rf"train --resume .*{run.folder.name}"):
            train(run)
    assert signal.getsignal(signal.SIGINT) is before
    train(Run.open(run.folder), resume=run.checkpoint("last"))
    assert_same(whole, run)


def test_a_clock_set_back_changes_nothing(
    whole: Run, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(watch_test=True)
    hours = itertools.count()
    monkeypatch.setattr("time.time", lambda: 2e9 - 3600 * next(hours))
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(Interrupted):
            train(run)
    train(Run.open(run.folder), resume=run.newest_checkpoint())
    assert_same(whole, run)


def test_resumed_from_its_best_epoch_equals_uninterrupted(whole: Run, new_run: NewRun) -> None:
    run = new_run(watch_test=True)
    train(run)
    train(run, resume=run.checkpoint("best"))
    assert_same(whole, run)


def test_resuming_a_finished_run_changes_nothing(whole: Run) -> None:
    before = weights(whole)
    train(whole, resume=whole.checkpoint("last"))
    assert all(torch.equal(before[key], value) for key, value in weights(whole).items())


def test_training_needs_no_main_thread(whole: Run, new_run: NewRun) -> None:
    run = new_run(watch_test=True)
    thread = threading.Thread(target=train, args=(run,))
    thread.start()
    thread.join()
    assert_same(whole, run)


def test_a_loss_that_is_no_number_stops_with_its_batch(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    calls = 0
    cross_entropy = F.cross_entropy

    def poisoned(logits: torch.Tensor, labels: torch.Tensor, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += "label_smoothing" in options
        return cross_entropy(logits, labels, **options) * (torch.nan if calls == 8 else 1)

    monkeypatch.setattr(F, "cross_entropy", poisoned)
    with pytest.raises(Diverged, match="batch 3 of epoch 2 is nan"):
        train(run)
    assert Checkpoint.load(run.checkpoint("last")).progress.epoch == 1
    assert all(torch.isfinite(value).all() for value in weights(run).values())


def test_a_history_that_cannot_be_read_is_written_anew(whole: Run, new_run: NewRun) -> None:
    run = new_run(watch_test=True)
    train(run)
    (run.folder / "history.csv").write_bytes(b"epoch,\xff\n1,2\n")
    with pytest.raises(BadInputError, match=r"cannot be read .* writes it anew"):
        _ = run.history
    train(Run.open(run.folder), resume=run.newest_checkpoint())
    assert_same(whole, run)


def test_a_run_folder_is_never_overwritten(whole: Run) -> None:
    with pytest.raises(BadInputError, match="already holds a run"):
        Run.create(whole.folder, whole.config)


def test_another_store_in_its_place_is_noticed(new_run: NewRun) -> None:
    run = new_run()
    changed = Run(run.folder, run.config.model_copy(update={"store_digest": "0" * 64}))
    with pytest.raises(BadInputError, match="prepared anew"):
        train(changed)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_here_is_said(store: Store, tmp_path: Path) -> None:
    config = RunConfig.plan(store.folder, "resnet18", "lab", threads=1, device="cuda")
    with pytest.raises(BadInputError, match="device cuda cannot be used"):
        train(Run.create(tmp_path / "run", config))


def flip(path: Path, place: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def broken_twice(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run that was stopped a batch after it went on: it has two checkpoints."""
    run = new_run("broken", watch_test=True)
    for batches in (2, 1):
        with monkeypatch.context() as patch:
            stop_after(patch, batches)
            with pytest.raises(Interrupted):
                train(run, run.newest_checkpoint())
    return run


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    whole: Run,
    new_run: NewRun,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = broken_twice(new_run, monkeypatch)
    flip(run.checkpoint("last"), -1000)
    complete(run)
    assert "last.ckpt is damaged" in capsys.readouterr().err
    assert_same(whole, run)


def test_between_two_checkpoints_the_one_before_is_the_newest(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_twice(new_run, monkeypatch)
    run.checkpoint("last").unlink()
    start = run.newest_checkpoint()
    assert start is not None
    assert Checkpoint.load(start).progress.batch == 2


def test_where_no_checkpoint_is_whole_it_is_said(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_twice(new_run, monkeypatch)
    for path in (run.folder / "checkpoints").glob("*.ckpt"):
        flip(path, 100)
    with pytest.raises(
        BadInputError, match=r"last\.ckpt is damaged.*\n.*previous\.ckpt is damaged"
    ):
        complete(run)


def test_two_processes_do_not_train_one_run(new_run: NewRun) -> None:
    run = new_run()
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from leukoscope.lock import held\n"
        f"with held(Path({str(run.folder)!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BadInputError, match=f"is in use by process {other.pid} of "):
            train(run)
        with pytest.raises(BadInputError, match="is in use"):
            run.configured(run.config)
        other.kill()
        other.wait()
    train(run)
    assert run.finished


def test_what_a_killed_process_was_writing_is_removed(new_run: NewRun) -> None:
    run = new_run()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    places = [run.folder / "checkpoints" / f"{SCRATCH}{pid}-x" for pid in (ended.pid, os.getppid())]
    places[0].parent.mkdir()
    for scratch in places:
        scratch.write_text("half")
    train(run)
    assert [scratch.exists() for scratch in places] == [False, True]


def test_a_damaged_store_is_not_trained_on(new_run: NewRun) -> None:
    run = new_run()
    copy = run.folder / "store"
    shutil.copytree(run.config.store, copy)
    flip(copy / "pixels.npy", -1)
    run = run.configured(run.config.model_copy(update={"store": str(copy)}))
    with pytest.raises(BadInputError, match=r"pixels\.npy is damaged"):
        train(run)


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # of torch itself
def test_a_machine_without_a_compiler_trains_as_it_is(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def broken(*_: object, **__: object) -> None:
        asked.append(True)
        raise RuntimeError("no compiler here")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", broken)
    settings = [*SETTINGS, "epochs=1"]
    runs = [new_run(str(compiled), settings, compile=compiled) for compiled in (True, False)]
    for run in runs:
        train(run)
    assert asked
    assert_same(*runs)
