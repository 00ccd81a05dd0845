"""What a trained network says of one split, and how often it is right."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from sklearn.metrics import accuracy_score, confusion_matrix

from leukoscope.cells.loader import network_input, ordered_batches
from leukoscope.cells.splits import SPLITS
from leukoscope.errors import BadInputError
from leukoscope.files import atomic, write_text
from leukoscope.progress import Bar
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.run import Run, Which

BATCH = 128

THRESHOLD = 0.5
"""Probability of blast from which a cell is called one: the larger of two logits."""


@dataclass(frozen=True)
class Metrics:
    """What ``metrics-<split>.json`` says.

    Attributes:
        split, checkpoint, epoch: what was judged, by the weights of which epoch.
        cells: with a label; the others cannot be judged.
        accuracy: share of calls that are right, None without labels.
        confusion: cells by [true class][called class], 0 normal, 1 blast; None without labels.
    """

    split: str
    checkpoint: Which
    epoch: int
    cells: int
    accuracy: float | None
    confusion: list[list[int]] | None

    @classmethod
    def read(cls, run: Run, split: str) -> "Metrics":
        """Read what `evaluate` wrote of the best epoch.

        Raises:
            BadInputError: `run` was not evaluated on `split`.
        """
        path = metrics_file(run, split)
        if not path.exists():
            raise BadInputError(
                f"{run.folder} was not evaluated on its {split} split; once it is trained: "
                f"leukoscope evaluate {run.folder} --split {split}"
            )
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def metrics_file(run: Run, split: str, which: Which = "best") -> Path:
    """Return where `evaluate` writes its metrics; those of the last epoch stand apart."""
    return run.folder / f"metrics-{_stem(split, which)}.json"


def predictions_file(run: Run, split: str, which: Which = "best") -> Path:
    """Return where `evaluate` writes its predictions."""
    return run.folder / f"predictions-{_stem(split, which)}.parquet"


def _stem(split: str, which: Which) -> str:
    return split if which == "best" else f"{split}-{which}"


def evaluate(run: Run, split: str = "test", which: Which = "best") -> Metrics:
    """Call every cell of `split` and write predictions and metrics into the run folder.

    ``predictions-<split>.parquet`` has one row a cell in the manifest's order: id, path, subject,
    label (may be unknown), probability of blast, call (0 normal, 1 blast).

    Raises:
        BadInputError: no such split, or no cells in it.
    """
    predictions = predict(run, split, which)
    with atomic(predictions_file(run, split, which)) as scratch:
        predictions.to_parquet(scratch, index=False)
    known = predictions.dropna(subset=["label"])
    truth, call = known["label"].astype(int), known["call"].astype(int)
    metrics = Metrics(
        split=split,
        checkpoint=which,
        epoch=Checkpoint.load(run.checkpoint(which)).progress.epoch,
        cells=len(known),
        accuracy=float(accuracy_score(truth, call)) if len(known) else None,
        confusion=confusion_matrix(truth, call, labels=[0, 1]).tolist() if len(known) else None,
    )
    text = json.dumps(asdict(metrics), indent=2) + "\n"
    write_text(metrics_file(run, split, which), text)
    return metrics


@torch.inference_mode()
def predict(run: Run, split: str, which: Which = "best") -> pd.DataFrame:
    """Return the predictions of `evaluate`, without writing anything."""
    if split not in SPLITS:
        raise BadInputError(f"split {split!r} is none of {', '.join(SPLITS)}")
    store = run.open_store()
    rows = store.rows(split)
    if not len(rows):
        raise BadInputError(f"{store.folder} has no cells in its {split} split")
    torch.set_num_threads(run.config.threads)
    model = run.load_model(which)
    mean, std = torch.tensor(store.info.mean), torch.tensor(store.info.std)
    probabilities = []
    with Bar(f"{run.config.model} on {split}", len(rows), "images") as bar:
        for batch in ordered_batches(store, rows, BATCH):
            logits = model(network_input(batch, mean, std))
            probabilities.append(logits.softmax(1)[:, 1])
            bar.advance(len(batch.labels))
    predictions = store.cells.iloc[rows][["id", "path", "subject", "label"]].reset_index(drop=True)
    predictions["probability"] = torch.cat(probabilities).numpy()
    predictions["call"] = (predictions["probability"] >= THRESHOLD).astype("Int64")
    return predictions


def describe(metrics: Metrics) -> str:
    """Say the metrics in a few lines."""
    lines = [f"{metrics.split}: {metrics.cells:,} labelled cells, epoch {metrics.epoch}"]
    if metrics.confusion:
        (tn, fp), (fn, tp) = metrics.confusion
        lines += [
            f"accuracy {metrics.accuracy:.4f}",
            f"{'':15}{'called normal':>15}{'called blast':>15}",
            f"{'true normal':15}{tn:15,}{fp:15,}",
            f"{'true blast':15}{fn:15,}{tp:15,}",
        ]
    return "\n".join(lines)


def write_submission(run: Run, split: str, which: Which, path: Path) -> None:
    """Write the Kaggle form ``ID,label``: each cell's id and call, in the manifest's order."""
    predictions = pd.read_parquet(predictions_file(run, split, which))
    table = predictions[["id", "call"]].set_axis(["ID", "label"], axis=1)
    with atomic(path) as scratch:
        table.to_csv(scratch, index=False, lineterminator="\n")
