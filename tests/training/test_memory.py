"""What does not fit into memory: parts of a batch, and activations computed twice."""

from pathlib import Path

import pytest
import torch

from leukoscope.cells.store import Store
from leukoscope.models.resnet import ResNet
from leukoscope.studies.runs import open_or_create
from leukoscope.training import trainer
from leukoscope.training.memory import out_of_memory, parts
from leukoscope.training.passes import OutOfMemory
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train
from trainings import SETTINGS, Untrained, assert_same


@pytest.mark.parametrize("micro_batch", [None, 2, 3, 5, 8, 16, 100])
@pytest.mark.parametrize("cells", [2, 3, 5, 7, 16, 17, 64])
def test_parts_are_small_and_never_a_single_cell(cells: int, micro_batch: int | None) -> None:
    sizes = [len(part) for part in torch.zeros(cells).tensor_split(parts(cells, micro_batch))]
    assert sum(sizes) == cells
    assert min(sizes) >= 2
    # With parts of two, an odd batch has one of three.
    assert max(sizes) <= max(micro_batch or cells, 3)


def test_short_memory_is_told_from_other_errors() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: you tried"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("shapes differ"))


def gradients(run: Run) -> list[torch.Tensor]:
    """Return the gradients of the first batch, and what the norms keep."""
    made = trainer.Trainer(run, None)
    made.model.train()
    torch.manual_seed(7)
    made._gradients(next(iter(made.loader.epoch(0))), trainer.Bar("", 1, "images"))
    kept = [buffer.clone() for buffer in made.model.buffers()]
    return [weight.grad for weight in made.model.parameters() if weight.grad is not None] + kept


@pytest.mark.parametrize("micro_batch", [2, 3, 100])
def test_parts_of_a_batch_add_up_to_its_gradients(untrained: Untrained, micro_batch: int) -> None:
    settings = [*SETTINGS, "mixup=0.4", "label_smoothing=0.1"]
    # Group norm, for batch norm sees the parts; float64, for the sum goes in another order.
    options = {"model_options": {"norm": "group"}, "precision": "64-true"}
    whole = gradients(untrained("whole", settings, **options))
    split = gradients(untrained("split", settings, micro_batch=micro_batch, **options))
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


def test_activations_computed_twice_change_nothing(untrained: Untrained) -> None:
    kept = gradients(untrained("kept"))
    forgotten = gradients(untrained("forgotten", checkpoint_activations=True))
    for ours, theirs in zip(forgotten, kept, strict=True):
        assert torch.equal(ours, theirs)


def test_activations_computed_twice_go_with_an_average_of_the_weights(untrained: Untrained) -> None:
    settings = [*SETTINGS, "epochs=1", "averaging=0.9"]
    kept, forgotten = (
        untrained("kept", settings),
        untrained("f", settings, checkpoint_activations=True),
    )
    for run in (kept, forgotten):
        train(run)
    assert_same(kept, forgotten)


def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    untrained: Untrained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = untrained("parts", micro_batch=2)
    train(expected)
    run = untrained("short")
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
    untrained: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: ResNet, _x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(ResNet, "forward", never)
    with pytest.raises(OutOfMemory, match="--checkpoint-activations"):
        train(untrained())


def test_parts_that_a_lack_of_memory_asked_for_stay_after_an_interruption(
    untrained: Untrained,
) -> None:
    run = untrained()
    run.configured(run.config.model_copy(update={"micro_batch": 4}))
    assert open_or_create(run.config, run.folder).config.micro_batch == 4
    asked = run.config.model_copy(update={"micro_batch": 2})
    assert open_or_create(asked, run.folder).config.micro_batch == 2
