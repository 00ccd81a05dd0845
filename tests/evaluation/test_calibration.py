"""Temperature and reliability: a known miscalibration is found and undone."""

import numpy as np
import pytest
from scipy.special import expit

from leukoscope.evaluation.calibration import (
    fit_temperature,
    log_odds_at,
    probability,
    reliability,
)
from leukoscope.evaluation.metrics import Scored


def test_a_known_temperature_is_found() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, 200_000)
    truth = random.random(len(honest)) < expit(honest)
    assert fit_temperature(3 * honest, truth) == pytest.approx(3, rel=0.02)
    assert fit_temperature(0.5 * honest, truth) == pytest.approx(0.5, rel=0.02)


def test_a_temperature_lowers_the_calibration_error_and_moves_no_call() -> None:
    random = np.random.default_rng(1)
    honest = random.normal(0, 1, 20_000)
    truth = random.random(len(honest)) < expit(honest)
    before = probability(4 * honest)
    after = probability(4 * honest, fit_temperature(4 * honest, truth))
    one = np.ones((1, len(honest)))
    assert Scored(truth, before).scores(one)["ece"][0] > 0.15
    assert Scored(truth, after).scores(one)["ece"][0] < 0.02
    assert np.array_equal(before >= 0.5, after >= 0.5)


@pytest.mark.parametrize("wanted", [0.02, 0.5, 0.9])
def test_log_odds_at_a_probability_have_it(wanted: float) -> None:
    settled = {"temperature": 1.7, "prior": -0.6}
    log_odds = np.array([log_odds_at(wanted, **settled)])
    assert probability(log_odds, **settled) == pytest.approx(wanted)


def test_a_perfect_network_stays_finite() -> None:
    truth = np.array([True, False] * 10)
    assert 0 < fit_temperature(np.where(truth, 5.0, -5.0), truth) < 1


def test_reliability_is_what_the_bins_hold() -> None:
    table = reliability(np.array([0.02, 0.04, 0.99, 1.0]), np.array([False, True, True, True]))
    assert table["bin"].tolist() == [0, 14]
    assert table["cells"].tolist() == [2, 2]
    assert table["probability"].tolist() == pytest.approx([0.03, 0.995])
    assert table["share"].tolist() == [0.5, 1]
