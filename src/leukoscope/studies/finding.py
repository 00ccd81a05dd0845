"""A finding: what a study measured, and what that says of the original lab's claim.

A claim is taken apart into parts that can be measured; each is judged by one number a seed,
positive where the part holds, and by one rule:

- one seed: the number must exceed what another seed might undo, a margin fixed by each study;
- several seeds: the 95 % interval of their mean (Student's t) must leave zero out.

A claim is supported when all its parts are, contradicted when one is, and undecided otherwise.

In a study's folder: ``finding.json``, ``finding.md``, ``table.csv`` (the numbers judged) and
``curves.csv`` (what the figure draws).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from leukoscope.errors import BadInputError
from leukoscope.files import write_text
from leukoscope.spreadsheet import write_csv

Verdict = Literal["supported", "contradicted", "undecided"]

CONFIDENCE = 0.95

OPENING: dict[Verdict, str] = {
    "supported": "The measurements support the claim.",
    "contradicted": "The measurements contradict the claim.",
    "undecided": "The measurements do not decide the claim.",
}

BEARING: dict[Verdict, str] = {
    "supported": "supports that",
    "contradicted": "contradicts that",
    "undecided": "does not decide whether",
}


@dataclass(frozen=True)
class Part:
    """One measurable part of a claim.

    Attributes:
        says: what would have to hold, e.g. "a smaller batch fluctuates more".
        measured: a sentence with the numbers, without its full stop.
        verdict: see the module.
    """

    says: str
    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Finding:
    """What a study found.

    Attributes:
        name, question, claim: of the study; the claim in the lab's words.
        verdict: on the claim.
        paragraph: for people, with the numbers.
        parts: of the claim, as they were judged.
        table: the numbers judged.
        curves: what the figure draws, one row a point.
    """

    name: str
    question: str
    claim: str
    verdict: Verdict
    paragraph: str
    parts: list[Part]
    table: pd.DataFrame
    curves: pd.DataFrame

    def write(self, folder: Path) -> list[Path]:
        """Write the finding's four files into `folder`; return their paths."""
        paths = [folder / name for name in ("finding.json", "finding.md", "table.csv")]
        paths.append(folder / "curves.csv")
        told = {
            key: value
            for key, value in vars(self).items()
            if key not in ("parts", "table", "curves")
        }
        told["parts"] = [asdict(part) for part in self.parts]
        write_text(paths[0], json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        write_text(paths[1], self.markdown())
        for path, table in zip(paths[2:], (self.table, self.curves), strict=True):
            write_csv(table, path)
        return paths

    @classmethod
    def read(cls, folder: Path) -> "Finding":
        """Read what `write` wrote.

        Raises:
            BadInputError: `folder` holds no finding.
        """
        try:
            told = json.loads((folder / "finding.json").read_text(encoding="utf-8"))
            told["parts"] = [Part(**part) for part in told["parts"]]
            table, curves = (pd.read_csv(folder / f"{name}.csv") for name in ("table", "curves"))
            return cls(**told, table=table, curves=curves)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(
                f"{folder} holds no whole finding ({error}); `leukoscope study` writes one"
            ) from error

    def markdown(self) -> str:
        """Return the finding as a section of a document."""
        return (
            f"# {self.question}\n\n> {self.claim}\n\n**{self.verdict.capitalize()}.** "
            f"{self.paragraph}\n\n| the claim needs | measured | verdict |\n| --- | --- | --- |\n"
            + "".join(
                f"| {part.says} | {part.measured} | {part.verdict} |\n" for part in self.parts
            )
        )


def decide(numbers: ArrayLike, margin: float) -> Verdict:
    """Judge one part of a claim.

    Args:
        numbers: one a seed, positive where the part holds; one that is not finite decides nothing.
        margin: what a single seed's number must exceed, whatever its sign.
    """
    values = np.asarray(numbers, dtype=float)
    if not len(values) or not np.isfinite(values).all():
        return "undecided"
    if len(values) > 1:
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
        margin = quantile * values.std(ddof=1) / np.sqrt(len(values))
    if values.mean() > margin:
        return "supported"
    return "contradicted" if values.mean() < -margin else "undecided"


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """Judge a claim by its parts: it needs all of them, and falls with one."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "undecided" if "undecided" in verdicts else "supported"


def spoken(numbers: ArrayLike, form: str = "{:.3g}") -> str:
    """Say the mean of `numbers`, and their least and greatest where there are several.

    >>> spoken([0.5]), spoken([1, 2, 3])
    ('0.5', '2 (1 to 3)')
    """
    values = np.asarray(numbers, dtype=float)
    mean = form.format(values.mean())
    if len(values) == 1:
        return mean
    return f"{mean} ({form.format(values.min())} to {form.format(values.max())})"
