"""An evaluation in plain text, subjects before cells."""

from leukoscope.evaluation import reads
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.result import Calls, Estimate, Evaluation, read_subjects
from leukoscope.training.run import Run

WORST = 5
"""Subjects shown."""

TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "weighted_f1": "weighted F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "brier_uncalibrated": "Brier score, uncalibrated",
    "ece_uncalibrated": "ECE, uncalibrated",
}
"""What to call each metric."""


def describe(judged: Run | Ensemble, evaluation: Evaluation) -> str:
    """Say what an `evaluation` of a run or an ensemble found."""
    if isinstance(judged, Ensemble):
        whose, source, looks = f"mean of {len(judged.runs)} runs", "the folds' test cells", 0
    else:
        whose, source = f"weights of epoch {evaluation.epoch}", "validation"
        looks = len(reads.read(judged))
    lines = [
        f"{evaluation.name}: {evaluation.cells:,} labelled cells, {whose}, temperature "
        f"{evaluation.temperature:.2f} (from {source}), prior {evaluation.prior:+.2f}"
    ]
    if known := evaluation.known_subjects:
        lines.append(
            f"warning: {len(known):,} subjects have names that stand in the run's own store, too "
            f"({', '.join(known[:WORST])}…); if they are the same people, this is no external test"
        )
    for one in evaluation.shifts:
        if one.warns:
            lines.append(
                f"warning: {one.outside:.0%} of these cells lie outside the training cells in "
                f"{one.feature} (median {one.median:.3f}, training {one.low:.3f} to {one.high:.3f})"
            )
    if not evaluation.calls:
        return "\n".join([*lines, "no labels, so no figures"])
    half = evaluation.calls[0]
    lines += ["", _confusion(half), ""]
    lines.append(f"{'':32}{'':>8}{'95 % over subjects':>21}{'over cells (optimistic)':>26}")
    lines += [_line(TITLES[name], value) for name, value in half.metrics.items()]
    lines += [_line(TITLES[name], value) for name, value in evaluation.scores.items()]
    lines += without_width(evaluation)
    lines += ["", f"operating points, chosen on {source}; prevalence by the training cells"]
    lines += [_point(calls) for calls in evaluation.calls]
    lines += ["", "baselines on the same cells, and what the network gains in AUROC over them"]
    for baseline in evaluation.baselines:
        gain = baseline.auroc_gain
        lines.append(
            f"  {baseline.name:18} AUROC {_number(baseline.auroc.value)}   gain "
            f"{_number(gain.value, '+z.3f')} ({_range(gain)}){_verdict(gain)}"
        )
    subjects = read_subjects(judged, evaluation.name, evaluation.checkpoint)
    lines += ["", f"{subjects['subject'].nunique()} subjects; the worst:"]
    for row in subjects.head(WORST).itertuples():
        lines.append(
            f"  {row.subject:16} {row.correct:5,} of {row.cells:5,} right, "
            f"{row.accuracy:.3f} ({row.low:.3f} to {row.high:.3f})"
        )
    if evaluation.name == "test" and looks > 1:
        lines += ["", f"the test split was looked at with {looks} different weights of this run"]
    return "\n".join(lines)


def without_width(evaluation: Evaluation) -> list[str]:
    """Say what an interval without width means, where there is one: no certainty."""
    found = [*evaluation.calls[0].metrics.values(), *evaluation.scores.values()]
    if not any(one.low is not None and one.low == one.high for one in found):
        return []
    counts = (evaluation.normal_subjects, evaluation.blast_subjects)
    fewest = min(count for count in counts if count > 1)
    return [
        "An interval without width means that all subjects here were alike, not that all are: "
        f"after {fewest} alike, as many as {1 - 0.05 ** (1 / fewest):.0%} of all may still "
        "differ (one-sided 95 %)."
    ]


def _confusion(calls: Calls) -> str:
    (tn, fp), (fn, tp) = calls.confusion
    return "\n".join(
        [
            f"{'at 0.5':15}{'called normal':>15}{'called blast':>15}",
            f"{'true normal':15}{tn:15,}{fp:15,}",
            f"{'true blast':15}{fn:15,}{tp:15,}",
        ]
    )


def _line(title: str, estimate: Estimate) -> str:
    cells = _range(estimate, "cell_low", "cell_high")
    return f"{title:32}{_number(estimate.value):>8}{_range(estimate):>21}{cells:>26}"


def _point(calls: Calls) -> str:
    point, metrics = calls.point, calls.metrics
    return (
        f"  {point.name:18} from {point.threshold:.3f}: "
        f"sensitivity {_number(metrics['sensitivity'].value)} ({_range(metrics['sensitivity'])}), "
        f"specificity {_number(metrics['specificity'].value)} ({_range(metrics['specificity'])})"
    )


def _verdict(gain: Estimate) -> str:
    """Say what is not decided about a difference; of a single subject nothing can be."""
    if gain.low is None:
        return ": cannot be told, too few subjects"
    return "" if gain.clear else ": undecided"


def _number(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else format(value, form)


def _range(estimate: Estimate, low: str = "low", high: str = "high") -> str:
    return f"{_number(getattr(estimate, low))} to {_number(getattr(estimate, high))}"
