"""Each study's rule on tables made by hand: all three verdicts can be reached."""

import numpy as np
import pandas as pd
import pytest

from leukoscope.evaluation.result import Estimate
from leukoscope.studies import (
    batch_size,
    depth,
    gradient_flow,
    learning_rate,
    people,
    validation_gap,
)
from leukoscope.studies.finding import combined

CELLS = {"validation": 800, "test": 800}


def batch_table(small: dict[str, float], large: dict[str, float]) -> pd.DataFrame:
    same = {
        "seed": 0,
        "fluctuation": 0.02,
        "changes": 20,
        "test_accuracy": 0.8,
        "sharpness_0.001": 50.0,
        "sharpness_0.0005": 20.0,
    }
    rows = [{**same, "batch_size": 16, **small}, {**same, "batch_size": 64, **large}]
    return pd.DataFrame(rows)


AS_THE_LAB_SAYS = {
    "fluctuation": 0.06,
    "test_accuracy": 0.9,
    "sharpness_0.001": 10.0,
    "sharpness_0.0005": 4.0,
}


@pytest.mark.parametrize(
    ("small", "verdict"),
    [
        (AS_THE_LAB_SAYS, "supported"),
        ({**AS_THE_LAB_SAYS, "fluctuation": 0.03}, "undecided"),
        ({**AS_THE_LAB_SAYS, "changes": 4}, "undecided"),
        ({**AS_THE_LAB_SAYS, "test_accuracy": 0.82}, "undecided"),
        ({**AS_THE_LAB_SAYS, "sharpness_0.001": 200.0}, "contradicted"),
        ({**AS_THE_LAB_SAYS, "test_accuracy": 0.7}, "contradicted"),
        ({}, "undecided"),
    ],
)
def test_batch_size(small: dict[str, float], verdict: str) -> None:
    parts = batch_size.judge(batch_table(small, {}), CELLS)
    assert combined([part.verdict for part in parts]) == verdict
    assert " with batch 16 and 0.0200 with batch 64" in parts[0].measured


def test_several_seeds_let_a_small_difference_count() -> None:
    tables = []
    for seed, fluctuation in enumerate((0.030, 0.031, 0.029)):
        small = {**AS_THE_LAB_SAYS, "fluctuation": fluctuation, "seed": seed}
        tables.append(batch_table(small, {"seed": seed}))
    parts = batch_size.judge(pd.concat(tables), CELLS)
    assert parts[0].verdict == "supported"
    assert (
        "0.0300 (0.0290 to 0.0310) with batch 16 and 0.0200 (0.0200 to 0.0200)" in parts[0].measured
    )


def rate_table(fluctuations: list[float]) -> pd.DataFrame:
    factors = [0.1, 1.0, 10.0]
    return pd.DataFrame(
        {
            "factor": factors,
            "learning_rate": [0.001 * factor for factor in factors],
            "seed": 0,
            "diverged": np.isnan(fluctuations),
            "fluctuation": fluctuations,
            "changes": np.where(np.isnan(fluctuations), np.nan, 20),
        }
    )


@pytest.mark.parametrize(
    ("fluctuations", "verdict"),
    [
        ([0.01, 0.03, 0.05], "supported"),
        ([0.01, 0.012, 0.05], "undecided"),
        ([0.05, 0.02, 0.01], "contradicted"),
        ([0.01, 0.03, np.nan], "supported"),
        ([0.01, np.nan, np.nan], "undecided"),
        ([0.0, 0.0, 0.0], "undecided"),
    ],
)
def test_learning_rate(fluctuations: list[float], verdict: str) -> None:
    parts = learning_rate.judge(rate_table(fluctuations), cells=1000)
    assert combined([part.verdict for part in parts]) == verdict
    lost = [
        rate
        for rate, value in zip(("0.001", "0.01"), fluctuations[1:], strict=True)
        if np.isnan(value)
    ]
    assert ("diverged at " + ", ".join(lost) in parts[0].measured) == bool(lost)


def gap_table(lines: list[tuple[float, float, float, bool]]) -> pd.DataFrame:
    table = pd.DataFrame(lines, columns=["displacement", "low", "high", "inside"])
    return table.assign(train_loss=0.2, validation_loss=0.5, saved_validation_loss=0.9)


