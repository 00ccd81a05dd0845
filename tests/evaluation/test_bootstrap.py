"""The bootstrap over subjects: what it draws, and that its intervals hold the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from leukoscope.evaluation.bootstrap import Units, interval, sample
from leukoscope.evaluation.judgement import Estimator
from leukoscope.evaluation.metrics import Scored


def test_whole_subjects_are_drawn_within_their_class() -> None:
    names = pd.Series(["a", "a", "b", "c", "c", "c", "d", pd.NA])
    truth = np.array([0, 0, 0, 1, 1, 1, 1, 1], dtype=bool)
    units = Units.of(names, truth)
    assert (units.count(0), units.count(1)) == (2, 3)
    weights = np.concatenate(list(units.draws(500, seed=0)))
    assert weights.shape == (500, 8)
    # All cells of a subject come together.
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    # Each draw has as many subjects of a class as there are: a + b, and c + d + the nameless one.
    assert (weights[:, 0] + weights[:, 2] == 2).all()
    assert (weights[:, 3] + weights[:, 6] + weights[:, 7] == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(8), abs=0.15)


def test_draws_come_in_parts_that_are_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    units = Units.cells(np.arange(50) % 2 == 0)
    whole = np.concatenate(list(units.draws(40, seed=1)))
    assert whole.shape == (40, 50)
    again = np.concatenate(list(units.draws(40, seed=1)))
    assert np.array_equal(whole, again)


def test_a_subject_with_both_classes_counts_for_both() -> None:
    units = Units.of(pd.Series(["a", "a", "b"]), np.array([True, False, True]))
    assert (units.count(0), units.count(1)) == (1, 2)


def test_the_interval_of_a_mean_is_students() -> None:
    # With one cell a subject and a normal variable the expanded interval approaches Student's.
    random = np.random.default_rng(0)
    values = random.normal(size=60)
    units = Units.cells(np.ones(60, dtype=bool))
    drawn = sample(lambda w: {"mean": w @ values / w.sum(axis=1)}, units, draws=20_000)
    low, high = interval(drawn.drawn["mean"], units)
    known = stats.t.interval(0.95, 59, values.mean(), stats.sem(values))
    assert drawn.value["mean"] == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(known, abs=0.02)


def test_one_subject_says_nothing() -> None:
    units = Units.of(pd.Series(["a"] * 10), np.ones(10, dtype=bool))
    drawn = sample(lambda w: {"n": w.sum(axis=1)}, units, draws=10)
    assert np.isnan(interval(drawn.drawn["n"], units)).all()


def simulated(random: np.random.Generator, subjects: int) -> tuple[Scored, pd.Series]:
    """Clustered cells: a subject's cells are called rightly with a probability of its own.

    That probability is Beta(4, 1): the sensitivity and the specificity of a new cell of a new
    subject are 0.8.
    """
    right = random.beta(4, 1, 2 * subjects)
    cells = random.integers(5, 30, 2 * subjects)
    names = np.repeat(np.arange(2 * subjects), cells)
    truth = names < subjects
    correct = random.random(len(names)) < right[names]
    return Scored(truth, np.where(correct == truth, 0.9, 0.1)), pd.Series(names)


@pytest.mark.parametrize("subjects", [8, 30])
def test_the_interval_over_subjects_holds_the_truth_and_the_one_over_cells_does_not(
    subjects: int,
) -> None:
    random = np.random.default_rng(subjects)
    held = {"subjects": 0, "cells": 0}
    repeats = 300
    for repeat in range(repeats):
        scored, names = simulated(random, subjects)
        for way, units in (
            ("subjects", Units.of(names, scored.truth)),
            ("cells", Units.cells(scored.truth)),
        ):
            drawn = sample(lambda w, s=scored: s.calls(0.5, w), units, draws=300, seed=repeat)
            low, high = interval(drawn.drawn["sensitivity"], units, "sensitivity")
            held[way] += low <= 0.8 <= high
    # 300 intervals at a true 95 % hold the truth in 92.5 to 97.5 % of cases, 19 times of 20.
    assert held["subjects"] / repeats == pytest.approx(0.95, abs=0.035)
    assert held["cells"] / repeats < 0.75


def test_a_person_with_cells_of_both_classes_has_intervals_over_cells_of_both() -> None:
    truth = np.arange(80) % 2 == 0
    units = Units.of(pd.Series(np.arange(80) // 10), truth)
    assert set(units.stratum) == {2}
    scored = Scored(truth, np.random.default_rng(0).random(80))
    estimate = Estimator(lambda weights: scored.calls(0.5, weights), units)
    for metric in ("sensitivity", "specificity"):
        found = estimate(metric, metric)
        assert found.cell_low < found.value < found.cell_high
