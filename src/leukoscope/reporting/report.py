"""The report: a comparison as one HTML file that needs nothing beside it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from leukoscope import __version__
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.evaluate import Metrics, predictions_file
from leukoscope.files import write_text
from leukoscope.reporting import comparison
from leukoscope.reporting.examples import Group, data_uri, groups
from leukoscope.reporting.makeup import makeup
from leukoscope.reporting.pages import template
from leukoscope.studies import architectures
from leukoscope.training.run import Run


@dataclass(frozen=True)
class Network:
    """What the report says of one run; figures are data URIs, `summary` a row of the study's."""

    name: str
    summary: dict[str, Any]
    history: pd.DataFrame
    confusion: list[list[int]]
    loss_figure: str
    confusion_figure: str
    by_subject: pd.Series
    examples: list[Group]


@dataclass(frozen=True)
class Settings:
    """Values by name, one column for each set of networks that share all of them."""

    headings: list[str]
    rows: dict[str, list[str]]

    @classmethod
    def of(cls, settings: Mapping[str, Mapping[str, Any]]) -> "Settings":
        """Gather `settings`, by network and name, so that networks set alike share a column."""
        shared: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for network, values in settings.items():
            told = tuple((name, _told(value)) for name, value in values.items())
            shared.setdefault(told, []).append(network)
        columns = [dict(column) for column in shared]
        names = dict.fromkeys(name for column in columns for name in column)
        return cls(
            headings=[", ".join(networks) for networks in shared.values()],
            rows={name: [column.get(name, "–") for column in columns] for name in names},
        )


def write_report(folder: Path, target: Path) -> Path:
    """Write the report of the comparison in `folder` to `target`, an HTML file; return `target`.

    Raises:
        BadInputError: no runs there, a run that was not evaluated on its test split, or runs of
            different stores.
    """
    runs = architectures.runs_of(folder)
    if len({run.config.store_digest for run in runs}) > 1:
        raise BadInputError(
            f"{folder} holds runs of different stores, whose accuracies cannot be compared"
        )
    store = runs[0].open_store()
    figures = {
        name: data_uri(content, "image/svg+xml") for name, content in comparison.draw(runs).items()
    }
    page = template("report.html.j2").render(
        networks=_networks(runs, store, figures),
        accuracy_figure=figures[comparison.ACCURACY],
        info=store.info,
        store_name=store.folder.name,
        phantom=store.info.phantom,
        makeup=makeup(store.cells),
        cut=int((~store.cells["whole"]).sum()),
        planned=len(store.training_plan()[0]),
        recipe=Settings.of({run.folder.name: _recipe(run) for run in runs}),
        environment=Settings.of({run.folder.name: _environment(run) for run in runs}),
        version=__version__,
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        command=shlex.join(["leukoscope", "report", str(folder), "--output", str(target)]),
    )
    write_text(target, page)
    return target


def _networks(runs: Sequence[Run], store: Store, figures: Mapping[str, str]) -> list[Network]:
    rows = architectures.summary(runs).to_dict("records")
    networks = []
    for run, row in zip(runs, rows, strict=True):
        predictions = pd.read_parquet(predictions_file(run, "test"))
        right = predictions["call"].eq(predictions["label"])
        networks.append(
            Network(
                name=run.folder.name,
                summary={str(name): value for name, value in row.items()},
                history=run.history,
                confusion=Metrics.read(run, "test").confusion or [],
                loss_figure=figures[comparison.loss_file(run)],
                confusion_figure=figures[comparison.confusion_file(run)],
                by_subject=right.astype(float).groupby(predictions["subject"]).mean(),
                examples=groups(predictions, store),
            )
        )
    return networks


def _recipe(run: Run) -> dict[str, Any]:
    config = run.config
    return {
        **config.recipe.model_dump(),
        **config.model_options,
        "seed": config.seed,
        "device": config.device,
        "precision": config.precision,
        "threads": config.threads,
    }


def _environment(run: Run) -> dict[str, Any]:
    machine = run.environment
    packages: dict[str, str] = machine.pop("packages")
    return {**machine, **packages}


def _told(value: Any) -> str:
    return "none" if value is None else str(value)
