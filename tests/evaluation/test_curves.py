"""Curves: the points are scikit-learn's, the net benefit is a hand-worked one, bands hold them."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from leukoscope.evaluation import curves
from leukoscope.evaluation.bootstrap import Units
from leukoscope.evaluation.metrics import Scored


def clustered(subjects: int, cells: int, seed: int = 0) -> tuple[Scored, Units]:
    """Cells of `subjects` subjects a class whose log-odds share a subject's own shift."""
    random = np.random.default_rng(seed)
    names = np.repeat(np.arange(2 * subjects), cells)
    truth = names < subjects
    logit = 1.5 * np.where(truth, 1, -1) + random.normal(0, 1, 2 * subjects)[names]
    logit = np.round(logit + random.normal(0, 1, len(names)), 1)  # with ties
    return Scored(truth, expit(logit)), Units.of(pd.Series(names), truth)


def test_the_roc_curve_is_scikit_learns() -> None:
    scored, units = clustered(6, 20)
    curve = curves.roc(scored)
    fallout, sensitivity, _ = roc_curve(scored.truth, scored.probability)
    assert curve["fallout"].tolist() == fallout.tolist()
    assert curve["sensitivity"].tolist() == sensitivity.tolist()
    band = curves.roc_band(scored, units)
    # On the band's axis the curve is the same one; each jump's upper end counts.
    assert band["sensitivity"].to_numpy() == pytest.approx(
        np.interp(curves.GRID, fallout, sensitivity)
    )
    area = np.trapezoid(band["sensitivity"], band["fallout"])
    assert area == pytest.approx(roc_auc_score(scored.truth, scored.probability), abs=0.005)


def test_precision_over_sensitivity_is_scikit_learns() -> None:
    scored, units = clustered(6, 20)
    curve = curves.precision_recall(scored)
    precision, sensitivity, _ = precision_recall_curve(scored.truth, scored.probability)
    assert curve["precision"].tolist() == precision[-2::-1].tolist()
    assert curve["sensitivity"].tolist() == sensitivity[-2::-1].tolist()
    assert curve["sensitivity"].is_monotonic_increasing
    band = curves.precision_recall_band(scored, units).set_index("sensitivity")["precision"]
    for wanted in (0.25, 0.5, 0.9, 1.0):
        reached = curve[curve["sensitivity"] >= wanted - 1e-9].iloc[0]
        assert band[wanted] == pytest.approx(reached["precision"])
    # Each step's right end, as average precision takes it.
    assert band.iloc[1:].mean() == pytest.approx(
        average_precision_score(scored.truth, scored.probability), abs=0.01
    )


def test_bands_hold_their_curves_and_narrow_with_more_subjects() -> None:
    few, many = (clustered(subjects, 20, seed=3) for subjects in (5, 40))
    for band_of in (curves.roc_band, curves.precision_recall_band):
        widths = []
        for scored, units in (few, many):
            band = band_of(scored, units)
            value = band.iloc[:, 1]
            assert ((band["low"] <= value) & (value <= band["high"])).all()
            widths.append((band["high"] - band["low"]).mean())
        assert widths[1] < widths[0] / 1.8


def test_a_single_subject_has_curves_and_no_bands() -> None:
    scored = Scored(np.array([True, False, True]), np.array([0.9, 0.4, 0.3]))
    units = Units.of(pd.Series(["a", "a", "a"]), scored.truth)
    band = curves.roc_band(scored, units)
    assert band["sensitivity"].iloc[0] == 0.5
    assert band[["low", "high"]].isna().all().all()


def test_net_benefit_is_the_hand_worked_one() -> None:
    # Of 100 cells 30 are blasts. From 0.2 on 28 blasts and 20 normal cells are called blast, from
    # 0.8 on 15 and 2. At 0.2 a false call costs a quarter of a true one, at 0.8 four of them.
    truth = np.arange(100) < 30
    probability = np.concatenate(
        [[0.9] * 15, [0.5] * 13, [0.1] * 2, [0.9] * 2, [0.5] * 18, [0.1] * 50]
    )
    scored, all_cells = Scored(truth, probability), np.ones((1, 100))
    found = pd.Series(curves.net_benefit(scored, all_cells)[0], curves.THRESHOLDS)
    assert found[0.2] == pytest.approx((28 - 20 / 4) / 100)
    assert found[0.8] == pytest.approx((15 - 2 * 4) / 100)
    assert found[0.95] == 0
    of_all = pd.Series(curves.net_benefit_of_all(scored, all_cells)[0], curves.THRESHOLDS)
    assert of_all[0.2] == pytest.approx((30 - 70 / 4) / 100)
    # Where the threshold is the share of blasts, calling all is worth as much as calling none.
    assert of_all[0.3] == pytest.approx(0)
    # Twice the weight of everything changes nothing.
    assert curves.net_benefit(scored, 2 * all_cells)[0] == pytest.approx(found.to_numpy())


def test_the_decision_curve_says_what_the_network_adds() -> None:
    scored, units = clustered(20, 20)
    table = curves.decision_curve(scored, units).set_index("threshold")
    assert (table["low"] <= table["net_benefit"]).all()
    assert (table["net_benefit"] <= table["high"]).all()
    better = np.maximum(table["call_all"], 0)
    assert table["gain"].to_numpy() == pytest.approx((table["net_benefit"] - better).to_numpy())
    # In the middle it is clearly better than either; where all or none is nearly right, not.
    assert table.loc[0.5, "gain_low"] > 0
    assert table.loc[0.01, "gain_low"] <= 0
