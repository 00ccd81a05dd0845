"""The roll of a team, without its launcher: what others see of a process that ends."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch.distributed as dist

from leukoscope.training import team
from leukoscope.training.stopping import Interrupted

NAMES = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The store of a torchrun, in which a second process has given a sign."""
    stores = [dist.TCPStore("127.0.0.1", 0, is_master=True)]  # type: ignore[attr-defined]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(stores[0].port), team.STARTED: "here"}
    for name, value in (NAMES | address).items():
        monkeypatch.setenv(name, value)
    for name in ("init_process_group", "destroy_process_group"):
        monkeypatch.setattr(dist, name, lambda *_: None)
    monkeypatch.setattr(team, "BEAT", 0.02)
    stores[0].set("leukoscope-0/beat-1", team.ENDED)
    stores[0].set("leukoscope-0/place-1", "process 1 of 2")
    before = signal.getsignal(signal.SIGTERM)
    yield stores
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("error", "missed"), [(Interrupted, False), (ValueError, True)])
def test_the_others_miss_who_ends_with_an_error(
    launcher: list[Any], error: type[Exception], missed: bool
) -> None:
    with pytest.raises(error), team.joined():
        raise error
    assert (launcher[0].get("leukoscope-0/beat-0").decode() != team.ENDED) is missed


def test_the_others_do_not_miss_who_is_done(launcher: list[Any]) -> None:
    with team.joined() as found:
        assert found == team.Team(0, 2, 2)
    assert launcher[0].get("leukoscope-0/beat-0").decode() == team.ENDED


def test_a_launcher_that_is_gone_is_named(
    launcher: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)

    def collective() -> None:
        launcher.clear()
        until = time.monotonic() + 30
        while not ends and time.monotonic() < until:
            time.sleep(0.01)
        raise RuntimeError

    with pytest.raises(team.Lost, match=r"^torchrun on 127\.0\.0\.1, .* is gone"), team.joined():
        collective()
    assert ends == [1]
    assert capsys.readouterr().err.startswith("leukoscope: torchrun on 127.0.0.1, ")
