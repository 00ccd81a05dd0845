"""Figures show the numbers they are given, say what they are, and are the same file twice."""

from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text

from leukoscope.reporting import figures
from leukoscope.reporting.style import svg

PICTURES = {"train": 21_074, "validation": 1_599, "test": 1_067}
MODELS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def history_of(epochs: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    columns = [f"{split}_{what}" for split in PICTURES for what in ("loss", "accuracy")]
    table = pd.DataFrame(random.uniform(0.5, 0.99, (epochs, len(columns))), columns=columns)
    return table.assign(epoch=range(1, epochs + 1))


def lines_of(axes: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.lines}


def test_accuracy_curves_are_the_histories() -> None:
    histories = {"resnet18": history_of(4, 1), "resnet50": history_of(4, 2)}
    figure = figures.accuracy_by_epoch(
        {name: [history] for name, history in histories.items()},
        {"resnet18": 3, "resnet50": 1},
        PICTURES,
    )
    training, validation = figure.axes
    for axes, split in ((training, "train"), (validation, "validation")):
        for name, history in histories.items():
            expected = history[["epoch", f"{split}_accuracy"]].to_numpy()
            np.testing.assert_array_equal(lines_of(axes)[name], expected)
    assert training.get_ylim() == validation.get_ylim()
    kept = [[3, histories["resnet18"]["validation_accuracy"][2]]]
    np.testing.assert_array_equal(lines_of(validation)["resnet18, kept"], kept)
    assert training.get_title(loc="left") == "Training (21,074 pictures)"
    assert validation.get_title(loc="left") == "Validation (1,599 pictures)"


def test_several_runs_are_a_mean_in_a_band_without_a_ring() -> None:
    runs = [history_of(4, seed) for seed in range(3)]
    figure = figures.accuracy_by_epoch({"resnet18": runs}, {"resnet18": None}, {})
    for axes, column in zip(figure.axes, ("train_accuracy", "validation_accuracy"), strict=True):
        values = np.array([run[column] for run in runs])
        np.testing.assert_allclose(lines_of(axes)["resnet18"][:, 1], values.mean(axis=0))
        (band,) = axes.collections
        heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
        assert (heights.min(), heights.max()) == (values.min(), values.max())
        assert "resnet18, kept" not in lines_of(axes)
    assert figure.axes[0].get_title(loc="left") == "Training"
    (axes,) = figures.loss_by_epoch("resnet18", runs, None, {}, (0.1, 5)).axes
    assert "epoch kept" not in lines_of(axes)
    assert len(axes.collections) == 3


def test_networks_differ_without_colour() -> None:
    histories = {name: [history_of(3, seed)] for seed, name in enumerate(MODELS)}
    figure = figures.accuracy_by_epoch(histories, dict.fromkeys(MODELS, 1), PICTURES)
    markers = [line.get_marker() for line in figure.axes[0].lines]
    assert len(set(markers)) == len(MODELS)


@pytest.mark.parametrize("epochs", [1, 2, 40])
@pytest.mark.parametrize("networks", [1, 3, 5])
def test_every_line_has_its_name_and_no_name_covers_another(epochs: int, networks: int) -> None:
    same = history_of(epochs)  # the hardest case: all lines end in one point
    names = MODELS[:networks]
    figure = figures.accuracy_by_epoch(
        {name: [same] for name in names}, dict.fromkeys(names, 1), PICTURES
    )
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = [text for text in axes.texts if isinstance(text, Annotation)]
        assert sorted(label.get_text() for label in labels) == sorted(names)
        # Without the line that leads to it: an annotation's own extent would hold that as well.
        boxes = sorted((Text.get_window_extent(label) for label in labels), key=lambda box: box.y0)
        assert all(lower.y1 <= upper.y0 for lower, upper in pairwise(boxes))
        left, right = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if left <= tick <= right]
        assert ticks
        assert all(tick == int(tick) for tick in ticks)


