"""What a report says of one evaluation: everything that ``evaluation.html.j2`` needs, in words.

{% from "evaluation.html.j2" import evaluation_section %}
{{ evaluation_section(section(run, evaluation, "resnet18", "r1")) }}
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from leukoscope.errors import BadInputError
from leukoscope.evaluation import reads
from leukoscope.evaluation.describe import without_width
from leukoscope.evaluation.ensemble import Ensemble, runs_of
from leukoscope.evaluation.folds import evaluate_folds
from leukoscope.evaluation.result import Evaluation, predictions_file, read_subjects
from leukoscope.reporting.evaluation_figures import Judged
from leukoscope.reporting.evaluation_pictures import Picture, pictures
from leukoscope.reporting.evaluation_tables import (
    Table,
    baselines_table,
    by_class_table,
    metrics_table,
    points_table,
    subjects_table,
)
from leukoscope.reporting.examples import Group, failures, of_files, of_store
from leukoscope.reporting.record import EXTERNAL, looks_in_words, of_phantoms
from leukoscope.reporting.words import against, counted, people, softened
from leukoscope.training.run import Run


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
        baselines: what is achieved without a network, and the network's gain.
        verdicts: the same in words, a sentence a baseline.
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
    baselines: Table | None = None
    verdicts: list[str] = field(default_factory=list)
    subjects: Table | None = None
    pictures: list[Picture] = field(default_factory=list)
    failures: list[Group] | None = None


def section(source: Run | Ensemble, evaluation: Evaluation, name: str, key: str) -> Section:
    """Gather what a report says of an `evaluation` of a run or of an ensemble.

    Args:
        source: whose folder holds the evaluation's predictions and subjects.
        evaluation: of a split, or of other cells.
        name: of the network.
        key: a word of its own for each section of a page, made of letters, digits and hyphens.
    """
    looks = ""
    if isinstance(source, Run) and evaluation.name == "test":
        looks = looks_in_words(source)
    if not evaluation.calls:
        title = f"{name} on {evaluation.name}"
        return Section(key, title, lead(evaluation), warnings(source, evaluation), looks)
    predictions = pd.read_parquet(predictions_file(source, evaluation.name, evaluation.checkpoint))
    predictions = predictions.dropna(subset=["label"]).astype({"label": int})
    subjects = read_subjects(source, evaluation.name, evaluation.checkpoint)
    return _section(source, Judged(name, evaluation, predictions), subjects, key, looks)


def section_of_folds(runs: Sequence[Run], name: str, key: str) -> Section:
    """Gather what a report says of the folds of one network, of which each tested other people.

    Args:
        runs: of one seed, evaluated on their tests.
        name: of the network.
        key: as for `section`.
    """
    evaluation, predictions, subjects = evaluate_folds(runs)
    most = max(runs, key=lambda run: len(reads.read(run)))
    looks = f"Of the run whose test was looked at most often: {looks_in_words(most)}"
    judged = Judged(f"{name}, {len(runs)} folds,", evaluation, predictions)
    return _section(runs[0], judged, subjects, key, looks)


def _section(
    source: Run | Ensemble, judged: Judged, subjects: pd.DataFrame, key: str, looks: str
) -> Section:
    evaluation = judged.evaluation
    return Section(
        key=key,
        title=f"{judged.name} on {evaluation.name}",
        lead=lead(evaluation),
        warnings=warnings(source, evaluation),
        looks=looks,
        by_class=by_class_table(subjects),
        metrics=metrics_table(evaluation),
        points=points_table(evaluation.calls),
        baselines=baselines_table(evaluation),
        verdicts=[against(baseline) for baseline in evaluation.baselines],
        subjects=subjects_table(subjects),
        pictures=pictures(judged, subjects),
        failures=_failures(source, evaluation, judged.predictions),
    )


def lead(evaluation: Evaluation) -> str:
    """Say what was judged, by which weights."""
    if not evaluation.calls:
        return "These cells have no labels: each was called, and how often rightly is unknown."
    whose = [
        f"{people(count)} with {title}"
        for count, title in (
            (evaluation.normal_subjects, "normal cells"),
            (evaluation.blast_subjects, "blasts"),
        )
        if count
    ]
    judged = f"{counted(evaluation.cells, 'labelled cell')} of {' and '.join(whose)}, "
    if evaluation.temperature is None:
        return (
            f"{judged}each judged by the run that neither trained nor chose on them. Temperature "
            "and operating points of a run come from its own validation cells; a threshold is told "
            "as the runs’ mean, and its point need not lie on the curves."
        )
    if evaluation.epoch is None:
        weights, chosen = "mean of all runs’ log-odds", "what each run says of people new to it"
    else:
        weights, chosen = f"weights of epoch {evaluation.epoch}", "validation cells"
    return (
        f"{judged}judged by the {weights}. Probabilities are calibrated by the "
        f"{softened(evaluation)}; temperature and operating points come from {chosen}, prevalence "
        "and any prior from the training cells."
    )


def warnings(source: Run | Ensemble, evaluation: Evaluation) -> list[str]:
    """Say what keeps a reader from trusting the numbers as they stand."""
    phantoms = "These are phantom cells, drawn by a program: the figures mean nothing clinically."
    return [
        *([phantoms] if of_phantoms(source, evaluation) else []),
        *_known(evaluation),
        *_shifts(evaluation),
        *_what_is_missing(evaluation),
    ]


def _known(evaluation: Evaluation) -> list[str]:
    if not evaluation.known_subjects:
        return []
    return [
        f"{counted(len(evaluation.known_subjects), 'subject')} of these cells bear names that "
        "stand in the run’s own store, too: if they are the same people, this is no external test."
    ]


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
                f"All {title} cells are of one person: how others would differ cannot be told, "
                "so there is no interval over subjects for what depends on them."
            )
    return [*said, *without_width(evaluation)]


def _failures(
    source: Run | Ensemble, evaluation: Evaluation, predictions: pd.DataFrame
) -> list[Group] | None:
    store = runs_of(source)[0].open_store()
    external = evaluation.name.startswith(EXTERNAL)
    pixels = of_files(store.info.preprocessing) if external else of_store(store)
    try:
        return failures(predictions, pixels)
    except BadInputError:  # the pictures of other cells may have gone since
        return None
