"""Recipes: the lab's Table 1, and overrides that are checked."""

from pathlib import Path

import numpy as np
import pytest

from leukoscope.cells.augment import Augmentation
from leukoscope.errors import BadInputError
from leukoscope.training.recipe import RECIPES, recipe


def test_lab_is_table_1() -> None:
    lab = recipe("lab")
    assert (lab.batch_size, lab.epochs, lab.learning_rate, lab.optimizer) == (16, 40, 1e-3, "sgd")
    assert (lab.momentum, lab.weight_decay, lab.averaging, lab.balance) == (0, 0, 0, "none")
    assert {lab.rate(epoch) for epoch in (0, 0.5, 40)} == {1e-3}
    assert not lab.augmentation.active


def test_the_rate_rises_then_falls_along_a_cosine() -> None:
    cosine = recipe("lab", ["schedule=cosine", "epochs=10", "warmup=2", "learning_rate=0.1"])
    assert cosine.rate(1) == pytest.approx(0.1 / 2 * (1 + np.cos(np.pi / 10)) / 2)
    assert cosine.rate(5) == pytest.approx(0.05)
    assert cosine.rate(10) == pytest.approx(0)
    assert [cosine.rate(0), cosine.rate(11)] == [0, pytest.approx(0)]


def test_a_group_keeps_the_fields_that_are_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "lab", {"augmentation": {"scale": 0.2, "shift": 0.1}})
    path = tmp_path / "mine.yaml"
    path.write_text("augmentation:\n  shift: 0.3\n  rotation: true\n")
    mine = recipe(str(path), ["augmentation.light=0.4"]).augmentation
    assert mine == Augmentation(scale=0.2, shift=0.3, rotation=True, light=0.4)
    assert RECIPES["lab"] == {"augmentation": {"scale": 0.2, "shift": 0.1}}


def test_overrides_and_yaml(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: demo\nepochs: 7\n")
    mine = recipe(str(path), ["batch_size=32", "learning_rate=3e-2"])
    assert (mine.epochs, mine.batch_size, mine.learning_rate, mine.momentum) == (7, 32, 0.03, 0.9)


def test_every_mistake_is_listed() -> None:
    with pytest.raises(BadInputError) as error:
        recipe("lab", ["epoch=3", "batch_size=0", "learning_rate=fast"])
    message = str(error.value)
    for part in ("epoch: Extra", "batch_size:", "learning_rate:", "got 'fast'", "fields: "):
        assert part in message


@pytest.mark.parametrize(
    ("text", "message"),
    [("- 1", "table of fields"), ("a: [", "as YAML"), ("base: best", "'best' is none of lab")],
)
def test_bad_yaml(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=message):
        recipe(str(path))


def test_unknown_recipe_and_bare_override() -> None:
    with pytest.raises(BadInputError, match="neither one of lab"):
        recipe("laboratory")
    with pytest.raises(BadInputError, match="not of the form"):
        recipe("lab", ["epochs"])
    with pytest.raises(BadInputError, match="epochs is no group"):
        recipe("demo", ["epochs.one=1"])
    with pytest.raises(BadInputError, match=r"augmentation\.size: Extra"):
        recipe("lab", ["augmentation.size=1"])


def test_the_average_forgets_fast_at_first() -> None:
    asked = recipe("lab", ["averaging=0.9"])
    assert [asked.decay(steps) for steps in (0, 1, 8, 80, 8000)] == [0.1, 2 / 11, 0.5, 0.9, 0.9]
