"""The tables of one evaluation, in words, for a page and for a card alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from leukoscope.cells.manifest import CLASSES
from leukoscope.evaluation.describe import TITLES
from leukoscope.evaluation.result import Calls, Estimate, Evaluation
from leukoscope.reporting.words import SIGNED, counted, number, span


@dataclass(frozen=True)
class Table:
    """A table of words: `rows` begin with their heading; `columns` name what follows it."""

    first: str
    columns: list[str]
    rows: list[list[str]]


def metrics_table(evaluation: Evaluation) -> Table:
    """Return every metric with its interval over subjects, and the one over cells."""
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


def points_table(points: Sequence[Calls]) -> Table:
    """Return the operating points: on validation, where they were chosen, and here."""
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


def baselines_table(evaluation: Evaluation) -> Table:
    """Return what each baseline achieves, and what the network gains over it."""
    rows = [
        [
            baseline.name,
            _with_span(baseline.auroc),
            _with_span(baseline.auroc_gain, SIGNED),
            _with_span(baseline.accuracy),
            _with_span(baseline.accuracy_gain, SIGNED),
        ]
        for baseline in evaluation.baselines
    ]
    columns = ["AUROC", "Network’s gain in AUROC", "Accuracy at 0.5", "Network’s gain in accuracy"]
    return Table("Baseline", columns, rows)


def by_class_table(subjects: pd.DataFrame) -> Table:
    """Return accuracy over subjects by class, from a table of subjects, the worst first."""
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


def subjects_table(subjects: pd.DataFrame) -> Table:
    """Return a table of subjects, as from `leukoscope.evaluation.subjects.by_subject`, in words."""
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


def _with_span(estimate: Estimate, form: str = ".3f") -> str:
    value = number(estimate.value, form)
    if estimate.low is None:
        return value
    # Kept on one line.
    return f"{value} ({span(estimate.low, estimate.high, form)})".replace(" to ", "\u00a0to\u00a0")


def _share(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:.1%} ({'interval unknown' if pd.isna(low) else f'{low:.1%} to {high:.1%}'})"
