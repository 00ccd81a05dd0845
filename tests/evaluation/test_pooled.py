"""Seeds together: log-odds averaged, and no seed so certain that the others do not count."""

import pandas as pd
import pytest

from leukoscope.evaluation.pooled import together


def seed(*probabilities: float) -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c"], "calibrated": probabilities})


def test_seeds_together_average_their_log_odds() -> None:
    called = together({0: seed(0.5, 0.9, 0.8), 1: seed(0.5, 0.1, 0.2), 2: seed(0.5, 0.5, 0.8)})
    # log-odds of 0.8 are ln 4: their mean over the three is ln 4 / 3.
    assert called["calibrated"].tolist() == pytest.approx(
        [0.5, 0.5, 4 ** (1 / 3) / (1 + 4 ** (1 / 3))]
    )
    assert called["id"].tolist() == ["a", "b", "c"]


def test_certainty_stays_finite() -> None:
    called = together({0: seed(1.0, 0.0, 1.0), 1: seed(0.0, 0.0, 1.0)})
    assert called["calibrated"].tolist() == pytest.approx([0.5, 0.0, 1.0])
