"""The CLAIM checklist, filled as far as a run can tell; the rest is left to its authors."""

from collections.abc import Iterator
from dataclasses import dataclass

from leukoscope import __version__
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.metrics import ECE_BINS
from leukoscope.evaluation.result import Evaluation
from leukoscope.reporting.claim import ITEMS, OPEN, SECTIONS
from leukoscope.reporting.record import Record
from leukoscope.reporting.words import against, counted, estimated, people


@dataclass(frozen=True)
class Item:
    """One item of the checklist.

    Attributes:
        number: CLAIM's.
        section: of a manuscript; empty unless the item begins it.
        title: what is asked, in short.
        answer: what the run tells; empty if nothing.
        authors: what is left to the authors; empty if nothing.
    """

    number: int
    section: str
    title: str
    answer: str
    authors: str


def checklist(record: Record) -> list[Item]:
    """Return all items of CLAIM 2024, filled from `record`."""
    told = dict(_told(record))
    return [
        Item(
            number=number,
            section=SECTIONS.get(number, ""),
            title=title,
            answer=told.get(number, ""),
            authors=OPEN.get(number, "") if number in told else "all of it",
        )
        for number, title in ITEMS.items()
    ]


def _told(record: Record) -> Iterator[tuple[int, str]]:
    """Yield number and answer of each item that the run knows something of."""
    unknown = int(record.store.cells["label"].isna().sum())
    aside = record.aside()
    yield 1, f"Deep learning: a residual network ({record.run.config.model})."
    yield 7, record.origin()
    yield 8, "Every cell of the manifest whose picture could be read."
    yield 9, record.preprocessing()
    yield (
        10,
        f"Aside, in no split: {counted(aside, 'cell')} of the manifest."
        if aside
        else "None: every cell of the manifest is in a split.",
    )
    yield (
        12,
        f"Without a label: {counted(unknown, 'cell')}, never trained or judged on. In a split "
        f"without a subject: {counted(record.makeup.nameless, 'cell')}, each taken for a person of "
        "its own.",
    )
    yield 14, "Labels are those of the source: 0 normal cell, 1 leukemia blast, one a cell."
    yield 17, "The test cells’ labels come from the same source as all others."
    yield 19, record.division()
    yield 20, record.disjoint()
    yield 21, _test_size(record)
    yield 22, record.model()
    yield 23, record.software()
    yield (
        24,
        "At random, without pretrained weights: He et al. 2015 for convolutions, from seed "
        f"{record.run.config.seed}.",
    )
    yield 25, record.training()
    yield 26, record.selection()
    turns = record.run.config.recipe.turns_averaged
    averaged = "; what it says is the mean over the eight turns of a picture" if turns else ""
    yield 27, f"None: one network from one training{averaged}."
    yield from _methods_of_evaluation(record)
    yield 35, record.numbers()
    yield 36, f"Classes only. {record.numbers()}"
    yield from _results(record.test)
    yield 40, " ".join(record.limits())
    yield 41, "Research use only; not a medical device."
    yield 42, "config.yaml, environment.json, history.csv of the run folder; docs/evaluation.md."
    yield (
        43,
        f"leukoscope {__version__}, Apache-2.0. Trained weights: checkpoints of the run folder.",
    )


def _test_size(record: Record) -> str:
    if isinstance(record.source, Ensemble) and record.test:
        return (
            f"All folds together tested {counted(record.test.cells, 'cell')}, each once; the "
            "number follows from the division, not from a power calculation."
        )
    if "test" not in record.makeup.by_split.index:
        return "There is no test split."
    row = record.makeup.by_split.loc["test"].to_dict()
    return (
        f"The test split holds {counted(row['cells'], 'cell')} of "
        f"{counted(row['subjects'], 'subject')}; its size follows from the division, not from a "
        "power calculation."
    )


def _methods_of_evaluation(record: Record) -> Iterator[tuple[int, str]]:
    yield (
        28,
        "Sensitivity, specificity, predictive values, accuracy, balanced accuracy, weighted F1, "
        "AUROC, average precision, Brier score, expected calibration error "
        f"({ECE_BINS} bins of equal width), net benefit; accuracy by subject. Thresholds and one "
        "temperature are fixed on validation.",
    )
    yield (
        29,
        "95 % intervals by a bootstrap over subjects within class (2,000 draws, expanded "
        "percentiles); intervals over cells are shown beside them and called optimistic.",
    )
    verdicts = (
        " ".join(against(baseline) for baseline in record.test.baselines) if record.test else ""
    )
    yield 30, f"Against baselines: {verdicts}" if verdicts else "None yet."
    yield 31, "None in this run."
    yield 32, _tested(record.test) if record.test else "The test split was not evaluated yet."
    yield (
        33,
        " ".join(f"{one.name}: {_tested(one)}" for one in record.externals)
        or "None: no cells from elsewhere were evaluated, so how far the figures carry is unknown.",
    )


def _results(test: Evaluation | None) -> Iterator[tuple[int, str]]:
    if not test or not test.calls:
        return
    half = test.calls[0]
    scores = "; ".join(
        f"{title} {estimated(test.scores[name])}"
        for name, title in (("auroc", "AUROC"), ("average_precision", "average precision"))
    )
    yield 37, f"{scores}; accuracy at 0.5 {estimated(half.metrics['accuracy'])}."
    yield (
        38,
        " ".join(
            f"{calls.point.name} (from {calls.point.threshold:.3f}): sensitivity "
            f"{estimated(calls.metrics['sensitivity'])}, specificity "
            f"{estimated(calls.metrics['specificity'])}."
            for calls in test.calls
        )
        + f" Calibration error {estimated(test.scores['ece'])}.",
    )
    (_, fp), (fn, _) = half.confusion
    yield (
        39,
        f"At 0.5 {counted(fp, 'normal cell')} called blast and {counted(fn, 'blast')} called "
        "normal; the surest of them are shown by subject, and every subject’s accuracy.",
    )


def _tested(evaluation: Evaluation) -> str:
    if not evaluation.calls:
        return "cells without labels, called and not judged."
    shifted = [one.feature.replace("_", " ") for one in evaluation.shifts if one.warns]
    return (
        f"{counted(evaluation.cells, 'cell')} of {people(evaluation.normal_subjects)} with normal "
        f"cells and {people(evaluation.blast_subjects)} with blasts; AUROC "
        f"{estimated(evaluation.scores['auroc'])}."
        + (f" Unlike the training cells in {', '.join(shifted)}." if shifted else "")
    )
