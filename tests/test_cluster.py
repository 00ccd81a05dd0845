"""Joining a Ray cluster: what does not answer is said soon, and in a sentence."""

import socket

import pytest

from leukoscope import cluster
from leukoscope.errors import BadInputError


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
