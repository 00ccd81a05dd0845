"""What a report says of one evaluation: everything that ``evaluation.html.j2`` needs, in words.

{% from "evaluation.html.j2" import evaluation_section %}
{{ evaluation_section(section(run, evaluation, "resnet18", "r1")) }}
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from leukoscope.cells.manifest import CLASSES
from leukoscope.errors import BadInputError
from leukoscope.evaluation import reads
from leukoscope.evaluation.describe import TITLES
from leukoscope.evaluation.result import (
    Calls,
    Estimate,
    Evaluation,
    predictions_file,
    subjects_file,
)
from leukoscope.reporting.evaluation_figures import Judged
from leukoscope.reporting.evaluation_pictures import Picture, pictures
from leukoscope.reporting.examples import Group, failures, of_files, of_store
from leukoscope.reporting.words import SIGNED, against, counted, number, span
from leukoscope.training.run import Run


@dataclass(frozen=True)
class Table:
    """A table of words: `rows` begin with their heading; `columns` name what follows it."""

    first: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Section:
    """One evaluation in words, tables and pictures; what cannot be said is empty.

    Attributes:
        key: tells its ids in the page from those of other sections.
        title: whose calls of which cells.
        lead: what was judged.
        warnings: what keeps a reader from trusting the numbers.
        looks: how often the test split was looked at; empty for other cells.
        by_class: accuracy over subjects, by class.
        metrics: every metric with its two intervals.
        points: the operating points, on validation and here.
        shortcuts: what size and colour alone achieve, and the network's gain.
        verdicts: the same in words, a sentence a shortcut.
        subjects: the worst first.
        pictures: the figures.
        failures: wrong calls by subject; None where the pictures are gone.
    """

    key: str
    title: str
    lead: str
    warnings: list[str]
    looks: str
    by_class: Table | None = None
    metrics: Table | None = None
    points: Table | None = None
    shortcuts: Table | None = None
    verdicts: list[str] = field(default_factory=list)
    subjects: Table | None = None
    pictures: list[Picture] = field(default_factory=list)
    failures: list[Group] | None = None


def section(run: Run, evaluation: Evaluation, name: str, key: str) -> Section:
    """Gather what a report says of an `evaluation` of `run`.

    Args:
        run: whose folder holds the evaluation's predictions and subjects.
        evaluation: of a split, or of other cells.
        name: of the network.
        key: a word of its own for each section of a page, made of letters, digits and hyphens.
    """
    title = f"{name} on {evaluation.name}"
    warnings = [*_shifts(evaluation), *_what_is_missing(evaluation)]
    looks = looks_in_words(run) if evaluation.name == "test" else ""
    if not evaluation.calls:
        lead = "These cells have no labels: each was called, and how often rightly is unknown."
        return Section(key, title, lead, warnings, looks)

    predictions = pd.read_parquet(predictions_file(run, evaluation.name, evaluation.checkpoint))
    predictions = predictions.dropna(subset=["label"]).astype({"label": int})
    subjects = pd.read_csv(subjects_file(run, evaluation.name, evaluation.checkpoint))
    judged = Judged(name, evaluation, predictions)
    return Section(
        key=key,
        title=title,
        lead=_lead(evaluation),
        warnings=warnings,
        looks=looks,
        by_class=_by_class(subjects),
        metrics=_metrics(evaluation),
        points=_points(evaluation.calls),
        shortcuts=_shortcuts(evaluation),
        verdicts=[against(shortcut) for shortcut in evaluation.shortcuts],
        subjects=_subjects(subjects),
        pictures=pictures(judged, subjects),
        failures=_failures(run, evaluation, predictions),
    )


def looks_in_words(run: Run) -> str:
    """Say how often the test split of `run` was looked at, and whether each epoch was."""
    looks = len(reads.read(run))
    if looks > 1:
        said = (
            f"The test split was judged with {looks} different weights of this run: whoever "
            "chooses among them by its figures makes them optimistic."
        )
    elif looks == 1:
        said = "The test split was judged with one set of weights of this run."
    else:
        said = "How often the test split was judged was not recorded for this run."
    if run.config.watch_test:
        said += (
            " Its loss and accuracy were noted after every epoch, as the original lab did; nothing "
            "is chosen by them, but they were there to be seen."
        )
    return said


def _lead(evaluation: Evaluation) -> str:
    subjects = [
        f"{counted(count, 'subject')} with {title}"
        for count, title in (
            (evaluation.normal_subjects, "normal cells"),
            (evaluation.blast_subjects, "blasts"),
        )
        if count
    ]
    return (
        f"{counted(evaluation.cells, 'labelled cell')} of {' and '.join(subjects)}, judged by the "
        f"weights of epoch {evaluation.epoch}. Probabilities are softened by the temperature "
        f"{evaluation.temperature:.2f}; it and the operating points come from validation cells."
    )


def _shifts(evaluation: Evaluation) -> list[str]:
    return [
        f"{one.outside:.0%} of these cells lie outside the training cells in "
        f"{one.feature.replace('_', ' ')} (median {one.median:.3f}; 98 % of the training cells lie "
        f"from {one.low:.3f} to {one.high:.3f}): the figures of the test split say little here."
        for one in evaluation.shifts
        if one.warns
    ]


def _what_is_missing(evaluation: Evaluation) -> list[str]:
    if not evaluation.calls:
        return []
    said = []
    subjects = {"normal": evaluation.normal_subjects, "blast": evaluation.blast_subjects}
    for title, count in subjects.items():
        if not count:
            said.append(
                f"There is no {title} cell here: there is no ROC curve, and no metric that needs "
                "both classes."
            )
        if count == 1:
            said.append(
                f"All {title} cells are of one subject: how others would differ cannot be told, "
                "so there is no interval over subjects for what depends on them."
            )
    estimates = [*evaluation.calls[0].metrics.values(), *evaluation.scores.values()]
    if any(one.low is not None and one.low == one.high for one in estimates):
        fewest = min(count for count in subjects.values() if count)
        said.append(
            "An interval without width means that no subject here differed, not that none will: "
            f"of {fewest} subjects without a failure as many as {1 - 0.05 ** (1 / fewest):.0%} of "
            "all may still fail (one-sided 95 %)."
        )
    return said


def _metrics(evaluation: Evaluation) -> Table:
    found = evaluation.calls[0].metrics | evaluation.scores
    return Table(
        "Metric",
        ["Value", "95 % over subjects", "95 % over cells, optimistic"],
        [
            [
                TITLES[name][0].upper() + TITLES[name][1:],
                number(one.value),
                span(one.low, one.high),
                span(one.cell_low, one.cell_high),
            ]
            for name, one in found.items()
        ],
    )


def _points(points: Sequence[Calls]) -> Table:
    rows = []
    for calls in points:
        (tn, fp), (fn, tp) = calls.confusion
        rows.append(
            [
                calls.point.name,
                f"{calls.point.threshold:.3f}",
                f"{calls.point.sensitivity:.3f}",
                f"{calls.point.specificity:.3f}",
                *(_with_span(calls.metrics[name]) for name in ("sensitivity", "specificity")),
                f"{tp:,} : {fn:,}",
                f"{tn:,} : {fp:,}",
            ]
        )
    columns = [
        "Blast from",
        "Sensitivity on validation",
        "Specificity on validation",
        "Sensitivity here",
        "Specificity here",
        "Blasts found : missed",
        "Normal cells right : called blast",
    ]
    return Table("Operating point", columns, rows)


def _shortcuts(evaluation: Evaluation) -> Table:
    rows = [
        [
            shortcut.name,
            _with_span(shortcut.auroc),
            _with_span(shortcut.auroc_gain, SIGNED),
            _with_span(shortcut.accuracy),
            _with_span(shortcut.accuracy_gain, SIGNED),
        ]
        for shortcut in evaluation.shortcuts
    ]
    columns = ["AUROC", "Network’s gain in AUROC", "Accuracy at 0.5", "Network’s gain in accuracy"]
    return Table("Shortcut", columns, rows)


def _by_class(subjects: pd.DataFrame) -> Table:
    rows = []
    for label, title in CLASSES.items():
        part = subjects[subjects["label"] == label]
        if len(part):
            worst = part.iloc[0]
            rows.append(
                [
                    title,
                    f"{len(part):,}",
                    f"{part['accuracy'].mean():.3f}",
                    f"{worst.accuracy:.3f}",
                    f"{worst.subject}, {worst.correct:,} of {counted(worst.cells, 'cell')}",
                ]
            )
    columns = ["Subjects", "Mean accuracy", "Lowest accuracy", "of"]
    return Table("Class", columns, rows)


def _subjects(subjects: pd.DataFrame) -> Table:
    rows = [
        [
            str(row["subject"]),
            CLASSES[row["label"]],
            f"{row['correct']:,} of {row['cells']:,}",
            f"{row['accuracy']:.3f} ({span(row['low'], row['high'])})",
            f"{row['probability']:.3f}",
            f"{row['called_blast'] / row['cells']:.1%}",
            _share(*(row[f"blast_share{end}"] for end in ("", "_low", "_high"))),
        ]
        for row in subjects.to_dict("records")
    ]
    columns = [
        "True class",
        "Called rightly",
        "Accuracy (95 %)",
        "Mean probability of blast",
        "Called blast",
        "Blast share, corrected (95 %)",
    ]
    return Table("Subject", columns, rows)


def _failures(run: Run, evaluation: Evaluation, predictions: pd.DataFrame) -> list[Group] | None:
    store = run.open_store()
    external = evaluation.name.startswith("external-")
    pixels = of_files(store.info.preprocessing) if external else of_store(store)
    calibrated = predictions.assign(probability=predictions["calibrated"])
    try:
        return failures(calibrated, pixels)
    except BadInputError:  # the pictures of other cells may have gone since
        return None


def _with_span(estimate: Estimate, form: str = ".3f") -> str:
    value = number(estimate.value, form)
    if estimate.low is None:
        return value
    # Kept on one line.
    return f"{value} ({span(estimate.low, estimate.high, form)})".replace(" to ", "\u00a0to\u00a0")


def _share(value: float, low: float, high: float) -> str:
    return "–" if pd.isna(value) else f"{value:.1%} ({low:.1%} to {high:.1%})"
