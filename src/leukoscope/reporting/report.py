"""The report: a comparison as one HTML file that needs nothing beside it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukoscope import __version__
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.pooled import first_seed
from leukoscope.evaluation.result import Evaluation
from leukoscope.files import write_text
from leukoscope.reporting import comparison
from leukoscope.reporting.checklist import checklist
from leukoscope.reporting.evaluation_section import Section, section, section_of_folds
from leukoscope.reporting.examples import Group, data_uri, groups
from leukoscope.reporting.figures import mean_of
from leukoscope.reporting.makeup import makeup
from leukoscope.reporting.method import SEEN
from leukoscope.reporting.pages import template
from leukoscope.reporting.record import POLICIES, Record, externals
from leukoscope.reporting.studies import study_picture
from leukoscope.studies import architectures, ranking
from leukoscope.studies.architectures import Network
from leukoscope.studies.finding import Finding
from leukoscope.training.run import Run


@dataclass(frozen=True)
class Shown:
    """What the report says of one network.

    Attributes:
        name: of the network.
        summary: its row of `ranking.summary`.
        kept: the epoch whose weights were kept, None where runs kept different ones.
        history: mean over runs, by epoch.
        confusion: of all runs' test cells.
        loss_figure, confusion_figure: data URIs.
        by_subject: share of right calls of each subject's test cells.
        section: what the evaluation of its first seed on the test says.
        examples: of the first seed's calls.
    """

    name: str
    summary: dict[str, Any]
    kept: int | None
    history: pd.DataFrame
    confusion: list[list[int]]
    loss_figure: str
    confusion_figure: str
    by_subject: pd.Series
    section: Section
    externals: list[Section]
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


def write_report(folder: Path, target: Path, studies: Sequence[Path] = ()) -> Path:
    """Write the report of the comparison in `folder` to `target`, an HTML file; return `target`.

    Args:
        folder: of the comparison.
        target: is replaced.
        studies: folders of studies whose findings are shown as well.

    Raises:
        BadInputError: no runs there, a run that was not evaluated on its test split, runs of
            different stores, or a study without a finding.
    """
    findings = [Finding.read(study) for study in studies]
    networks = architectures.networks_of(folder)
    runs = [run for network in networks for run in network.runs]
    if len({run.config.store_digest for run in runs}) > 1:
        raise BadInputError(
            f"{folder} holds runs of different stores, whose accuracies cannot be compared"
        )
    store = runs[0].open_store()
    figures = {
        name: data_uri(content, "image/svg+xml")
        for name, content in comparison.draw(networks).items()
    }
    page = template("report.html.j2").render(
        networks=list(_shown(networks, folder, store, figures)),
        runs=len(runs),
        studies=[(finding, study_picture(finding)) for finding in findings],
        differences=ranking.differences_table(networks),
        folds=len({run.config.division for run in runs}),
        checklist=checklist(Record.of(_source(networks[0]))),
        accuracy_figure=figures[comparison.ACCURACY],
        info=store.info,
        store_name=store.folder.name,
        phantom=store.info.phantom,
        makeup=makeup(store.cells),
        drawn=POLICIES[store.info.division.split].format(seed=store.info.seed),
        cut=int((~store.cells["whole"]).sum()),
        planned=len(store.training_plan()[0]),
        seen=list(dict.fromkeys(SEEN[run.config.recipe.colour] for run in runs)),
        turns_averaged=any(run.config.recipe.turns_averaged for run in runs),
        recipe=Settings.of({one.name: _recipe(one) for one in networks}),
        environment=Settings.of({one.name: _environment(one.runs[0]) for one in networks}),
        version=__version__,
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        command=_command(folder, target, studies),
    )
    write_text(target, page)
    return target


def _shown(
    networks: Sequence[Network], folder: Path, store: Store, figures: Mapping[str, str]
) -> Iterator[Shown]:
    rows = ranking.summary(networks).to_dict("records")
    for network, row in zip(networks, rows, strict=True):
        cells = pd.concat(network.pools.values())
        right = cells["call"].eq(cells["label"])
        yield Shown(
            name=network.name,
            summary={str(name): value for name, value in row.items()},
            kept=comparison.kept(network),
            history=mean_of(network.histories),
            confusion=np.sum(comparison.confusions(network), axis=0).tolist(),
            loss_figure=figures[comparison.loss_file(network)],
            confusion_figure=figures[comparison.confusion_file(network)],
            by_subject=right.astype(float).groupby(cells["subject"]).mean(),
            section=_section(network),
            externals=list(_externals(network, folder if len(networks) == 1 else None)),
            examples=groups(first_seed(network.pools), store),
        )


def _section(network: Network) -> Section:
    """Return what the first seed's evaluation says; the tables above are of all seeds."""
    seed, key = network.runs[0].config.seed, f"subjects-{network.name}"
    run, *others = runs = [run for run in network.runs if run.config.seed == seed]
    if others:
        return section_of_folds(runs, network.name, key)
    return section(run, Evaluation.read(run, "test"), network.name, key)


def _source(network: Network) -> Run | Ensemble:
    """Return the folds of a network as one model; where there are none, its first run."""
    first = network.runs[0]
    folds = {run.config.division for run in network.runs}
    return Ensemble(first.folder.parent, network.runs) if len(folds) > 1 else first


def _externals(network: Network, comparison: Path | None) -> Iterator[Section]:
    """Yield what was found on other cells.

    Args:
        network: its folder, or its run's, holds the evaluations.
        comparison: so may that of a comparison of this network alone.
    """
    sources = [_source(network)]
    if comparison and isinstance(sources[0], Ensemble) and comparison != sources[0].folder:
        sources.append(Ensemble(comparison, network.runs))
    found = [(source, one) for source in sources for one in externals(source)]
    for number, (source, one) in enumerate(found, start=1):
        yield section(source, one, network.name, f"external{number}-{network.name}")


def _command(folder: Path, target: Path, studies: Sequence[Path]) -> str:
    shown = [word for study in studies for word in ("--study", str(study))]
    return shlex.join(["leukoscope", "report", str(folder), "--output", str(target), *shown])


def _recipe(network: Network) -> dict[str, Any]:
    config = network.runs[0].config
    return {
        **config.recipe.model_dump(),
        **config.model_options,
        "seeds": ", ".join(map(str, sorted({run.config.seed for run in network.runs}))),
        "device": config.device,
        "precision": config.precision,
        "threads": config.threads,
        **({"micro_batch": config.micro_batch} if config.micro_batch else {}),
    }


def _environment(run: Run) -> dict[str, Any]:
    machine = run.environment
    packages: dict[str, str] = machine.pop("packages")
    return {**machine, **packages}


def _told(value: Any) -> str:
    return "none" if value is None else str(value)
