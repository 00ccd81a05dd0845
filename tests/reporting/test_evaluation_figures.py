"""The figures of one evaluation show its numbers, whatever the subjects, and say them in words."""

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from leukoscope.evaluation import curves
from leukoscope.evaluation.bootstrap import Units
from leukoscope.evaluation.calibration import probability
from leukoscope.evaluation.judgement import judge
from leukoscope.evaluation.metrics import Scored
from leukoscope.evaluation.operating import operating_points
from leukoscope.evaluation.result import Evaluation
from leukoscope.evaluation.subjects import by_subject
from leukoscope.reporting import evaluation_figures as figures
from leukoscope.reporting.evaluation_figures import Judged
from leukoscope.reporting.evaluation_pictures import pictures
from leukoscope.reporting.style import svg
from leukoscope.reporting.subject_figure import accuracy_by_subject


def predictions_of(subjects: int, cells: int = 10, seed: int = 0) -> pd.DataFrame:
    """Labelled predictions of `subjects` subjects a class, `cells` each, of a fair network."""
    random = np.random.default_rng(seed)
    number = np.repeat(np.arange(2 * subjects), cells)
    label = (number < subjects).astype(int)
    logit = np.where(label, 1, -1) + random.normal(0, 0.7, 2 * subjects)[number]
    logit = logit + random.normal(0, 1, len(number))
    table = pd.DataFrame(
        {
            "id": [f"{i}.bmp" for i in range(len(number))],
            "subject": [
                f"{'all' if one else 'hem'}:{i}" for one, i in zip(label, number, strict=True)
            ],
            "label": label,
            "probability": probability(2 * logit),
            "calibrated": probability(logit),
        }
    )
    return table.assign(person=table["subject"], call=(table["probability"] >= 0.5).astype(int))


def evaluation_of(predictions: pd.DataFrame) -> Evaluation:
    """What the evaluation of `predictions` says; size alone is worthless, colour alone perfect."""
    truth = predictions["label"].eq(1).to_numpy(dtype=bool)
    chosen_by = predictions_of(6, seed=1)
    scored = Scored(chosen_by["label"].eq(1).to_numpy(), chosen_by["calibrated"].to_numpy())
    points = operating_points(scored, Units.of(chosen_by["person"], scored.truth), 0.5)
    predictions = predictions.assign(
        **{
            "majority class": np.full(len(truth), 0.5),
            "size only": np.random.default_rng(2).random(len(truth)),
            "colour only": np.where(truth, 0.9, 0.1),
            "size and colour": predictions["calibrated"].to_numpy(),
            "handmade features": predictions["calibrated"].to_numpy(),
        }
    )
    people = predictions.groupby("label")["person"].nunique()
    return Evaluation(
        name="test",
        checkpoint="best",
        epoch=3,
        temperature=2.0,
        prior=0.0,
        cells=len(predictions),
        normal_subjects=int(people.get(0, 0)),
        blast_subjects=int(people.get(1, 0)),
        **judge(predictions, {point: point.threshold for point in points}),
    )


def judged_of(predictions: pd.DataFrame) -> Judged:
    return Judged("resnet18", evaluation_of(predictions), predictions)


@pytest.fixture(scope="module")
def judged() -> Judged:
    return judged_of(predictions_of(8))


def lines_of(axes: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.lines}


def words_of(figure: Figure) -> str:
    page = ElementTree.fromstring(svg(figure))
    return " ".join(text.strip() for text in page.itertext() if text.strip())


def test_the_roc_figure_shows_curve_points_and_areas(judged: Judged) -> None:
    figure = figures.roc(judged)
    scored, evaluation = judged.scored(), judged.evaluation
    lines = lines_of(figure.axes[0])
    fallout, sensitivity, _ = roc_curve(scored.truth, scored.probability)
    assert lines["network"] == pytest.approx(np.column_stack([fallout, sensitivity]))
    half = evaluation.calls[0].metrics
    where = (1 - half["specificity"].value, half["sensitivity"].value)
    assert lines["from 0.5"][0] == pytest.approx(where)
    words = words_of(figure)
    auroc = evaluation.scores["auroc"]
    assert f"AUROC {auroc.value:.3f} (95 % {auroc.low:.3f} to {auroc.high:.3f})" in words
    assert "by size 0.534, colour 1.000, both" in words
    for named in ("95 % over subjects", "chance", "Youden, from", "sensitivity ≥ 0.95, from"):
        assert named in words


def test_the_precision_figure_shows_curve_points_and_the_share_of_blasts(judged: Judged) -> None:
    lines = lines_of(figures.precision_recall(judged).axes[0])
    scored = judged.scored()
    precision, sensitivity, _ = precision_recall_curve(scored.truth, scored.probability)
    assert lines["network"] == pytest.approx(np.column_stack([sensitivity, precision])[-2::-1])
    assert lines["share of blasts"][:, 1].tolist() == [0.5, 0.5]
    half = judged.evaluation.calls[0].metrics
    where = (half["sensitivity"].value, half["ppv"].value)
    assert lines["from 0.5"][0] == pytest.approx(where)


