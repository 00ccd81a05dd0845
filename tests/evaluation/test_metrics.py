"""Metrics equal scikit-learn's, for plain and for weighted cells, ties and missing classes too."""

import numpy as np
import pytest
from sklearn import metrics as sk

from leukoscope.evaluation.metrics import CALL_METRICS, ECE_BINS, SCORE_METRICS, Scored


@pytest.fixture(params=[0, 1, 2])
def cells(request: pytest.FixtureRequest) -> tuple[Scored, np.ndarray]:
    """500 cells with many tied scores, and whole-number weights, some of them 0."""
    random = np.random.default_rng(request.param)
    truth = random.random(500) < 0.6
    scores = np.clip(truth * 0.2 + random.random(500) * 0.8, 0, 1).round(request.param + 1)
    return Scored(truth, scores), random.integers(0, 4, (3, 500)).astype(float)


def test_calls_equal_scikit_learns(cells: tuple[Scored, np.ndarray]) -> None:
    scored, weights = cells
    call = scored.probability >= 0.5
    found = scored.calls(0.5, weights)
    assert tuple(found) == CALL_METRICS
    for row, weight in enumerate(weights):
        pair = {"y_true": scored.truth, "y_pred": call, "sample_weight": weight}
        known = {
            "accuracy": sk.accuracy_score(**pair),
            "balanced_accuracy": sk.balanced_accuracy_score(**pair),
            "sensitivity": sk.recall_score(**pair),
            "specificity": sk.recall_score(**pair, pos_label=False),
            "ppv": sk.precision_score(**pair),
            "npv": sk.precision_score(**pair, pos_label=False),
            "weighted_f1": sk.f1_score(**pair, average="weighted"),
        }
        assert {name: found[name][row] for name in found} == pytest.approx(known)


def test_scores_equal_scikit_learns(cells: tuple[Scored, np.ndarray]) -> None:
    scored, weights = cells
    found = scored.scores(weights)
    assert tuple(found) == SCORE_METRICS
    for row, weight in enumerate(weights):
        given = (scored.truth, scored.probability)
        assert found["auroc"][row] == pytest.approx(sk.roc_auc_score(*given, sample_weight=weight))
        assert found["average_precision"][row] == pytest.approx(
            sk.average_precision_score(*given, sample_weight=weight)
        )
        assert found["brier"][row] == pytest.approx(
            sk.brier_score_loss(*given, sample_weight=weight)
        )


def test_expected_calibration_error_by_its_definition() -> None:
    # Two bins are used: 3 cells at 0.9 of which 2 are blasts, 1 normal cell at 0.1.
    scored = Scored(np.array([True, True, False, False]), np.array([0.9, 0.9, 0.9, 0.1]))
    expected = 3 / 4 * abs(0.9 - 2 / 3) + 1 / 4 * 0.1
    assert scored.scores(np.ones((1, 4)))["ece"][0] == pytest.approx(expected)
    assert scored._bins.shape == (4, ECE_BINS)


def test_a_calibrated_model_has_no_calibration_error() -> None:
    truth = np.repeat([True, False], [300, 700])
    assert Scored(truth, np.full(1000, 0.3)).scores(np.ones((1, 1000)))["ece"][0] < 1e-12


def test_what_a_missing_class_leaves_undefined() -> None:
    scored = Scored(np.array([True, True, False]), np.array([0.2, 0.8, 0.6]))
    only_blasts = np.array([[1.0, 1.0, 0.0]])
    calls, scores = scored.calls(0.5, only_blasts), scored.scores(only_blasts)
    assert calls["sensitivity"][0] == 0.5
    assert np.isnan(calls["specificity"][0])
    assert np.isnan(calls["balanced_accuracy"][0])
    assert calls["weighted_f1"][0] == pytest.approx(2 / 3)
    assert np.isnan(scores["auroc"][0])
    assert scores["average_precision"][0] == 1
    only_normal = np.array([[0.0, 0.0, 1.0]])
    assert np.isnan(scored.scores(only_normal)["average_precision"][0])
