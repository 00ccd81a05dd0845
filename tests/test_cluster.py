"""Joining a Ray cluster: what does not answer is said soon, and in a sentence."""

import pytest

from leukoscope import cluster
from leukoscope.errors import BadInputError


def test_an_address_where_nothing_answers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 1.0)
    with (
        pytest.raises(BadInputError, match=r"no Ray cluster answers at 127.0.0.1:9 within 1 s"),
        cluster.joined("127.0.0.1:9"),
    ):
        raise AssertionError("joined")
