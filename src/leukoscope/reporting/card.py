"""The model card: what a trained network is, what it is not for, and how far it can be trusted.

Its form is Hugging Face's (huggingface.co/docs/hub/model-cards): YAML front matter, which their
site reads, and Markdown for people.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Template
from markupsafe import Markup

from leukoscope import __version__
from leukoscope.evaluation.describe import TITLES
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.result import Evaluation
from leukoscope.files import write_text
from leukoscope.reporting.evaluation_section import lead, warnings
from leukoscope.reporting.evaluation_tables import (
    Table,
    by_class_table,
    metrics_table,
    points_table,
)
from leukoscope.reporting.pages import template
from leukoscope.reporting.record import EXTERNAL, Record, of_phantoms
from leukoscope.reporting.words import against, estimated
from leukoscope.training.run import Run

HUB_METRICS = {
    "auroc": "roc_auc",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "sensitivity": "recall",
    "specificity": "specificity",
    "ppv": "precision",
    "weighted_f1": "f1",
}
"""Which metrics stand in the front matter, and what they are called there."""

ACTIVE = re.compile(r"([\\`*_{}\[\]<>|&~$])")
"""What Markdown, or a page made of it, may take for markup."""


def write_card(source: Run | Ensemble, target: Path) -> Path:
    """Write the model card of `source`, a Markdown file, to `target`; return `target`.

    Raises:
        BadInputError: the store has gone, or another stands in its place.
    """
    write_text(target, card(source))
    return target


def card(source: Run | Ensemble) -> str:
    """Return the model card of a run, or of an ensemble, as Markdown.

    Raises:
        BadInputError: the store has gone, or another stands in its place.
    """
    record = Record.of(source)
    judged = [one for one in (record.test, *record.externals) if one and one.calls]
    return _template().render(
        front=Markup(
            yaml.safe_dump(_front_matter(record, _of_itself(record, judged)), sort_keys=False)
        ),
        record=record,
        config=record.run.config,
        name=source.folder.name,
        phantom=record.store.info.phantom,
        evaluations=[_told(record, one) for one in judged],
        verdicts=[against(one) for one in record.test.baselines] if record.test else [],
        version=__version__,
    )


def _of_itself(record: Record, judged: list[Evaluation]) -> list[Evaluation]:
    """Return what was measured of the model as it is: not what its networks say one by one."""
    return [one for one in judged if one is not record.test or len(record.runs) == 1]


def _front_matter(record: Record, judged: list[Evaluation]) -> dict[str, Any]:
    model, phantom = record.run.config.model, record.store.info.phantom
    tags = ["image-classification", "pytorch", model, "microscopy", "hematology"]
    tags += ["acute-lymphoblastic-leukemia", "research-use-only"]
    front = {
        # Whose weights these are is for their publisher to say.
        "license": "unknown",
        "library_name": "leukoscope",
        "pipeline_tag": "image-classification",
        "tags": [*tags, "phantom-data"] if phantom else tags,
    }
    if not judged:
        return front
    results = [
        {
            "task": {"type": "image-classification"},
            "dataset": _dataset(record, evaluation),
            "metrics": list(_hub_metrics(evaluation)),
        }
        for evaluation in judged
    ]
    return {**front, "model-index": [{"name": record.source.folder.name, "results": results}]}


def _dataset(record: Record, evaluation: Evaluation) -> dict[str, str]:
    if of_phantoms(record.source, evaluation):
        name = f"{evaluation.name}: rendered phantom cells, no real ones"
        return {"type": "phantom", "name": name, "split": "test"}
    if evaluation.name.startswith(EXTERNAL):
        return {"type": "external", "name": evaluation.name, "split": "test"}
    name = f"C-NMC 2019 ({', '.join(record.cnmc)})" if record.cnmc else "cells of a manifest"
    kind = "c-nmc-2019" if record.cnmc else "private"
    by = record.store.info.division.split
    return {"type": kind, "name": f"{name}, division {by}", "split": "test"}


def _hub_metrics(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    found = evaluation.scores | evaluation.calls[0].metrics
    for name, hub in HUB_METRICS.items():
        estimate = found[name]
        if estimate.value is not None:
            title = f"{TITLES[name]}, {estimated(estimate)}"
            yield {"type": hub, "value": round(estimate.value, 4), "name": title}


def _told(record: Record, evaluation: Evaluation) -> dict[str, Any]:
    """Return what the template says of one evaluation."""
    return {
        "name": evaluation.name,
        "lead": lead(evaluation),
        "warnings": warnings(record.source, evaluation),
        "by_class": by_class_table(record.subjects(evaluation)),
        "metrics": metrics_table(evaluation),
        "points": points_table(evaluation.calls),
    }


def _template() -> Template:
    return template(
        "card.md.j2",
        {"table": _table, "code": _code},
        autoescape=False,
        finalize=_plain,
        keep_trailing_newline=True,
    )


def _plain(value: Any) -> Any:
    """Escape whatever the template prints, so that names cannot become markup."""
    if isinstance(value, Markup):
        return value
    return ACTIVE.sub(r"\\\1", " ".join(str(value).split()))


def _code(value: str) -> Markup:
    """Return `value` for a line of code, where nothing is markup but a line's end."""
    return Markup(" ".join(value.split()))


def _table(table: Table) -> Markup:
    columns = [table.first, *table.columns]
    rows = [columns, ["---"] + ["---:"] * len(table.columns)]
    rows += [[_plain(value) for value in row] for row in table.rows]
    return Markup("\n".join(f"| {' | '.join(row)} |" for row in rows))
