"""Progress where there is no terminal: lines, of what is known."""

import pytest

from leukoscope import progress
from leukoscope.progress import Bar


def test_a_total_that_is_not_known_is_not_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0)
    for total in (None, 8):
        with Bar("packing", total, "pictures") as bar:
            bar.advance(2)
    unknown, known = capsys.readouterr().err.splitlines()
    assert unknown.startswith("packing: 2, ")
    assert "left" not in unknown
    assert known.startswith("packing: 2/8, ")
    assert known.endswith("0 min left")
