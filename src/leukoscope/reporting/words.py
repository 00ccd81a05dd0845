"""How numbers of an evaluation are said, the same in figures, tables, checklist and card."""

from leukoscope.evaluation.result import Baseline, Estimate, Evaluation

NONE = "–"
"""Stands for what is undefined."""

SIGNED = "+z.3f"
"""How a difference is written."""

ALONE = {
    "majority class": "the majority class",
    "size only": "size alone",
    "colour only": "colour alone",
    "size and colour": "size and colour together",
    "handmade features": "handmade features of size, colour and chromatin",
}
"""How baselines are called in a sentence."""

BRIEFLY = {
    "size only": "size",
    "colour only": "colour",
    "size and colour": "both",
    "handmade features": "handmade",
}
"""How those that see something are called where there is little room, in this order."""


def number(value: float | None, form: str = ".3f") -> str:
    """Return `value` in three digits."""
    return NONE if value is None else format(value, form)


def span(low: float | None, high: float | None, form: str = ".3f") -> str:
    """Return an interval's ends, or that there is none."""
    return NONE if low is None or high is None else f"{low:{form}} to {high:{form}}"


def estimated(estimate: Estimate, form: str = ".3f") -> str:
    """Return a value with its interval over subjects."""
    value = number(estimate.value, form)
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"{value} (no interval)" if estimate.value is not None else value
    return f"{value} (95 % {span(estimate.low, estimate.high, form)})"


def counted(count: int, noun: str) -> str:
    """Return ``1 subject``, ``2 subjects``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def people(count: int) -> str:
    """Return ``1 person``, ``2 people``: subjects, those that are one by their cells as one."""
    return f"{count:,} person" if count == 1 else f"{count:,} people"


def softened(evaluation: Evaluation) -> str:
    """Name the temperature that softened the probabilities, and the prior that was added."""
    if evaluation.temperature is None:
        return "each run’s temperature"
    prior = f" and prior {evaluation.prior:+.2f}" if evaluation.prior else ""
    return f"temperature {evaluation.temperature:.2f}{prior}"


def against(baseline: Baseline) -> str:
    """Say whether a network beats `baseline`, in AUROC, by more than the interval of the gain."""
    gain, name = baseline.auroc_gain, ALONE[baseline.name]
    if gain.value is None:
        return f"Against {name} nothing can be said: AUROC needs cells of both classes."
    if gain.low is None or gain.high is None:
        return f"Against {name} nothing can be said: too few subjects for an interval."
    told = f"{number(gain.value, SIGNED)} AUROC, 95 % {span(gain.low, gain.high, SIGNED)}"
    if not gain.clear:
        return f"It is not shown to beat {name}: undecided ({told})."
    if gain.value < 0:
        return f"It is worse than {name} ({told})."
    return f"It beats {name} by more than the interval ({told})."
