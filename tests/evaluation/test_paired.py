"""Two networks: differences of known size, tests worked by hand, and studies of other sizes."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from leukoscope.evaluation.bootstrap import Units
from leukoscope.evaluation.metrics import Scored
from leukoscope.evaluation.paired import METRICS, delong, differences, mcnemar


def test_delong_worked_by_hand() -> None:
    truth = np.array([0, 0, 1, 1, 1], dtype=bool)
    first = np.array([0.1, 0.2, 0.6, 0.7, 0.8])  # AUROC 1, without variance
    second = np.array([0.3, 0.6, 0.2, 0.7, 0.9])  # AUROC 2/3: one blast lies below both normals
    # Its blasts' placements 0, 1, 1 have variance 1/3, so the AUROC has 1/9, and z is 1.
    assert delong(truth, first, second) == pytest.approx(2 * stats.norm.sf(1))
    assert delong(truth, first, first) == 1


def test_delong_by_its_definition_with_ties() -> None:
    random = np.random.default_rng(0)
    truth = random.random(120) < 0.4
    scores = [(0.5 * truth + random.random(120)).round(1) for _ in range(2)]
    components = []
    for score in scores:
        pairs = score[truth][:, None] - score[~truth][None, :]
        placement = (pairs > 0) + 0.5 * (pairs == 0)
        components.append((placement.mean(1), placement.mean(0)))
    s10 = np.cov([blast for blast, _ in components])
    s01 = np.cov([normal for _, normal in components])
    covariance = s10 / truth.sum() + s01 / (~truth).sum()
    contrast = np.array([1, -1])
    z = np.subtract(*(blast.mean() for blast, _ in components))
    z /= np.sqrt(contrast @ covariance @ contrast)
    assert delong(truth, *scores) == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_mcnemar_is_the_binomial_test_of_the_discordant_cells() -> None:
    # 5 cells right by the first alone, 15 by the second alone, 30 by both.
    truth = np.ones(50, dtype=bool)
    first = np.arange(50) < 35
    second = (np.arange(50) < 30) | (np.arange(50) >= 35)
    expected = 2 * stats.binom.cdf(5, 20, 0.5)
    assert expected == pytest.approx(0.0414, abs=1e-4)
    assert mcnemar(truth, first, second) == pytest.approx(expected)
    assert mcnemar(truth, first, first) == 1


def pair(subjects: int, better: float) -> tuple[Scored, Scored, Units]:
    """Two networks on cells of `subjects` a class, the second one better by `better`."""
    random = np.random.default_rng(1)
    names = np.repeat(np.arange(2 * subjects), 20)
    truth = names < subjects
    shared = random.normal(0, 0.6, 2 * subjects)[names] + random.normal(0, 1, len(names))
    right = np.where(truth, 1, -1)
    logits = [0.5 * right + shared, (0.5 + better) * right + shared]
    logits = [logit + random.normal(0, 0.5, len(names)) for logit in logits]
    first, second = (Scored(truth, 1 / (1 + np.exp(-logit))) for logit in logits)
    return first, second, Units.of(pd.Series(names), truth)


def test_a_large_difference_is_decided_and_has_the_right_sign() -> None:
    first, second, units = pair(12, better=1.0)
    for ahead, behind, sign in ((second, first, 1), (first, second, -1)):
        for found in differences([behind], [ahead], units):
            assert found.estimate.clear
            assert found.subjects_needed is None
            assert np.sign(found.estimate.value) == sign
    auroc = differences([first], [second], units)[0]
    one = np.ones((1, len(first.truth)))
    expected = second.scores(one)["auroc"][0] - first.scores(one)["auroc"][0]
    assert (auroc.metric, auroc.estimate.value) == (METRICS[0], pytest.approx(expected))


def test_the_study_that_would_decide_has_the_size_of_the_textbook() -> None:
    # 200 independent cells; 8 are right by the first network alone, 12 by the second alone. A
    # share's difference d of variance v a cell is found with a chance of 0.8 by n cells with
    # n = (1.96 + 0.84)² v / d².
    cells = np.arange(200)
    truth = cells % 2 == 0
    wrong = [(cells < 12) | (cells > 180), ((cells >= 12) & (cells < 20)) | (cells > 180)]
    first, second = (Scored(truth, np.where(truth ^ bad, 0.9, 0.1)) for bad in wrong)
    difference = 4 / 200
    needed = 7.85 * (20 / 200 - difference**2) / difference**2
    assert 8 < needed / 200 < 12
    found = {one.metric: one for one in differences([first], [second], Units.cells(truth))}[
        "accuracy"
    ]
    assert found.estimate.value == pytest.approx(difference)
    assert not found.estimate.clear
    assert found.subjects_needed == 12 * 200  # the next larger study that is tried


def test_a_network_does_not_differ_from_itself() -> None:
    first, _, units = pair(6, better=0)
    for found in differences([first], [first], units):
        assert found.estimate.value == 0
        assert not found.estimate.clear
        assert found.subjects_needed is None


def test_of_one_person_of_a_class_no_larger_study_is_promised() -> None:
    truth = np.arange(70) >= 10
    units = Units.of(pd.Series(np.arange(70) // 10), truth)
    random = np.random.default_rng(0)
    first, second = (Scored(truth, random.random(70)) for _ in range(2))
    for found in differences([first], [second], units):
        if found.metric != "sensitivity":
            assert found.estimate.low is None
            assert found.subjects_needed is None
