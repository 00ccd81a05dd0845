"""Joining a Ray cluster: what does not answer is said soon, and in a sentence."""

import socket

import pytest

from leukoscope import cluster
from leukoscope.errors import BadInputError, LeukoscopeError


def refused(address: str) -> str:
    with pytest.raises(BadInputError) as found, cluster.joined(address):
        raise AssertionError("joined")
    return str(found.value)


def test_an_address_where_nothing_answers_is_said() -> None:
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert refused(address).startswith(f"no Ray cluster answers at {address}: ")


def test_what_answers_and_is_no_cluster_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "IMPATIENT", dict.fromkeys(cluster.IMPATIENT, "1"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert refused(address).startswith(f"no Ray cluster answers at {address}: ")


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "a..b:6379"])
def test_an_address_that_is_none_is_said(address: str) -> None:
    assert refused(address).startswith(f"no Ray cluster answers at {address}: ")


def test_a_cluster_that_fails_is_told_from_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions = pytest.importorskip("ray.exceptions")
    for name in ("init", "shutdown"):
        monkeypatch.setattr(f"ray.{name}", lambda **_: None)
    told = "^the cluster failed: .*node7 died.*; started again, it goes on$"
    with pytest.raises(LeukoscopeError, match=told), cluster.joined(None):
        raise exceptions.NodeDiedError("node7 died")
    mistake = exceptions.RayTaskError("called", "Traceback: ...", KeyError("cells"))
    with pytest.raises(exceptions.RayTaskError) as found, cluster.joined(None):
        raise mistake
    assert found.value is mistake