TWO, ONE = (0.2, 0.1, 0.3, True), (0.0, -0.02, 0.03, True)
UNSURE, AT_AN_END = (0.2, -0.1, 0.5, True), (0.2, 0.1, 0.3, False)
TINY = (0.02, 0.01, 0.03, True)


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([TWO, TWO, ONE], "supported"),
        ([(-0.2, -0.3, -0.1, True), TWO, UNSURE], "supported"),  # to either side
        ([ONE, TINY, TWO], "contradicted"),  # surely not zero, but as good as one
        ([TWO, TWO, UNSURE, UNSURE], "undecided"),
        ([AT_AN_END, AT_AN_END, TWO], "undecided"),
    ],
)
def test_validation_gap(lines: list[tuple[float, float, float, bool]], verdict: str) -> None:
    assert validation_gap.judge(gap_table(lines)).verdict == verdict


def depth_table(losses: tuple[float, float], plain_accuracies: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": ["resnet50", "resnet152"] * 2,
            "residual": [True, True, False, False],
            "seed": 0,
            "median_test_loss": [*losses, 0.7, 0.7],
            "late_train_accuracy": [0.9, 0.89, *plain_accuracies],
        }
    )


@pytest.mark.parametrize(
    ("losses", "plain", "verdict"),
    [
        ((0.6, 0.4), (0.85, 0.7), "supported"),
        ((0.6, 0.55), (0.85, 0.7), "undecided"),
        ((0.6, 0.4), (0.85, 0.83), "undecided"),
        ((0.4, 0.6), (0.85, 0.7), "contradicted"),
        ((0.6, 0.4), (0.7, 0.85), "contradicted"),
    ],
)
def test_depth(losses: tuple[float, float], plain: tuple[float, float], verdict: str) -> None:
    parts = depth.judge(depth_table(losses, plain), "resnet50", "resnet152")
    assert combined([part.verdict for part in parts]) == verdict


def flow_table(moments: list[tuple[float, float]]) -> pd.DataFrame:
    rows = [
        ("resnet152", residual, 0, epoch, decades)
        for epoch, pair in zip((0, 3), moments, strict=True)
        for residual, decades in zip((True, False), pair, strict=True)
    ]
    # A shallow network that behaves otherwise does not count.
    rows += [
        ("resnet18", residual, 0, epoch, 9.0) for residual in (True, False) for epoch in (0, 3)
    ]
    columns = ["model", "residual", "seed", "epoch", "decades_towards_input"]
    return pd.DataFrame(rows, columns=columns)


VANISHES, EXPLODES, ALIKE = (0.0, -4.0), (1.8, 7.7), (0.1, 0.2)
"""Decades towards the input, with shortcuts and without."""


@pytest.mark.parametrize(
    ("moments", "verdict"),
    [
        ([VANISHES, VANISHES], "supported"),
        ([EXPLODES, EXPLODES], "contradicted"),
        ([EXPLODES, VANISHES], "undecided"),
        ([ALIKE, ALIKE], "undecided"),
        ([(np.nan, -4.0), ALIKE], "undecided"),
    ],
)
def test_gradient_flow(moments: list[tuple[float, float]], verdict: str) -> None:
    parts = gradient_flow.judge(flow_table(moments), "resnet152")
    judged, remark = gradient_flow.agreed(parts)
    assert judged == verdict
    assert bool(remark) == (moments == [EXPLODES, VANISHES])


def gained(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high, cell_low=None, cell_high=None)


@pytest.mark.parametrize(
    ("by_people", "by_cells", "verdict"),
    [
        ((0.01, 0.05), (0.02, 0.04), "supported"),
        ((0.01, 0.05), (-0.02, 0.04), "undecided"),
        ((0.01, 0.05), (-0.04, -0.02), "contradicted"),
        ((-0.01, 0.05), (0.02, 0.04), "undecided"),
        ((-0.05, -0.01), (0.02, 0.04), "contradicted"),
    ],
)
def test_people(
    by_people: tuple[float, float], by_cells: tuple[float, float], verdict: str
) -> None:
    rows = [
        ("people", 0.25, 8, 0.7),
        ("people", 0.5, 15, 0.8),
        ("people", 1.0, 29.4, 0.9),
        ("cells", 0.25, 29.4, 0.81),
        ("cells", 0.5, 29.4, 0.88),
    ]
    table = pd.DataFrame(rows, columns=["of", "share", "people", "auroc"])
    parts = people.judge(table, gained(*by_people), gained(*by_cells))
    assert combined([part.verdict for part in parts]) == verdict
    told = " ".join(part.measured for part in parts)
    for said in ("0.900 with 29 people", "0.800 with 15", "0.880 with 29 people and 50 %"):
        assert said in told
