"""What a study leaves in its folder, the finding's files and its figure, and in a report."""

import textwrap
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from leukoscope.files import atomic
from leukoscope.reporting import new_people_figures, study_figures
from leukoscope.reporting.examples import data_uri
from leukoscope.reporting.style import svg
from leukoscope.studies.finding import Finding

FIGURES: dict[str, Callable[[Finding], Figure]] = {
    "leakage": new_people_figures.leakage,
    "people": new_people_figures.people,
    "batch-size": study_figures.batch_size,
    "learning-rate": study_figures.learning_rate,
    "validation-gap": study_figures.validation_gap,
    "depth": study_figures.depth,
    "gradient-flow": study_figures.gradient_flow,
    "recipe": new_people_figures.recipe,
}
"""By study: one row each."""


def study_picture(finding: Finding) -> str:
    """Return the figure of `finding` as a data URI."""
    return data_uri(svg(FIGURES[finding.name](finding)), "image/svg+xml")


def write_study(finding: Finding, folder: Path) -> str:
    """Write `finding` and its figure into `folder`; return what to print."""
    figure = folder / "figure.svg"
    with atomic(figure) as scratch:
        scratch.write_bytes(svg(FIGURES[finding.name](finding)))
    written = [*finding.write(folder), figure]
    return "\n".join(
        [
            finding.question,
            f"claim: {finding.claim}",
            "",
            finding.verdict.upper(),
            textwrap.fill(finding.paragraph, 100),
            "",
            f"in {folder}:",
            *(f"  {path.name}" for path in written),
        ]
    )
