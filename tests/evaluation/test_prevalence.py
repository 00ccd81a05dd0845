"""Prevalence: what drawing classes alike leaves out is put back, and calibrates."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from leukoscope.cells.division import Division
from leukoscope.cells.store import Store
from leukoscope.evaluation.calibration import fit_temperature, probability
from leukoscope.evaluation.metrics import Scored
from leukoscope.evaluation.prevalence import Prevalence
from leukoscope.training.run import Run, RunConfig


def test_log_odds_learned_on_even_classes_are_calibrated_by_the_prior() -> None:
    # Two classes of unit normals one apart from 0: the log-odds of x, drawn alike, are 2x.
    random = np.random.default_rng(0)
    truth = random.random(100_000) < 0.8
    learned = 2 * (random.normal(size=len(truth)) + np.where(truth, 1, -1))
    prior = Prevalence(cells=0.8, drawn=0.5).prior
    assert prior == pytest.approx(np.log(4))
    assert fit_temperature(learned, truth, prior) == pytest.approx(1, rel=0.03)
    one = np.ones((1, len(truth)))
    calibrated = Scored(truth, probability(learned, 1.0, prior))
    assert calibrated.scores(one)["ece"][0] < 0.01
    assert Scored(truth, probability(learned)).scores(one)["ece"][0] > 0.05
    # At the prevalence both classes are called rightly alike, by Bayes' rule.
    called = calibrated.calls(0.8, one)
    assert called["sensitivity"][0] == pytest.approx(norm.cdf(1), abs=0.01)
    assert called["specificity"][0] == pytest.approx(norm.cdf(1), abs=0.01)


@pytest.mark.parametrize("balance", ["none", "class", "person"])
def test_a_run_lacks_a_prior_only_where_it_drew_alike(
    store: Store, tmp_path: Path, balance: str
) -> None:
    run = run_of(store, tmp_path, [f"balance={balance}"], Division())
    found = Prevalence.of([run])
    trained = store.labels[store.rows("train")]
    assert found.cells == trained.mean()
    assert found.drawn == (trained.mean() if balance == "none" else 0.5)
    assert found.prior == pytest.approx(logit(found.cells) - logit(found.drawn))


def test_copies_that_balance_the_classes_count_as_drawn(store: Store, tmp_path: Path) -> None:
    division = Division(plan="lab")
    found = Prevalence.of([run_of(store, tmp_path, [], division)])
    labels = store.labels[store.rows("train")]
    # The lab turns each normal cell once more before it turns everything once more.
    blasts, normal = (labels == 1).sum(), (labels == 0).sum()
    assert found.cells == blasts / len(labels)
    assert found.drawn == pytest.approx(blasts / (blasts + 2 * normal))
    assert expit(found.prior) > 0.5


def run_of(store: Store, folder: Path, overrides: list[str], division: Division) -> Run:
    config = RunConfig.plan(
        store.folder, "resnet18", "lab", overrides, threads=1, device="cpu", division=division
    )
    return Run.create(folder / "run", config)
