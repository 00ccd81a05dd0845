"""How pages say numbers."""

import math

import pytest

from leukoscope.reporting.pages import duration, p_value


@pytest.mark.parametrize(
    ("p", "said"), [(0.0004, "< 0.001"), (0.0414, "0.041"), (1.0, "1.000"), (math.nan, "–")]
)
def test_p_values(p: float, said: str) -> None:
    assert p_value(p) == said


@pytest.mark.parametrize(
    ("hours", "said"), [(0.01, "36 s"), (0.5, "30 min 00 s"), (2.5, "2 h 30 min")]
)
def test_durations(hours: float, said: str) -> None:
    assert duration(hours) == said