def test_loss_curves_are_the_history_on_the_scale_given() -> None:
    history = history_of(5)
    figure = figures.loss_by_epoch("resnet50", [history], 2, PICTURES, (0.1, 5))
    (axes,) = figure.axes
    lines = lines_of(axes)
    for split, label in (("train", "training"), ("validation", "validation"), ("test", "test")):
        expected = history[["epoch", f"{split}_loss"]].to_numpy()
        np.testing.assert_array_equal(lines[label], expected)
    np.testing.assert_array_equal(lines["epoch kept"][:, 0], [2, 2])
    styles = {line.get_linestyle() for line in axes.lines if line.get_label() != "epoch kept"}
    assert len(styles) == 3
    assert (axes.get_yscale(), axes.get_ylim()) == ("log", (0.1, 5))
    assert axes.get_title(loc="left") == "resnet50 (21,074 / 1,599 / 1,067 pictures)"


def test_a_test_that_was_not_watched_is_not_drawn() -> None:
    history = history_of(3).drop(columns=["test_loss", "test_accuracy"])
    (axes,) = figures.loss_by_epoch("resnet18", [history], 1, PICTURES, (0.1, 5)).axes
    assert set(lines_of(axes)) == {"training", "validation", "epoch kept"}


def test_loss_limits_are_round_and_hold_every_network() -> None:
    low = pd.DataFrame({"epoch": [1], "train_loss": [0.03], "test_loss": [np.inf]})
    high = pd.DataFrame({"epoch": [1], "train_loss": [1.7], "test_loss": [0.5]})
    assert figures.loss_limits([low, high]) == pytest.approx((0.02, 2))


def test_a_loss_without_measure_leaves_room_for_the_others() -> None:
    wild = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.5, 0.4], "test_loss": [3e6, 2e4]})
    limits = figures.loss_limits([wild])
    assert limits == pytest.approx((0.2, 10))
    figure = figures.loss_by_epoch("resnet152", [wild], 2, PICTURES, limits)
    (axes,) = figure.axes
    np.testing.assert_array_equal(lines_of(axes)["test"][:, 1], [3e6, 2e4])
    labels = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert labels["test"] == pytest.approx(1)  # its name stands where the line left


def test_confusion_has_true_classes_in_rows_and_predicted_ones_in_columns() -> None:
    figure = figures.confusion(
        "resnet18", [[[1_000, 200], [20, 900]], [[200, 100], [30, 50]]], "test"
    )
    (axes,) = figure.axes
    told: dict[tuple[int, int], list[str]] = {}
    for text in axes.texts:
        column, row = text.get_position()
        told.setdefault((round(column), round(row)), []).append(text.get_text())
    assert told == {  # by (column, row)
        (0, 0): ["80.0%", "1,200"],
        (1, 0): ["20.0%", "300"],
        (0, 1): ["5.0%", "50"],
        (1, 1): ["95.0%", "950"],
    }
    assert axes.get_ylabel() == "True class (rows)"
    assert axes.get_xlabel() == "Predicted class (columns)"
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert rows == ["normal\nn = 1,500", "blast\nn = 1,000"]
    assert columns == ["normal", "blast"]
    assert axes.get_title(loc="left") == "resnet18 on test (n = 2,500)"
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0.05, 0.95]])


def test_confusion_of_a_class_without_cells_has_no_shares() -> None:
    (axes,) = figures.confusion("resnet18", [[[0, 0], [1, 3]]], "test").axes
    assert [text.get_text() for text in axes.texts][:4] == ["–", "0", "–", "0"]


def test_a_figure_is_well_formed_and_the_same_bytes_twice() -> None:
    def drawn() -> bytes:
        history = {"resnet18": [history_of(3)]}
        return svg(figures.accuracy_by_epoch(history, {"resnet18": 1}, PICTURES))

    first = drawn()
    assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"
    assert b">resnet18</text>" in first
    assert drawn() == first
