"""What trained networks say of cells: one function of pixels, to judge them by and to hand out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leukoscope.cells.gather import CPU, Batch
from leukoscope.cells.plans import TURNS, turned_alike
from leukoscope.cells.standard import Standard
from leukoscope.training.heap import keep_freed_memory
from leukoscope.training.run import Run, Which


class LogOdds(nn.Module):
    """(N, H, W, 3) uint8, cells as they lie in a store, → (N,) float64, log-odds of blast.

    The log-odds are the difference of the two classes' logits, their mean over the turns of a
    picture and over the networks. A process that has made one keeps the memory that tensors free.

    Args:
        networks: at least one, in evaluation mode.
        standards: what makes pixels what each network sees.
        turns: 1, or `TURNS` for the mean over all turns of a picture.
    """

    def __init__(
        self, networks: Sequence[nn.Module], standards: Sequence[Standard], turns: int
    ) -> None:
        super().__init__()
        keep_freed_memory()
        self.networks = nn.ModuleList(networks)
        self.standards, self.turns = standards, turns

    @classmethod
    def of(
        cls, runs: Sequence[Run], which: Which = "best", device: torch.device = CPU
    ) -> "LogOdds":
        """Return what `runs`, of one recipe, say together by those weights, on `device`."""
        turns = TURNS if runs[0].config.recipe.turns_averaged else 1
        networks = [run.load_model(which).to(device) for run in runs]
        return cls(networks, [run.standard(device) for run in runs], turns).eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the log-odds of `pictures`; `turns` of each are in memory at once."""
        batch, pairs = self._looks(pictures), zip(self.networks, self.standards, strict=True)
        return self._mean([network(standard(batch)) for network, standard in pairs])

    def features(self, pictures: Tensor) -> Tensor:
        """Return what the first network sees of `pictures` as they lie, (N, F)."""
        batch = Batch(pictures, None, torch.empty(0))
        return self.networks[0].features(self.standards[0](batch))  # type: ignore[operator,no-any-return]

    def with_features(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-odds of `pictures`, and their `features`, which cost nothing more."""
        batch = self._looks(pictures)
        first, *networks = self.networks
        standard, *standards = self.standards
        features = first.features(standard(batch))  # type: ignore[operator]
        others = zip(networks, standards, strict=True)
        told = [first.fc(features), *(network(own(batch)) for network, own in others)]  # type: ignore[operator]
        return self._mean(told), features.unflatten(0, (self.turns, -1))[0]

    def _looks(self, pictures: Tensor) -> Batch:
        """Return all turns of `pictures`, the first turn of all of them first."""
        looks = [turned_alike(pictures, turn) for turn in range(self.turns)]
        return Batch(torch.cat(looks), None, torch.empty(0))

    def _mean(self, told: Sequence[Tensor]) -> Tensor:
        """Return the mean log-odds over the logits of all networks, and over turns."""
        logits = torch.stack([one.double() for one in told]).mean(0)
        return (logits[:, 1] - logits[:, 0]).view(self.turns, -1).mean(0)
