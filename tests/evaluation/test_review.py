"""Sets of classes hold the true one of a new person's cell as often as is promised."""

import math

import numpy as np
import pandas as pd
import pytest

from leukoscope.errors import BadInputError
from leukoscope.evaluation.review import COVERAGES, USUAL, Review


def sets(review: Review, probability: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which cells may be normal, and which blasts, from the definition."""
    normal, blast = (np.array(limits)[COVERAGES.index(coverage)] for limits in review.limits)
    return probability <= normal, 1 - probability <= blast


def people(random: np.random.Generator, count: int, blast: bool) -> pd.DataFrame:
    """Cells of `count` people who differ far more than their cells, some of them with many."""
    rows = []
    for person in range(count):
        cells = int(random.integers(1, 40))
        logits = random.normal(random.normal(1 if blast else -1, 1.5), 0.5, cells)
        rows.append(pd.DataFrame({"person": f"{blast}{person}", "logit": logits, "label": blast}))
    return pd.concat(rows, ignore_index=True)


def cohort(random: np.random.Generator, count: int) -> pd.DataFrame:
    table = pd.concat([people(random, count, blast) for blast in (False, True)], ignore_index=True)
    return table.assign(probability=1 / (1 + np.exp(-table["logit"])))


def settled(table: pd.DataFrame) -> Review:
    return Review.of(table["probability"].to_numpy(), table["label"].to_numpy(), table["person"])


def test_one_cell_a_person_is_split_conformal_prediction() -> None:
    """The limit is the ⌈(n + 1) coverage⌉-th smallest score (Papadopoulos et al. 2002)."""
    scores = np.random.default_rng(0).uniform(size=19)
    truth = np.array([True] * 19 + [False])
    review = Review.of(
        np.append(1 - scores, 0.5), truth, pd.Series([str(number) for number in range(20)])
    )
    for coverage, limit in zip(COVERAGES, review.limits[1], strict=True):
        place = math.ceil(round(20 * coverage, 9))
        expected = np.sort(scores)[place - 1] if place <= 19 else 1
        assert limit == pytest.approx(expected)


@pytest.mark.parametrize("coverage", [0.6, 0.8, 0.9])
def test_a_new_person_s_cell_is_covered_as_promised(coverage: float) -> None:
    random = np.random.default_rng(0)
    covered: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(200):
        review, new = settled(cohort(random, 19)), cohort(random, 1)
        normal, blast = sets(review, new["probability"].to_numpy(), coverage)
        held = np.where(new["label"], blast, normal)
        for label in covered:
            covered[label].append(held[new["label"] == label].mean())
    for shares in covered.values():
        error = np.std(shares) / math.sqrt(len(shares))
        assert coverage - 2 * error < np.mean(shares) < coverage + 0.05 + 2 * error


def test_certain_cells_are_those_with_one_class_in_their_set() -> None:
    table = cohort(np.random.default_rng(1), 19)
    review, probability = settled(table), np.linspace(0, 1, 201)
    certainty = review.certainty(probability)
    likelier = probability >= 0.5
    for coverage in COVERAGES:
        normal, blast = sets(review, probability, coverage)
        alone = np.where(likelier, blast & ~normal, normal & ~blast)
        assert (certainty[alone] >= coverage).all()
        assert not alone[certainty < coverage].any()
    assert certainty[0] > 0.85
    assert certainty[-1] > 0.85
    assert certainty[100] < certainty[0]
    assert np.isnan(review.certainty(np.array([np.nan]))).all()


def test_few_people_promise_little() -> None:
    random = np.random.default_rng(2)
    table = pd.concat([people(random, 3, False), people(random, 30, True)], ignore_index=True)
    review = settled(table.assign(probability=1 / (1 + np.exp(-table["logit"]))))
    assert review.people == (3, 30)
    assert review.most == review.coverage(None) == 0.75
    assert review.coverage(0.6) == 0.6
    for refused in (0.76, 0.9, 0.49, -1, 1):
        with pytest.raises(BadInputError, match=r"with 3 people of a class .* it is 0.5 to 0.75"):
            review.coverage(refused)


def test_people_whom_the_model_trained_on_promise_nothing() -> None:
    review = Review.nothing()
    assert review.most == review.coverage(None) == 0
    assert review.certainty(np.array([0.01, 0.99])).tolist() == [0, 0]  # and 0 ≥ 0: it is called
    with pytest.raises(BadInputError, match="no coverage can be promised"):
        review.coverage(0.5)


def test_many_people_promise_the_usual_unless_more_is_asked_for() -> None:
    review = settled(cohort(np.random.default_rng(3), 60))
    assert review.coverage(None) == USUAL
    assert review.coverage(0.95) == 0.95
