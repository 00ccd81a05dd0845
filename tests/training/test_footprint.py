"""What a training takes of the memory is measured, in a process of its own, once."""

import pytest

from leukoscope.cells.store import Store
from leukoscope.errors import LeukoscopeError
from leukoscope.training import footprint
from leukoscope.training.recipe import recipe
from leukoscope.training.run import RunConfig

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    pytest.mark.skipif(not footprint.STATUS.exists(), reason="the system does not tell"),
]


@pytest.fixture
def config(store: Store) -> RunConfig:
    options = {"model_options": {"width": 8}, "threads": 1, "device": "cpu"}
    return RunConfig.plan(store.folder, "resnet18", "lab", ["batch_size=8"], **options)


def test_a_training_is_measured_once(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = footprint.footprint(config)
    assert found
    assert 100 * 2**20 < found < 2**31
    assert "training resnet18 takes 0." in capsys.readouterr().err
    monkeypatch.setattr(footprint, "_measured", lambda _: 7)
    assert footprint.footprint(config) == found
    longer = config.recipe.model_copy(update={"epochs": 99})
    assert footprint.footprint(config.model_copy(update={"recipe": longer})) == found
    others = [
        "batch_size=9",
        "mixup=0.4",
        "augmentation.rotation=true",
        "optimizer=adamw",
        "momentum=0.9",
        "colour=density",
    ]
    for changed in others:
        other = {"recipe": recipe("lab", ["batch_size=8", changed])}
        assert footprint.footprint(config.model_copy(update=other)) == 7
    monkeypatch.setattr(Store, "labels", range(10**6))
    assert footprint.footprint(config) == 7


def test_steps_that_fail_are_said(config: RunConfig) -> None:
    with pytest.raises(LeukoscopeError, match=r"a step of resnet18 was tried, and failed: .*anew"):
        footprint.footprint(config.model_copy(update={"store_digest": "another"}))
