"""How a network that is being trained does on cells that do not train it, an epoch a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from leukoscope.cells.gather import Gather
from leukoscope.cells.loader import ordered_batches
from leukoscope.cells.manifest import CLASSES
from leukoscope.cells.standard import Standard
from leukoscope.training.divergence import CALMER, Diverged
from leukoscope.training.team import Team

EVALUATION_BATCH = 128


class Judge:
    """Judges networks on whole splits.

    Args:
        gather: of the store whose splits they are.
        standard: what makes stored pixels what a network sees.
        watch_test: judge them on the test split, too.
        team: the processes that judge together, each its own share of the cells.

    Attributes:
        splits: the rows of each, by its name.
    """

    def __init__(self, gather: Gather, standard: Standard, watch_test: bool, team: Team) -> None:
        self.gather, self.standard, self.team = gather, standard, team
        self.splits = {"validation": gather.store.rows("validation")}
        if watch_test:
            self.splits["test"] = gather.store.rows("test")

    def __call__(self, network: nn.Module, epoch: int) -> dict[str, float]:
        """Return mean loss, accuracy and area under the ROC curve over the cells of each split.

        Args:
            network: as it is after `epoch`, from 1; it is left in evaluation mode.
            epoch: the one that an error names.

        Returns:
            columns of the history's row.

        Raises:
            Diverged: the network says no numbers.
        """
        row = {}
        for split, rows in self.splits.items():
            logits = self.logits(network, rows)
            if not torch.isfinite(logits).all():
                raise Diverged(
                    self.team.once(
                        f"after epoch {epoch} the network says no numbers of {split} cells; "
                        f"{CALMER}"
                    )
                )
            labels = torch.from_numpy(self.gather.store.labels[rows])
            row[f"{split}_loss"] = F.cross_entropy(logits, labels).item()
            row[f"{split}_accuracy"] = (logits.argmax(1) == labels).double().mean().item()
            row[f"{split}_auroc"] = float(roc_auc_score(labels, logits[:, 1] - logits[:, 0]))
        return row

    @torch.inference_mode()
    def logits(self, network: nn.Module, rows: NDArray[np.int64]) -> Tensor:
        """Return what `network` says of the cells of `rows`, (N, 2) float32 on the CPU."""
        mine = self.gather.store.own(rows, self.team.rank, self.team.size)
        network.eval()
        told = []
        for batch in ordered_batches(self.gather, rows[mine], EVALUATION_BATCH):
            told.append(network(self.standard(batch)).float())
        logits = torch.zeros(len(rows), len(CLASSES))
        if told:
            logits[mine] = torch.cat(told).cpu()
        return self.team.total(logits)


def merit(row: Mapping[Any, float]) -> tuple[float, float]:
    """Order epochs: validation accuracy first, then the smaller loss."""
    return row["validation_accuracy"], -row["validation_loss"]