def test_reliability_is_shown_before_and_after_with_the_cells_of_each_bin(judged: Judged) -> None:
    figure = figures.calibration(judged)
    diagram, histogram = figure.axes
    assert {"uncalibrated", "after temperature 2.00", "as promised"} <= set(lines_of(diagram))
    before, after = (patch.get_data().values for patch in histogram.patches)
    assert before.sum() == after.sum() == len(judged.predictions)
    # The temperature pulls probabilities towards the middle.
    assert after[[0, -1]].sum() < before[[0, -1]].sum()


def test_the_decision_figure_shows_all_three_ways(judged: Judged) -> None:
    table = curves.decision_curve(judged.scored(), judged.units)
    figure = figures.decision(judged, table)
    lines = lines_of(figure.axes[0])
    assert lines["by the network"] == pytest.approx(table[["threshold", "net_benefit"]].to_numpy())
    assert lines["call all"] == pytest.approx(table[["threshold", "call_all"]].to_numpy())
    assert lines["call none"][:, 1].tolist() == [0, 0]
    assert figures.gain_in_words(table) in words_of(figure)


def test_the_gain_is_said_as_the_decision_curve_has_it() -> None:
    table = pd.DataFrame({"threshold": curves.THRESHOLDS, "gain_low": -0.1})
    assert figures.gain_in_words(table) == "nowhere clearly better than calling all or none"
    table.loc[29:49, "gain_low"] = 0.1
    said = "clearly better than both at 21 of 99: 0.30 to 0.50"
    assert figures.gain_in_words(table) == said
    assert figures.gain_in_words(table.assign(gain_low=np.nan)) == "too few subjects for a band"


@pytest.mark.parametrize("subjects", [6, 40])
def test_each_subject_has_a_row_the_worst_first(subjects: int) -> None:
    predictions = predictions_of(subjects)
    table = by_subject(predictions, evaluation_of(predictions).calls[0].point)
    figure = accuracy_by_subject("resnet18 on test", table)
    for axes, label in zip(figure.axes, (0, 1), strict=True):
        part = table[table["label"] == label]
        names = [tick.get_text() for tick in axes.get_yticklabels()]
        assert names == [f"{name} (10 cells)" for name in part["subject"]]
        assert np.asarray(axes.lines[0].get_xdata()).tolist() == part["accuracy"].tolist()
        assert part["accuracy"].is_monotonic_increasing
        assert axes.yaxis_inverted()
        assert f"{subjects} subjects: mean {part['accuracy'].mean():.3f}" in axes.get_title("left")
    # Rows keep their height, so that names never meet.
    assert figure.get_figheight() > 0.19 * subjects


def test_a_subjects_name_is_no_formula_and_no_markup() -> None:
    predictions = predictions_of(2).replace({"subject": {"all:0": "$x_1$ <b>"}})
    table = by_subject(predictions, evaluation_of(predictions).calls[0].point)
    page = svg(accuracy_by_subject("", table))
    assert b"$x_1$ &lt;b&gt; (10 cells)" in page


def test_pictures_say_their_numbers_in_words(judged: Judged) -> None:
    subjects = by_subject(judged.predictions, judged.evaluation.calls[0].point)
    made = pictures(judged, subjects)
    assert [picture.wide for picture in made] == [True, False, False, False, False]
    told = [picture.alt for picture in made]
    assert f"from {subjects['accuracy'].min():.3f} ({subjects['subject'].iloc[0]})" in told[0]
    assert f"AUROC {judged.evaluation.scores['auroc'].value:.3f}" in told[1]
    assert "the share of blasts is 0.500" in told[2]
    assert f"ECE {judged.evaluation.scores['ece'].value:.3f}" in told[3]
    assert "At a threshold probability of 0.5 the net benefit is" in told[4]
    assert all(picture.source.startswith("data:image/svg+xml;base64,") for picture in made)
    assert "weighted by their cells, of |mean probability of blast - share of blasts|" in (
        made[3].caption
    )


def test_one_class_alone_has_no_curves_that_need_both() -> None:
    blasts = predictions_of(4).query("label == 1").reset_index(drop=True)
    judged = judged_of(blasts)
    subjects = by_subject(blasts, judged.evaluation.calls[0].point)
    assert len(accuracy_by_subject("", subjects).axes) == 1
    assert [picture.alt.split(" of ")[0] for picture in pictures(judged, subjects)] == [
        "Dot plot",
        "Reliability diagram",
    ]


def test_single_subjects_have_curves_without_a_band() -> None:
    figure = figures.roc(judged_of(predictions_of(1, cells=30)))
    assert not figure.axes[0].collections
    words = words_of(figure)
    assert "95 %" not in words
    assert "(no interval)" in words
