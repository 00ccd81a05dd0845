"""The trainer: does what the recipe says, writes down what happened, says when it fails."""

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from leukoscope import models
from leukoscope.cells.division import Division
from leukoscope.cells.loader import TrainingLoader
from leukoscope.cells.standard import Standard
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.training import trainer
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.divergence import Diverged
from leukoscope.training.optimizer import optimizer_of
from leukoscope.training.recipe import recipe
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.teacher import taught
from leukoscope.training.trainer import train
from trainings import NARROW, SETTINGS, Untrained, assert_same, flip, weights


def test_first_epoch_is_plain_sgd(store: Store, untrained: Untrained) -> None:
    # Double precision and no small last batch: at 32 pixels the last stage's batch norm sees one
    # value a cell, and amplifies the rounding of a few cells to a per cent.
    run = untrained(overrides=[*SETTINGS, "epochs=1", "batch_size=12"], precision="64-true")
    train(run)

    # The same epoch, written out with nothing but torch.
    torch.manual_seed(0)
    model = models.create("resnet18", **NARROW).double()
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


def test_the_average_of_the_weights_is_what_is_judged(untrained: Untrained, store: Store) -> None:
    run = untrained("averaged", [*SETTINGS, "epochs=1", "averaging=0.75", "batch_size=12"])
    seen = []

    def look(_: dict[str, float], model: torch.nn.Module) -> None:
        seen.append(model.state_dict()["fc.weight"].clone())

    train(run, after_epoch=look)
    checkpoint = Checkpoint.load(run.checkpoint("last"))
    assert torch.equal(seen[0], checkpoint.judged["fc.weight"])
    assert not torch.equal(seen[0], checkpoint.model["fc.weight"])
    assert torch.equal(run.load_model("last").state_dict()["fc.weight"], seen[0])

    # The same average, from the weights after each step; the first ones soon have no say.
    plain = untrained("plain", [*SETTINGS, "epochs=1", "batch_size=12"])
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


def test_the_recipe_says_how_residual_branches_begin(untrained: Untrained) -> None:
    for name, told in (("usual", "false"), ("identity", "true")):
        run = untrained(name, overrides=[*SETTINGS, f"zero_init_residual={told}"])
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


def test_mixup_mixes_pictures_and_losses(untrained: Untrained) -> None:
    run = untrained("mixed", [*SETTINGS, "mixup=0.4"])
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


def test_a_teacher_gives_its_share_of_the_targets(untrained: Untrained) -> None:
    made = trainer.Trainer(untrained("taught", [*SETTINGS, "teacher=0.3", "balance=person"]), None)
    batch = next(iter(made.loader.epoch(0)))
    logits, loss = made._gradients(batch, trainer.Bar("taught", 1, "images"))
    told = taught(made.loader)[batch.rows]
    targets = 0.7 * F.one_hot(batch.labels, 2) + 0.3 * told
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets))


def test_weights_that_are_no_numbers_after_the_last_step_stop_with_their_epoch(
    untrained: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer.Trainer(untrained(), None)
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


def test_training_needs_no_main_thread(whole: Run, untrained: Untrained) -> None:
    run = untrained(watch_test=True)
    thread = threading.Thread(target=train, args=(run,))
    thread.start()
    thread.join()
    assert_same(whole, run)


def test_a_loss_that_is_no_number_stops_with_its_batch(
    untrained: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = untrained()
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


def test_a_run_folder_is_never_overwritten(whole: Run) -> None:
    with pytest.raises(BadInputError, match="already holds a run"):
        Run.create(whole.folder, whole.config)


def test_another_store_in_its_place_is_noticed(untrained: Untrained) -> None:
    run = untrained()
    changed = Run(run.folder, run.config.model_copy(update={"store_digest": "0" * 64}))
    with pytest.raises(BadInputError, match="prepared anew"):
        train(changed)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"division": Division(split="shifted")}, "needs cells of fold_0"),
        ({"division": Division(fold=7)}, "fold 7: the parts of this store are 0 to"),
        ({"compile": True, "checkpoint_activations": True}, "cannot compute its activations"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_work(
    store: Store, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        RunConfig.plan(store.folder, "resnet18", "lab", threads=1, device="cpu", **settings)


def test_a_test_split_without_labels_is_not_watched(store: Store, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store.folder, tmp_path / "store"))
    unknown = store.cells.assign(label=store.cells["label"].mask(store.cells["split"].eq("test")))
    unknown.to_parquet(copy / "cells.parquet", index=False)
    with pytest.raises(BadInputError, match="the test split has no labels to watch"):
        RunConfig.plan(copy, "resnet18", "lab", threads=1, device="cpu", watch_test=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_here_is_said(store: Store, tmp_path: Path) -> None:
    config = RunConfig.plan(store.folder, "resnet18", "lab", threads=1, device="cuda")
    with pytest.raises(BadInputError, match="device cuda cannot be used"):
        train(Run.create(tmp_path / "run", config))


def test_a_damaged_store_is_not_trained_on(untrained: Untrained) -> None:
    run = untrained()
    copy = run.folder / "store"
    shutil.copytree(run.config.store, copy)
    flip(copy / "pixels.npy", -1)
    run = run.configured(run.config.model_copy(update={"store": str(copy)}))
    with pytest.raises(BadInputError, match=r"pixels\.npy is damaged"):
        train(run)


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # of torch itself
def test_a_machine_without_a_compiler_trains_as_it_is(
    untrained: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def broken(*_: object, **__: object) -> None:
        asked.append(True)
        raise RuntimeError("no compiler here")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", broken)
    settings = [*SETTINGS, "epochs=1"]
    runs = [untrained(str(compiled), settings, compile=compiled) for compiled in (True, False)]
    for run in runs:
        train(run)
    assert asked
    assert_same(*runs)
