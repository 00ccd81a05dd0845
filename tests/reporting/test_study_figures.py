"""A study's figure draws what the finding holds, told apart without colour."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from leukoscope.reporting import study_figures
from leukoscope.studies.finding import Finding


def finding(table: pd.DataFrame, curves: pd.DataFrame) -> Finding:
    return Finding("any", "Is it?", "It is.", "undecided", "Perhaps.", [], table, curves)


def named(axes: Axes, label: str) -> np.ndarray:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(line.get_xydata())


def test_gradient_flow_has_a_column_a_network_and_a_row_a_moment() -> None:
    rows = [
        (model, residual, 0, epoch, layer, 10.0 ** (layer * (1 if residual else 3) - epoch))
        for model in ("resnet18", "resnet50")
        for residual in (True, False)
        for epoch in (0, 1, 2)
        for layer in (1, 2, 3)
    ]
    columns = ["model", "residual", "seed", "epoch", "layer", "norm"]
    figure = study_figures.gradient_flow(
        finding(pd.DataFrame(), pd.DataFrame(rows, columns=columns))
    )
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["resnet18", "resnet50", "", ""]
    np.testing.assert_allclose(named(figure.axes[1], "with shortcuts")[:, 1], [1e1, 1e2, 1e3])
    np.testing.assert_allclose(named(figure.axes[3], "without shortcuts")[:, 1], [1e1, 1e4, 1e7])
    assert "after epoch 2" in figure.axes[2].get_ylabel()
    styles = {line.get_linestyle() for line in figure.axes[0].lines[:2]}
    assert len(styles) == 2


def test_minima_are_marked_where_they_lie() -> None:
    steps = np.linspace(-1, 1, 5)
    lines = [
        pd.DataFrame(
            {"step": steps, "train": steps**2, "validation": (steps - 0.5) ** 2 + 1}
        ).assign(line=line, seed=0)
        for line in ("random 1", "random 2", "first to last")
    ]
    table = pd.DataFrame(
        {
            "line": ["random 1", "random 2", "first to last"],
            "seed": 0,
            "displacement": [0.5, 0.5, -0.5],
            "low": [0.4, 0.4, -0.9],
            "high": [0.6, 0.6, 0.1],
            "inside": [True, True, False],
        }
    )
    figure = study_figures.validation_gap(finding(table, pd.concat(lines)))
    randoms, path, apart = figure.axes
    assert [axes.get_title(loc="left") for axes in (randoms, path)] == [
        "Random directions",
        "First to last",
    ]
    for axes in (randoms, path):
        for label, step in (("training", 0), ("validation", 0.5)):
            (line,) = [line for line in axes.lines if line.get_label() == label]
            assert named(axes, label)[line.get_markevery()[0], 0] == step
    assert [text.get_text() for text in apart.get_yticklabels()] == table["line"].tolist()
    fills = [line.get_markerfacecolor() for line in apart.lines]
    assert fills[2] == "white"  # its minimum lies at an end
    assert fills[0] != "white"


@pytest.mark.parametrize("seeds", [1, 3])
def test_accuracy_panels_say_what_was_measured(seeds: int) -> None:
    curves = pd.DataFrame(
        [
            (size, seed, epoch, 0.8 + epoch / 100, 0.7 + seed / 100)
            for size in (16, 64)
            for seed in range(seeds)
            for epoch in (1, 2, 3)
        ],
        columns=["batch_size", "seed", "epoch", "train_accuracy", "validation_accuracy"],
    )
    table = pd.DataFrame(
        {
            "batch_size": [16, 64],
            "fluctuation": [0.03, 0.01],
            "sharpness_0.001": [50.0, 80.0],
            "sharpness_0.0005": [20.0, 30.0],
            "test_accuracy": [0.8, 0.9],
        }
    )
    figure = study_figures.batch_size(finding(table, curves))
    for axes, size, told in zip(figure.axes, (16, 64), ("0.0300", "0.0100"), strict=True):
        assert axes.get_title(loc="left") == f"Batch size {size}"
        assert f"fluctuation {told}" in axes.texts[0].get_text()
        assert len(axes.lines) == 2 * seeds
        assert len(named(axes, "validation")) == 3
