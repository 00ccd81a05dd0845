"""Subjects: intervals and corrected shares against published examples and simulation."""

import numpy as np
import pandas as pd
import pytest

from leukoscope.evaluation.operating import new_person_error
from leukoscope.evaluation.point import OperatingPoint
from leukoscope.evaluation.subjects import blast_share, by_subject, wilson

Known = tuple[float, float | None]


def point(sensitivity: Known, specificity: Known) -> OperatingPoint:
    """0.5, with estimates and standard errors."""
    return OperatingPoint(
        name="0.5",
        threshold=0.5,
        sensitivity=sensitivity[0],
        sensitivity_error=sensitivity[1],
        specificity=specificity[0],
        specificity_error=specificity[1],
    )


def test_wilson_intervals_as_published() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0000, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_a_corrected_share_undoes_the_wrong_calls() -> None:
    # A share of 0.3 is called 0.3 * 0.9 + 0.7 * 0.2 = 0.41 at sensitivity 0.9, specificity 0.8.
    share, low, high = blast_share(410, 1000, point((0.9, 0.0), (0.8, 0.0)))
    assert share == pytest.approx(0.3)
    # With both known exactly it is the interval of Agresti and Coull, of the share called blast.
    called = agresti_coull(410, 1000)
    assert (low, high) == pytest.approx([(limit - 0.2) / 0.7 for limit in called])


def agresti_coull(hits: int, cells: int) -> tuple[float, float]:
    """Agresti and Coull 1998: two more hits and two more misses, z²/2 = 1.92 of each."""
    z = 1.959964
    share = (hits + z**2 / 2) / (cells + z**2)
    reach = z * np.sqrt(share * (1 - share) / (cells + z**2))
    return share - reach, share + reach


@pytest.mark.parametrize("cells", [5, 30, 150])
@pytest.mark.parametrize("blasts", [0.05, 0.4, 0.9])
def test_the_interval_of_a_corrected_share_holds_the_truth(cells: int, blasts: float) -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        tested = 400  # cells of each class that sensitivity and specificity were measured on
        s, c = random.binomial(tested, [0.85, 0.75]) / tested
        errors = np.sqrt([s * (1 - s) / tested, c * (1 - c) / tested])
        called = random.binomial(cells, blasts * 0.85 + (1 - blasts) * 0.25)
        _, low, high = blast_share(called, cells, point((s, errors[0]), (c, errors[1])))
        held += low <= blasts <= high
    # Of few cells only a few counts are possible, and the interval holds more often than asked.
    assert 0.94 <= held / 1000 <= (1 if cells == 5 else 0.98)


@pytest.mark.parametrize("people", [5, 10, 30])
@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_the_interval_holds_for_a_new_person_who_differs_from_the_others(
    people: int, spread: float
) -> None:
    """Each person has a sensitivity and a specificity of their own, known of 100 cells each."""
    random = np.random.default_rng(0)
    both = 0.8 * 0.2 / spread**2 - 1

    def share(number: int) -> np.ndarray:
        return random.beta(0.8 * both, 0.2 * both, number)

    held = 0
    for _ in range(1000):
        known = [random.binomial(100, share(people)) / 100 for _ in range(2)]
        s, c = (
            (one.mean(), new_person_error(one.std(ddof=1) / np.sqrt(people), people))
            for one in known
        )
        (sensitivity,), (specificity,) = share(1), share(1)
        called = random.binomial(150, 0.4 * sensitivity + 0.6 * (1 - specificity))
        _, low, high = blast_share(called, 150, point(s, c))
        held += low <= 0.4 <= high
    assert held / 1000 >= 0.93


def test_few_cells_called_alike_are_not_certain() -> None:
    share, low, high = blast_share(1, 1, point((0.9, 0.02), (0.9, 0.02)))
    assert share == high == 1
    assert low < 0.4


def test_what_is_known_of_one_person_has_no_interval() -> None:
    share, low, high = blast_share(10, 20, point((0.9, 0.02), (0.9, None)))
    assert share == pytest.approx(0.5)
    assert np.isnan([low, high]).all()


def test_a_share_stays_a_share_and_chance_says_nothing() -> None:
    assert blast_share(0, 50, point((0.9, 0.02), (0.8, 0.02)))[:2] == (0, 0)
    assert np.isnan(blast_share(10, 50, point((0.4, 0.02), (0.6, 0.02)))).all()


def test_the_worst_subject_stands_first() -> None:
    predictions = pd.DataFrame(
        {
            "subject": ["a", "a", "b", "b", "c", "c"],
            "label": [0, 0, 1, 1, 1, 0],
            "calibrated": [0.9, 0.2, 0.8, 0.7, 0.1, 0.3],
        }
    )
    table = by_subject(predictions, point((0.9, 0.0), (0.9, 0.0)))
    assert list(zip(table["subject"], table["label"], strict=True)) == [
        ("c", 1),
        ("a", 0),
        ("b", 1),
        ("c", 0),
    ]
    assert table["correct"].tolist() == [0, 1, 2, 1]
    assert table["called_blast"].tolist() == [0, 1, 2, 0]
    assert table["probability"].tolist() == pytest.approx([0.1, 0.55, 0.75, 0.3])
    # Half the cells called blast is the share itself where both errors are as likely.
    assert table.loc[1, "blast_share"] == pytest.approx(0.5)
    assert table.loc[1, ["low", "high"]].tolist() == pytest.approx(wilson(1, 2))
