"""What a run folder tells of one training, gathered and put into sentences.

The checklist and the model card say the same things of a run: they take them from here.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from leukoscope import models
from leukoscope.cells.cnmc import PARTS
from leukoscope.cells.phantom import is_phantom
from leukoscope.cells.store import Store
from leukoscope.evaluation import reads
from leukoscope.evaluation.ensemble import Ensemble, runs_of
from leukoscope.evaluation.folds import evaluate_folds
from leukoscope.evaluation.result import (
    Evaluation,
    metrics_file,
    predictions_file,
    read_subjects,
)
from leukoscope.reporting.makeup import ASIDE, Makeup, makeup
from leukoscope.reporting.method import SEEN, changed, chosen, fitting
from leukoscope.reporting.words import counted, people
from leukoscope.training.run import Run

EXTERNAL = "external-"
"""How the names of evaluations on other cells begin."""

POLICIES = {
    "subject": "whole subjects were assigned, stratified by class, with seed {seed}",
    "lab": "single pictures were assigned, stratified by class and without regard to subjects, "
    "with seed {seed}",
    "official": "by the official parts of C-NMC 2019: folds 0 and 1 train, fold 2 validates, the "
    "preliminary test tests",
    "shifted": "the people of fold 0 train and, a fifth of them, validate, with seed {seed}; all "
    "others test",
}
"""How each split is drawn."""


@dataclass(frozen=True)
class Record:
    """A run with what its folder and its store hold.

    Attributes:
        source: the run, or the ensemble.
        store: divided as the first run was.
        makeup: of the store.
        test: the evaluation on the test split by the best weights; None if there was none. Of an
            ensemble that of its folds, by the first seed.
        tested: of an ensemble the subjects of `test`, as from `subjects.by_subject`.
        externals: those on other cells, by name.
    """

    source: Run | Ensemble
    store: Store
    makeup: Makeup
    test: Evaluation | None
    tested: pd.DataFrame | None
    externals: list[Evaluation]

    @classmethod
    def of(cls, source: Run | Ensemble) -> "Record":
        """Gather what is known of a run or an ensemble.

        Raises:
            BadInputError: the store has gone, or another stands in its place.
        """
        store = runs_of(source)[0].open_store()
        test = tested = None
        if isinstance(source, Ensemble):
            test, _, tested = evaluate_folds(source.first_seed)
        elif metrics_file(source, "test").exists():
            test = Evaluation.read(source, "test")
        return cls(
            source=source,
            store=store,
            makeup=makeup(store.cells),
            test=test,
            tested=tested,
            externals=externals(source),
        )

    @property
    def runs(self) -> list[Run]:
        """Of an ensemble all, which differ in fold and seed alone; else the run."""
        return runs_of(self.source)

    @property
    def run(self) -> Run:
        """The first run; the others differ in fold and seed alone."""
        return self.runs[0]

    @property
    def cnmc(self) -> list[str]:
        """The parts of C-NMC 2019 that the cells are of; empty for phantoms and other cells."""
        folds = set(self.store.cells["fold"].dropna())
        return [] if self.store.info.phantom else [p.fold for p in PARTS if p.fold in folds]

    @property
    def hours(self) -> float:
        """Training time so far."""
        histories = [run.history for run in self.runs]
        return float(sum(one["seconds"].sum() for one in histories if len(one)) / 3600)

    @property
    def epochs(self) -> int:
        """Epochs trained so far, by all runs."""
        return sum(len(run.history) for run in self.runs)

    def subjects(self, evaluation: Evaluation) -> pd.DataFrame:
        """Return the subjects of an evaluation that had labels, the least rightly called first."""
        if evaluation is self.test and self.tested is not None:
            return self.tested
        return read_subjects(self.source, evaluation.name)

    def origin(self) -> str:
        """Say where the cells come from."""
        total = self.makeup.by_split.loc["total"].to_dict()
        cells, subjects = total["cells"], total["subjects"]
        size = f"{counted(cells, 'cell')} of {counted(subjects, 'subject')}"
        if self.store.info.phantom:
            return f"{size}: phantom cells, rendered by leukoscope. No person stands behind them."
        if self.cnmc:
            return (
                f"{size} of C-NMC 2019 ({', '.join(self.cnmc)}; Gupta and Gupta 2019, The Cancer "
                "Imaging Archive, doi:10.7937/tcia.2019.dc64i46r)."
            )
        return f"{size}, listed in a manifest that does not say where they come from."

    def division(self) -> str:
        """Say how the cells are divided, with their numbers."""
        info = self.store.info
        drawn = POLICIES[info.division.split].format(seed=info.seed)
        if len(self.runs) > 1:
            return (
                f"Division: {drawn}, to {self.store.parts} parts. Each part tested one network, "
                "validated another and trained the others, so that all together trained on "
                "everyone."
            )
        if info.division.split == "subject" and self.store.parts:
            drawn += (
                f", to {self.store.parts} parts; part {info.division.fold} tests, the next one "
                "validates"
            )
        if subset := info.division.subset:
            what = "the people" if subset.of == "people" else "each person's cells"
            drawn += (
                f"; of those to train on only {100 * subset.share:g} % of {what} "
                f"(seed {subset.seed})"
            )
        return f"{self.numbers()} Division: {drawn}."

    def numbers(self) -> str:
        """Say how many cells and subjects each split holds."""
        rows = self.makeup.by_split.drop(index="total").iterrows()
        told = "; ".join(
            f"{split} {counted(row['cells'], 'cell')} ({row['normal']:,} normal, "
            f"{row['blast']:,} blast) of {counted(row['subjects'], 'subject')}"
            for split, row in rows
        )
        return f"{told[0].upper()}{told[1:]}."

    def aside(self) -> int:
        """Return how many cells are in no split."""
        counts = self.makeup.by_split["cells"]
        return int(counts.get(ASIDE, 0))

    def disjoint(self) -> str:
        """Say at which level the splits are disjoint."""
        if self.makeup.shared:
            said = (
                f"At the level of the picture only: {len(self.makeup.shared):,} of "
                f"{self.makeup.people:,} people stand on more than one side, so the figures say "
                "little about new patients."
            )
        else:
            said = (
                f"At the level of the person: none of the {self.makeup.people:,} people stands on "
                "two sides."
            )
            joint = ", ".join(self.makeup.joint)
            said += f" Names that share cells are one person: {joint}." if joint else ""
        if self.makeup.nameless:
            said += f" Of {counted(self.makeup.nameless, 'cell')} the subject is unknown."
        if self.store.info.division.validation_copies:
            said += " Turned copies of validation cells were trained on, so validation leaks."
        return said

    def preprocessing(self) -> str:
        """Say how a picture becomes pixels."""
        info = self.store.info
        settings, size = info.preprocessing, info.preprocessing.size
        if settings.window:
            crop = (
                f"A window of {settings.window} source pixels around the cell, the same for all so "
                f"that size stays visible, resized to {size} × {size} (bilinear); "
                f"{counted(int((~self.store.cells['whole']).sum()), 'cell')} cut at its border."
            )
        else:
            crop = (
                f"The short side resized to {size} pixels (bilinear), the centre {size} × {size} "
                "kept."
            )
        return f"{crop} {SEEN[self.run.config.recipe.colour]}"

    def model(self) -> str:
        """Say what the network is."""
        config = self.run.config
        size = self.store.info.preprocessing.size
        weights = models.parameters(config.model, **config.model_options)
        work = models.gmacs(config.model, size, **config.model_options)
        options = "".join(f", {name} {value}" for name, value in config.model_options.items())
        together = (
            f"The log-odds of {len(self.runs)} networks, averaged; what follows is of each. "
            if len(self.runs) > 1
            else ""
        )
        return (
            f"{together}{config.model}{options} (He et al. 2016, arXiv:1512.03385), written in "
            f"PyTorch: {weights:,} parameters, {work:.3g} × 10⁹ multiply-adds a picture. Input: "
            f"{size} × {size} pixels, RGB; output: logits of normal cell and blast."
        )

    def training(self) -> str:
        """Say how it was trained."""
        config, recipe = self.run.config, self.run.config.recipe
        lengths = sorted(len(run.history) for run in self.runs)
        ends = dict.fromkeys((lengths[0], lengths[-1]))
        epochs = f"{' to '.join(map(str, ends))} of {recipe.epochs}"
        seeds = ", ".join(str(seed) for seed in sorted({run.config.seed for run in self.runs}))
        plan = (
            "each cell is turned anew every epoch, by one of eight quarter-turns and mirrorings"
            if self.store.info.division.plan == "online"
            else "the original lab’s fixed plan of quarter-turns and mirrorings, classes balanced"
        )
        changes = changed(recipe.augmentation)
        drawn = f", and at random: {changes}" if changes else ""
        return (
            f"{fitting(recipe)} {epochs} epochs of "
            f"{len(self.store.training_plan()[0]):,} pictures. Augmentation: {plan}{drawn}. "
            f"Seed {seeds}, precision {config.precision}."
        )

    def software(self) -> str:
        """Say which versions it was trained with."""
        machine = self.run.environment
        packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
        return f"Python {machine['python']}, {packages}."

    def hardware(self) -> str:
        """Say on what it was trained."""
        machine = self.run.environment
        config = self.run.config
        device = "CPU" if config.device == "cpu" else machine["accelerator"] or "no CUDA GPU"
        threads = counted(config.threads, "thread")
        return f"{device}; {machine['processor']}, {threads}; {machine['system']}"

    def selection(self) -> str:
        """Say how the weights were chosen."""
        most = max(self.runs, key=lambda run: len(reads.read(run)))
        return f"{chosen(self.run.config.recipe)} {looks_in_words(most)}"

    def limits(self) -> list[str]:
        """Say what the run itself shows of its limits."""
        test, said = self.test, []
        if self.store.info.phantom:
            said.append("The cells are phantoms: no figure speaks of real cells, or people.")
        if self.makeup.shared:
            said.append("People stand on more than one side of the split: figures are optimistic.")
        if test and test.calls:
            fewest = min(test.normal_subjects, test.blast_subjects)
            said.append(
                f"The rarer class of the test split has {people(fewest)}: intervals "
                "are wide, and may not be wide enough."
            )
        if not self.externals:
            said.append("No cells from elsewhere were evaluated.")
        if len(self.runs) > 1:
            said.append(
                "Its networks together have met everyone here: they were tested one by one, each "
                "on people new to it, and their mean on nobody."
            )
        else:
            said.append("It is one training from one seed: another may differ.")
        return said


def externals(source: Run | Ensemble) -> list[Evaluation]:
    """Return the evaluations of a run or an ensemble on other cells, by its best weights."""
    found = [
        Evaluation.model_validate_json(path.read_text(encoding="utf-8"))
        for path in sorted(source.folder.glob(f"metrics-{EXTERNAL}*.json"))
    ]
    return [one for one in found if one.checkpoint == "best"]


def of_phantoms(source: Run | Ensemble, evaluation: Evaluation) -> bool:
    """Tell whether an `evaluation` of a run or an ensemble judged cells that a program drew.

    Of other cells than the store's that is known as long as their folder is there.
    """
    if not evaluation.name.startswith(EXTERNAL):
        return runs_of(source)[0].open_store().info.phantom
    file = predictions_file(source, evaluation.name, evaluation.checkpoint)
    paths = pd.read_parquet(file, columns=["path"])["path"]
    return any(is_phantom(folder) for folder in {Path(path).parent for path in paths})


def looks_in_words(run: Run) -> str:
    """Say how often the test split of `run` was looked at, and whether each epoch was."""
    looks = len(reads.read(run))
    if looks > 1:
        said = (
            f"The test split was judged with {looks} different weights of this run: whoever "
            "chooses among them by its figures makes them optimistic."
        )
    elif looks == 1:
        said = "The test split was judged with one set of weights of this run."
    else:
        said = "No judgement on the test split is recorded for this run."
    if run.config.watch_test:
        said += (
            " Its loss and accuracy were noted after every epoch, as the original lab did; nothing "
            "is chosen by them, but they were there to be seen."
        )
    return said
