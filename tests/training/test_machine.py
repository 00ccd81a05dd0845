"""What a machine is asked for where the user leaves it open."""

from typing import Any

import pytest
import torch

from leukoscope import models
from leukoscope.errors import BadInputError
from leukoscope.training import machine
from leukoscope.training.machine import FEWEST, judging_device, settled, threads_for

pytestmark = pytest.mark.usefixtures("own_cache")

OPEN: dict[str, Any] = {
    "device": "auto",
    "precision": None,
    "compile": None,
    "threads": 1,
    "micro_batch": None,
    "checkpoint_activations": False,
}


def on(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(machine, "device_of", lambda _: torch.device(kind))


@pytest.mark.parametrize(("gain", "chosen"), [(1.1, "32-true"), (1.5, "bf16-mixed")])
def test_a_cpu_takes_short_numbers_where_they_pay(
    monkeypatch: pytest.MonkeyPatch, gain: float, chosen: str
) -> None:
    rates = {"32-true": 100.0, "bf16-mixed": 100.0 * gain}
    monkeypatch.setattr(machine, "_rate", rates.__getitem__)
    assert settled(OPEN | {"device": "cpu"}) == OPEN | {
        "device": "cpu",
        "precision": chosen,
        "compile": False,
    }


def test_a_network_that_torch_cannot_share_trains_on_one_thread() -> None:
    with torch.device("meta"):
        wide, narrow = (models.create("resnet18", width=width) for width in (FEWEST, FEWEST - 1))
    assert (threads_for(wide, 2), threads_for(narrow, 2)) == (2, 1)


def test_both_precisions_are_measured() -> None:
    assert machine._rate("32-true") > 0
    assert machine._rate("bf16-mixed") > 0


def test_cuda_takes_short_numbers_and_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "cuda")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda _: True)
    found = settled(OPEN)
    assert (found["precision"], found["compile"]) == ("bf16-mixed", True)
    assert not settled(OPEN | {"checkpoint_activations": True})["compile"]
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda _: False)
    assert settled(OPEN)["precision"] == "32-true"


def test_mps_stays_with_what_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "mps")
    found = settled(OPEN)
    assert (found["precision"], found["compile"]) == ("32-true", False)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_what_the_user_says_stays(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    on(monkeypatch, kind)
    said = OPEN | {"precision": "64-true", "compile": kind == "cpu"}
    assert settled(said) == said


def test_a_device_that_is_not_here_is_refused() -> None:
    missing = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(BadInputError, match=f"device {missing} cannot be used"):
        settled(OPEN | {"device": missing})


def test_networks_are_judged_on_cuda_where_there_is_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [judging_device(name).type for name in ("auto", "cuda", "cpu")] == [
        "cuda",
        "cuda",
        "cpu",
    ]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert {judging_device(name).type for name in ("auto", "cuda", "cpu", "mps")} == {"cpu"}
