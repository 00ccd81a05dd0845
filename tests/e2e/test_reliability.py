"""The short form of `make chaos`, `make fuzz` and `make load`."""

from pathlib import Path

import pandas as pd

from chaos import chaos
from fuzz import fuzz
from leukoscope.inference.bundle import Bundle
from load import load


def test_killed_at_any_moment_and_started_again_it_ends_the_same() -> None:
    assert chaos(2, seed=1) == []


def test_every_input_is_read_or_answered_by_one_clear_error() -> None:
    assert fuzz(300, seed=1_000_000) == []


def test_under_load_all_have_their_calls(bundle: Bundle, cells: pd.DataFrame) -> None:
    answers, failed, figures = load(bundle.folder, Path(cells["path"].iloc[0]).parent, 20, 5)
    assert failed == []
    assert answers == figures["called"] + figures["sent_away"]
    assert figures["called"] > 20
