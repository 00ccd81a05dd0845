"""Operating points: a curve small enough to read them off by hand."""

import numpy as np
import pandas as pd
import pytest

from leukoscope.evaluation.bootstrap import Units
from leukoscope.evaluation.metrics import Scored
from leukoscope.evaluation.operating import curve, new_person_error, operating_points
from leukoscope.evaluation.point import OperatingPoint

PROBABILITY = np.array([0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8, 0.9])
TRUTH = np.array([0, 0, 0, 0, 1, 1, 1, 1], dtype=bool)


def points(probability: np.ndarray, truth: np.ndarray) -> list[OperatingPoint]:
    return operating_points(Scored(truth, probability), Units.cells(truth), prevalence=0.25)


def test_points_on_a_curve_read_by_hand() -> None:
    half, youden, sensitive, specific, even = points(PROBABILITY, TRUTH)
    assert (half.threshold, half.sensitivity, half.specificity) == (0.5, 0.75, 0.75)
    # From 0.7 on: three blasts of four and no normal cell; from 0.4 on: all blasts, one normal cell
    # of four. Both have Youden's index 0.75; the first found calls fewer cells.
    assert (youden.sensitivity, youden.specificity) == (0.75, 1)
    assert youden.threshold == pytest.approx(0.65)
    assert (sensitive.sensitivity, sensitive.specificity) == (1, 0.75)
    assert sensitive.threshold == pytest.approx(0.35)
    assert (specific.sensitivity, specific.specificity) == (0.75, 1)
    assert specific.threshold == pytest.approx(0.65)
    # From 0.3 on: all blasts, two normal cells of four.
    assert (even.threshold, even.sensitivity, even.specificity) == (0.25, 1, 0.5)


def test_a_threshold_does_what_it_says_of_itself() -> None:
    random = np.random.default_rng(0)
    truth = random.random(300) < 0.5
    probability = np.clip(0.3 * truth + 0.7 * random.random(300), 0, 1).round(2)
    for point in points(probability, truth):
        call = probability >= point.threshold
        assert call[truth].mean() == pytest.approx(point.sensitivity)
        assert (~call[~truth]).mean() == pytest.approx(point.specificity)


def test_standard_errors_are_those_of_a_share() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(400) < 100
    half, *_ = points(random.random(400), truth)
    s, c = half.sensitivity, half.specificity
    for found, share, people in (
        (half.sensitivity_error, s, 100),
        (half.specificity_error, c, 300),
    ):
        error = np.sqrt(share * (1 - share) / people)
        assert found == pytest.approx(new_person_error(error, people), rel=0.1)


def test_of_a_single_person_no_error_is_known() -> None:
    truth = np.arange(40) < 20
    probability = np.random.default_rng(0).random(40)
    people = Units.of(pd.Series(np.where(truth, np.arange(40) % 4, 9)), truth)
    for point in operating_points(Scored(truth, probability), people, 0.5):
        assert point.specificity_error is None
        assert point.sensitivity_error is not None


def test_a_curve_tells_what_each_hundredth_does() -> None:
    random = np.random.default_rng(0)
    truth = random.random(200) < 0.5
    scored = Scored(truth, np.clip(0.3 * truth + 0.7 * random.random(200), 0, 1))
    found = curve(scored, Units.cells(truth))
    assert [point.threshold for point in found] == [percent / 100 for percent in range(1, 100)]
    assert found[49].threshold == 0.5
    for point in found:
        call = scored.probability >= point.threshold
        assert point.sensitivity == pytest.approx(call[truth].mean())
        assert point.specificity == pytest.approx((~call[~truth]).mean())


def test_a_network_that_tells_nothing_has_points_too() -> None:
    truth = np.array([True, False] * 5)
    assert [point.sensitivity for point in points(np.full(10, 0.5), truth)] == [1, 0, 1, 0, 1]
