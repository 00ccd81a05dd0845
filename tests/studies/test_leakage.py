"""Leakage: what the inflation is where it is known, and how it is judged."""

import pandas as pd
import pytest

from leukoscope.evaluation.result import Estimate
from leukoscope.studies.leakage import Inflation, inflation, judge


def called(right: dict[str, float], cells: int = 20) -> dict[int, pd.DataFrame]:
    """One seed's predictions: of each person's cells that share is called rightly."""
    rows = []
    for person, share in right.items():
        label = int(person.startswith("all"))
        for cell in range(cells):
            blast = label if cell < round(share * cells) else 1 - label
            rows.append((f"{person}/{cell}", person, label, 0.9 if blast else 0.1))
    return {0: pd.DataFrame(rows, columns=["id", "person", "label", "calibrated"])}


PEOPLE = [f"{kind}:{number}" for kind in ("all", "hem") for number in range(8)]


def test_the_inflation_is_the_difference_and_covers_people_drawn_once_for_both() -> None:
    # Each person is called 0.1 worse when new, whoever is drawn: the interval has no width.
    known = {person: 0.7 + 0.03 * (number % 8) for number, person in enumerate(PEOPLE)}
    cells = 100
    pools = {
        ("pictures", "test"): called(known, cells),
        ("people", "test"): called({name: share - 0.1 for name, share in known.items()}, cells),
    }
    found = inflation(pools, ("pictures", "test"), ("people", "test"))
    assert (found.claimed, found.true) == pytest.approx((0.805, 0.705))
    accuracy = found.metrics["accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high) == pytest.approx((0.1, 0.1, 0.1))
    assert (accuracy.cell_high or 0) - (accuracy.cell_low or 1) > 0.02
    assert found.fair == "contradicted"


def test_a_difference_that_some_people_have_and_others_not_is_uncertain() -> None:
    pools = {
        ("pictures", "test"): called(dict.fromkeys(PEOPLE, 0.8)),
        ("people", "test"): called(
            {name: 0.4 if number % 8 == 0 else 0.8 for number, name in enumerate(PEOPLE)}
        ),
    }
    found = inflation(pools, ("pictures", "test"), ("people", "test"))
    accuracy = found.metrics["accuracy"]
    assert accuracy.value == pytest.approx(0.05)
    assert (accuracy.low or 0) <= 0 < 0.05 < (accuracy.high or 0)
    assert found.fair == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.1, "contradicted"),
        (-0.1, -0.01, "supported"),
        (-0.01, 0.01, "supported"),
        (-0.01, 0.05, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_how_an_inflation_is_judged(low: float | None, high: float | None, verdict: str) -> None:
    value = None if low is None or high is None else (low + high) / 2
    accuracy = Estimate(value=value, low=low, high=high, cell_low=None, cell_high=None)
    one = Inflation(("lab", "test"), ("people", "test"), 0.9, 0.8, {"accuracy": accuracy})
    parts = judge(one, one, one)
    assert {part.verdict for part in parts} == {verdict}
    assert ("nothing can be said" in parts[0].measured) == (low is None)
