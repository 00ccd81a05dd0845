"""What a study leaves in its folder, the finding's files and its figure, and in a report."""

import textwrap
from pathlib import Path

from leukoscope.files import atomic
from leukoscope.reporting.examples import data_uri
from leukoscope.reporting.study_figures import FIGURES
from leukoscope.reporting.style import svg
from leukoscope.studies.finding import Finding


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
