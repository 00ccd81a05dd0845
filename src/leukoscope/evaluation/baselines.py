"""Baselines: how far a model comes without a network.

Shortcuts see size and colour of the cell alone: a network that is not better has learned nothing
about blasts. Handmade features see the inside as well: a network that is not better need not be.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leukoscope.cells.features import HANDMADE
from leukoscope.cells.outside import COLOUR, OUTSIDE, SIZE

BASELINES: dict[str, list[str]] = {
    "majority class": [],
    "size only": SIZE,
    "colour only": COLOUR,
    "size and colour": OUTSIDE,
    "handmade features": HANDMADE,
}
"""What each looks at."""


def scores(
    training: pd.DataFrame, truth: NDArray[np.bool_], cells: pd.DataFrame
) -> dict[str, NDArray[np.float64]]:
    """Return, by name, the probability of blast, (N,), that each baseline gives to `cells`.

    Logistic regression on standardised features; the majority class knows only its share.

    Args:
        training: M training cells, from `leukoscope.cells.features`.
        truth: (M,) True for a blast.
        cells: N cells, likewise.
    """
    found = {}
    for name, columns in BASELINES.items():
        model = DummyClassifier()
        if columns:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(training[columns], truth)
        found[name] = np.asarray(model.predict_proba(cells[columns])[:, 1])
    return found
