"""A 95 % interval over subjects holds the truth in about 95 % of studies; one over cells does not.

Studies are simulated whose truth is known: each subject's cells are called rightly with a
probability of its own, Beta distributed with mean 0.8, so that the sensitivity and the balanced
accuracy on a new cell of a new subject are 0.8. Printed is the share of studies whose interval
holds 0.8, by number of subjects a class and by the standard deviation between subjects.
"""

import sys
from collections import Counter
from itertools import product

import numpy as np
import pandas as pd

from leukoscope.evaluation.bootstrap import Units, interval, sample
from leukoscope.evaluation.metrics import Scored
from leukoscope.progress import Bar

SUBJECTS = (6, 8, 12, 20, 40)
"""Of each class."""

SPREADS = (0.05, 0.1, 0.2)
"""Standard deviation of the subjects' probabilities."""

TRUTH = 0.8
METRICS = ("sensitivity", "balanced_accuracy")
STUDIES, DRAWS = 1000, 1000

LEAST = 0.90
"""What the coverage by subject may not fall below."""


def study(random: np.random.Generator, subjects: int, spread: float) -> tuple[Scored, pd.Series]:
    """Return the cells of one study, 5 to 29 a subject, and their subjects."""
    both = TRUTH * (1 - TRUTH) / spread**2 - 1
    right = random.beta(TRUTH * both, (1 - TRUTH) * both, 2 * subjects)
    names = np.repeat(np.arange(2 * subjects), random.integers(5, 30, 2 * subjects))
    truth = names < subjects
    correct = random.random(len(names)) < right[names]
    return Scored(truth, np.where(correct == truth, 0.9, 0.1)), pd.Series(names)


def held(scored: Scored, names: pd.Series, seed: int) -> list[tuple[str, str]]:
    """Return which intervals of one study hold the truth, as (metric, way)."""
    found = []
    ways = {"subjects": Units.of(names, scored.truth), "cells": Units.cells(scored.truth)}
    for way, units in ways.items():
        drawn = sample(lambda weights: scored.calls(0.5, weights), units, DRAWS, seed).drawn
        for metric in METRICS:
            low, high = interval(drawn[metric], units, metric)
            if low <= TRUTH <= high:
                found.append((metric, way))
    return found


def main() -> int:
    """Print a table row for each number of subjects and spread; 1 if any coverage is too small."""
    rows = []
    with Bar("studies", len(SUBJECTS) * len(SPREADS) * STUDIES, "studies") as bar:
        for subjects, spread in product(SUBJECTS, SPREADS):
            random = np.random.default_rng([subjects, round(100 * spread)])
            count: Counter[tuple[str, str]] = Counter()
            for number in range(STUDIES):
                count.update(held(*study(random, subjects, spread), seed=number))
                bar.advance()
            rows.append(
                [
                    count[metric, way] / STUDIES
                    for metric in METRICS
                    for way in ("subjects", "cells")
                ]
            )
            shares = " | ".join(f"{share:.3f}" for share in rows[-1])
            print(f"| {subjects} | {spread} | {shares} |", flush=True)
    return int(min(min(row[::2]) for row in rows) < LEAST)


if __name__ == "__main__":
    sys.exit(main())
