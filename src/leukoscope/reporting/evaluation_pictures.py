"""The figures of an evaluation as a page shows them: picture, what it says in words, caption."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from leukoscope.evaluation import curves
from leukoscope.evaluation.calibration import reliability
from leukoscope.evaluation.metrics import ECE_BINS
from leukoscope.reporting import evaluation_figures as figures
from leukoscope.reporting.evaluation_figures import Judged
from leukoscope.reporting.examples import data_uri
from leukoscope.reporting.style import svg
from leukoscope.reporting.subject_figure import accuracy_by_subject
from leukoscope.reporting.words import counted, estimated, number, softened


@dataclass(frozen=True)
class Picture:
    """A figure: its address, what it says to who cannot see it, its caption, how wide it is."""

    source: str
    alt: str
    caption: str
    wide: bool = False


def pictures(judged: Judged, subjects: pd.DataFrame) -> list[Picture]:
    """Return the figures of an evaluation with labels; the subjects first.

    Args:
        judged: the evaluation and its labelled predictions.
        subjects: its table of subjects, the worst first.
    """
    made = [_subjects(judged, subjects)]
    if judged.evaluation.scores["auroc"].value is not None:
        made += [_roc(judged), _precision_recall(judged)]
    made.append(_calibration(judged))
    if judged.evaluation.scores["auroc"].value is not None:
        made.append(_decision(judged))
    return made


def _subjects(judged: Judged, subjects: pd.DataFrame) -> Picture:
    title = f"{judged.name} on {judged.evaluation.name}"
    worst = subjects.iloc[0]
    return Picture(
        _source(accuracy_by_subject(title, subjects)),
        f"Dot plot of {title}: share of right calls of {counted(len(subjects), 'subject')}, from "
        f"{worst.accuracy:.3f} ({worst.subject}) to {subjects['accuracy'].max():.3f}; mean "
        f"{subjects['accuracy'].mean():.3f}.",
        "Share of cells called rightly at 0.5, subject by subject, the worst first. The line is "
        "the 95 % Wilson interval of a new cell of the same subject: how a new subject would fare "
        "is told by the spread of the dots.",
        wide=True,
    )


def _roc(judged: Judged) -> Picture:
    evaluation = judged.evaluation
    points = "; ".join(
        f"{calls.point.name}: sensitivity {number(calls.metrics['sensitivity'].value)}, "
        f"specificity {number(calls.metrics['specificity'].value)}"
        for calls in evaluation.calls
    )
    return Picture(
        _source(figures.roc(judged)),
        f"ROC curve of {judged.name} on {evaluation.name}: AUROC "
        f"{estimated(evaluation.scores['auroc'])}. Operating points: {points}.",
        "ROC curve. The thresholds of the marked points were chosen on validation, prevalence by "
        "the training cells; where they come to lie here is what they are worth. Under the "
        "title: the AUROC of what needs no network.",
    )


def _precision_recall(judged: Judged) -> Picture:
    evaluation = judged.evaluation
    share = judged.scored().truth.mean()
    return Picture(
        _source(figures.precision_recall(judged)),
        f"Precision over sensitivity of {judged.name} on {evaluation.name}: average precision "
        f"{estimated(evaluation.scores['average_precision'])}; the share of blasts is {share:.3f}.",
        "Precision, the positive predictive value, over sensitivity. Both change with the share "
        "of blasts (dotted), which is that of these cells and not that of a patient’s smear.",
    )


def _calibration(judged: Judged) -> Picture:
    evaluation = judged.evaluation
    scored = judged.scored()
    fullest = reliability(scored.probability, scored.truth).sort_values("cells").iloc[-1]
    low, high = fullest["bin"] / ECE_BINS, (fullest["bin"] + 1) / ECE_BINS
    return Picture(
        _source(figures.calibration(judged)),
        f"Reliability diagram of {judged.name} on {evaluation.name}: ECE "
        f"{estimated(evaluation.scores['ece'])} after {softened(evaluation)}, "
        f"{estimated(evaluation.scores['ece_uncalibrated'])} before. The fullest bin, {low:.2f} to "
        f"{high:.2f}, holds {counted(int(fullest['cells']), 'cell')} with a mean probability of "
        f"{fullest['probability']:.3f}; {fullest['share']:.3f} of them are blasts.",
        "Reliability as the network says it (dashed) and calibrated (solid), above the cells in "
        f"each bin. ECE, the expected calibration error, is the mean over {ECE_BINS} bins of equal "
        "width, weighted by their cells, of |mean probability of blast - share of blasts|. Its "
        "intervals are over subjects; few cells make it larger than it is.",
    )


def _decision(judged: Judged) -> Picture:
    table = curves.decision_curve(judged.scored(), judged.units)
    half = table[table["threshold"] == 0.5].iloc[0]
    return Picture(
        _source(figures.decision(judged, table)),
        f"Decision curve of {judged.name} on {judged.evaluation.name}: "
        f"{figures.gain_in_words(table)}. At a threshold probability of 0.5 the net benefit is "
        f"{half.net_benefit:.3f}, that of calling every cell a blast {half.call_all:.3f}, of "
        "calling none 0.",
        "Decision curve (Vickers and Elkin 2006): true calls of blast less false ones, each worth "
        "t / (1 - t) of a true one at the threshold probability t, by cell. It is worth the share "
        "of blasts at most. “Clearly better” counts the thresholds whose gain over the better of "
        "calling all and calling none has an interval above 0.",
    )


def _source(figure: Figure) -> str:
    return data_uri(svg(figure), "image/svg+xml")
