"""Recipes: the lab's Table 1, and overrides that are checked."""

from pathlib import Path

import pytest

from leukoscope.errors import BadInputError
from leukoscope.training.recipe import recipe


def test_lab_is_table_1() -> None:
    lab = recipe("lab")
    assert (lab.batch_size, lab.epochs, lab.learning_rate, lab.optimizer) == (16, 40, 1e-3, "sgd")
    assert (lab.momentum, lab.weight_decay) == (0, 0)


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
    [("- 1", "table of fields"), ("a: [", "no YAML"), ("base: best", "'best' is none of lab")],
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
