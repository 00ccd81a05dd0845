"""Tables of an evaluation: what is known is told, what is not is said to be unknown."""

import numpy as np
import pandas as pd
import pytest

from leukoscope.reporting.evaluation_tables import subjects_table


@pytest.mark.parametrize(
    ("share", "told"),
    [
        ((0.5, 0.25, 1.0), "50.0% (25.0% to 100.0%)"),
        ((0.5, np.nan, np.nan), "50.0% (interval unknown)"),
        ((np.nan, np.nan, np.nan), "–"),
    ],
)
def test_a_share_is_told_as_far_as_it_is_known(share: tuple[float, ...], told: str) -> None:
    row = {
        "subject": "all:1",
        "label": 1,
        "cells": 4,
        "correct": 2,
        "accuracy": 0.5,
        "low": 0.1,
        "high": 0.9,
        "probability": 0.5,
        "called_blast": 2,
        **dict(zip(("blast_share", "blast_share_low", "blast_share_high"), share, strict=True)),
    }
    assert subjects_table(pd.DataFrame([row])).rows[0][-1] == told
