"""Whether other pictures look like those a network was trained on."""

import pandas as pd
from pydantic import BaseModel, ConfigDict

USUAL = (0.01, 0.99)
"""Quantiles of the training cells: 2 % of them lie outside."""

UNLIKE = 0.2
"""Share of the other cells outside from which a warning is due, ten times the usual."""


class Shift(BaseModel):
    """One feature of the mask, see `leukoscope.cells.features.features`.

    Attributes:
        feature: its name.
        low: the 1st percentile of the training cells.
        high: their 99th.
        median: of the other cells.
        outside: share of the other cells below `low` or above `high`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: str
    low: float
    high: float
    median: float
    outside: float

    @property
    def warns(self) -> bool:
        """Whether so many lie outside that calls cannot be trusted as on validation."""
        return self.outside > UNLIKE


def measured(training: pd.DataFrame, others: pd.DataFrame) -> list[Shift]:
    """Return how far `others` lie from the `training` cells, feature by feature."""
    shifts = []
    for feature in training:
        low, high = training[feature].quantile(list(USUAL))
        shifts.append(
            Shift(
                feature=str(feature),
                low=low,
                high=high,
                median=others[feature].median(),
                outside=(~others[feature].between(low, high)).mean(),
            )
        )
    return shifts
