"""What calls of new people gain in AUROC, both sides on the same draws of people."""

import pandas as pd

from leukoscope.evaluation.judgement import Estimator
from leukoscope.evaluation.paired import less
from leukoscope.evaluation.pooled import scored
from leukoscope.evaluation.result import Estimate
from leukoscope.studies.finding import Part, Verdict

Pools = dict[int, pd.DataFrame]
"""By seed, what the folds say of their test cells; see `leukoscope.evaluation.pooled.pool`."""


def gain(before: Pools, after: Pools) -> Estimate:
    """Return the AUROC of `after` less that of `before`, of the same cells."""
    (one, units), (two, _) = scored(before), scored(after)
    return Estimator(less(one, two, ("auroc",)), units)("auroc")


def judged(says: str, measured: str, found: Estimate) -> Part:
    """Judge a part of a claim that holds where a gain is above 0.

    Args:
        says: of `leukoscope.studies.finding.Part`.
        measured: likewise; the gain is said after it.
        found: the gain. Nothing is decided where its interval holds 0.
    """
    verdict: Verdict = "undecided"
    if found.value is not None and found.clear:
        verdict = "supported" if found.value > 0 else "contradicted"
    if found.value is not None and found.low is not None and found.high is not None:
        measured += (
            f", a difference of {found.value:+.3f} (95 % over people {found.low:+.3f} to "
            f"{found.high:+.3f})"
        )
    return Part(says, measured, verdict)


def with_limits(name: str, estimate: Estimate) -> dict[str, object]:
    """Return an estimate as columns of a table: `name`, and with ``_low`` and ``_high``."""
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
