"""What the numbers of an evaluation make one say."""

import pytest

from leukoscope.evaluation.result import Baseline, Estimate
from leukoscope.reporting.words import against, counted, estimated


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value=value, low=low, high=high, cell_low=None, cell_high=None)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (estimate(0.1, 0.02, 0.2), "It beats size alone by more than the interval (+0.100 AUROC"),
        (estimate(0.1, -0.02, 0.2), "It is not shown to beat size alone: undecided (+0.100 AUROC"),
        (estimate(-0.1, -0.2, 0.05), "It is not shown to beat size alone: undecided (-0.100"),
        (estimate(-0.1, -0.2, -0.02), "It is worse than size alone (-0.100 AUROC"),
        (estimate(0.1), "Against size alone nothing can be said: too few subjects"),
        (estimate(None), "Against size alone nothing can be said: AUROC needs cells of both"),
    ],
)
def test_a_gain_is_put_into_words_by_its_interval(gain: Estimate, said: str) -> None:
    other = estimate(0.8)
    baseline = Baseline(
        name="size only", auroc=other, auroc_gain=gain, accuracy=other, accuracy_gain=gain
    )
    assert against(baseline).startswith(said)


def test_numbers_are_said_with_what_is_known_of_them() -> None:
    assert estimated(estimate(0.5, 0.25, 0.75)) == "0.500 (95 % 0.250 to 0.750)"
    assert estimated(estimate(0.5)) == "0.500 (no interval)"
    assert estimated(estimate(None)) == "–"
    assert [counted(n, "cell") for n in (0, 1, 1200)] == ["0 cells", "1 cell", "1,200 cells"]
